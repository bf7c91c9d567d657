//! No password shows up anywhere: planted ones are looked for in all that the commands print, whatever goes wrong.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helping functions as well")]

mod support;

use redis::Commands as _;
use support::maria::Maria;
use support::{Project, text};
use xtask::servers::Redis;

/// What is planted: in variables, in a file, in an address, in the configuration itself.
const PLANTED: [&str; 6] =
    ["planted-pg", "planted-file", "planted-cache", "planted-source", "planted-text", "planted-env"];

const JOB: &str = "source:\n  redis:\n    trigger: write-behind\n    key_pattern: emp:*\n    key: emp:<id:int>\noutput:\n  \
    - uses: relational.write\n    with: {connection: pg, table: emp, keys: [id], mapping: [name]}\n  \
    - uses: relational.write\n    with: {connection: maria, table: emp, keys: [id], mapping: [name]}\n  \
    - uses: redis.write\n    with: {connection: cache, key: {expression: \"'e:' || id\", language: sql}, mapping: [name]}\n";
const TABLE: &str = "CREATE TABLE emp (id integer PRIMARY KEY, name text);";

fn config(project: &Project, maria: &Maria, cache: &Redis, pg_password: &str, maria_password: &str) -> String {
    format!(
        "connections:\n  pg:\n    type: postgresql\n    host: 127.0.0.1\n    port: {}\n    database: postgres\n    \
         user: worker\n    password: {pg_password}\n    ddl: schema.sql\n  maria:\n    type: mariadb\n    \
         host: 127.0.0.1\n    port: {}\n    database: test\n    user: worker\n    password: {maria_password}\n    \
         ddl: schema.sql\n  cache:\n    type: redis\n    host: 127.0.0.1\n    port: {}\n    password: ${{CACHE_PASSWORD}}\n\
         applier:\n  on_failed_retry_interval: 0\n",
        project.postgres.port(),
        maria.server.port(),
        cache.port(),
    )
}

#[test]
fn no_secret_is_printed() {
    let mut project = Project::new("emp", JOB, TABLE);
    project.redis = Redis::start_with(&["--requirepass", "planted-source"]);
    let cache = Redis::start_bare(&["--requirepass", "planted-cache"]);
    let maria = Maria { server: xtask::servers::MariaDb::start() };
    maria.run(TABLE);
    maria.run("CREATE USER worker IDENTIFIED BY 'planted-file'; GRANT ALL ON test.* TO worker");
    project.pg("CREATE ROLE worker LOGIN PASSWORD 'planted-pg'; GRANT ALL ON SCHEMA public TO worker; GRANT ALL ON emp TO worker");
    project.write("maria.password", "planted-file\n");
    let right = config(&project, &maria, &cache, "${PG_PASSWORD}", "./maria.password");
    let source = format!("redis://:planted-source@127.0.0.1:{}", project.redis.port());
    let run = |arguments: &[&str], cache_password: &str, log_format: &str| {
        let output = project
            .command(arguments)
            .args(["--log-format", log_format])
            .env("RUST_LOG", "trace")
            .env("PG_PASSWORD", "planted-pg")
            .env("CACHE_PASSWORD", cache_password)
            .output()
            .unwrap();
        let all = text(&output.stdout) + &text(&output.stderr);
        for planted in PLANTED {
            assert!(!all.contains(planted), "{arguments:?} shows {planted}:\n{all}");
        }
        (output.status.success(), all)
    };
    let drain = ["run", "--until-idle", "--redis", &source];

    project.write("config.yaml", &right);
    let (is_done, all) = run(&drain, "planted-cache", "text");
    assert!(is_done, "{all}");
    let client = redis::Client::open(source.as_str()).unwrap();
    let _: () = client.get_connection().unwrap().hset("emp:1", "name", "Ada").unwrap();
    let (is_done, all) = run(&drain, "planted-cache", "json");
    assert!(is_done, "{all}");
    let rows = project.pg_rows("SELECT name FROM emp");
    assert_eq!(rows, [["Ada"]]);
    for format in ["text", "json", "github", "sarif"] {
        assert!(run(&["check", "--format", format], "planted-cache", "text").0);
    }
    for format in ["sql", "yaml", "json"] {
        assert!(run(&["compile", "--format", format], "planted-cache", "text").0);
    }

    // Whatever is wrong with a password, it is not said which it was.
    assert!(!run(&drain, "planted-env", "text").0);
    let wrong_source = source.replace("planted-source", "planted-text");
    assert!(!run(&["run", "--until-idle", "--redis", &wrong_source], "planted-cache", "text").0);
    assert!(!run(&["snapshot", "--redis", &wrong_source], "planted-cache", "text").0);
    assert!(!run(&["dlq", "list", "--redis", &wrong_source], "planted-cache", "text").0);
    project.write("maria.password", "planted-text\n");
    assert!(!run(&drain, "planted-cache", "text").0);
    run(&["check", "--connect"], "planted-cache", "text");
    // In plain text it is warned about, and left out of the plan.
    project.write("config.yaml", &config(&project, &maria, &cache, "planted-text", "./maria.password"));
    for format in ["text", "json", "github", "sarif"] {
        run(&["check", "--format", format], "planted-cache", "text");
    }
    run(&["compile", "--format", "json"], "planted-cache", "text");
}
