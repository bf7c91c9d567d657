//! Every function that SQLite lists is here, or refused with a reason; every example holds in both.

use std::collections::BTreeSet;

use redis_wb_compiler::expr::sql::Manner;
use redis_wb_plan::sql::function::{self, SqlFunction};
use redis_wb_plan::{Value, sql};

use super::generate;
use super::oracle::{FIELDS, Record, Sqlite, compile, evaluate};

fn nothing() -> Record {
    vec![Value::Null; FIELDS.len()]
}

/// The scalar functions of this SQLite, by `pragma function_list`.
fn listed(sqlite: &Sqlite) -> BTreeSet<String> {
    let query = "SELECT DISTINCT name FROM pragma_function_list";
    let mut statement = sqlite.connection().prepare(query).unwrap();
    let names = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    names.map(Result::unwrap).filter(|name| !name.starts_with("->")).collect()
}

#[test]
fn every_function_of_sqlite_is_here_or_refused_with_a_reason() {
    let sqlite = Sqlite::new();
    let mut refused = Vec::new();
    let mut missing = Vec::new();
    let listed = listed(&sqlite);
    for name in &listed {
        if SqlFunction::named(name).is_some() {
            continue;
        }
        let why = compile(Manner::Safe, &format!("{name}(a)")).expect_err(name);
        if why.starts_with("E0104") { refused.push(name.as_str()) } else { missing.push(format!("{name}: {why}")) }
    }
    let version: String = sqlite.connection().query_row("SELECT sqlite_version()", [], |row| row.get(0)).unwrap();
    println!("SQLite {version}: {} functions, {} of them refused: {}", listed.len(), refused.len(), refused.join(" "));
    assert!(missing.is_empty(), "missing: {missing:#?}");
    let unknown: Vec<_> = function::all()
        .flat_map(|function| {
            std::iter::once(function.definition().name).chain(function.definition().aliases.iter().copied())
        })
        .filter(|name| !listed.contains(*name))
        .collect();
    assert!(unknown.is_empty(), "SQLite does not have {unknown:?}");
}

#[test]
fn every_function_is_generated() {
    let generated: BTreeSet<&str> = generate::functions().collect();
    let random = ["random", "randomblob", "current_date", "current_time", "current_timestamp"];
    let missing: Vec<_> = function::all()
        .map(|function| function.definition().name)
        .filter(|name| !generated.contains(name) && !random.contains(name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_example_of_every_function_holds_here_and_in_sqlite() {
    let sqlite = Sqlite::new();
    let quote = |value: &Value<'_>| sql::literal(value).unwrap();
    for function in function::all() {
        let (expression, result) = function.definition().example;
        let ours = evaluate(Manner::Safe, expression, &nothing()).map(|value| quote(&value));
        assert_eq!(ours.as_deref().ok(), Some(result), "redis-wb: {expression}: {ours:?}");
        let theirs = sqlite.evaluate(expression, &nothing()).map(|value| quote(&value));
        assert_eq!(theirs.as_deref().ok(), Some(result), "SQLite: {expression}: {theirs:?}");
    }
}

#[test]
fn results_have_the_types_that_functions_promise() {
    let mut random = generate::Random::new(11);
    for function in function::all() {
        let definition = function.definition();
        let name = definition.name;
        for _ in 0..60 {
            let expression = generate::call_of(&mut random, name);
            let Some(expression) = expression else { break };
            let Ok(expr) = compile(Manner::Safe, &expression) else { continue };
            let kind = redis_wb_plan::infer::infer(
                &expr,
                redis_wb_plan::infer::Types {
                    root: &|_| redis_wb_plan::ExprType::UNKNOWN,
                    current: &redis_wb_plan::ExprType::UNKNOWN,
                    shared: &[],
                },
            );
            let record = generate::record(&mut random);
            let fields = FIELDS.iter().zip(&record).map(|((name, _), value)| ((*name).into(), value.clone())).collect();
            let input = redis_wb_plan::Input::of(Value::Object(fields));
            if let Ok(value) = expr.evaluate(&input) {
                let of_kind = kind.kind == redis_wb_plan::Type::Unknown || kind.kind == value.kind();
                assert!(of_kind || value.is_null(), "{expression} is {value:?}, promised {kind}");
                assert!(!value.is_null() || kind.nullable, "{expression} is null, promised {kind}");
            }
        }
    }
}
