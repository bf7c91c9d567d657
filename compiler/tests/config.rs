//! What the configuration says of every job.

use redis_wb_compiler::{Compiled, Files, Inputs, Live, compile};
use redis_wb_plan::plan::{OnUpdate, RedisContent};

fn compiled(config: &str, job: &str) -> Compiled {
    compiled_for(config, job, "")
}

/// Compiles a job; every file that the configuration names says `ddl`.
fn compiled_for(config: &str, job: &str, ddl: &str) -> Compiled {
    compiled_with(&[], config, job, ddl)
}

/// The same with these variables in the environment.
fn compiled_with(variables: &[(&str, &str)], config: &str, job: &str, ddl: &str) -> Compiled {
    let mut files = Files::new();
    let config = files.add("config.yaml", config);
    let jobs = vec![("job".to_owned(), files.add("job.yaml", job))];
    let read = &mut |_: &str| Ok(ddl.to_owned());
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    compile(&mut files, Inputs { config, jobs, variables, read, live: Live::default() })
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
fn rows_wait_for_others_as_long_as_the_applier_says() {
    let wait_ms = |applier: &str| {
        let plan = compiled(&format!("{CONFIG}{applier}"), JOB).plan.unwrap();
        // What is left out of a plan is what it is by default.
        let again: redis_wb_plan::Plan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
        assert_eq!(again.applier.foreign_key_wait_ms, plan.applier.foreign_key_wait_ms);
        plan.applier.foreign_key_wait_ms
    };
    assert_eq!(wait_ms(""), 30_000);
    assert_eq!(wait_ms("applier:\n  foreign_key_wait: 5\n"), 5_000);
    assert_eq!(wait_ms("applier:\n  foreign_key_wait: 0\n"), 0);
}

#[test]
fn a_port_may_be_a_variable() {
    for (port, is_good) in [("6379", true), ("\"6379\"", true), ("${PORT}", true), ("0", false), ("x", false)] {
        let compiled = compiled(&format!("{CONFIG}    port: {port}\n"), JOB);
        assert_eq!(compiled.plan.is_some(), is_good, "{port}: {:?}", compiled.diagnostics);
    }
}

/// The codes of all errors.
fn errors(compiled: &Compiled) -> Vec<&'static str> {
    compiled.diagnostics.iter().map(|one| one.code.name()).filter(|name| name.starts_with('E')).collect()
}

#[test]
fn what_the_compiler_has_to_know_may_be_a_variable() {
    let config = "connections:\n  copy:\n    type: ${KIND}\n    host: ${HOST}\napplier:\n  read_batch_size: ${ROWS}0\n  \
                  wait_enabled: ${WAITS}\n";
    let all = [("KIND", "redis"), ("ROWS", "30"), ("WAITS", "true")];
    let good = compiled_with(&all, config, JOB, "");
    let plan = good.plan.unwrap();
    assert_eq!((plan.applier.read_batch_rows_max, plan.applier.replica_wait_ms), (300, Some(1_000)));
    // What only the runtime needs, it reads itself.
    assert_eq!(plan.redis["copy"].hosts, ["${HOST}"]);
    let other = compiled_with(&[("KIND", "redis"), ("ROWS", "31"), ("WAITS", "true")], config, JOB, "").plan.unwrap();
    assert_ne!(plan.fingerprint, other.fingerprint);
    for at in 0..all.len() {
        let without: Vec<_> = all.iter().enumerate().filter(|(own, _)| *own != at).map(|(_, one)| *one).collect();
        assert_eq!(errors(&compiled_with(&without, config, JOB, "")), ["E0019"], "{without:?}");
    }
    let wrong = compiled_with(&[("KIND", "redis"), ("ROWS", "x"), ("WAITS", "true")], config, JOB, "");
    assert_eq!(errors(&wrong), ["E0004"]);
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
