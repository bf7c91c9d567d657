//! What a live PostgreSQL tells of tables, from its catalogue.

use redis_wb_plan::plan::{Connection, Dialect};
use redis_wb_plan::schema::{Schema, Table, TableColumn};
use redis_wb_plan::sql_type;
use tokio_postgres::{Client, Row};

use super::{connect, failure};
use crate::error::Failure;
use crate::target::TableName;

const COLUMNS: &str = "\
    SELECT a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, \
           a.atthasdef OR a.attidentity <> '', a.attgenerated <> '' OR a.attidentity = 'a' \
    FROM pg_attribute a \
    WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

/// Unique indexes over plain columns of all rows.
const UNIQUE: &str = "\
    SELECT array_agg(a.attname::text) \
    FROM pg_index i \
    CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place) \
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum \
    WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indisvalid AND i.indpred IS NULL \
      AND i.indexprs IS NULL AND k.place <= i.indnkeyatts \
    GROUP BY i.indexrelid ORDER BY i.indexrelid";

pub(in crate::target) async fn schema(connection: &Connection, tables: &[TableName]) -> Result<Schema, Failure> {
    let session = connect::connect(connection).await?;
    let mut schema = Schema::default();
    for (in_schema, name) in tables {
        if let Some(table) = table(&session.client, in_schema.as_deref(), name).await.map_err(failure::of)? {
            schema.tables.push(table);
        }
    }
    Ok(schema)
}

async fn table(client: &Client, schema: Option<&str>, name: &str) -> Result<Option<Table>, tokio_postgres::Error> {
    let quote = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let full = schema.map_or_else(|| quote(name), |schema| format!("{}.{}", quote(schema), quote(name)));
    let columns: Vec<TableColumn> = client.query(COLUMNS, &[&full]).await?.iter().map(column).collect();
    if columns.is_empty() {
        return Ok(None);
    }
    let unique = client.query(UNIQUE, &[&full]).await?.iter().map(|row| row.get(0)).collect();
    let (schema, name) = (schema.map(str::to_owned), name.to_owned());
    Ok(Some(Table { schema, name, columns, unique, references: Vec::new(), ignores_case: false }))
}

fn column(row: &Row) -> TableColumn {
    let type_name: String = row.get(1);
    TableColumn {
        name: row.get(0),
        column_type: sql_type::column_type(Dialect::PostgreSql, &type_name),
        type_name,
        nullable: row.get(2),
        has_default: row.get(3),
        generated: row.get(4),
    }
}
