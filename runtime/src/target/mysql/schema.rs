//! What a live MariaDB or MySQL tells of tables, from its information schema.

use mysql_async::prelude::{FromRow, Queryable as _};
use mysql_async::{Conn, Params};
use redis_wb_plan::plan::{Connection, Dialect};
use redis_wb_plan::schema::{Schema, Table, TableColumn};
use redis_wb_plan::sql_type;

use super::connect::{self, Session};
use super::failure;
use crate::TableName;
use crate::error::Failure;

/// The schema and the name that a table really has: the server may compare names without regard to case.
const REAL: &str = "\
    SELECT table_schema, table_name FROM information_schema.tables \
    WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ? \
      AND (@@lower_case_table_names > 0 OR BINARY table_name = BINARY ?)";

const COLUMNS: &str = "\
    SELECT column_name, column_type, is_nullable, NULLIF(column_default, 'NULL') IS NOT NULL, extra \
    FROM information_schema.columns WHERE table_schema = ? AND table_name = ? ORDER BY ordinal_position";

/// Unique indexes column by column; a column has no name where it is an expression, and a length where it is a part.
const UNIQUE: &str = "\
    SELECT index_name, IF(sub_part IS NULL, column_name, NULL) FROM information_schema.statistics \
    WHERE table_schema = ? AND table_name = ? AND non_unique = 0 \
    ORDER BY index_name <> 'PRIMARY', index_name, seq_in_index";

/// The tables that foreign keys point to. All are checked with each statement.
const REFERENCES: &str = "\
    SELECT DISTINCT referenced_table_schema, referenced_table_name FROM information_schema.key_column_usage \
    WHERE table_schema = ? AND table_name = ? AND referenced_table_name IS NOT NULL";

const OTHERS: &str = "\
    SELECT table_name FROM information_schema.tables WHERE table_schema = COALESCE(?, DATABASE()) \
    ORDER BY table_name LIMIT 1000";

/// The schema and the name of a table.
type Name = (String, String);
type ColumnRow = (String, String, String, bool, String);

pub(in crate::target) async fn schema(plan: &Connection, tables: &[TableName]) -> Result<Schema, Failure> {
    let Session { mut connection, .. } = connect::connect(plan).await?;
    let schema = read(&mut connection, plan.dialect, tables).await.map_err(failure::of)?;
    // The tables are known, whatever comes of this.
    connection.disconnect().await.ok();
    Ok(schema)
}

async fn read(connection: &mut Conn, dialect: Dialect, tables: &[TableName]) -> Result<Schema, mysql_async::Error> {
    let mut schema = Schema::default();
    let mut found: Vec<(Name, &TableName)> = Vec::new();
    for asked in tables {
        let of = Params::from((asked.0.clone(), asked.1.clone(), asked.1.clone()));
        let real: Option<Name> = connection.exec_first(REAL, of).await?;
        if let Some(real) = real {
            found.push((real, asked));
        } else {
            let others: Vec<String> = connection.exec(OTHERS, Params::from((asked.0.clone(),))).await?;
            schema.others.extend(others.into_iter().map(|name| (asked.0.clone(), name)));
        }
    }
    for (real, asked) in &found {
        let mut table = table(connection, dialect, real).await?;
        (table.schema, table.name) = (*asked).clone();
        let parents: Vec<Name> = about(connection, REFERENCES, real).await?;
        let asked = found.iter().filter(|(real, _)| parents.contains(real));
        table.references = asked.map(|(_, asked)| (*asked).clone()).collect();
        schema.tables.push(table);
    }
    Ok(schema)
}

async fn table(connection: &mut Conn, dialect: Dialect, real: &Name) -> Result<Table, mysql_async::Error> {
    let columns: Vec<ColumnRow> = about(connection, COLUMNS, real).await?;
    let parts: Vec<(String, Option<String>)> = about(connection, UNIQUE, real).await?;
    let mut indexes: Vec<(String, Option<Vec<String>>)> = Vec::new();
    for (index, column) in parts {
        match indexes.last_mut().filter(|(last, _)| *last == index) {
            Some((_, columns)) => {
                *columns = columns.take().zip(column).map(|(columns, column)| [columns, vec![column]].concat())
            }
            None => indexes.push((index, column.map(|column| vec![column]))),
        }
    }
    Ok(Table {
        schema: None,
        name: String::new(),
        columns: columns.into_iter().map(|row| column(dialect, row)).collect(),
        unique: indexes.into_iter().filter_map(|(_, columns)| columns).collect(),
        references: Vec::new(),
        ignores_case: true,
    })
}

/// The rows of a query about a table.
async fn about<T: FromRow + Send + 'static>(
    connection: &mut Conn,
    query: &'static str,
    (schema, name): &Name,
) -> Result<Vec<T>, mysql_async::Error> {
    connection.exec(query, Params::from((schema.clone(), name.clone()))).await
}

fn column(dialect: Dialect, (name, type_name, nullable, has_default, extra): ColumnRow) -> TableColumn {
    let extra = extra.to_ascii_lowercase();
    // `DEFAULT_GENERATED` is a default that is an expression.
    let generated = ["virtual generated", "stored generated", "persistent"].iter().any(|word| extra.contains(word));
    TableColumn {
        name,
        column_type: sql_type::column_type(dialect, &type_name),
        type_name,
        nullable: nullable == "YES",
        has_default: has_default || extra.contains("auto_increment") || extra.contains("default_generated"),
        generated,
    }
}
