//! What a live MariaDB or MySQL tells of tables, from its information schema.

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Params};
use redis_wb_plan::plan::Connection;
use redis_wb_plan::schema::{Schema, Table, TableColumn};
use redis_wb_plan::sql_type;

use super::{connect, failure};
use crate::error::Failure;
use crate::target::TableName;

const COLUMNS: &str = "\
    SELECT column_name, column_type, is_nullable, column_default, extra FROM information_schema.columns \
    WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ? ORDER BY ordinal_position";

/// Unique indexes over whole columns, column by column.
const UNIQUE: &str = "\
    SELECT index_name, column_name FROM information_schema.statistics AS s \
    WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ? AND non_unique = 0 \
      AND NOT EXISTS (SELECT 1 FROM information_schema.statistics AS p \
        WHERE p.table_schema = s.table_schema AND p.table_name = s.table_name AND p.index_name = s.index_name \
          AND (p.sub_part IS NOT NULL OR p.column_name IS NULL)) \
    ORDER BY index_name <> 'PRIMARY', index_name, seq_in_index";

/// The tables that foreign keys point to; the schema where it is another one.
const REFERENCES: &str = "\
    SELECT DISTINCT NULLIF(referenced_table_schema, table_schema), referenced_table_name \
    FROM information_schema.key_column_usage \
    WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ? AND referenced_table_name IS NOT NULL";

pub(in crate::target) async fn schema(plan: &Connection, tables: &[TableName]) -> Result<Schema, Failure> {
    let mut connection = connect::connect(plan).await?;
    let mut schema = Schema::default();
    for (in_schema, name) in tables {
        let found = table(&mut connection, plan, in_schema.as_deref(), name).await.map_err(failure::of)?;
        schema.tables.extend(found);
    }
    connection.disconnect().await.map_err(failure::of)?;
    Ok(schema)
}

type ColumnRow = (String, String, String, Option<String>, String);

async fn table(
    connection: &mut Conn,
    plan: &Connection,
    schema: Option<&str>,
    name: &str,
) -> Result<Option<Table>, mysql_async::Error> {
    let of = Params::from((schema.map(str::to_owned), name.to_owned()));
    let columns: Vec<ColumnRow> = connection.exec(COLUMNS, of.clone()).await?;
    if columns.is_empty() {
        return Ok(None);
    }
    let columns = columns.into_iter().map(|row| column(plan, row)).collect();
    let parts: Vec<(String, String)> = connection.exec(UNIQUE, of.clone()).await?;
    let mut unique: Vec<Vec<String>> = Vec::new();
    let mut last = None;
    for (index, column) in parts {
        match unique.last_mut() {
            Some(columns) if last.as_ref() == Some(&index) => columns.push(column),
            _ => unique.push(vec![column]),
        }
        last = Some(index);
    }
    let references: Vec<(Option<String>, String)> = connection.exec(REFERENCES, of).await?;
    let references =
        references.into_iter().map(|(other, table)| (other.or_else(|| schema.map(str::to_owned)), table)).collect();
    let (schema, name) = (schema.map(str::to_owned), name.to_owned());
    Ok(Some(Table { schema, name, columns, unique, references, ignores_case: true }))
}

fn column(plan: &Connection, (name, type_name, nullable, default, extra): ColumnRow) -> TableColumn {
    let extra = extra.to_ascii_lowercase();
    TableColumn {
        name,
        column_type: sql_type::column_type(plan.dialect, &type_name),
        type_name,
        nullable: nullable == "YES",
        has_default: default.is_some() || extra.contains("auto_increment") || extra.contains("default_generated"),
        generated: extra.contains("generated") && !extra.contains("default_generated"),
    }
}
