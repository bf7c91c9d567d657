//! What the configuration says of every job.

use std::collections::BTreeMap;

use redis_wb_compiler::{Compiled, Files, Inputs, compile};
use redis_wb_plan::plan::{OnUpdate, RedisContent};

fn compiled(config: &str, job: &str) -> Compiled {
    compiled_for(config, job, "")
}

/// Compiles a job; every file that the configuration names says `ddl`.
fn compiled_for(config: &str, job: &str, ddl: &str) -> Compiled {
    let mut files = Files::new();
    let config = files.add("config.yaml", config);
    let jobs = vec![("job".to_owned(), files.add("job.yaml", job))];
    let read = &mut |_: &str| Ok(ddl.to_owned());
    compile(&mut files, Inputs { config, jobs, read, live: BTreeMap::new() })
}

const JOB: &str = "source:
  redis:
    key_pattern: emp:*
    trigger: write-behind
output:
  - uses: redis.write
    with:
      connection: copy
      key:
        expression: concat(['copy:', id])
        language: jmespath
";
const CONFIG: &str = "connections:\n  copy:\n    type: redis\n    host: localhost\n";

#[test]
fn redis_write_is_by_default_what_the_applier_says() {
    let content = |applier: &str, job: &str| {
        let plan = compiled(&format!("{CONFIG}{applier}"), job).plan.unwrap();
        let write = &plan.jobs[0].redis[0];
        (matches!(write.content, RedisContent::Json(_)), write.on_update)
    };
    let json = "applier:\n  target_data_type: json\n  json_update_strategy: merge\n";
    assert_eq!(content("", JOB), (false, OnUpdate::Replace));
    assert_eq!(content(json, JOB), (true, OnUpdate::Merge));
    assert_eq!(content(json, &format!("{JOB}      on_update: replace\n")), (true, OnUpdate::Replace));
    // The strategy is that of documents.
    assert_eq!(content(json, &format!("{JOB}      data_type: hash\n")), (false, OnUpdate::Replace));
}

#[test]
fn a_port_may_be_a_variable() {
    for (port, is_good) in [("6379", true), ("\"6379\"", true), ("${PORT}", true), ("0", false), ("x", false)] {
        let compiled = compiled(&format!("{CONFIG}    port: {port}\n"), JOB);
        assert_eq!(compiled.plan.is_some(), is_good, "{port}: {:?}", compiled.diagnostics);
    }
}

#[test]
fn the_schema_that_is_used_by_default_may_be_named() {
    let job = "source:
  redis:
    key_pattern: emp:*
    trigger: write-behind
    key: emp:<empno:int>
output:
  - uses: relational.write
    with:
      connection: target
      schema: hr
      table: emp
      keys: [empno]
";
    for (kind, schema, table, is_there) in [
        ("postgresql", "public", "emp", true),
        ("postgresql", "public", "public.emp", true),
        ("postgresql", "hr", "hr.emp", true),
        ("postgresql", "hr", "emp", false),
        ("mysql", "hr", "emp", true),
        ("mysql", "other", "emp", false),
        ("sqlite", "main", "emp", true),
    ] {
        let config = format!("connections:\n  target:\n    type: {kind}\n    database: hr\n    ddl: schema.sql\n");
        let ddl = format!("CREATE TABLE {table} (empno integer PRIMARY KEY);");
        let compiled = compiled_for(&config, &job.replace("schema: hr", &format!("schema: {schema}")), &ddl);
        assert_eq!(compiled.plan.is_some(), is_there, "{kind} {schema} {table}: {:?}", compiled.diagnostics);
    }
}
