//! How fast JSON documents become rows of three tables, beside hashes that become rows of one. It must not know how a
//! worker works: PostgreSQL tells how many rows it was given.

use std::fmt::Write as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use xtask::servers::{CAPTURE_FILE, Folder, Postgres, Redis};
use xtask::{Error, cargo, tools};

use super::asked::{self, psql};
use super::drain::{BATCH_ROWS, CHANGES, KEYS};
use super::employees;
use super::times::Times;
use super::waiting::{Changes, Source, Waiting};
use super::worker::{self, Job};
use super::{machine, publish};

/// What the section begins with.
const HEADING: &str = "## Documents to three tables\n";
/// How often each is timed; they take turns.
const RUNS: usize = 5;
/// How many changes of documents wait, and of how many documents: so that there are about as many rows as of hashes.
const DOCUMENT_CHANGES: u64 = 100_000;
const DOCUMENTS: u64 = 20_000;
/// Every so many-th document is a draft, which the filter leaves out.
const DRAFT_EVERY: u64 = 10;
/// A document has one line to so many, and one payment to so many.
const LINES_MAX: u64 = 5;
const PAYMENTS_MAX: u64 = 2;
/// How long PostgreSQL may take to count.
const COUNT_SECONDS_MAX: Duration = Duration::from_secs(10);

const JOB: Job = (
    "orders",
    "source:
  redis:
    key_pattern: order:*
    trigger: write-behind
    data_type: json
    key: order:<order_id:int>
    fields:
      placed_at: timestamptz
transform:
  - uses: filter
    with:
      expression: status <> 'draft'
      language: sql
output:
  - uses: relational.write
    with:
      connection: target
      table: orders
      keys: [order_id]
      mapping:
        - customer: customer.name
        - city: customer.address.city
        - placed_at
        - status: {expression: upper(status), language: jmespath}
        - total: {expression: 'sum(lines[].price)', language: jmespath}
  - uses: relational.write
    with:
      connection: target
      table: order_lines
      foreach: 'line: lines[]'
      keys: [order_id, line_no: line.no]
      mapping:
        - article: line.article
        - quantity: line.quantity
        - amount: {expression: line.quantity * line.price, language: sql}
  - uses: relational.write
    with:
      connection: target
      table: order_payments
      foreach: 'payment: payments[]'
      keys: [order_id, payment_no: payment.no]
      mapping:
        - amount: payment.amount
        - method: {expression: \"CASE payment.method WHEN 'cc' THEN 'card' ELSE 'transfer' END\", language: sql}
        - reference: {expression: \"concat([payment.bank, '-', payment.reference])\", language: jmespath}
",
);

const TABLES: &str = "DROP TABLE IF EXISTS orders, order_lines, order_payments;
    CREATE TABLE orders (order_id bigint PRIMARY KEY, customer text, city text, placed_at timestamptz, status text,
        total bigint);
    CREATE TABLE order_lines (order_id bigint, line_no bigint, article text, quantity bigint, amount bigint,
        PRIMARY KEY (order_id, line_no));
    CREATE TABLE order_payments (order_id bigint, payment_no bigint, amount bigint, method text, reference text,
        PRIMARY KEY (order_id, payment_no))";

/// Writes documents; every change changes every row.
fn script() -> String {
    format!(
        "for i = ARGV[1], ARGV[2] do
    local key = i % tonumber(ARGV[3])
    local lines, payments = {{}}, {{}}
    for no = 1, 1 + key % {LINES_MAX} do
        lines[no] = {{no = no, article = 'article ' .. key % 1000 .. '/' .. no, quantity = 1 + i % 1000,
            price = 995 + i}}
    end
    for no = 1, 1 + key % {PAYMENTS_MAX} do
        payments[no] = {{no = no, method = 'cc', bank = 'NWBK', amount = 4990 + i, reference = 'RF18-' .. i}}
    end
    redis.call('JSON.SET', 'order:' .. key, '$', cjson.encode({{
        customer = {{name = 'Ada Lovelace', email = 'ada' .. key .. '@example.com',
            address = {{street = 'St James Square 12', city = 'London', country = 'GB'}}}},
        status = key % {DRAFT_EVERY} == 0 and 'draft' or 'paid', placed_at = '2026-11-27T10:15:00Z', currency = 'GBP',
        note = 'change ' .. i, lines = lines, payments = payments}}))
end"
    )
}

/// How many rows follow from the changes.
fn rows() -> u64 {
    let of = |document: u64| {
        let is_draft = document.is_multiple_of(DRAFT_EVERY);
        if is_draft { 0 } else { 1 + (1 + document % LINES_MAX) + (1 + document % PAYMENTS_MAX) }
    };
    (0..DOCUMENT_CHANGES).map(|change| of(change % DOCUMENTS)).sum()
}

/// What is drained: its folder, the changes, what makes its tables, their names, and how many rows follow.
struct Scene {
    project: Folder,
    waiting: Waiting,
    tables: String,
    names: &'static str,
    rows: u64,
    times: Times,
}

pub(crate) fn run() -> Result<(), Error> {
    let built = cargo::build(&["redis-wb", "redis-wb-capture"], &["--locked", "--release"])?;
    let (program, module) = (built.file("redis-wb")?, built.file(CAPTURE_FILE)?);
    let postgres = Postgres::try_start()?;
    let (settings, applier) = (asked::settings(&postgres), worker::batches(BATCH_ROWS, BATCH_ROWS));
    let scene = |job: Job, arguments: &[&str], changes: &Changes<'_>, table: &str, names, rows| {
        let tables = format!("DROP TABLE IF EXISTS redis_wb_checkpoint; {table}");
        psql(&postgres, &tables)?;
        let project = worker::project(job, &settings, &applier)?;
        let source = Source::Redis(Redis::try_start(Some(&module), arguments)?);
        let waiting = Waiting::fill(source, &program, (job.0, &project), changes)?;
        Ok::<_, Error>(Scene { project, waiting, tables, names, rows, times: Times::of(rows) })
    };
    let table = format!("{}; {}", employees::RESET, employees::TABLE);
    let mut hashes = scene(employees::JOB, &[], &employees::changes(CHANGES, KEYS), &table, "'emp'", CHANGES)?;
    let rejson = tools::rejson()?;
    let arguments = ["--loadmodule", &rejson.to_string_lossy()];
    let changes = Changes { script: &script(), changes: DOCUMENT_CHANGES, keys: DOCUMENTS };
    let names = "'orders', 'order_lines', 'order_payments'";
    let mut documents = scene(JOB, &arguments, &changes, TABLES, names, rows())?;
    for _ in 0..RUNS {
        hashes.turn(&program, &postgres)?;
        documents.turn(&program, &postgres)?;
    }
    let mut section = format!(
        "{HEADING}\n`cargo xtask bench documents`: {RUNS} runs in turns, medians and ranges; a worker from its start \
         until the stream is drained to PostgreSQL, batches of {BATCH_ROWS} changes. Rows are those that PostgreSQL \
         was given, by its own count (`n_tup_ins + n_tup_upd` of the tables): {CHANGES} of as many changes of {KEYS} \
         hashes, the first row of `bench drain`; and {} of {DOCUMENT_CHANGES} changes of {DOCUMENTS} JSON documents \
         to three tables, two of them by `foreach`, with 5 expressions (2 of SQL, 3 of JMESPath) and a filter that \
         leaves out one document in {DRAFT_EVERY}. Rows of lines and payments that vanished are looked for as \
         well.\n\n| | rows a second | range | beside the first | goal |\n\
         |---|--:|--:|--:|--:|\n",
        documents.rows,
    );
    section += &hashes.times.row("hashes to one table", "", "");
    let beside = format!("{:.2}", documents.times.beside(&hashes.times));
    section += &documents.times.row("JSON documents to three tables", &beside, "0.6");
    let _ = write!(section, "\n{}.\n", machine());
    publish(HEADING, &section)
}

impl Scene {
    /// Drains the changes once more, into new tables.
    fn turn(&mut self, program: &Path, postgres: &Postgres) -> Result<(), Error> {
        psql(postgres, &self.tables)?;
        self.times.add(self.waiting.drain(program, &self.project)?);
        let sql =
            format!("SELECT sum(n_tup_ins + n_tup_upd) FROM pg_stat_user_tables WHERE relname IN ({})", self.names);
        // A session tells what it did when it ends, a moment after the worker has.
        let start = Instant::now();
        loop {
            let count = psql(postgres, &sql)?;
            if count == self.rows.to_string() {
                return Ok(());
            }
            if start.elapsed() > COUNT_SECONDS_MAX {
                return Err(Error::new(format!(
                    "PostgreSQL was given {count} rows of {}, and not {}",
                    self.names, self.rows
                )));
            }
            thread::sleep(Duration::from_millis(100));
        }
    }
}
