//! `redis-wb dlq`: the records that could not become rows, listed, shown, replayed, dropped; `get-rejected`, RDI's name
//! for the list.

pub(crate) mod show;

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use jiff::{Span, Timestamp};
use redis_wb_runtime::{DeadLetter, DeadLetters, Selection, Server};

use crate::exit::{Failure, print};
use crate::format::Format;
use crate::plan::PlanArguments;
use crate::redis::Redis;
use crate::run::{failure, runtime};
use show::{Table, whole};

/// How many letters of each queue are listed where nothing else is said.
const LISTED: usize = 20;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    redis: Redis,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List rejected records, the newest first.
    List {
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        page: Page,
    },
    /// Show rejected records whole: the reason, the statement, what the key held.
    Show {
        /// Their ids, as `list` prints them.
        #[arg(value_name = "ID", required = true)]
        ids: Vec<String>,
        #[command(flatten)]
        filter: Filter,
        /// How to print them.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Put rejected records back into their streams, the oldest first.
    ///
    /// A newer row is never overwritten: the key is read anew, behind all changes so far. Only outputs that keep every
    /// change (APPEND, streams) get the rejected change itself.
    Replay {
        #[command(flatten)]
        chosen: Chosen,
        #[command(flatten)]
        plan: PlanArguments,
    },
    /// Drop rejected records for good.
    Drop {
        #[command(flatten)]
        chosen: Chosen,
    },
}

/// Which records.
#[derive(Debug, Args)]
struct Filter {
    /// Only those of this job.
    #[arg(long, value_name = "JOB")]
    job: Vec<String>,
    /// Only those with this code, such as R0520.
    #[arg(long, value_name = "CODE")]
    code: Vec<String>,
    /// Only those rejected since then: a time (2026-11-25T12:00:00Z), or so long ago (2h, 3 days).
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<u64>,
    /// Only those rejected before then.
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<u64>,
}

/// Records that something is done to: named, filtered, or all.
#[derive(Debug, Args)]
struct Chosen {
    /// Their ids, as `list` prints them.
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    #[command(flatten)]
    filter: Filter,
    /// All of them.
    #[arg(long, conflicts_with = "ids")]
    all: bool,
}

#[derive(Debug, Args)]
struct Page {
    /// The most records of each queue.
    #[arg(long, visible_alias = "max-records", value_name = "N", default_value_t = LISTED)]
    max: usize,
    /// The oldest first.
    #[arg(long)]
    oldest: bool,
    /// How to print them.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// `redis-wb get-rejected`.
#[derive(Debug, Args)]
pub(crate) struct GetRejected {
    /// The most records of each queue.
    #[arg(long, value_name = "N", default_value_t = LISTED)]
    max_records: usize,
    /// The oldest first.
    #[arg(long)]
    oldest: bool,
    /// Only those of this dead-letter queue, or of this job.
    #[arg(long, value_name = "NAME")]
    dlq_name: Option<String>,
    #[command(flatten)]
    redis: Redis,
    /// How to print them.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// A time, or how long ago, as milliseconds since 1970.
fn time(text: &str) -> Result<u64, String> {
    let at = text.parse::<Timestamp>().or_else(|_| {
        let span: Span = text.parse()?;
        Timestamp::now().to_zoned_datetime(jiff::tz::TimeZone::UTC).checked_sub(span).map(|at| at.timestamp())
    });
    let at = at.map_err(|error| format!("neither a time (2026-11-25T12:00:00Z) nor a span (2h): {error}"))?;
    u64::try_from(at.as_millisecond()).map_err(|_| "it is before 1970".to_owned())
}

impl Filter {
    fn selection(self, ids: Vec<String>) -> Selection {
        let Self { job, code, since, until } = self;
        let (jobs, codes, max) = (job, code, usize::MAX);
        Selection { jobs, codes, ids, since_ms: since, until_ms: until, oldest_first: true, max }
    }
}

impl Chosen {
    /// What is chosen; nothing is, unless it is said.
    fn selection(self) -> Result<Selection, Failure> {
        let Filter { job, code, since, until } = &self.filter;
        let says = !self.ids.is_empty() || !job.is_empty() || !code.is_empty() || since.is_some() || until.is_some();
        if !says && !self.all {
            return Err(Failure::with_help("no record is chosen", "name ids, filter by --job or --code, or say --all"));
        }
        Ok(self.filter.selection(self.ids))
    }
}

pub(crate) fn get_rejected(arguments: GetRejected) -> Result<(), Failure> {
    let GetRejected { max_records, oldest, dlq_name, redis, format } = arguments;
    let jobs = dlq_name.into_iter().collect();
    let selection = Selection { jobs, oldest_first: oldest, max: max_records, ..Selection::default() };
    runtime()?.block_on(async { list(&redis.into(), &selection, format).await })
}

pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { command, redis } = arguments;
    let redis = Server::from(redis);
    runtime()?.block_on(async {
        match command {
            Command::List { filter, page } => {
                let selection = Selection { oldest_first: page.oldest, max: page.max, ..filter.selection(Vec::new()) };
                list(&redis, &selection, page.format).await
            }
            Command::Show { ids, filter, format } => {
                let selection = filter.selection(ids);
                let mut queues = chosen(&redis, &selection).await?;
                let mut all = Array::default();
                let mut pages = queues.pages(&selection).await.map_err(failure)?;
                while let Some(letters) = queues.next(&mut pages).await.map_err(failure)? {
                    match format {
                        Format::Text => letters.iter().for_each(|letter| all.print_text(&whole(letter))),
                        Format::Json => all.print(&letters),
                    }
                }
                if format == Format::Json {
                    all.close();
                }
                Ok(())
            }
            Command::Replay { chosen: which, plan } => {
                let plan = plan.read()?;
                let selection = which.selection()?;
                let mut queues = chosen(&redis, &selection).await?;
                let done = queues.replay(&plan, &selection).await.map_err(failure)?;
                let gone = if done.gone > 0 { format!(", {} were gone", done.gone) } else { String::new() };
                print(&format!("{} replayed{gone}; what is rejected again comes back\n", done.replayed));
                Ok(())
            }
            Command::Drop { chosen: which } => {
                let selection = which.selection()?;
                let mut queues = chosen(&redis, &selection).await?;
                let dropped = queues.drop(&selection).await.map_err(failure)?;
                print(&format!("{dropped} dropped\n"));
                Ok(())
            }
        }
    })
}

/// The queues, once it is known that the selection has letters and names each only once.
async fn chosen(redis: &Server, selection: &Selection) -> Result<DeadLetters, Failure> {
    let mut queues = DeadLetters::connect(redis).await.map_err(failure)?;
    let mut pages = queues.pages(selection).await.map_err(failure)?;
    let help = "`redis-wb dlq list` shows what is there";
    if selection.ids.is_empty() {
        let first = queues.next(&mut pages).await.map_err(failure)?;
        return if first.is_some() { Ok(queues) } else { Err(Failure::with_help("there is no such record", help)) };
    }
    // An id is unique within its queue only.
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    while let Some(letters) = queues.next(&mut pages).await.map_err(failure)? {
        letters.into_iter().for_each(|letter| found.entry(letter.id).or_default().push(letter.job));
    }
    for id in &selection.ids {
        match found.get(id).map_or(&[][..], Vec::as_slice) {
            [] => return Err(Failure::with_help(format!("there is no record {id}"), help)),
            [_] => {}
            [job, ..] => {
                let help = format!("say which by `--job {job}`");
                return Err(Failure::with_help(format!("the record {id} is there in several queues"), help));
            }
        }
    }
    Ok(queues)
}

async fn list(redis: &Server, selection: &Selection, format: Format) -> Result<(), Failure> {
    let mut queues = DeadLetters::connect(redis).await.map_err(failure)?;
    let mut pages = queues.pages(selection).await.map_err(failure)?;
    let (mut table, mut array) = (Table::default(), Array::default());
    while let Some(letters) = queues.next(&mut pages).await.map_err(failure)? {
        match format {
            Format::Json => array.print(&letters),
            Format::Text => print(&table.lines(&letters)),
        }
    }
    match format {
        Format::Json => array.close(),
        Format::Text if table.is_empty() => print("no record was rejected\n"),
        Format::Text => {}
    }
    Ok(())
}

/// What is printed one after the other.
#[derive(Default)]
struct Array {
    is_begun: bool,
}

impl Array {
    /// The start of an array, or what goes on with it.
    fn print(&mut self, letters: &[DeadLetter]) {
        for letter in letters {
            print(if std::mem::replace(&mut self.is_begun, true) { ",\n" } else { "[\n" });
            print(&show::json(letter));
        }
    }

    /// Its end.
    fn close(self) {
        print(if self.is_begun { "\n]\n" } else { "[]\n" });
    }

    /// Texts with an empty line between.
    fn print_text(&mut self, text: &str) {
        if std::mem::replace(&mut self.is_begun, true) {
            print("\n");
        }
        print(text);
    }
}
