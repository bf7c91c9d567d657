//! `config.yaml`: connections and applier.

use std::collections::BTreeMap;

use redis_wb_plan::plan::{Applier, Connection as PlanConnection, Dialect, RedisConnection};

use super::mapping::{Context, Mapping};
use crate::ast::{Config, Connection};
use crate::codes::Code;
use crate::source::{Files, Span, Spanned};
use crate::yaml::{Node, Value};
use crate::{Diagnostic, Diagnostics};

/// Reads the configuration.
pub fn config(root: &Node, files: &Files, diagnostics: &mut Diagnostics) -> Config {
    let context = &mut Context { files, diagnostics };
    let Some(mut map) = Mapping::open(context, root, "config.yaml", Span::top(root.span.file)) else {
        return Config::default();
    };
    let mut config = Config::default();
    if let Some((_, node)) = map.required(context, "connections", "connections:\n  target:\n    type: postgresql") {
        match &node.value {
            Value::Map(entries) => {
                let before = context.diagnostics.len();
                for (name, node) in entries {
                    match connection(context, name, node) {
                        Some(Any::Table(connection)) => config.connections.push((name.clone(), connection)),
                        Some(Any::Redis(connection)) => config.redis.push((name.clone(), connection)),
                        None => {}
                    }
                }
                let read = config.connections.len() + config.redis.len();
                config.complete = context.diagnostics.len() == before || read == entries.len();
            }
            _ => context.wrong_shape(node, "connections", "a mapping of names to connections"),
        }
    }
    if let Some((key, node)) = map.optional("applier") {
        config.applier = applier(context, key.span, node);
    }
    map.finish(context);
    config
}

/// A connection: to tables, or to a Redis.
enum Any {
    Table(Connection),
    Redis(RedisConnection),
}

/// The types of connections; `None` for a Redis.
const KINDS: [(&str, Option<Dialect>); 9] = [
    ("postgresql", Some(Dialect::PostgreSql)),
    ("mysql", Some(Dialect::MySql)),
    ("mariadb", Some(Dialect::MariaDb)),
    ("sqlite", Some(Dialect::Sqlite)),
    ("sqlserver", Some(Dialect::SqlServer)),
    ("oracle", Some(Dialect::Oracle)),
    ("db2", Some(Dialect::Db2)),
    ("cassandra", Some(Dialect::Cassandra)),
    ("redis", None),
];

fn connection(context: &mut Context<'_>, name: &Spanned<String>, node: &Node) -> Option<Any> {
    let mut map = Mapping::open(context, node, "connection", name.span)?;
    let kind = map.required(context, "type", "type: postgresql");
    let mut text = |context: &mut Context<'_>, key| {
        map.optional(key).and_then(|(_, node)| context.text(node, key)).map(|text| text.value)
    };
    let (host, port) = (text(context, "host"), text(context, "port"));
    let (database, user) = (text(context, "database"), text(context, "user"));
    let mut hosts: Vec<String> = host.into_iter().collect();
    if let Some((_, node)) = map.optional("hosts") {
        let items = context.list(node, "hosts").iter();
        hosts.extend(items.filter_map(|host| context.text(host, "hosts")).map(|host| host.value));
    }
    let password = map.optional("password").and_then(|(_, node)| password(context, node));
    let mut args = BTreeMap::new();
    for key in ["connect_args", "query_args"] {
        if let Some((_, node)) = map.optional(key) {
            args.extend(arguments(context, node, key));
        }
    }
    let ddl = map.optional("ddl").and_then(|(_, node)| context.text(node, "ddl"));
    map.finish(context);
    let (_, kind) = kind?;
    Some(match context.word(kind, "type", &KINDS)? {
        Some(dialect) => {
            let plan = PlanConnection { dialect, hosts, port, database, user, password, args };
            Any::Table(Connection { plan, ddl })
        }
        None => Any::Redis(RedisConnection { hosts, port, database, user, password, args }),
    })
}

/// A password goes into the plan only as `${VAR}` or as the path of a file.
fn password(context: &mut Context<'_>, node: &Node) -> Option<String> {
    let text = context.text(node, "password")?;
    if text.value.contains("${") || text.value.contains('/') {
        return Some(text.value);
    }
    let message = "the password stands in the configuration in plain text";
    let diagnostic = Diagnostic::new(Code::W0011, text.span, message, "left out of the plan");
    context.report(diagnostic.help("write `password: ${TARGET_PASSWORD}`, or the path of a file that holds it"));
    Some(text.value)
}

fn arguments(context: &mut Context<'_>, node: &Node, what: &'static str) -> Vec<(String, String)> {
    match &node.value {
        Value::Map(entries) => entries
            .iter()
            .filter_map(|(key, node)| Some((key.value.clone(), context.text(node, what)?.value)))
            .collect(),
        Value::Null => Vec::new(),
        _ => {
            context.wrong_shape(node, what, "a mapping");
            Vec::new()
        }
    }
}

/// No count, size or time of the configuration may be larger.
const NUMBER_MAX: i64 = 1_000_000_000;

fn applier(context: &mut Context<'_>, key: Span, node: &Node) -> Applier {
    let mut applier = Applier::default();
    let Some(mut map) = Mapping::open(context, node, "applier", key) else {
        return applier;
    };
    let mut number = |context: &mut Context<'_>, key, lowest| {
        let (_, node) = map.optional(key)?;
        Some((context.number(node, key, lowest, NUMBER_MAX)?, node.span))
    };
    let rows = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
    if let Some((number, _)) = number(context, "read_batch_size", 1) {
        applier.read_batch_rows_max = rows(number);
    }
    if let Some((number, span)) = number(context, "write_batch_size", 1) {
        applier.write_batch_rows_max = rows(number);
        if applier.write_batch_rows_max > applier.read_batch_rows_max {
            let message = format!("`write_batch_size` is above `read_batch_size`, {}", applier.read_batch_rows_max);
            let diagnostic = Diagnostic::new(Code::E0009, span, message, "more than is ever read");
            context.report(diagnostic.help(format!("raise `read_batch_size` to {number}, or lower this")));
        }
    }
    if let Some((seconds, _)) = number(context, "on_failed_retry_interval", 0) {
        applier.retry_ms = u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000);
    }
    if let Some((number, _)) = number(context, "dlq_max_messages", 1) {
        applier.dlq_rows_max = rows(number);
    }
    for key in ["duration", "dedup_max_size", "wait_timeout", "initial_sync_processes"] {
        number(context, key, 0);
    }
    if let Some((_, node)) = map.optional("error_handling") {
        applier.dead_letter = context.word(node, "error_handling", &[("dlq", true), ("ignore", false)]).unwrap_or(true);
    }
    for key in ["dedup", "wait_enabled", "retry_on_replica_failure"] {
        if let Some((_, node)) = map.optional(key) {
            context.word(node, key, &[("true", true), ("false", false)]);
        }
    }
    for key in ["target_data_type", "json_update_strategy", "debezium_lob_encoded_placeholder"] {
        if let Some((_, node)) = map.optional(key) {
            context.text(node, key);
        }
    }
    map.finish(context);
    applier
}
