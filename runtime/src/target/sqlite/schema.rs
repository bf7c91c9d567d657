//! What a SQLite file tells of tables, by its pragmas: <https://www.sqlite.org/pragma.html#pragma_table_xinfo>.

use redis_wb_plan::plan::{Connection as PlanConnection, Dialect};
use redis_wb_plan::schema::{Schema, Table, TableColumn};
use redis_wb_plan::sql_type;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use crate::TableName;
use crate::error::Failure;

/// The schema of the file itself.
const MAIN: &str = "main";
/// The pragma calls an ordinary column 0; 2 and 3 are generated ones.
const ORDINARY: i64 = 0;

pub(in crate::target) fn schema(connection: &PlanConnection, tables: &[TableName]) -> Result<Schema, Failure> {
    let path = super::path(connection)?;
    if !path.is_file() {
        let shown = path.display();
        let message = format!("there is no file {shown}");
        let help = format!(
            "make it with its tables, such as by `sqlite3 {shown} < schema.sql`, or mend `database` of the connection, \
             which counts from the folder of config.yaml"
        );
        return Err(Failure::configuration(message, help));
    }
    let file = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut schema = Schema::default();
    for (in_schema, name) in tables {
        if let Some(mut table) = table(&file, in_schema.as_deref(), name)? {
            let parents = parents(&file, in_schema.as_deref().unwrap_or(MAIN), name)?;
            let is_parent = |asked: &&TableName| {
                asked.0 == *in_schema && parents.iter().any(|parent| parent.eq_ignore_ascii_case(&asked.1))
            };
            table.references = tables.iter().filter(is_parent).cloned().collect();
            schema.tables.push(table);
        } else {
            let others = others(&file, in_schema.as_deref().unwrap_or(MAIN))?;
            schema.others.extend(others.into_iter().map(|name| (in_schema.clone(), name)));
        }
    }
    Ok(schema)
}

/// The names of all tables.
fn others(file: &Connection, schema: &str) -> rusqlite::Result<Vec<String>> {
    let mut select = file.prepare(
        "SELECT name FROM pragma_table_list WHERE schema = ?1 AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name",
    )?;
    select.query_map([schema], |row| row.get(0))?.collect()
}

/// The tables that foreign keys point to; they are in the same schema. A pragma does not tell which keys are checked
/// only at the end of a transaction, so where there may be one, none is told.
fn parents(file: &Connection, schema: &str, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut select = file.prepare(&format!(
        "SELECT sql FROM \"{}\".sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE",
        schema.replace('"', "\"\"")
    ))?;
    let sql: Option<String> = select.query_row([table], |row| row.get(0)).optional()?.flatten();
    let words: Vec<String> = sql.iter().flat_map(|sql| sql.split_whitespace()).map(str::to_ascii_lowercase).collect();
    if words.iter().zip(words.iter().skip(1)).any(|(one, next)| one == "initially" && next.starts_with("deferred")) {
        return Ok(Vec::new());
    }
    let mut select = file.prepare("SELECT DISTINCT \"table\" FROM pragma_foreign_key_list(?1, ?2)")?;
    select.query_map([table, schema], |row| row.get(0))?.collect()
}

fn table(file: &Connection, schema: Option<&str>, name: &str) -> rusqlite::Result<Option<Table>> {
    let within = schema.unwrap_or(MAIN);
    let mut select =
        file.prepare("SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?1, ?2)")?;
    let columns = select.query_map([name, within], |row| {
        let (type_name, place): (String, i64) = (row.get(1)?, row.get(4)?);
        let default: Option<String> = row.get(3)?;
        let numbers_rows = place == 1 && type_name.eq_ignore_ascii_case("integer");
        let column = TableColumn {
            name: row.get(0)?,
            column_type: sql_type::column_type(Dialect::Sqlite, &type_name),
            type_name,
            nullable: row.get::<_, i64>(2)? == 0 && place == 0,
            has_default: default.is_some() || numbers_rows,
            generated: row.get::<_, i64>(5)? != ORDINARY,
        };
        Ok((place, column))
    })?;
    let columns: Vec<(i64, TableColumn)> = columns.collect::<rusqlite::Result<_>>()?;
    if columns.is_empty() {
        return Ok(None);
    }
    let mut unique = unique(file, within, name)?;
    let mut key: Vec<(i64, String)> =
        columns.iter().filter(|(place, _)| *place > 0).map(|(place, column)| (*place, column.name.clone())).collect();
    key.sort();
    if !key.is_empty() {
        unique.insert(0, key.into_iter().map(|(_, name)| name).collect());
    }
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    let (schema, name) = (schema.map(str::to_owned), name.to_owned());
    Ok(Some(Table { schema, name, columns, unique, references: Vec::new(), ignores_case: true }))
}

/// Unique indexes over plain columns of all rows, beside the primary key.
fn unique(file: &Connection, schema: &str, table: &str) -> rusqlite::Result<Vec<Vec<String>>> {
    let mut select = file.prepare(
        "SELECT name FROM pragma_index_list(?1, ?2) WHERE \"unique\" = 1 AND partial = 0 AND origin <> 'pk'",
    )?;
    let names: Vec<String> = select.query_map([table, schema], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let mut columns = file.prepare("SELECT name FROM pragma_index_info(?1, ?2)")?;
    let mut found = Vec::new();
    for index in names {
        let list: Vec<Option<String>> =
            columns.query_map([index.as_str(), schema], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        // An expression has no column name.
        found.extend(list.into_iter().collect::<Option<Vec<String>>>());
    }
    Ok(found)
}
