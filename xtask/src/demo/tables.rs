//! The tables of the demo: how they are made and read, and which rows the keys of Redis call for.
//! It must not know what is done to the keys.

use std::fmt::Write as _;

use redis::{Connection, RedisResult};
use serde_json::Value;

/// All tables, as the worker and the compiler get them.
pub(super) const SCHEMA: &str = "\
CREATE TABLE emp (
    empno  INTEGER PRIMARY KEY,
    fname  TEXT NOT NULL,
    lname  TEXT NOT NULL,
    salary INTEGER,
    hired  DATE
);
CREATE TABLE shop_order (
    order_id  INTEGER PRIMARY KEY,
    customer  TEXT NOT NULL,
    placed_at TIMESTAMPTZ,
    total     NUMERIC
);
CREATE TABLE order_address (
    order_id INTEGER PRIMARY KEY REFERENCES shop_order (order_id),
    street   TEXT,
    city     TEXT
);
CREATE TABLE order_line (
    order_id INTEGER NOT NULL REFERENCES shop_order (order_id),
    line_no  INTEGER NOT NULL,
    article  TEXT,
    quantity INTEGER,
    currency TEXT,
    PRIMARY KEY (order_id, line_no)
);
";

/// A row, or what a row should be, as text.
pub(super) type Row = Vec<String>;

/// A table that is shown.
#[derive(Debug)]
pub(super) struct Table {
    name: &'static str,
    /// The columns that are shown, key columns first.
    columns: &'static [&'static str],
    /// The rows that the keys of Redis call for, ordered as text.
    pub(super) wanted: fn(&mut Connection) -> RedisResult<Vec<Row>>,
}

/// What hashes become.
pub(super) const EMPLOYEES: [Table; 1] =
    [Table { name: "emp", columns: &["empno", "fname", "lname", "salary", "hired"], wanted: employees }];

/// What JSON documents become.
pub(super) const ORDERS: [Table; 3] = [
    Table { name: "shop_order", columns: &["order_id", "customer", "total"], wanted: orders },
    Table { name: "order_address", columns: &["order_id", "street", "city"], wanted: addresses },
    Table { name: "order_line", columns: &["order_id", "line_no", "article", "quantity", "currency"], wanted: lines },
];

impl Table {
    /// The rows of the table, ordered as text.
    pub(super) fn rows(&self, file: &rusqlite::Connection) -> rusqlite::Result<Vec<Row>> {
        let columns = self.columns.iter().map(|column| format!("coalesce(CAST({column} AS TEXT), '')"));
        let columns: Vec<String> = columns.collect();
        let mut select = file.prepare(&format!("SELECT {} FROM {}", columns.join(", "), self.name))?;
        let rows = select.query_map([], |row| (0..columns.len()).map(|column| row.get(column)).collect())?;
        let mut rows = rows.collect::<rusqlite::Result<Vec<Row>>>()?;
        rows.sort();
        Ok(rows)
    }

    /// Rows as a table for people.
    pub(super) fn drawn(&self, rows: &[Row]) -> String {
        let header: Row = self.columns.iter().map(|&column| column.to_owned()).collect();
        let lines: Vec<&Row> = std::iter::once(&header).chain(rows).collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| lines.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max())
            .map(Option::unwrap_or_default)
            .collect();
        let mut text = format!("    {}\n", self.name);
        for line in lines {
            let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            // Writing to a `String` cannot fail.
            let _ = writeln!(text, "      {}", cells.join("  ").trim_end());
        }
        text.trim_end().to_owned()
    }
}

fn employees(redis: &mut Connection) -> RedisResult<Vec<Row>> {
    let mut rows = Vec::new();
    for key in keys(redis, "emp:")? {
        let fields = ["first_name", "last_name", "salary", "hired"];
        let fields: Vec<Option<String>> = redis::cmd("HMGET").arg(format!("emp:{key}")).arg(&fields).query(redis)?;
        rows.push(std::iter::once(key).chain(fields.into_iter().map(Option::unwrap_or_default)).collect());
    }
    Ok(rows)
}

fn orders(redis: &mut Connection) -> RedisResult<Vec<Row>> {
    let row = |id: &str, order: &Value| {
        let prices = of_lines(order).filter_map(|line| line.get("price")?.as_f64());
        vec![vec![id.to_owned(), text(order, "/customer/name"), prices.sum::<f64>().to_string()]]
    };
    documents(redis, row)
}

fn addresses(redis: &mut Connection) -> RedisResult<Vec<Row>> {
    let row = |id: &str, order: &Value| {
        let address = order.pointer("/customer/address")?;
        Some(vec![id.to_owned(), text(address, "/street"), text(address, "/city")])
    };
    documents(redis, |id, order| row(id, order).into_iter().collect())
}

fn lines(redis: &mut Connection) -> RedisResult<Vec<Row>> {
    documents(redis, |id, order| {
        let row = |line| {
            let currency = text(order, "/currency");
            vec![id.to_owned(), text(line, "/no"), text(line, "/article"), text(line, "/quantity"), currency]
        };
        of_lines(order).map(row).collect()
    })
}

fn of_lines(order: &Value) -> impl Iterator<Item = &Value> {
    order.get("lines").and_then(Value::as_array).into_iter().flatten()
}

/// The rows that all orders call for.
fn documents(redis: &mut Connection, rows: impl Fn(&str, &Value) -> Vec<Row>) -> RedisResult<Vec<Row>> {
    let mut all = Vec::new();
    for key in keys(redis, "order:")? {
        let order: String = redis::cmd("JSON.GET").arg(format!("order:{key}")).query(redis)?;
        all.extend(rows(&key, &serde_json::from_str(&order).unwrap_or_default()));
    }
    all.sort();
    Ok(all)
}

/// A part of a document as text.
fn text(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

/// What the keys have behind a prefix, in order.
fn keys(redis: &mut Connection, prefix: &str) -> RedisResult<Vec<String>> {
    let keys: Vec<String> = redis::cmd("KEYS").arg(format!("{prefix}*")).query(redis)?;
    let mut keys: Vec<String> = keys.iter().map(|key| key.trim_start_matches(prefix).to_owned()).collect();
    keys.sort();
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_drawn_in_columns() {
        let rows = ["1 Ada Lovelace 5200 2024-03-01", "12 Alan Turing  2024-09-15"]
            .map(|row| row.split(' ').map(str::to_owned).collect());
        let expected = [
            "    emp",
            "      empno  fname  lname     salary  hired",
            "      1      Ada    Lovelace  5200    2024-03-01",
            "      12     Alan   Turing            2024-09-15",
        ];
        assert_eq!(EMPLOYEES[0].drawn(&rows), expected.join("\n"));
    }

    #[test]
    fn tables_are_read_as_they_were_written() {
        let file = rusqlite::Connection::open_in_memory().unwrap();
        file.execute_batch(SCHEMA).unwrap();
        file.execute("INSERT INTO emp VALUES (2, 'Alan', 'Turing', NULL, '2024-09-15')", []).unwrap();
        assert_eq!(EMPLOYEES[0].rows(&file).unwrap(), [["2", "Alan", "Turing", "", "2024-09-15"]]);
        for table in &ORDERS {
            assert!(table.rows(&file).unwrap().is_empty());
        }
    }
}
