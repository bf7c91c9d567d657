//! Jobs that write to all databases and to another Redis at once, and what that one holds then.

use std::collections::{BTreeMap, BTreeSet};

use redis::Commands as _;
use serde_json::{Value, json};

/// A job whose tables are in all databases; each output is the text behind its connection.
pub(crate) fn everywhere(source: &str, outputs: &[&str]) -> String {
    let mut job = format!("source:\n  redis:\n    trigger: write-behind\n{source}\noutput:\n");
    for connection in ["pg", "lite", "maria"] {
        for output in outputs {
            job += &format!("  - uses: relational.write\n    with:\n      connection: {connection}\n{output}\n");
        }
    }
    job
}

/// A write to another Redis; `rest` is what its `with` holds besides the connection and the key.
pub(crate) fn write(key: &str, rest: &str) -> String {
    format!(
        "  - uses: redis.write\n    with:\n      connection: cache\n      key: {{expression: \"{key}\", language: sql}}\n      \
         {rest}\n"
    )
}

/// A step that adds a field.
pub(crate) fn field(name: &str, expression: &str) -> String {
    format!("\n  - uses: add_field\n    with: {{field: {name}, expression: \"{expression}\", language: jmespath}}")
}

/// All that another Redis holds but positions: fields as an object, members with their scores, too.
pub(crate) fn contents(client: &mut redis::Connection) -> BTreeMap<String, Value> {
    let keys: Vec<String> = client.keys("*").unwrap();
    let content = |key: String| {
        let kind: String = client.key_type(&key).unwrap();
        let value = match kind.as_str() {
            "hash" => json!(client.hgetall::<_, BTreeMap<String, String>>(&key).unwrap()),
            "set" => json!(client.smembers::<_, BTreeSet<String>>(&key).unwrap()),
            "zset" => {
                let members: Vec<(String, f64)> = client.zrange_withscores(&key, 0, -1).unwrap();
                json!(members.into_iter().collect::<BTreeMap<_, _>>())
            }
            // A worker may delete keys meanwhile.
            "none" => return None,
            "string" => json!(client.get::<_, Option<String>>(&key).unwrap()?),
            "ReJSON-RL" => {
                let document: Option<String> = redis::cmd("JSON.GET").arg(&key).query(client).unwrap();
                serde_json::from_str(&document?).unwrap()
            }
            other => panic!("{key} is a {other}"),
        };
        Some((key, value))
    };
    keys.into_iter().filter(|key| !key.starts_with("wb:")).filter_map(content).collect()
}
