//! Large documents among small ones: they land, or are rejected with a reason, and hold up nothing behind them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helping functions as well")]

mod support;

use redis::Connection;
use support::maria::Maria;
use support::{Project, assert_same_rows, text};
use xtask::servers::{Redis, rejson_module};

const TABLES: &str = "CREATE TABLE doc (id integer PRIMARY KEY, title text, body text);";
/// The table where a text may be of any size.
const MARIA_TABLES: &str = "CREATE TABLE doc (id integer PRIMARY KEY, title text, body longtext)";
const MB: usize = 1024 * 1024;
/// What a worker may take for a document of 50 MB: it holds it as a reply, as a record, as a value, as a parameter of each
/// target, and as what goes over the wire; and there are three targets.
const PEAK_MB_MAX: u64 = 1_000;

fn job() -> String {
    let output = |connection| {
        format!(
            "  - uses: relational.write\n    with: {{connection: {connection}, table: doc, keys: [id], \
             mapping: [title, body]}}\n"
        )
    };
    format!(
        "source:\n  redis:\n    trigger: write-behind\n    key_pattern: doc:*\n    data_type: json\n    \
         key: doc:<id:int>\noutput:\n{}{}{}",
        output("pg"),
        output("lite"),
        output("maria"),
    )
}

fn put(redis: &mut Connection, id: usize, bytes: usize) {
    // Quotes at the ends and a line in the middle, so that nothing can be passed on without being read.
    let body = format!("\\\"{}\\n{}\\\"", "x".repeat(bytes / 2), "y".repeat(bytes / 2));
    let document = format!(r#"{{"title": "t{id}", "body": "{body}"}}"#);
    redis::cmd("JSON.SET").arg(format!("doc:{id}")).arg("$").arg(document).exec(redis).unwrap();
}

/// How long each body is, and its ends.
const SELECT: &str =
    "SELECT CAST(id AS text), title, CAST(length(body) AS text), substr(body, 1, 2) FROM doc ORDER BY doc.id";

fn row(id: usize, bytes: usize) -> Vec<String> {
    [id.to_string(), format!("t{id}"), (bytes / 2 * 2 + 3).to_string(), "\"x".to_owned()].into()
}

#[test]
fn a_document_of_50_mb_holds_nothing_up() {
    let mut project = Project::new("doc", &job(), TABLES);
    project.redis = Redis::start_with(&["--loadmodule", &rejson_module().to_string_lossy()]);
    let maria = Maria::join(&project, MARIA_TABLES);
    maria.run("SET GLOBAL max_allowed_packet = 16777216");
    project.drain();
    let mut redis = project.client();
    // What is above the default of `image-bytes-max` comes as "read it now".
    let sizes = [10, 50 * MB, 20, 900_000, 70 * MB, 3 * MB, 30];
    sizes.into_iter().enumerate().for_each(|(id, bytes)| put(&mut redis, id, bytes));
    // One document holds up Redis, and with it the lease, for longer than the short leases of tests last.
    let patient = ["--takeover-ms", "30000"];
    let (mut worker, mut peak_kb) = (project.worker_at(&project.redis.url(), &patient), 0);
    let landed = |ids: &[usize]| ids.iter().map(|id| row(*id, sizes[*id])).collect::<Vec<_>>();
    // To read the long texts again and again would take longer than to write them.
    let (count, many) = ("SELECT CAST(count(*) AS text) FROM doc", |count: &str| vec![vec![count.to_owned()]]);
    project.wait("all land but what is too large", || {
        peak_kb = worker.peak_memory_kb();
        project.pg_rows(count) == many("6") && project.lite_rows(count) == many("6") && maria.rows(count) == many("5")
    });
    let all_but_the_largest = landed(&[0, 1, 2, 3, 5, 6]);
    assert_same_rows(&project.pg_rows(SELECT), &all_but_the_largest);
    assert_same_rows(&project.lite_rows(SELECT), &all_but_the_largest);
    // This MariaDB takes no more than 16 MB at once.
    assert_same_rows(&maria.rows(SELECT), &landed(&[0, 2, 3, 5, 6]));
    assert!(peak_kb / 1024 < PEAK_MB_MAX, "{} MB", peak_kb / 1024);
    println!("peak {} MB", peak_kb / 1024);
    worker.stop();
    let listed =
        project.command(&["dlq", "list", "--format", "json", "--redis", &project.redis.url()]).output().unwrap();
    let listed = text(&listed.stdout);
    assert_eq!(listed.matches("R0514").count(), 3, "{listed}");
    assert!(listed.contains("doc:4") && listed.contains("the most that becomes rows is 64 MB"), "{listed}");
    assert!(listed.contains("R0521") && listed.contains("max_allowed_packet"), "{listed}");
    // A letter is kept in the memory of Redis: it names the key and leaves the document where it is.
    let bytes: usize = redis::cmd("MEMORY").arg("USAGE").arg("dlq:wb:{0}:doc").query(&mut redis).unwrap();
    assert!(bytes < MB, "{bytes}");
}

/// How often a command was carried out so far.
fn calls(redis: &mut Connection, command: &str) -> usize {
    let all: String = redis::cmd("INFO").arg("commandstats").query(redis).unwrap();
    let line = all.lines().find(|line| line.to_lowercase().starts_with(&format!("cmdstat_{command}:")));
    line.map_or(0, |line| line.split(['=', ',']).nth(1).unwrap().parse().unwrap())
}

#[test]
fn a_key_is_read_once_for_all_of_its_changes_that_wait() {
    let output = |connection: &str, rest: &str| {
        format!(
            "  - uses: relational.write\n    with: {{connection: {connection}, keys: [id], mapping: [v], {rest}}}\n"
        )
    };
    let job = |rest: &str| {
        let source = "source:\n  redis: {trigger: write-behind, key_pattern: 'doc:*', key: 'doc:<id:int>'}\noutput:\n";
        format!("{source}{}{}", output("pg", rest), output("lite", rest))
    };
    let tables = "CREATE TABLE doc (id integer PRIMARY KEY, v text); CREATE TABLE log (id integer, v text);";
    let mut project = Project::new("doc", &job("table: doc"), tables);
    project.write("jobs/log.yaml", &job("table: log, load_strategy: APPEND"));
    project.redis = Redis::start_with_module_arguments(&["image-bytes-max", "100"]);
    project.drain();
    let mut redis = project.client();
    let begun = calls(&mut redis, "hgetall");
    project.drain();
    // A worker reads hashes of its own, too.
    let known = 2 * calls(&mut redis, "hgetall") - begun;
    let large = "x".repeat(100);
    let mut set = |id: u32, text: &str| {
        redis::cmd("HSET").arg(format!("doc:{id}")).arg("v").arg(text).exec(&mut redis).unwrap();
    };
    for round in 0..20 {
        (1..=2).for_each(|id| set(id, &format!("{large}{round}")));
    }
    // Small again, and large once more: what stands in between must not be the last that is seen.
    set(1, "small");
    set(1, &format!("{large}last"));
    project.drain();
    // Of each key, for each of two connections: the job whose rows tell how a key is reads it for its creation, for what
    // followed, and once more behind the record that had an image; the other one has no need to tell them apart.
    let mut redis = project.client();
    assert_eq!(calls(&mut redis, "hgetall") - known, 2 * (3 + 2 + 2 + 1));
    let last = |id: u32| if id == 1 { format!("{large}last") } else { format!("{large}19") };
    let rows: Vec<_> = (1..=2).map(|id| vec![id.to_string(), last(id)]).collect();
    let docs = "SELECT CAST(id AS text), v FROM doc ORDER BY doc.id";
    assert_same_rows(&project.pg_rows(docs), &rows);
    assert_same_rows(&project.lite_rows(docs), &rows);
    let row = |id: &str, v: &str, times: &str| [id, v, times].map(str::to_owned).to_vec();
    let logged = [row("1", &last(1), "21"), row("1", "small", "1"), row("2", &last(2), "20")];
    let log =
        "SELECT CAST(id AS text), v, CAST(count(*) AS text) FROM log GROUP BY id, v ORDER BY log.id, count(*) DESC";
    assert_same_rows(&project.pg_rows(log), &logged);
    assert_same_rows(&project.lite_rows(log), &logged);
}

/// A worker that waits for changes gets the first of them alone.
#[test]
fn a_key_that_changes_while_it_is_read_is_read_again_for_all_of_that() {
    let mut project = Project::new("doc", &job().replace("connection: maria", "connection: pg"), TABLES);
    project.redis = Redis::start_with(&["--loadmodule", &rejson_module().to_string_lossy()]);
    let mut worker = project.worker();
    project.wait_until_tracked();
    let mut redis = project.client();
    put(&mut redis, 1, 20 * MB);
    for round in 0..200 {
        redis::cmd("JSON.SET").arg("doc:1").arg("$.title").arg(format!("\"{round}\"")).exec(&mut redis).unwrap();
    }
    let title = "SELECT title FROM doc";
    let last = [vec!["199".to_owned()]];
    project.wait("the last title is there", || project.pg_rows(title) == last && project.lite_rows(title) == last);
    let reads = calls(&mut redis, "json.get");
    println!("{reads} reads for 201 changes and two connections");
    assert!(reads < 40, "{reads}");
    worker.stop();
}
