//! Random batches by each strategy, and families of children.

use std::collections::BTreeMap;

use redis_wb_compiler::render::{Rows, statements};
use redis_wb_compiler::{Files, Inputs, Live, compile, create, dialect};
use redis_wb_plan::plan::{Children, Dialect};
use redis_wb_plan::{Output, Strategy, Value};

use crate::database::{Database, all};
use crate::model::Model;
use crate::values::{Change, Random, Row, batch, read, row, shown};
use crate::writer::{write, write_families};

/// Names that must be quoted: a reserved word, mixed case, and every kind of quote.
const TABLE: &str = "Order `of` \"the\" [day]";

const JOB: &str = r#"
source:
  redis:
    key_pattern: "*"
    trigger: write-behind
    key: <select:int>:<mixed:text>
    fields:
      name: text
      amount: decimal
      flag: bool
      day: date
      at: timestamp
      ratio: float
      doc: json
      raw: bytes
output:
  - uses: relational.write
    with:
      connection: target
      table: 'Order `of` "the" [day]'
      STRATEGY
      keys:
        - select
        - Mixed Case: mixed
      mapping:
        - "na\"me`]": name
        - amount
        - flag
        - day
        - at
        - ratio
        - doc
        - raw
"#;

const VERSIONS: &str = r#"load_strategy: TYPE2
      active_record_indicator: is_active = 'Y'
      inactive_record_mapping:
        - {source: "'N'", target: is_active}
        - {source: CURRENT_TIMESTAMP, target: valid_to}"#;

/// The output and its CREATE TABLE.
fn compiled(strategy: Strategy, dialect: Dialect) -> (Output, String) {
    let mut files = Files::new();
    let config = files.add("config.yaml", format!("connections:\n  target:\n    type: {}\n", dialect.name()));
    let strategy = match strategy {
        Strategy::Type2 => VERSIONS.to_owned(),
        other => format!("load_strategy: {}", other.word()),
    };
    let job = files.add("job.yaml", JOB.replace("STRATEGY", &strategy));
    let mut none = |_: &str| Err("there is none".to_owned());
    let inputs = Inputs {
        config,
        jobs: vec![("job".to_owned(), job)],
        variables: BTreeMap::new(),
        read: &mut none,
        live: Live::default(),
    };
    let compiled = compile(&mut files, inputs);
    assert_eq!(compiled.bugs, Vec::<String>::new());
    let mut plan = compiled.plan.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics));
    let ddl = create::tables(&plan).expect("no bug");
    (plan.jobs.remove(0).outputs.remove(0), ddl)
}

/// What a table holds, sorted: the columns of the output, and whether the row is active.
fn rows(database: &mut dyn Database, output: &Output) -> Vec<(Vec<String>, bool)> {
    let dialect = dialect::of(database.dialect());
    let mut names: Vec<String> = output.columns.iter().map(|column| dialect.quote(&column.name)).collect();
    names.extend((output.strategy == Strategy::Type2).then(|| "is_active".to_owned()));
    let found = database.select(&format!("SELECT {} FROM {}", names.join(", "), dialect.quote(TABLE)));
    let mut rows: Vec<_> = found
        .into_iter()
        .map(|mut row| {
            let active = row.split_off(output.columns.len()).pop().is_none_or(|active| active.as_deref() == Some("Y"));
            let kinds = output.columns.iter().map(|column| column.column_type.kind);
            (row.into_iter().zip(kinds).map(|(text, kind)| read(text, kind)).collect(), active)
        })
        .collect();
    rows.sort();
    rows
}

#[test]
fn every_strategy_ends_with_the_same_rows() {
    let mut databases = all();
    for strategy in [Strategy::Upsert, Strategy::Append, Strategy::Replace, Strategy::Type2] {
        let outputs: Vec<(Output, String)> =
            databases.iter().map(|database| compiled(strategy, database.dialect())).collect();
        for (database, (_, ddl)) in databases.iter_mut().zip(&outputs) {
            database.script(ddl);
        }
        let (mut random, mut model, mut written) = (Random(42), Model::default(), Vec::new());
        for step in 0..25 {
            let batch = batch(&mut random, &mut written);
            batch.iter().for_each(|change| model.apply(strategy, change));
            for (database, (output, _)) in databases.iter_mut().zip(&outputs) {
                write(database.as_mut(), output, &batch);
                let name = database.dialect().name();
                assert_eq!(rows(database.as_mut(), output), model.sorted(), "{strategy:?}, step {step}, {name}");
            }
        }
        assert!(model.sorted().len() > 5, "the batches say something");
        for database in &mut databases {
            let table = dialect::of(database.dialect()).quote(TABLE);
            database.script(&format!("DROP TABLE {table}"));
        }
    }
}

/// The statements that delete vanished children, the parent being named by the first key column.
fn children(output: &Output, dialect: Dialect) -> Children {
    let names: Vec<Option<&str>> = vec![None; output.columns.len()];
    let rows = Rows {
        schema: None,
        table: &output.table,
        columns: &output.columns,
        type_names: &names,
        key_columns: output.key_columns,
        strategy: output.strategy,
        versions: None,
        parent: &[0],
        keep: false,
    };
    statements(&rows, dialect::of(dialect)).expect("no bug").children.expect("a parent is named")
}

#[test]
fn vanished_children_go_and_no_others() {
    let mut databases = all();
    let outputs: Vec<(Output, String)> =
        databases.iter().map(|database| compiled(Strategy::Upsert, database.dialect())).collect();
    for (database, (_, ddl)) in databases.iter_mut().zip(&outputs) {
        database.script(ddl);
    }
    let mut random = Random(7);
    let mut expected: BTreeMap<String, BTreeMap<String, Vec<String>>> = BTreeMap::new();
    for step in 0..25 {
        let mut families: Vec<(Row, Vec<Row>)> = Vec::new();
        for _ in 0..random.below(20) {
            let child = row(&mut random);
            let at = families.iter().position(|(parent, _)| parent[0] == child[0]).unwrap_or_else(|| {
                families.push((vec![child[0].clone()], Vec::new()));
                families.len() - 1
            });
            let family = &mut families[at].1;
            // An element of the list may be left out, and the whole family may be gone.
            if random.below(4) > 0 && !family.iter().any(|known| known[1] == child[1]) {
                family.push(child);
            }
        }
        for (parent, rows) in &families {
            let rows = rows.iter().map(|row| (shown(&row[1]), row.iter().map(shown).collect())).collect();
            expected.insert(shown(&parent[0]), rows);
        }
        let mut wanted: Vec<_> =
            expected.values().flat_map(|family| family.values()).map(|row| (row.clone(), true)).collect();
        wanted.sort();
        for (database, (output, _)) in databases.iter_mut().zip(&outputs) {
            let children = children(output, database.dialect());
            write_families(database.as_mut(), output, &children, &families);
            let name = database.dialect().name();
            assert_eq!(rows(database.as_mut(), output), wanted, "step {step}, {name}");
        }
    }
}

#[test]
fn a_table_of_keys_alone_can_be_written_by_every_strategy() {
    let mut databases = all();
    for database in &mut databases {
        let id = database.dialect();
        for strategy in [Strategy::Upsert, Strategy::Replace, Strategy::Type2] {
            let (mut output, ddl) = compiled(strategy, id);
            output.columns.truncate(output.key_columns);
            let names: Vec<Option<&str>> = vec![None; output.columns.len()];
            let rows_of = Rows {
                schema: None,
                table: &output.table,
                columns: &output.columns,
                type_names: &names,
                key_columns: output.key_columns,
                strategy,
                versions: output.versions.as_ref(),
                parent: &[],
                keep: false,
            };
            let statements = statements(&rows_of, dialect::of(id)).expect("no bug");
            output.write = statements.write;
            output.delete = statements.delete;
            database.script(&ddl);
            let (mut random, mut model, mut written) = (Random(1), Model::default(), Vec::new());
            for _ in 0..10 {
                let mut batch = batch(&mut random, &mut written);
                for change in &mut batch {
                    let (Change::Write(row) | Change::Delete(row)) = change;
                    row.truncate(output.key_columns);
                }
                batch.iter().for_each(|change| model.apply(strategy, change));
                write(database.as_mut(), &output, &batch);
            }
            assert_eq!(rows(database.as_mut(), &output), model.sorted(), "{strategy:?}, {}", id.name());
            let table = dialect::of(id).quote(TABLE);
            database.script(&format!("DROP TABLE {table}"));
        }
    }
}

#[test]
fn a_parent_need_not_be_part_of_the_key() {
    for database in &mut all() {
        let id = database.dialect();
        let (mut output, ddl) = compiled(Strategy::Upsert, id);
        database.script(&ddl);
        // The number alone is the key, and the text behind it the parent.
        output.key_columns = 1;
        let names: Vec<Option<&str>> = vec![None; output.columns.len()];
        let columns = &output.columns;
        let (schema, versions, table) = (None, None, output.table.as_str());
        let strategy = Strategy::Replace;
        let rows_of = Rows {
            schema,
            table,
            columns,
            type_names: &names,
            key_columns: 1,
            strategy,
            versions,
            parent: &[1],
            keep: false,
        };
        let found = statements(&rows_of, dialect::of(id)).expect("no bug");
        (output.write, output.delete) = (found.write, found.delete);
        let children = found.children.expect("a parent is named");
        let mut random = Random(3);
        let mut child = |number: i64, parent: &'static str| {
            let mut row = row(&mut random);
            row[0] = Value::Int(number);
            row[1] = Value::Text(parent.into());
            row
        };
        let parent = |name: &'static str| vec![Value::Null, Value::Text(name.into())];
        let (one, two, three) = (child(1, "p"), child(2, "p"), child(3, "q"));
        let families =
            [(parent("p"), vec![one.clone(), two]), (parent("q"), vec![three.clone()]), (parent("r"), Vec::new())];
        write_families(database.as_mut(), &output, &children, &families);
        assert_eq!(rows(database.as_mut(), &output).len(), 3, "{}", id.name());
        write_families(database.as_mut(), &output, &children, &[(parent("p"), vec![one.clone()])]);
        let left: Vec<Vec<String>> = [one, three].iter().map(|row| row.iter().map(shown).collect()).collect();
        let found: Vec<Vec<String>> = rows(database.as_mut(), &output).into_iter().map(|(row, _)| row).collect();
        assert_eq!(found, left, "{}", id.name());
    }
}
