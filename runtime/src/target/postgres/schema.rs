//! What a live PostgreSQL tells of tables, from its catalogue.

use redis_wb_plan::plan::{Connection, Dialect};
use redis_wb_plan::schema::{Schema, Table, TableColumn};
use redis_wb_plan::sql_type;
use tokio_postgres::{Client, Row};

use super::{connect, failure};
use crate::TableName;
use crate::error::Failure;

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

/// The tables among those asked for that foreign keys point to, by their place from 1. Those that are checked at the
/// end of a transaction are left out.
const REFERENCES: &str = "\
    SELECT DISTINCT asked.place FROM pg_constraint c \
    JOIN unnest($2::text[]) WITH ORDINALITY AS asked(name, place) ON c.confrelid = to_regclass(asked.name) \
    WHERE c.conrelid = to_regclass($1) AND c.contype = 'f' AND NOT c.condeferred ORDER BY asked.place";

const OTHERS: &str = "\
    SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE n.nspname = COALESCE($1, current_schema()) AND c.relkind IN ('r', 'p', 'v', 'f') ORDER BY 1 LIMIT 1000";

pub(in crate::target) async fn schema(connection: &Connection, tables: &[TableName]) -> Result<Schema, Failure> {
    let session = connect::connect(connection).await?;
    let names: Vec<String> = tables.iter().map(full).collect();
    let mut schema = Schema::default();
    for (asked, name) in tables.iter().zip(&names) {
        if let Some(mut table) = table(&session.client, asked, name).await.map_err(failure::of)? {
            let parents = session.client.query(REFERENCES, &[name, &names]).await.map_err(failure::of)?;
            table.references = parents.iter().filter_map(|row| parent(row, tables)).collect();
            schema.tables.push(table);
        } else {
            let others = session.client.query(OTHERS, &[&asked.0]).await.map_err(failure::of)?;
            schema.others.extend(others.iter().map(|row| (asked.0.clone(), row.get(0))));
        }
    }
    Ok(schema)
}

/// A name as `to_regclass` reads it.
fn full((schema, name): &TableName) -> String {
    let quote = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    schema.as_ref().map_or_else(|| quote(name), |schema| format!("{}.{}", quote(schema), quote(name)))
}

fn parent(row: &Row, tables: &[TableName]) -> Option<TableName> {
    let place = usize::try_from(row.get::<_, i64>(0)).ok()?;
    tables.get(place.checked_sub(1)?).cloned()
}

async fn table(
    client: &Client,
    (schema, name): &TableName,
    full: &String,
) -> Result<Option<Table>, tokio_postgres::Error> {
    let columns: Vec<TableColumn> = client.query(COLUMNS, &[full]).await?.iter().map(column).collect();
    if columns.is_empty() {
        return Ok(None);
    }
    let unique = client.query(UNIQUE, &[full]).await?.iter().map(|row| row.get(0)).collect();
    let (schema, name) = (schema.clone(), name.clone());
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
