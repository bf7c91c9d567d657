//! `check --connect`: jobs against the tables that real servers have.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helping functions as well")]

mod support;

use support::maria::Maria;
use support::{Project, text};

const CONNECTIONS: [&str; 3] = ["pg", "lite", "maria"];

const TABLES: &str = "
CREATE TABLE shop_order (id integer PRIMARY KEY, customer varchar(40));
CREATE TABLE line (order_id integer NOT NULL, no integer NOT NULL, article varchar(40), PRIMARY KEY (order_id, no),
    FOREIGN KEY (order_id) REFERENCES shop_order (id));
";

const ORDER: &str = "      table: shop_order\n      keys: [id]\n      mapping: [customer]";
const LINES: &str = "      table: line\n      foreach: 'line: lines[]'\n      keys: [order_id: id, no: line.no]\n      \
                     mapping: [article: line.article]";

/// A job whose outputs go to one connection.
fn job(connection: &str, outputs: &[&str]) -> String {
    let mut job = format!(
        "source:\n  redis:\n    key_pattern: {connection}:*\n    trigger: write-behind\n    data_type: json\n    key: \
         {connection}:<id:int>\noutput:\n"
    );
    for output in outputs {
        job += &format!("  - uses: relational.write\n    with:\n      connection: {connection}\n{output}\n");
    }
    job
}

/// A project with a job of these outputs for each connection, of whose tables no DDL tells.
fn project(outputs: &[&str]) -> (Project, Maria) {
    let project = Project::new("pg", &job("pg", outputs), TABLES);
    let maria = Maria::join(&project, TABLES);
    for connection in CONNECTIONS {
        project.write(&format!("jobs/{connection}.yaml"), &job(connection, outputs));
    }
    let config = std::fs::read_to_string(project.path("config.yaml")).unwrap();
    project.write("config.yaml", &config.replace("    ddl: schema.sql\n", ""));
    (project, maria)
}

/// Changes the tables of all three.
fn change(project: &Project, maria: &Maria, sql: &str) {
    project.pg(sql);
    project.lite().execute_batch(sql).unwrap();
    maria.run(sql);
}

/// The exit code, and what was said: code, first label's file and text, and message of each diagnostic.
fn check(project: &Project, arguments: &[&str]) -> (Option<i32>, Vec<String>) {
    let output = project.command(&[&["check", "--format", "json"], arguments].concat()).output().unwrap();
    let told: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", text(&output.stdout), text(&output.stderr)));
    let line = |one: &serde_json::Value| {
        let field = |pointer: &str| one.pointer(pointer).and_then(|text| text.as_str()).unwrap_or("-").to_owned();
        format!("{} {} {}; {}", field("/code"), field("/labels/0/file"), field("/message"), field("/help"))
    };
    (output.status.code(), told.iter().map(line).collect())
}

/// Whether each connection has exactly one diagnostic, of this code and with this in it.
#[track_caller]
fn each_says(told: &[String], code: &str, part: &str) {
    assert_eq!(told.len(), CONNECTIONS.len(), "{told:#?}");
    for one in told {
        assert!(one.starts_with(code) && one.contains(part), "{code} … {part} is wanted of: {one}");
    }
}

#[test]
fn live_tables_are_read_whole() {
    let (project, _maria) = project(&[ORDER, LINES]);
    assert_eq!(check(&project, &["--connect", "--deny-warnings"]), (Some(0), Vec::new()));
    // Without them nothing is known of types.
    let (code, told) = check(&project, &[]);
    assert!(code == Some(0) && !told.is_empty() && told.iter().all(|one| one.starts_with("W0409")), "{told:#?}");
}

#[test]
fn foreign_keys_call_for_an_order() {
    let (project, maria) = project(&[LINES, ORDER]);
    let (code, told) = check(&project, &["--connect"]);
    assert_eq!(code, Some(0));
    each_says(&told, "W0421", "rows of `line` are written before those they refer to");
    assert_eq!(check(&project, &["--connect", "--deny-warnings"]).0, Some(1));
    // A key that is checked at the commit calls for none; MariaDB has no such.
    change(&project, &maria, "DROP TABLE line");
    let key = "FOREIGN KEY (order_id) REFERENCES shop_order (id)";
    let deferred = TABLES.replace(key, &format!("{key} DEFERRABLE INITIALLY DEFERRED"));
    let deferred = deferred.split_inclusive(';').nth(1).unwrap();
    project.pg(deferred);
    project.lite().execute_batch(deferred).unwrap();
    maria.run("CREATE TABLE line (order_id integer, no integer, article text, PRIMARY KEY (order_id, no))");
    assert_eq!(check(&project, &["--connect"]), (Some(0), Vec::new()));
}

#[test]
fn a_table_that_is_not_what_the_ddl_says_is_found() {
    let (project, maria) = project(&[ORDER]);
    let config = std::fs::read_to_string(project.path("config.yaml")).unwrap();
    let mut with_ddl = config.clone();
    for line in ["    user: postgres\n", "    type: sqlite\n", "    user: root\n"] {
        assert!(config.contains(line));
        with_ddl = with_ddl.replace(line, &format!("{line}    ddl: schema.sql\n"));
    }
    project.write("config.yaml", &with_ddl);
    assert_eq!(check(&project, &["--connect"]), (Some(0), Vec::new()));

    change(&project, &maria, "ALTER TABLE shop_order RENAME COLUMN customer TO client");
    assert_eq!(check(&project, &[]), (Some(0), Vec::new()));
    let (code, told) = check(&project, &["--connect"]);
    assert_eq!(code, Some(1));
    each_says(&told, "E0402", "has no column `customer`");

    change(&project, &maria, "DROP TABLE line; DROP TABLE shop_order; CREATE TABLE shop_orders (id integer)");
    let (code, told) = check(&project, &["--connect"]);
    assert_eq!(code, Some(1));
    each_says(&told, "E0401", "there is no table `shop_order`; did you mean `shop_orders`?");

    change(&project, &maria, "CREATE TABLE shop_order (id integer NOT NULL, customer varchar(40), at date NOT NULL)");
    let (_, told) = check(&project, &["--connect"]);
    for code in ["E0403", "E0404"] {
        assert_eq!(told.iter().filter(|one| one.starts_with(code)).count(), 3, "{told:#?}");
    }
}

#[test]
fn a_connection_that_does_not_answer_is_told() {
    let (mut project, mut maria) = project(&[ORDER]);
    let config = std::fs::read_to_string(project.path("config.yaml")).unwrap();
    project.write("config.yaml", &config.replace("lite.db", "no/such/folder/lite.db"));
    project.postgres.stop();
    maria.server.stop();
    let (code, told) = check(&project, &["--connect"]);
    assert_eq!(code, Some(1));
    each_says(&told, "E0416 config.yaml", "does not tell its tables");
    assert_eq!(told.iter().filter(|one| one.contains("refused")).count(), 2, "{told:#?}");

    project.postgres.restart();
    maria.server.restart();
    let config = config.replace("user: postgres", "user: nobody").replace("user: root", "user: nobody");
    project.write("config.yaml", &config.replace("user: nobody", "user: nobody\n    password: ${PLANTED}"));
    let output = project.command(&["check", "--connect"]).env("PLANTED", "s3cret").output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(said.matches("check user and password of the connection").count(), 2, "{said}");
    assert!(!said.contains("s3cret"), "{said}");

    let output = project.command(&["check", "--connect"]).output().unwrap();
    let said = text(&output.stderr);
    assert!(said.contains("PLANTED") && output.status.code() == Some(1), "{said}");
}

#[test]
fn a_kind_of_database_that_is_not_connected_to_is_told() {
    let project = Project::new("pg", &job("pg", &[ORDER]), TABLES);
    let config = std::fs::read_to_string(project.path("config.yaml")).unwrap();
    let config = config.replace("type: postgresql", "type: oracle").replace("    ddl: schema.sql\n", "");
    project.write("config.yaml", &config);
    let (code, told) = check(&project, &["--connect"]);
    assert_eq!(code, Some(1));
    assert!(told.iter().any(|one| one.starts_with("E0416") && one.contains("Oracle")), "{told:#?}");
}

#[test]
fn settings_of_redis_that_lose_streams_are_told() {
    let project = Project::new("pg", &job("pg", &[ORDER]), TABLES);
    let url = project.redis.url();
    let set = |name: &str, value: &str| {
        redis::cmd("CONFIG").arg("SET").arg(name).arg(value).exec(&mut project.client()).unwrap();
    };
    let told = || check(&project, &["--connect", "--redis", &url]).1;
    assert_eq!(told(), Vec::<String>::new());
    set("maxmemory-policy", "volatile-lru");
    assert_eq!(told(), Vec::<String>::new());
    set("maxmemory-policy", "allkeys-lfu");
    set("aof-use-rdb-preamble", "no");
    let said = told();
    assert_eq!(said.len(), 2, "{said:#?}");
    let starts =
        |one: &&String| one.starts_with("W0430 config.yaml the Redis whose changes are carried over would lose some");
    assert_eq!(said.iter().filter(starts).count(), 2, "{said:#?}");
    assert!(
        said.iter().any(|one| one.contains("`maxmemory-policy allkeys-lfu`") && one.contains("noeviction")),
        "{said:#?}"
    );
    // A user who may not see CONFIG.
    set("aof-use-rdb-preamble", "yes");
    redis::cmd("ACL")
        .arg(&["SETUSER", "worker", "on", ">s3cret", "~*", "+@all", "-config"])
        .exec(&mut project.client())
        .unwrap();
    let url = url.replace("redis://", "redis://worker:s3cret@");
    let (code, said) = check(&project, &["--connect", "--deny-warnings", "--redis", &url]);
    assert_eq!((code, said.len()), (Some(1), 1), "{said:#?}");
    // Without Redis the jobs are checked all the same.
    let output = project.command(&["check", "--connect", "--redis", "redis://127.0.0.1:1"]).output().unwrap();
    let said = text(&output.stderr);
    assert!(output.status.success() && said.contains("the settings of Redis are not checked"), "{said}");
}
