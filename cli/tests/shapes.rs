//! Every type of key and every shape of output: documents into several tables, lists whose elements vanish, filters,
//! histories. At the end all targets say what Redis says.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helping functions as well"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use redis::Commands as _;
use serde_json::{Value, json};
use support::everywhere::{contents, everywhere, field, write};
use support::maria::Maria;
use support::{PATIENCE, Project, Row, assert_same_rows, cache, rounds, seed};
use xtask::servers::{Process, Redis, capture_module, rejson_module};

const KEYS: u32 = 40;
const WRITES: usize = 4_000;
/// How often the worker is killed, and how often each server of a target restarts, over all writes.
const KILLS: usize = 8;
const RESTARTS: usize = 3;
/// How long a worker has before it is killed, at most; another takes over two seconds after.
const LIFE_MS_MAX: u64 = 4_000;
/// The longest time to live, in milliseconds.
const TTL_MS_MAX: u64 = 40;

const TABLES: &str = "
CREATE TABLE shop_order (id integer PRIMARY KEY, customer text);
CREATE TABLE line (order_id integer NOT NULL REFERENCES shop_order (id), no integer NOT NULL, article text,
    PRIMARY KEY (order_id, no));
CREATE TABLE tag (product varchar(40) NOT NULL, tag varchar(40) NOT NULL, PRIMARY KEY (product, tag));
CREATE TABLE score (game varchar(40) NOT NULL, player varchar(40) NOT NULL, points double precision, PRIMARY KEY (game, player));
CREATE TABLE account (id integer PRIMARY KEY, owner text);
";

/// A project with all databases.
fn project(job_name: &str, job: &str, tables: &str) -> (Project, Maria) {
    let project = Project::new(job_name, job, tables);
    let maria = Maria::join(&project, tables);
    (project, maria)
}

/// What each database says.
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

/// A job for each type of key, which writes to all databases and, in every structure, to another Redis.
fn jobs() -> [(&'static str, String); 4] {
    let source = |key: &str, data_type: &str| {
        let prefix = key.split(':').next().unwrap_or_default();
        format!("    key_pattern: {prefix}:*\n    data_type: {data_type}\n    key: {key}\n    on_expire: delete")
    };
    let orders = everywhere(
        &format!("{}\ntransform:{}", source("order:<id:int>", "json"), field("size", "length(lines)")),
        &[
            "      table: shop_order\n      keys: [id]\n      mapping: [customer: customer.name]",
            "      table: line\n      foreach: 'line: lines[]'\n      keys: [order_id: id, no: line.no]\n      mapping: \
             [article: line.article]",
        ],
    ) + &write("'o:' || id", "data_type: json\n      mapping: [lines, customer.title: customer.name]")
        + &write("'sizes'", "data_type: sorted_set\n      args: {member: id, score: size}");
    let tags = everywhere(
        &format!("{}\ntransform:{}", source("tags:<product>", "set"), field("all", "join(',', sort(members))")),
        &["      table: tag\n      foreach: 'member: members'\n      keys: [product, tag: member]"],
    ) + &write("'t:' || product", "data_type: string\n      args: {value: all}")
        + &write("'products'", "data_type: set\n      args: {member: product}");
    let scores = everywhere(
        &format!("{}\ntransform:{}", source("game:<game>", "sorted_set"), field("best", "max(members[].score)")),
        &["      table: score\n      foreach: 'entry: members'\n      keys: [game, player: entry.member]\n      \
           mapping: [points: entry.score]"],
    ) + &write("'g:' || game", "data_type: json\n      mapping: [members]")
        + &write("'best'", "data_type: sorted_set\n      args: {member: game, score: best}");
    let filter = "\n  - uses: filter\n    with:\n      expression: state = 'open'\n      language: sql\n      \
        on_unmatched: delete";
    let accounts = everywhere(
        &format!("{}\ntransform:{filter}{}", source("account:<id:int>", "hash"), field("owner", "upper(name)")),
        &["      table: account\n      keys: [id]\n      mapping: [owner]"],
    ) + &write("'a:' || id", "mapping: [owner, called: name]")
        + &write("'open'", "data_type: set\n      args: {member: id}");
    [("orders", orders), ("tags", tags), ("scores", scores), ("accounts", accounts)]
}

/// The prefixes of the keys of the four types.
const KINDS: [&str; 4] = ["order", "tags", "game", "account"];

/// One random change of a key of one of the four types.
fn change(random: &mut StdRng) -> redis::Cmd {
    let (id, other) = (random.random_range(0..KEYS), random.random_range(0..KEYS));
    let word = ["red", "green", "blue", "größe", "O'Hara"][random.random_range(0..5)];
    let [kind, another] = [0, 1].map(|_| KINDS[random.random_range(0..4)]);
    let cmd = |words: &[&str]| redis::cmd(words[0]).arg(&words[1..]).to_owned();
    match random.random_range(0..96) {
        0..12 => {
            let numbers: Vec<u32> = (0..6).filter(|_| random.random_bool(0.5)).collect();
            let lines: Vec<Value> =
                numbers.iter().map(|no| json!({"no": no, "article": format!("{word} {no}")})).collect();
            let document = json!({"customer": {"name": word}, "lines": lines}).to_string();
            cmd(&["JSON.SET", &format!("order:{id}"), "$", &document])
        }
        12..16 => cmd(&["JSON.DEL", &format!("order:{id}"), "$.lines[0]"]),
        16..18 => cmd(&["JSON.SET", &format!("order:{id}"), "$.customer.name", &json!(word).to_string()]),
        18..26 => cmd(&["SADD", &format!("tags:{id}"), word]),
        26..30 => cmd(&["SREM", &format!("tags:{id}"), word]),
        30..35 => cmd(&["ZADD", &format!("game:{id}"), &random.random_range(0..9).to_string(), word]),
        35..39 => cmd(&["ZREM", &format!("game:{id}"), word]),
        39..47 => {
            let state = if random.random_bool(0.7) { "open" } else { "closed" };
            cmd(&["HSET", &format!("account:{id}"), "name", word, "state", state])
        }
        47..54 => cmd(&[["DEL", "UNLINK"][random.random_range(0..2)], &format!("{kind}:{id}")]),
        54..58 => cmd(&["PEXPIRE", &format!("{kind}:{id}"), &random.random_range(1..=TTL_MS_MAX).to_string()]),
        // Keys that hold another type than their job is for.
        58..60 => cmd(&["RENAME", &format!("{kind}:{id}"), &format!("{another}:{other}")]),
        60..62 => cmd(&["SET", &format!("{kind}:{id}"), word]),
        62..64 => cmd(&["COPY", &format!("{kind}:{id}"), &format!("{kind}:{other}"), "REPLACE"]),
        64..76 => change_within(random, id, word),
        nth => change_of_many(nth, [kind, another], [id, other]),
    }
}

/// A change of a part of what a key holds.
fn change_within(random: &mut StdRng, id: u32, word: &str) -> redis::Cmd {
    let [order, tags, game, account] = KINDS.map(|kind| format!("{kind}:{id}"));
    let merged = json!({"name": word}).to_string();
    let words: &[&str] = match random.random_range(0..10) {
        0 => &["JSON.MERGE", &order, "$.customer", &merged],
        1 => &["JSON.CLEAR", &order, "$.lines"],
        2 => &["JSON.ARRTRIM", &order, "$.lines", "0", "1"],
        3 => &["JSON.ARRPOP", &order, "$.lines"],
        4 => &["JSON.STRAPPEND", &order, "$.customer.name", "\"!\""],
        5 => &["SPOP", &tags, "2"],
        6 => &["ZPOPMIN", &game],
        7 => &["ZREMRANGEBYRANK", &game, "1", "2"],
        8 => &["HGETDEL", &account, "FIELDS", "2", "name", "state"],
        _ => &["HSETEX", &account, "FXX", "FIELDS", "1", "name", word],
    };
    redis::Cmd::new().arg(words).to_owned()
}

/// A change of keys that hold what others held.
fn change_of_many(nth: u32, [kind, another]: [&str; 2], [id, other]: [u32; 2]) -> redis::Cmd {
    let [_, tags, game, _] = KINDS.map(|kind| [id, other].map(|id| format!("{kind}:{id}")));
    let (key, to) = (format!("{kind}:{id}"), format!("{another}:{other}"));
    let words: &[&str] = match nth {
        76..78 => &["SMOVE", &tags[0], &tags[1], "red"],
        78 => &["SINTERSTORE", &tags[0], &tags[0], &tags[1]],
        79 => &["SUNIONSTORE", &tags[0], &tags[0], &tags[1]],
        80 => &["SDIFFSTORE", &to, &tags[0], &tags[1]],
        81 => &["SORT", &tags[0], "ALPHA", "STORE", &to],
        82 => &["ZRANGESTORE", &game[0], &game[1], "0", "1"],
        83 => &["ZUNIONSTORE", &game[0], "2", &game[0], &game[1], "AGGREGATE", "MAX"],
        84 => &["ZUNIONSTORE", &to, "1", &tags[0]],
        85 => &["ZINTERSTORE", &game[0], "2", &game[0], &tags[1], "AGGREGATE", "MIN"],
        86..88 => &["MOVE", &key, "1"],
        88..90 => &["EVAL", BACK, "1", &key],
        90..92 => &["EVAL", RESTORE, "2", &key, &to],
        92..94 => &["EVAL", AGAIN, "2", &key, &to],
        _ => &["GETDEL", &key],
    };
    redis::Cmd::new().arg(words).to_owned()
}

/// A key comes back from another database.
const BACK: &str = "redis.call('SELECT', 1) return redis.call('MOVE', KEYS[1], 0)";
/// A key holds what another one does.
const RESTORE: &str = "
local held = redis.call('DUMP', KEYS[1])
if held then redis.call('RESTORE', KEYS[2], 0, held, 'REPLACE') end";
/// Keys go and come within one step, in part with what they held.
const AGAIN: &str = "
local held = redis.call('DUMP', KEYS[1])
redis.call('UNLINK', KEYS[1], KEYS[2])
redis.call('SET', KEYS[2], 'for a moment')
if held then redis.call('RESTORE', KEYS[1], 0, held) end
redis.call('DEL', KEYS[2])";

/// What the source holds that its jobs are for, by number of the key.
#[derive(Default)]
struct Held {
    orders: BTreeMap<u32, Value>,
    tags: BTreeMap<u32, BTreeSet<String>>,
    games: BTreeMap<u32, BTreeMap<String, u8>>,
    open_accounts: BTreeMap<u32, String>,
}

impl Held {
    fn by(client: &mut redis::Connection) -> Self {
        let mut held = Self::default();
        for id in 0..KEYS {
            let [order, tags, game, account] = KINDS.map(|kind| format!("{kind}:{id}"));
            let mut is = |key: &str, kind: &str| client.key_type::<_, String>(key).unwrap() == kind;
            let [is_order, is_set, is_game, is_account] =
                [is(&order, "ReJSON-RL"), is(&tags, "set"), is(&game, "zset"), is(&account, "hash")];
            if is_order {
                let document: String = redis::cmd("JSON.GET").arg(order).query(client).unwrap();
                held.orders.insert(id, serde_json::from_str(&document).unwrap());
            }
            if is_set {
                held.tags.insert(id, client.smembers(tags).unwrap());
            }
            if is_game {
                let scores: Vec<(String, u8)> = client.zrange_withscores(game, 0, -1).unwrap();
                held.games.insert(id, scores.into_iter().collect());
            }
            if is_account {
                let mut account: BTreeMap<String, String> = client.hgetall(account).unwrap();
                let name = account.remove("name").unwrap();
                if account["state"] == "open" {
                    held.open_accounts.insert(id, name);
                }
            }
        }
        held
    }

    /// The rows that these keys call for, by table.
    fn rows(&self) -> BTreeMap<&'static str, Vec<Row>> {
        let mut tables: BTreeMap<&'static str, Vec<Row>> = BTreeMap::new();
        let mut add =
            |table, row: &[&str]| tables.entry(table).or_default().push(row.iter().map(|&c| c.to_owned()).collect());
        for (id, order) in &self.orders {
            add("shop_order", &[&id.to_string(), order["customer"]["name"].as_str().unwrap()]);
            for line in order["lines"].as_array().unwrap() {
                add("line", &[&id.to_string(), &line["no"].to_string(), line["article"].as_str().unwrap()]);
            }
        }
        self.tags.iter().for_each(|(id, tags)| tags.iter().for_each(|tag| add("tag", &[&id.to_string(), tag])));
        for (id, game) in &self.games {
            game.iter().for_each(|(player, points)| add("score", &[&id.to_string(), player, &points.to_string()]));
        }
        self.open_accounts.iter().for_each(|(id, name)| add("account", &[&id.to_string(), &name.to_uppercase()]));
        tables.values_mut().for_each(|rows| rows.sort());
        tables
    }

    /// The keys of another Redis that they call for, as [`contents`] tells them.
    fn keys(&self) -> BTreeMap<String, Value> {
        let mut keys = BTreeMap::new();
        let mut put = |key: String, value| keys.insert(key, value);
        for (id, order) in &self.orders {
            put(format!("o:{id}"), json!({"lines": order["lines"], "customer": {"title": order["customer"]["name"]}}));
        }
        self.tags.iter().for_each(|(id, tags)| {
            put(format!("t:{id}"), tags.iter().map(String::as_str).collect::<Vec<_>>().join(",").into());
        });
        for (id, game) in &self.games {
            // In the order in which Redis has them.
            let mut members: Vec<_> = game.iter().map(|(member, score)| (score, member)).collect();
            members.sort_unstable();
            let members = members.iter().map(|(score, member)| json!({"member": member, "score": f64::from(**score)}));
            put(format!("g:{id}"), json!({"members": members.collect::<Vec<_>>()}));
        }
        for (id, name) in &self.open_accounts {
            put(format!("a:{id}"), json!({"owner": name.to_uppercase(), "called": name}));
        }
        let size = |order: &Value| f64::from(u8::try_from(order["lines"].as_array().unwrap().len()).unwrap());
        let sizes = self.orders.iter().map(|(id, order)| (id.to_string(), json!(size(order))));
        let best = |game: &BTreeMap<String, u8>| json!(f64::from(*game.values().max().unwrap()));
        let best = self.games.iter().map(|(id, game)| (id.to_string(), best(game)));
        let ids = |ids: BTreeSet<String>| json!(ids);
        let all = [
            ("sizes", Value::Object(sizes.collect())),
            ("best", Value::Object(best.collect())),
            ("products", ids(self.tags.keys().map(u32::to_string).collect())),
            ("open", ids(self.open_accounts.keys().map(u32::to_string).collect())),
        ];
        // Redis keeps no empty structure.
        let is_any = |value: &Value| value.as_array().is_none_or(|all| !all.is_empty()) && *value != json!({});
        all.into_iter().filter(|(_, value)| is_any(value)).for_each(|(key, value)| {
            put(key.to_owned(), value);
        });
        keys
    }
}

const SELECTS: [(&str, &str); 5] = [
    ("shop_order", "SELECT CAST(id AS text), customer FROM shop_order"),
    ("line", "SELECT CAST(order_id AS text), CAST(no AS text), article FROM line"),
    ("tag", "SELECT product, tag FROM tag"),
    ("score", "SELECT game, player, CAST(CAST(points AS integer) AS text) FROM score"),
    ("account", "SELECT CAST(id AS text), owner FROM account"),
];

/// How far each connection is, from kill to kill.
#[derive(Default)]
struct Seen(BTreeMap<String, BTreeSet<String>>);

impl Seen {
    fn look(&mut self, client: &mut redis::Connection) {
        for (connection, position) in client.hgetall::<_, BTreeMap<String, String>>("wb:{0}/applied/orders/").unwrap() {
            self.0.entry(connection).or_default().insert(position);
        }
    }
}

#[test]
fn every_type_of_key_lands_in_every_target_with_all_that_belongs_to_it() {
    let mut random = StdRng::seed_from_u64(seed());
    let [(first, job), others @ ..] = jobs();
    let (mut project, mut maria) = project(first, &job, TABLES);
    let mut cache = cache::join(&project);
    // Often most images are too large for their records.
    let image_bytes_max = ["1000000", "40"][random.random_range(0..2)];
    println!("image-bytes-max {image_bytes_max}");
    let [rejson, capture] = [rejson_module(), capture_module()].map(|path| path.to_string_lossy().into_owned());
    let capture = ["--loadmodule", &capture, "image-bytes-max", image_bytes_max];
    project.redis = Redis::start_bare(&[&["--loadmodule", rejson.as_str()], &capture[..]].concat());
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
    let mut seen = Seen::default();
    for at in 1..=writes {
        let mut changes = redis::pipe();
        changes.atomic().ignore_errors();
        let count = if random.random_bool(0.1) { 3 } else { 1 };
        for _ in 0..count {
            changes.add_command(change(&mut random));
        }
        // What a key of another type refuses is the application's business.
        let _ = changes.query::<redis::Value>(&mut client);
        if at % (writes / KILLS) == 0 {
            std::thread::sleep(Duration::from_millis(random.random_range(0..LIFE_MS_MAX)));
            seen.look(&mut client);
            worker.kill();
            worker = project.worker();
        }
        if at % (writes / RESTARTS) == writes / RESTARTS / 2 {
            if random.random_bool(0.5) {
                project.postgres.kill();
                maria.server.kill();
                cache.kill();
            }
            project.postgres.restart();
            maria.server.restart();
            cache.restart();
        }
    }
    assert!(snapshot.wait(PATIENCE).is_some_and(|status| status.success()));
    // Keys that live on borrowed time end now; asking for a key makes Redis look.
    std::thread::sleep(Duration::from_millis(2 * TTL_MS_MAX));
    let held = Held::by(&mut client);
    worker.stop();
    assert!(worker.status().unwrap().success(), "{}", project.log());
    project.drain();

    let mut expected = held.rows();
    for (table, select) in SELECTS {
        let wanted = expected.remove(table).unwrap_or_default();
        for (target, mut found) in answers(&project, &maria, select) {
            found.sort();
            println!("{table} of {target}: {} rows", found.len());
            assert_same_rows(&found, &wanted);
        }
    }
    let (found, wanted) = (contents(&mut cache::client(&cache)), held.keys());
    println!("another Redis: {} keys", found.len());
    for key in found.keys().chain(wanted.keys()) {
        assert_eq!(found.get(key), wanted.get(key), "{key}");
    }
    for job in ["orders", "tags", "scores", "accounts"] {
        assert_eq!(client.xlen::<_, usize>(format!("wb:{{0}}:{job}")).unwrap(), 0, "the stream of {job} is trimmed");
        assert_eq!(client.xlen::<_, usize>(format!("dlq:wb:{{0}}:{job}")).unwrap(), 0, "nothing of {job} is rejected");
    }
    for connection in ["pg", "lite", "maria", "cache"] {
        let positions = seen.0.get(connection).map_or(0, BTreeSet::len);
        println!("{connection} was seen at {positions} positions before a worker was killed");
        assert!(positions >= 2, "{connection} worked while the writes went on");
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
