//! Another Redis as a target and as a place to look things up in.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helping functions as well")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use redis::Commands as _;
use support::cache::{self, client};
use support::everywhere::write;
use support::{Project, Row, assert_same_rows, rounds, seed};
use xtask::servers::{Redis, rejson_module};

const KEYS: u32 = 30;
const WRITES: usize = 2_000;

const SOURCE: &str = "source:\n  redis:\n    trigger: write-behind\n    key_pattern: person:*\n    key: person:<id>\n";

/// A project with another Redis, the connection `cache`; `applier` is added to its settings.
fn project(job: &str, applier: &str) -> (Project, Redis) {
    let project = Project::new("people", job, "CREATE TABLE visit (id integer PRIMARY KEY, place text, country text);");
    let cache = cache::join(&project);
    let config = std::fs::read_to_string(project.path("config.yaml")).unwrap();
    project.write("config.yaml", &(config + applier));
    (project, cache)
}

type Person = BTreeMap<String, String>;

/// The people that the source holds.
fn people(source: &mut redis::Connection) -> BTreeMap<u32, Person> {
    let person = |id| (id, source.hgetall::<_, Person>(format!("person:{id}")).unwrap());
    (0..KEYS).map(person).filter(|(_, person)| !person.is_empty()).collect()
}

#[test]
fn six_structures_say_what_the_source_says() {
    let job = format!(
        "{SOURCE}output:\n{}{}{}{}{}{}",
        write("'h:' || id", "mapping: [name, age]"),
        write("'j:' || id", "data_type: json\n      mapping: [name, home.city: city]\n      expire: 86400"),
        write("'all'", "data_type: set\n      args: {member: id}"),
        write("'ages'", "data_type: sorted_set\n      args: {member: id, score: age}"),
        write("'log'", "data_type: stream\n      mapping: [id, name]"),
        write("'s:' || id", "data_type: string\n      args: {value: name}"),
    );
    let mut random = StdRng::seed_from_u64(seed());
    let (project, mut cache) = project(&job, "");
    let mut worker = project.worker();
    project.wait_until_tracked();
    let mut source = project.client();
    let (writes, mut upserts) = (rounds(WRITES), 0);
    for at in 1..=writes {
        let key = format!("person:{}", random.random_range(0..KEYS));
        if random.random_bool(0.2) {
            let _: () = source.del(key).unwrap();
        } else {
            let name = ["Ada", "Große", "O'Hara \"x\"", ""][random.random_range(0..4)];
            let age = random.random_range(0..99).to_string();
            let _: () = source.hset_multiple(key, &[("name", name), ("age", &age), ("city", "Ulm")]).unwrap();
            upserts += 1;
        }
        if at % (writes / 5) == 0 {
            worker.kill();
            worker = project.worker();
        }
        if at == writes / 2 {
            cache.kill();
            cache.restart();
        }
    }
    worker.stop();
    project.drain();
    let people = people(&mut source);
    let mut target = client(&cache);
    for id in 0..KEYS {
        let person = people.get(&id).cloned().unwrap_or_default();
        let hash: Person = target.hgetall(format!("h:{id}")).unwrap();
        let wanted: Person = person.clone().into_iter().filter(|(field, _)| field != "city").collect();
        assert_eq!(hash, wanted, "h:{id}");
        let document: Option<String> = redis::cmd("JSON.GET").arg(format!("j:{id}")).query(&mut target).unwrap();
        let document = document.map(|text| serde_json::from_str::<serde_json::Value>(&text).unwrap());
        let wanted = person.get("name").map(|name| serde_json::json!({"name": name, "home": {"city": "Ulm"}}));
        assert_eq!(document, wanted, "j:{id}");
        let life: i64 = target.ttl(format!("j:{id}")).unwrap();
        assert_eq!(life > 80_000, wanted.is_some(), "j:{id} lives {life} s");
        let text: Option<String> = target.get(format!("s:{id}")).unwrap();
        assert_eq!(text.as_ref(), person.get("name"), "s:{id}");
    }
    let members: BTreeSet<u32> = target.smembers("all").unwrap();
    assert_eq!(members, people.keys().copied().collect());
    let ages: BTreeMap<u32, u32> =
        target.zrange_withscores::<_, Vec<(u32, u32)>>("ages", 0, -1).unwrap().into_iter().collect();
    assert_eq!(ages, people.iter().map(|(id, person)| (*id, person["age"].parse().unwrap())).collect());
    let logged: usize = target.xlen("log").unwrap();
    assert_eq!(logged, upserts, "an entry for each change, whatever was killed");
    println!("{} people, {logged} entries", people.len());
}

#[test]
fn a_key_of_another_type_is_rejected_alone_and_reported_once() {
    let job = format!("{SOURCE}output:\n{}", write("'m:' || id", "mapping: [name]\n      on_update: merge"));
    let (project, cache) = project(&job, "");
    project.drain();
    let (mut source, mut target) = (project.client(), client(&cache));
    let _: () = target.set("m:2", "a text").unwrap();
    let _: () = target.hset("m:1", "kept", "yes").unwrap();
    for id in 1..=3 {
        let _: () = source.hset(format!("person:{id}"), "name", "Ada").unwrap();
    }
    project.drain();
    let merged: Person = target.hgetall("m:1").unwrap();
    assert_eq!(merged, [("kept", "yes"), ("name", "Ada")].map(|(name, value)| (name.into(), value.into())).into());
    assert_eq!(target.get::<_, String>("m:2").unwrap(), "a text");
    assert_eq!(target.hget::<_, _, String>("m:3", "name").unwrap(), "Ada");
    let letters: redis::streams::StreamRangeReply = source.xrange_all("dlq:wb:{0}:people").unwrap();
    let [letter] = &letters.ids[..] else { panic!("{letters:?}") };
    let field = |name: &str| letter.get::<String>(name).unwrap();
    assert_eq!(
        (field("key"), field("code"), field("statement")),
        ("person:2".into(), "R0521".into(), "HSET m:2".into())
    );
    assert!(field("reason").starts_with("WRONGTYPE"), "{}", field("reason"));
}

#[test]
fn a_refusal_reaches_the_queue_though_the_worker_ended_in_between() {
    let job = format!("{SOURCE}output:\n{}", write("'m:' || id", "mapping: [name]\n      on_update: merge"));
    let (project, cache) = project(&job, "");
    project.drain();
    let (mut source, mut target) = (project.client(), client(&cache));
    let _: () = target.set("m:2", "a text").unwrap();
    let _: () = source.hset("person:2", "name", "Ada").unwrap();
    // The queue cannot be written to, so the worker stops between the refusal and the burial.
    let _: () = redis::cmd("SET").arg("dlq:wb:{0}:people").arg("in the way").query(&mut source).unwrap();
    let mut worker = project.worker();
    let checkpoint = "wb:{0}/checkpoint/people/cache";
    project.wait("the refusal is kept", || {
        let kept: Person = target.hgetall(checkpoint).unwrap();
        kept.keys().any(|field| field.starts_with("refused:"))
    });
    worker.kill();
    let _: () = source.del("dlq:wb:{0}:people").unwrap();
    project.drain();
    assert_eq!(source.xlen::<_, usize>("dlq:wb:{0}:people").unwrap(), 1);
    let kept: Person = target.hgetall(checkpoint).unwrap();
    assert!(!kept.keys().any(|field| field.starts_with("refused:")), "{kept:?}");
}

#[test]
fn a_right_that_is_missing_stops_the_job_and_loses_nothing() {
    let job = format!("{SOURCE}output:\n{}", write("'h:' || id", "mapping: [name]"));
    let (project, cache) = project(&job, "");
    let mut target = client(&cache);
    let allow = |target: &mut redis::Connection, rules: &[&str]| {
        redis::cmd("ACL").arg("SETUSER").arg("default").arg("resetkeys").arg(rules).exec(target).unwrap();
    };
    project.drain();
    let mut source = project.client();
    let _: () = source.hset("person:1", "name", "Ada").unwrap();
    allow(&mut target, &["~wb:*", "~other:*"]);
    let mut worker = project.worker();
    project.wait("the worker says what it lacks", || project.log().contains("may not do `DEL h:1`"));
    assert_eq!(source.xlen::<_, usize>("wb:{0}:people").unwrap(), 1, "the change stays in its stream");
    assert_eq!(source.xlen::<_, usize>("dlq:wb:{0}:people").unwrap(), 0);
    allow(&mut target, &["~*"]);
    project.wait("the key is written", || target.exists("h:1").unwrap());
    worker.stop();
    assert_eq!(target.hget::<_, _, String>("h:1", "name").unwrap(), "Ada");
}

#[test]
fn lookups_are_part_of_the_record() {
    let job = "source:\n  redis:\n    trigger: write-behind\n    key_pattern: visit:*\n    key: visit:<id:int>\n\
        transform:\n  - uses: redis.lookup\n    with: {connection: cache, cmd: HGETALL, args: [\"concat(['place:', at])\"], \
        language: jmespath, field: place}\n  - uses: redis.lookup\n    with: {connection: cache, cmd: GET, \
        args: [\"concat(['country:', place.country])\"], language: jmespath, field: country}\n\
        output:\n  - uses: relational.write\n    with: {connection: pg, table: visit, keys: [id], \
        mapping: [place: place.name, country: country]}\n";
    let (project, cache) = project(job, "");
    let (mut source, mut target) = (project.client(), client(&cache));
    project.drain();
    let _: () = target.hset_multiple("place:1", &[("name", "Ulm"), ("country", "DE")]).unwrap();
    let _: () = target.hset_multiple("place:2", &[("name", "Linz"), ("country", "AT")]).unwrap();
    let _: () = target.set("country:DE", "Germany").unwrap();
    let _: () = target.set("place:9", "no hash").unwrap();
    for (id, at) in [(1, 1), (2, 2), (3, 3), (4, 1), (9, 9)] {
        let _: () = source.hset(format!("visit:{id}"), "at", at).unwrap();
    }
    project.drain();
    let select = "SELECT id::text, place, country FROM visit ORDER BY id";
    let row = |id: &str, place: &str, country: &str| -> Row { [id, place, country].map(str::to_owned).to_vec() };
    let expected = [row("1", "Ulm", "Germany"), row("2", "Linz", "∅"), row("3", "∅", "∅"), row("4", "Ulm", "Germany")];
    assert_same_rows(&project.pg_rows(select), &expected);
    let letters: redis::streams::StreamRangeReply = source.xrange_all("dlq:wb:{0}:people").unwrap();
    let [letter] = &letters.ids[..] else { panic!("{letters:?}") };
    assert_eq!(letter.get::<String>("code").unwrap(), "R0512");
    assert_eq!(letter.get::<String>("key").unwrap(), "visit:9");
    let _: () = source.del("visit:1").unwrap();
    project.drain();
    assert_same_rows(&project.pg_rows(select), &expected[1..]);
}

/// Large replies are asked for in parts and shared; one that is too large rejects the records that ask for it.
#[test]
fn large_replies_are_bounded() {
    let job = "source:\n  redis:\n    trigger: write-behind\n    key_pattern: visit:*\n    key: visit:<id:int>\n\
        transform:\n  - uses: redis.lookup\n    with: {connection: cache, cmd: GET, args: [\"concat(['place:', at])\"], \
        language: jmespath, field: place}\n\
        output:\n  - uses: relational.write\n    with: {connection: pg, table: visit, keys: [id], mapping: [\n      \
        place: {expression: \"to_string(length(place))\", language: jmespath}]}\n";
    let (project, cache) = project(job, "");
    let (mut source, mut target) = (project.client(), client(&cache));
    project.drain();
    let mb = 1024 * 1024;
    // 100 places of 1 MB, which 400 visits ask for; one of 17 MB.
    (0..100).for_each(|at| target.set(format!("place:{at}"), "x".repeat(mb)).unwrap());
    let _: () = target.set("place:100", "x".repeat(17 * mb)).unwrap();
    (0..400).for_each(|id| source.hset(format!("visit:{id}"), "at", id % 101).unwrap());
    let (mut worker, mut peak_kb) = (project.worker(), 0);
    let select = "SELECT id::text, place FROM visit ORDER BY visit.id";
    let of = |id: u32| -> Row { [id.to_string(), mb.to_string()].to_vec() };
    let expected: Vec<Row> = (0..400).filter(|id| id % 101 != 100).map(of).collect();
    project.wait("all others land", || {
        peak_kb = worker.peak_memory_kb();
        project.pg_rows(select) == expected
    });
    worker.stop();
    assert!(peak_kb < 200 * 1024, "{} MB", peak_kb / 1024);
    let letters: redis::streams::StreamRangeReply = source.xrange_all("dlq:wb:{0}:people").unwrap();
    let codes: Vec<String> = letters.ids.iter().map(|letter| letter.get("code").unwrap()).collect();
    assert_eq!(codes, ["R0514", "R0514", "R0514"]);
}

#[test]
fn a_batch_waits_for_a_replica_where_that_is_asked_for() {
    let job = format!("{SOURCE}output:\n{}", write("'h:' || id", "mapping: [name]"));
    let (project, cache) = project(&job, "  wait_enabled: true\n  wait_timeout: 50\n");
    project.drain();
    let _: () = project.client().hset("person:1", "name", "Ada").unwrap();
    let mut worker = project.worker();
    project.wait("the worker waits for a replica", || project.log().contains("no replica has the batch yet"));
    let port = cache.port().to_string();
    let module = rejson_module();
    let replica = Redis::start_bare(&["--replicaof", "127.0.0.1", &port, "--loadmodule", &module.to_string_lossy()]);
    let mut source = project.client();
    project.wait("the stream is trimmed", || source.xlen::<_, usize>("wb:{0}:people").unwrap() == 0);
    worker.stop();
    assert_eq!(client(&replica).hget::<_, _, String>("h:1", "name").unwrap(), "Ada");
}

#[test]
fn children_are_nested_in_the_document_of_their_parent() {
    let nest = "  - uses: redis.write\n    with:\n      connection: cache\n      nest:\n        parent: {table: invoice}\n        \
        parent_key: id\n        child_key: invoice\n        nesting_key: line\n        path: $.lines\n        structure: map\n      \
        mapping: [article, amount]\n";
    let source =
        "source:\n  redis:\n    trigger: write-behind\n    key_pattern: line:*\n    key: line:<invoice>:<line:int>\n";
    let (project, cache) = project(&format!("{source}output:\n{nest}"), "");
    project.drain();
    let (mut source, mut target) = (project.client(), client(&cache));
    let mut document = |id: u32| {
        let text: Option<String> = redis::cmd("JSON.GET").arg(format!("invoice:id:{id}")).query(&mut target).unwrap();
        text.map(|text| serde_json::from_str::<serde_json::Value>(&text).unwrap())
    };
    for (key, article) in [("line:1:1", "nail"), ("line:1:2", "O'Hara \"x\""), ("line:2:1", "größe")] {
        let _: () = source.hset_multiple(key, &[("article", article), ("amount", "3")]).unwrap();
    }
    project.drain();
    let line = |article: &str, amount: &str| serde_json::json!({"article": article, "amount": amount});
    let lines = serde_json::json!({"lines": {"1": line("nail", "3"), "2": line("O'Hara \"x\"", "3")}});
    assert_eq!(
        (document(1), document(2)),
        (Some(lines), Some(serde_json::json!({"lines": {"1": line("größe", "3")}})))
    );
    let _: () = source.hset("line:1:1", "amount", "4").unwrap();
    let _: () = source.hdel("line:1:1", "article").unwrap();
    let _: () = source.del("line:1:2").unwrap();
    let _: () = source.del("line:2:1").unwrap();
    project.drain();
    let lines = serde_json::json!({"lines": {"1": {"amount": "4"}}});
    assert_eq!((document(1), document(2)), (Some(lines), Some(serde_json::json!({"lines": {}}))));
}
