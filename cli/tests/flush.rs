//! `on_flush`: what becomes of the rows when Redis is emptied.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helping functions as well")]

mod support;

use redis::Commands as _;
use support::{Project, Row, assert_same_rows, text};

const TABLES: &str = "
CREATE TABLE product (id integer PRIMARY KEY);
CREATE TABLE tag (product integer NOT NULL REFERENCES product (id), tag text NOT NULL, PRIMARY KEY (product, tag));
CREATE TABLE price (sku text NOT NULL, amount integer, valid_to timestamp);
CREATE TABLE price_log (sku text NOT NULL, amount integer);
";
const TAGS: &str = "SELECT CAST(id AS text), tag FROM product LEFT JOIN tag ON product = id ORDER BY id, tag";

/// A job whose outputs go to both targets.
fn job(source: &str, outputs: &[&str]) -> String {
    let mut job = format!("source:\n  redis:\n    trigger: write-behind\n{source}\noutput:\n");
    for connection in ["pg", "lite"] {
        for output in outputs {
            job += &format!("  - uses: relational.write\n    with:\n      connection: {connection}\n{output}\n");
        }
    }
    job
}

/// Sets of tags, each a row of one table and rows of another.
fn tags(on_flush: &str) -> String {
    let source =
        format!("    key_pattern: product:*\n    data_type: set\n    db: 3\n    key: product:<id:int>\n{on_flush}");
    job(
        &source,
        &[
            "      table: product\n      keys: [id]",
            "      table: tag\n      foreach: 'member: members'\n      keys: [product: id, tag: member]",
        ],
    )
}

fn prices(on_flush: &str) -> String {
    let output = |table: &str, rest: &str| {
        format!("      table: {table}\n      keys: [sku]\n      mapping: [amount]\n      load_strategy: {rest}")
    };
    let history = output(
        "price",
        "TYPE2\n      active_record_indicator: valid_to IS NULL\n      \
        inactive_record_mapping:\n        - source: CURRENT_TIMESTAMP\n          target: valid_to",
    );
    let log = output("price_log", "APPEND");
    job(&format!("    key_pattern: price:*\n    key: price:<sku>\n{on_flush}"), &[&history, &log])
}

/// Runs commands, whose words are separated by blanks, in one go.
fn run(project: &Project, commands: &[&str]) {
    let mut pipe = redis::pipe();
    for command in commands {
        let mut words = command.split(' ');
        pipe.cmd(words.next().unwrap()).arg(words.collect::<Vec<_>>()).ignore();
    }
    pipe.exec(&mut project.client()).unwrap();
}

#[track_caller]
fn assert_rows(project: &Project, select: &str, expected: &[&[&str]]) {
    let expected: Vec<Row> = expected.iter().map(|row| row.iter().map(|&cell| cell.to_owned()).collect()).collect();
    assert_same_rows(&project.pg_rows(select), &expected);
    assert_same_rows(&project.lite_rows(select), &expected);
}

#[test]
fn the_rows_go_and_those_behind_the_flush_stay() {
    let project = Project::new("tags", &tags("    on_flush: delete"), TABLES);
    project.drain();
    run(&project, &["SELECT 3", "SADD product:1 red green", "SADD product:2 blue"]);
    project.drain();
    assert_rows(&project, TAGS, &[&["1", "green"], &["1", "red"], &["2", "blue"]]);
    // In one batch with changes before and after it; the stream is in another database and stays.
    run(&project, &["SELECT 3", "SADD product:3 red", "FLUSHDB", "SADD product:4 red", "SADD product:1 new"]);
    project.drain();
    assert_rows(&project, TAGS, &[&["1", "new"], &["4", "red"]]);
    run(&project, &["FLUSHALL", "SELECT 3", "SADD product:5 red"]);
    project.drain();
    assert_rows(&project, TAGS, &[&["5", "red"]]);
    // It took the stream and not the keys.
    run(&project, &["SELECT 3", "SADD product:6 red", "SELECT 0", "FLUSHDB", "SELECT 3", "SADD product:7 red"]);
    let said = text(&project.drain().stderr);
    assert!(said.contains("redis-wb snapshot tags"), "{said}");
    assert_rows(&project, TAGS, &[&["5", "red"], &["7", "red"]]);
    let output = project.command(&["snapshot", "--redis", &project.redis.url()]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    project.drain();
    assert_rows(&project, TAGS, &[&["5", "red"], &["6", "red"], &["7", "red"]]);
    // Two swapped databases: all that was in it is gone, and all that is there was never told of.
    run(&project, &["SELECT 4", "SADD product:8 red", "SWAPDB 3 4"]);
    project.drain();
    assert_rows(&project, TAGS, &[]);
}

#[test]
fn the_rows_stay() {
    let project = Project::new("tags", &tags("    on_flush: ignore"), TABLES);
    project.drain();
    run(&project, &["SELECT 3", "SADD product:1 red"]);
    project.drain();
    run(&project, &["SELECT 3", "FLUSHDB", "SADD product:2 blue"]);
    let said = text(&project.drain().stderr);
    assert!(said.contains("the rows of the target stay as they are"), "{said}");
    assert_rows(&project, TAGS, &[&["1", "red"], &["2", "blue"]]);
}

#[test]
fn a_history_is_closed_and_a_log_stays() {
    let project = Project::new("prices", &prices("    on_flush: delete"), TABLES);
    project.drain();
    run(&project, &["HSET price:a amount 1", "HSET price:b amount 2"]);
    project.drain();
    run(&project, &["FLUSHALL", "HSET price:b amount 3"]);
    project.drain();
    let history = "SELECT sku, CAST(amount AS text), CASE WHEN valid_to IS NULL THEN 'active' ELSE 'closed' END FROM price \
        ORDER BY sku, amount";
    assert_rows(&project, history, &[&["a", "1", "closed"], &["b", "2", "closed"], &["b", "3", "active"]]);
    let log = "SELECT sku, CAST(amount AS text) FROM price_log ORDER BY sku, amount";
    assert_rows(&project, log, &[&["a", "1"], &["b", "2"], &["b", "3"]]);
}

/// The job stops before the flush, and says what to write; others go on; nothing is lost once it is written.
#[test]
fn a_job_that_says_nothing_stops() {
    let project = Project::new("tags", &tags(""), TABLES);
    project.write("jobs/prices.yaml", &prices("    on_flush: ignore"));
    project.drain();
    run(&project, &["SELECT 3", "SADD product:1 red"]);
    project.drain();
    run(
        &project,
        &["SELECT 3", "SADD product:2 blue", "FLUSHDB", "SADD product:3 red", "SELECT 0", "HSET price:a amount 1"],
    );
    for _ in 0..2 {
        let output = project.command(&["run", "--until-idle", "--redis", &project.redis.url()]).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains("job `tags` is stopped: `flushdb` of database 3") && said.contains("on_flush: delete"),
            "{said}"
        );
        assert_rows(&project, TAGS, &[&["1", "red"], &["2", "blue"]]);
        assert_rows(&project, "SELECT sku FROM price_log", &[&["a"]]);
        assert_eq!(project.client().xlen::<_, u32>("wb:{0}:tags").unwrap(), 2, "the flush, and what is behind it");
    }
    let worker = project.worker();
    project.wait("the log says so", || project.log().matches("job `tags` is stopped").count() == 2);
    run(&project, &["HSET price:b amount 2"]);
    project.wait("the other job goes on", || project.pg_rows("SELECT sku FROM price_log").len() == 2);
    drop(worker);
    project.write("jobs/tags.yaml", &tags("    on_flush: delete"));
    project.drain();
    assert_rows(&project, TAGS, &[&["3", "red"]]);
    // What was decided is not asked again, though the job says nothing once more.
    project.write("jobs/tags.yaml", &tags(""));
    project.drain();
}

/// Where the target refuses to give up the rows, the flush is the culprit, and the changes behind it are written.
#[test]
fn a_flush_that_is_refused_is_a_dead_letter() {
    let project = Project::new("tags", &tags("    on_flush: delete"), TABLES);
    project.drain();
    run(&project, &["SELECT 3", "SADD product:1 red"]);
    project.drain();
    let other = "CREATE TABLE offer (product integer REFERENCES product (id)); INSERT INTO offer VALUES (1);";
    project.pg(other);
    project.lite().execute_batch(other).unwrap();
    run(&project, &["SELECT 3", "FLUSHDB", "SADD product:2 blue"]);
    project.drain();
    assert_rows(&project, TAGS, &[&["1", "red"], &["2", "blue"]]);
    let letters: redis::streams::StreamRangeReply = project.client().xrange_all("dlq:wb:{0}:tags").unwrap();
    let statements: Vec<String> = letters.ids.iter().map(|letter| letter.get("statement").unwrap()).collect();
    assert_eq!(statements, ["DELETE FROM \"product\"", "DELETE FROM \"product\""]);
}
