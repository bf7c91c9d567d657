//! `redis-wb trace`: single changes followed through the pipeline as they come, for people and for programs.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use redis_wb_compiler::Live;
use redis_wb_record::Record;
use redis_wb_runtime::trace::{Outcome, TraceOptions, Traced, TracedConnection, TracedRow, TracedStatement, trace};
use serde_json::{Value, json};

use crate::dlq::show::content;
use crate::exit::{Failure, print, say};
use crate::format::Format;
use crate::project::{Location, refuse_bugs};
use crate::redis::Redis;
use crate::run::{failure, read_plan, runtime, shutdown};

/// How much of a value a line has.
const VALUE_CHARS_MAX: usize = 400;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    location: Location,
    /// Take the jobs from this plan of `redis-wb compile --format json` instead of compiling them.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["paths", "config"])]
    plan: Option<std::path::PathBuf>,
    #[command(flatten)]
    redis: Redis,
    /// The most changes of each shard.
    #[arg(long, value_name = "N", default_value_t = 10)]
    max_change_records: usize,
    /// How long to wait for them, in seconds.
    #[arg(long, value_name = "S", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
    /// Only changes that are rejected, by the job or by the target.
    #[arg(long)]
    trace_only_rejected: bool,
    /// Only changes of keys that match this pattern, in the syntax of `KEYS`.
    #[arg(long, value_name = "PATTERN")]
    key: Option<String>,
    /// How to print them.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { location, plan, redis, max_change_records, timeout, trace_only_rejected, key, format } = arguments;
    runtime()?.block_on(async move {
        let plan = Arc::new(match &plan {
            Some(path) => read_plan(path)?,
            None => compile(&location).await?,
        });
        let shutdown = shutdown("stopping")?;
        let options = TraceOptions {
            redis: redis.into(),
            records_max: max_change_records,
            timeout: Duration::from_secs(timeout),
            only_rejected: trace_only_rejected,
            key: key.map(String::into_bytes),
        };
        say(&format!("waiting for changes, for {timeout} s; nothing is taken from the worker"));
        let tell = |traced: &Traced| match format {
            Format::Text => print(&text(traced)),
            Format::Json => print(&format!("{}\n", object(traced))),
        };
        let told = trace(&plan, &options, shutdown, tell).await.map_err(failure)?;
        if told == 0 {
            let what = if trace_only_rejected { "change was rejected" } else { "change came" };
            say(&format!("no {what} in {timeout} s; `redis-wb status` shows whether keys are tracked"));
        }
        Ok(())
    })
}

/// The plan as `run` has it. A target that does not tell its tables is not waited for: it writes nothing here.
async fn compile(location: &Location) -> Result<redis_wb_plan::Plan, Failure> {
    let mut project = location.read()?;
    let mut compiled = project.compile(Live::default());
    refuse_bugs(&compiled)?;
    let blind: Vec<_> = compiled.targets.iter().filter(|(_, target)| target.is_blind).collect();
    if compiled.plan.is_some() && !blind.is_empty() {
        let mut live = Live::default();
        for (name, target) in blind {
            match redis_wb_runtime::schema(&target.connection, &target.tables).await {
                Ok(schema) => drop(live.tables.insert(name.clone(), Ok(schema))),
                Err(error) => say(&format!("the types of the columns of `{name}` are not known: {error}")),
            }
        }
        compiled = project.compile(live);
        refuse_bugs(&compiled)?;
    }
    match compiled.plan {
        Some(plan) => Ok(plan),
        None => {
            project.report(compiled.diagnostics);
            Err(Failure::Reported)
        }
    }
}

/// All about one change.
fn text(traced: &Traced) -> String {
    let Traced { job, stream, position, record, was_thin, filters, lookups, connections } = traced;
    let mut out = String::new();
    let mut line = |name: &str, text: &str| {
        let _ = writeln!(out, "  {name:<11} {}", clipped(text));
    };
    let head = match redis_wb_record::decode(record) {
        Ok(record) => {
            let Record { opcode, command, db, key, time_us, epoch, after, before, .. } = record;
            line("change", &format!("{} by {command} in database {db}, at {}", opcode.letter(), time(time_us)));
            line("record", &format!("{stream} {position}, epoch {epoch:016x}"));
            if *was_thin {
                line("", "it carried no image: the key was read now");
            }
            for (name, image) in [("after", after), ("before", before)] {
                if let Some(image) = image {
                    line(name, &content(&image).to_string());
                }
            }
            String::from_utf8_lossy(key).into_owned()
        }
        Err(error) => {
            line("record", &format!("{stream} {position} is not readable: {error}"));
            position.clone()
        }
    };
    for (filter, passes) in filters {
        line("filter", &format!("`{filter}`: {}", if *passes { "passes" } else { "does not pass" }));
    }
    for (field, reply) in lookups {
        line("lookup", &format!("{field} = {reply}"));
    }
    for connection in connections {
        line("connection", &format!("{}: {}", connection.name, outcome(&connection.outcome)));
        for TracedRow { table, what, columns } in &connection.rows {
            let columns: Vec<String> = columns.iter().map(|(name, value)| format!("{name} = {value}")).collect();
            line("  row", &format!("{what} {table}: {}", columns.join(", ")));
        }
        for TracedStatement { text, parameters } in &connection.statements {
            line("  statement", &text.split_whitespace().collect::<Vec<_>>().join(" "));
            for (parameter, number) in parameters.iter().zip(1..) {
                line("", &format!("  {number}: {parameter}"));
            }
        }
    }
    format!("{} (job {job})\n{out}\n", clipped(&head))
}

fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Written => "written, unless the target refuses it".to_owned(),
        Outcome::Filtered(why) => format!("filtered: {why}"),
        Outcome::Rejected { code, reason, by_target } => {
            let by = if *by_target { " by the target" } else { "" };
            format!("rejected{by}: {code}: {reason}; `redis-wb explain {code}`")
        }
        Outcome::Stops => "the job stops here: `on_flush` of the job says what becomes of the rows".to_owned(),
    }
}

fn object(traced: &Traced) -> Value {
    let record = redis_wb_record::decode(&traced.record).ok();
    let image = |image: Option<redis_wb_record::Image<'_>>| image.map_or(Value::Null, |image| content(&image));
    json!({
        "job": traced.job,
        "stream": traced.stream,
        "position": traced.position,
        "key": record.as_ref().map(|record| String::from_utf8_lossy(record.key).into_owned()),
        "opcode": record.as_ref().map(|record| record.opcode.letter()),
        "command": record.as_ref().map(|record| record.command),
        "db": record.as_ref().map(|record| record.db),
        "time": record.as_ref().map(|record| time(record.time_us)),
        "epoch": record.as_ref().map(|record| format!("{:016x}", record.epoch)),
        "was_thin": traced.was_thin,
        "after": image(record.as_ref().and_then(|record| record.after)),
        "before": image(record.as_ref().and_then(|record| record.before)),
        "filters": traced.filters.iter().map(|(text, passes)| json!({"filter": text, "passes": passes})).collect::<Value>(),
        "lookups": traced.lookups.iter().map(|(field, reply)| json!({"field": field, "reply": reply})).collect::<Value>(),
        "connections": traced.connections.iter().map(connection).collect::<Value>(),
    })
}

fn connection(traced: &TracedConnection) -> Value {
    let outcome = match &traced.outcome {
        Outcome::Written => json!({"outcome": "written"}),
        Outcome::Filtered(why) => json!({"outcome": "filtered", "reason": why}),
        Outcome::Rejected { code, reason, by_target } => {
            json!({"outcome": "rejected", "code": code, "reason": reason, "by_target": by_target})
        }
        Outcome::Stops => json!({"outcome": "stops"}),
    };
    let row = |row: &TracedRow| {
        let columns: serde_json::Map<String, Value> =
            row.columns.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        json!({"table": row.table, "what": row.what, "columns": columns})
    };
    let statement = |one: &TracedStatement| json!({"text": one.text, "parameters": one.parameters});
    json!({
        "connection": traced.name,
        "outcome": outcome,
        "rows": traced.rows.iter().map(row).collect::<Value>(),
        "statements": traced.statements.iter().map(statement).collect::<Value>(),
    })
}

fn time(us: u64) -> String {
    let at = i64::try_from(us).ok().and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
    at.map_or_else(String::new, |at| at.to_string())
}

/// A text of bounded length, without what a terminal would take for a command.
fn clipped(text: &str) -> String {
    let text: String = text.chars().map(|one| if one.is_control() { '\u{fffd}' } else { one }).collect();
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}
