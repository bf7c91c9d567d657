//! Every type of key and every shape of output: documents into several tables, lists whose elements vanish, filters,
//! histories. At the end all targets say what Redis says.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helping functions as well"
)]

mod support;

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use support::maria::Maria;
use support::{PATIENCE, Project, Row, assert_same_rows, rounds, seed};
use xtask::servers::{Process, Redis, rejson_module};

const KEYS: u32 = 40;
const WRITES: usize = 4_000;

/// A job whose outputs go to all targets; each output is the text behind its connection.
fn everywhere(source: &str, outputs: &[&str]) -> String {
    let mut job = format!("source:\n  redis:\n    trigger: write-behind\n{source}\noutput:\n");
    for connection in ["pg", "lite", "maria"] {
        for output in outputs {
            job += &format!("  - uses: relational.write\n    with:\n      connection: {connection}\n{output}\n");
        }
    }
    job
}

const TABLES: &str = "
CREATE TABLE shop_order (id integer PRIMARY KEY, customer text);
CREATE TABLE line (order_id integer NOT NULL REFERENCES shop_order (id), no integer NOT NULL, article text,
    PRIMARY KEY (order_id, no));
CREATE TABLE tag (product varchar(40) NOT NULL, tag varchar(40) NOT NULL, PRIMARY KEY (product, tag));
CREATE TABLE score (game varchar(40) NOT NULL, player varchar(40) NOT NULL, points double precision, PRIMARY KEY (game, player));
CREATE TABLE account (id integer PRIMARY KEY, owner text);
";

/// A project with all targets.
fn project(job_name: &str, job: &str, tables: &str) -> (Project, Maria) {
    let project = Project::new(job_name, job, tables);
    let maria = Maria::join(&project, tables);
    (project, maria)
}

/// What each target says.
fn answers(project: &Project, maria: &Maria, select: &str) -> [(&'static str, Vec<Row>); 3] {
    [("pg", project.pg_rows(select)), ("lite", project.lite_rows(select)), ("maria", maria.rows(select))]
}

#[track_caller]
fn assert_everywhere(project: &Project, maria: &Maria, select: &str, expected: &[Row]) {
    for (target, found) in answers(project, maria, select) {
        println!("{target}");
        assert_same_rows(&found, expected);
    }
}

fn jobs() -> [(&'static str, String); 4] {
    let orders = everywhere(
        "    key_pattern: order:*\n    data_type: json\n    key: order:<id:int>",
        &[
            "      table: shop_order\n      keys: [id]\n      mapping: [customer: customer.name]",
            "      table: line\n      foreach: 'line: lines[]'\n      keys: [order_id: id, no: line.no]\n      mapping: \
             [article: line.article]",
        ],
    );
    let tags = everywhere(
        "    key_pattern: tags:*\n    data_type: set\n    key: tags:<product>",
        &["      table: tag\n      foreach: 'member: members'\n      keys: [product, tag: member]"],
    );
    let scores = everywhere(
        "    key_pattern: game:*\n    data_type: sorted_set\n    key: game:<game>",
        &["      table: score\n      foreach: 'entry: members'\n      keys: [game, player: entry.member]\n      \
           mapping: [points: entry.score]"],
    );
    let accounts = everywhere(
        "    key_pattern: account:*\n    data_type: hash\n    key: account:<id:int>\ntransform:\n  - uses: filter\n    \
         with:\n      expression: state = 'open'\n      language: sql\n      on_unmatched: delete\n  - uses: add_field\n    \
         with:\n      field: owner\n      expression: upper(name)\n      language: jmespath",
        &["      table: account\n      keys: [id]\n      mapping: [owner]"],
    );
    [("orders", orders), ("tags", tags), ("scores", scores), ("accounts", accounts)]
}

/// One random change of a key of one of the four types.
fn change(random: &mut StdRng) -> redis::Cmd {
    let id = random.random_range(0..KEYS);
    let word = ["red", "green", "blue", "größe", "O'Hara"][random.random_range(0..5)];
    let mut cmd = redis::Cmd::new();
    match random.random_range(0..12) {
        0..3 => {
            let numbers: Vec<u32> = (0..6).filter(|_| random.random_bool(0.5)).collect();
            let lines: Vec<String> =
                numbers.iter().map(|no| format!(r#"{{"no":{no},"article":"{word} {no}"}}"#)).collect();
            let document = format!(r#"{{"customer":{{"name":"{word}"}},"lines":[{}]}}"#, lines.join(","));
            cmd.arg("JSON.SET").arg(format!("order:{id}")).arg("$").arg(document);
        }
        3 => {
            cmd.arg("JSON.DEL").arg(format!("order:{id}")).arg("$.lines[0]");
        }
        4..6 => {
            cmd.arg("SADD").arg(format!("tags:{id}")).arg(word);
        }
        6 => {
            cmd.arg("SREM").arg(format!("tags:{id}")).arg(word);
        }
        7 => {
            cmd.arg("ZADD").arg(format!("game:{id}")).arg(random.random_range(0..9)).arg(word);
        }
        8 => {
            cmd.arg("ZREM").arg(format!("game:{id}")).arg(word);
        }
        9 | 10 => {
            let state = if random.random_bool(0.7) { "open" } else { "closed" };
            cmd.arg("HSET").arg(format!("account:{id}")).arg("name").arg(word).arg("state").arg(state);
        }
        _ => {
            let kind = ["order", "tags", "game", "account"][random.random_range(0..4)];
            cmd.arg(["DEL", "UNLINK"][random.random_range(0..2)]).arg(format!("{kind}:{id}"));
        }
    }
    cmd
}

/// The rows that the keys of Redis call for, by table.
fn expected(client: &mut redis::Connection) -> BTreeMap<&'static str, Vec<Row>> {
    let mut tables: BTreeMap<&'static str, Vec<Row>> = BTreeMap::new();
    let mut add =
        |table, row: &[&str]| tables.entry(table).or_default().push(row.iter().map(|&c| c.to_owned()).collect());
    for id in 0..KEYS {
        let text = id.to_string();
        let document: Option<String> = redis::cmd("JSON.GET").arg(format!("order:{id}")).query(client).unwrap();
        if let Some(document) = document {
            let document: serde_json::Value = serde_json::from_str(&document).unwrap();
            add("shop_order", &[&text, document["customer"]["name"].as_str().unwrap()]);
            for line in document["lines"].as_array().unwrap() {
                add("line", &[&text, &line["no"].to_string(), line["article"].as_str().unwrap()]);
            }
        }
        let tags: Vec<String> = redis::cmd("SMEMBERS").arg(format!("tags:{id}")).query(client).unwrap();
        tags.iter().for_each(|tag| add("tag", &[&text, tag]));
        let scores: Vec<(String, i64)> =
            redis::cmd("ZRANGE").arg(format!("game:{id}")).arg(0).arg(-1).arg("WITHSCORES").query(client).unwrap();
        scores.iter().for_each(|(player, points)| add("score", &[&text, player, &points.to_string()]));
        let account: BTreeMap<String, String> =
            redis::cmd("HGETALL").arg(format!("account:{id}")).query(client).unwrap();
        if account.get("state").is_some_and(|state| state == "open") {
            add("account", &[&text, &account["name"].to_uppercase()]);
        }
    }
    tables.values_mut().for_each(|rows| rows.sort());
    tables
}

const SELECTS: [(&str, &str); 5] = [
    ("shop_order", "SELECT CAST(id AS text), customer FROM shop_order"),
    ("line", "SELECT CAST(order_id AS text), CAST(no AS text), article FROM line"),
    ("tag", "SELECT product, tag FROM tag"),
    ("score", "SELECT game, player, CAST(CAST(points AS integer) AS text) FROM score"),
    ("account", "SELECT CAST(id AS text), owner FROM account"),
];

#[test]
fn every_type_of_key_lands_with_all_its_rows() {
    let mut random = StdRng::seed_from_u64(seed());
    let [(first, job), others @ ..] = jobs();
    let (mut project, mut maria) = project(first, &job, TABLES);
    project.redis = Redis::start_with(&["--loadmodule", &rejson_module().to_string_lossy()]);
    others.iter().for_each(|(name, job)| project.write(&format!("jobs/{name}.yaml"), job));
    let writes = rounds(WRITES);
    let mut client = project.client();
    // What is there before anything is captured, a snapshot brings later.
    for _ in 0..writes / 4 {
        let _ = change(&mut random).query::<redis::Value>(&mut client);
    }
    let mut worker = project.worker();
    project.wait_until_tracked();
    project.wait("all jobs are tracked", || {
        redis::cmd("WB.RULES").query::<Vec<redis::Value>>(&mut client).unwrap().len() == 4
    });
    let mut snapshot = Process::spawn(&mut project.command(&["snapshot", "--redis", &project.redis.url()])).unwrap();
    for at in 1..=writes {
        let _ = change(&mut random).query::<redis::Value>(&mut client);
        if at % (writes / 5) == 0 {
            worker.kill();
            worker = project.worker();
        }
        if at % (writes / 3) == 0 {
            maria.server.kill();
            maria.server.restart();
        }
    }
    assert!(snapshot.wait(PATIENCE).is_some_and(|status| status.success()));
    worker.stop();
    project.drain();
    let mut expected = expected(&mut client);
    for (table, select) in SELECTS {
        let wanted = expected.remove(table).unwrap_or_default();
        for (target, mut found) in answers(&project, &maria, select) {
            found.sort();
            println!("{table} of {target}: {} rows", found.len());
            assert_same_rows(&found, &wanted);
        }
    }
}

#[test]
fn rows_of_vanished_elements_stay_on_demand_until_the_key_goes() {
    let job = everywhere(
        "    key_pattern: tags:*\n    data_type: set\n    key: tags:<product>",
        &[
            "      table: tag\n      foreach: 'member: members'\n      on_vanished: keep\n      keys: [product, tag: member]",
        ],
    );
    let (project, maria) = project("tags", &job, TABLES);
    project.drain();
    let mut client = project.client();
    let mut run = |words: &[&str]| {
        redis::Cmd::new().arg(words).exec(&mut client).unwrap();
    };
    run(&["SADD", "tags:a", "red", "green"]);
    run(&["SREM", "tags:a", "red"]);
    run(&["SADD", "tags:b", "blue"]);
    run(&["DEL", "tags:b"]);
    project.drain();
    let select = "SELECT product, tag FROM tag ORDER BY tag";
    let expected: Vec<Row> = [["a", "green"], ["a", "red"]].map(|row| row.map(str::to_owned).to_vec()).to_vec();
    assert_everywhere(&project, &maria, select, &expected);
    run(&["SADD", "tags:a", "blue"]);
    run(&["DEL", "tags:a"]);
    project.drain();
    assert_everywhere(&project, &maria, select, &[]);
}

#[test]
fn a_history_keeps_every_version_and_a_log_every_change() {
    let output = |table: &str, rest: &str| format!("      table: {table}\n      keys: [sku]\n      mapping: {rest}");
    let history = output("price", "[amount]")
        + "\n      load_strategy: TYPE2\n      active_record_indicator: valid_to IS NULL\n      \
           inactive_record_mapping:\n        - source: CURRENT_TIMESTAMP\n          target: valid_to";
    let log = output("price_log", "[amount, op: opcode]").replace("opcode", "{expression: opcode, language: jmespath}")
        + "\n      load_strategy: APPEND";
    let source = "    key_pattern: price:*\n    key: price:<sku>";
    let tables = "CREATE TABLE price (sku text NOT NULL, amount numeric(10, 2), valid_to timestamp NULL);
        CREATE TABLE price_log (sku text NOT NULL, amount numeric(10, 2), op text);";
    let (project, maria) = project("prices", &everywhere(source, &[&history]), tables);
    // The opcode is seen in the full format alone.
    let log = log.replace("keys: [sku]", "keys: [sku: key.sku]").replace("amount,", "amount: after.amount,");
    project.write("jobs/log.yaml", &everywhere(&format!("{source}\n    row_format: full"), &[&log]));
    project.drain();
    let mut client = project.client();
    for amount in ["1", "2", "2", "3"] {
        let _: () = redis::Commands::hset(&mut client, "price:a", "amount", amount).unwrap();
    }
    let _: () = redis::Commands::hset(&mut client, "price:b", "amount", "7").unwrap();
    let _: () = redis::Commands::del(&mut client, "price:b").unwrap();
    project.drain();
    project.drain();
    let versions =
        "SELECT sku, CAST(CAST(amount AS integer) AS text), CASE WHEN valid_to IS NULL THEN 'active' ELSE 'closed' END
        FROM price ORDER BY sku, amount";
    let expected: Vec<Row> = [["a", "1", "closed"], ["a", "2", "closed"], ["a", "3", "active"], ["b", "7", "closed"]]
        .map(|row| row.map(str::to_owned).to_vec())
        .to_vec();
    assert_everywhere(&project, &maria, versions, &expected);
    let changes = "SELECT sku, op, CAST(count(*) AS text) FROM price_log GROUP BY sku, op ORDER BY sku, op";
    let expected: Vec<Row> = [["a", "c", "1"], ["a", "u", "3"], ["b", "c", "1"], ["b", "d", "1"]]
        .map(|row| row.map(str::to_owned).to_vec())
        .to_vec();
    assert_everywhere(&project, &maria, changes, &expected);
}
