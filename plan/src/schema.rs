//! What is known of the target's tables: read from DDL by the compiler, or from a live connection by the runtime.

use crate::ColumnType;

/// The tables of one connection, as far as they are known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schema {
    /// The tables, in the order of the DDL.
    pub tables: Vec<Table>,
}

/// One table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The schema it is in; `None` for the default one.
    pub schema: Option<String>,
    /// Its name, as the target keeps it: an unquoted name in PostgreSQL's DDL is in lower case here.
    pub name: String,
    /// Its columns, in the order of the table.
    pub columns: Vec<TableColumn>,
    /// The column sets over which the table has a primary key or a unique index, without partial or expression ones.
    pub unique: Vec<Vec<String>>,
    /// The tables that its foreign keys point to: schema and name. Those that are checked only at the end of a
    /// transaction are left out, and a live connection tells none.
    pub references: Vec<(Option<String>, String)>,
    /// Whether `Emp` and `EMP` are the same name to the target even where both are quoted.
    pub ignores_case: bool,
}

/// One column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableColumn {
    /// Its name, as the target keeps it.
    pub name: String,
    /// The type's name in the target's SQL, for casts and for people: `numeric(10,2)`, `character varying(20)`.
    pub type_name: String,
    /// The type with its limits; [`crate::Type::Unknown`] for a type that redis-wb does not know.
    pub column_type: ColumnType,
    /// Whether it takes null.
    pub nullable: bool,
    /// Whether it has a default, or an identity or sequence.
    pub has_default: bool,
    /// Whether the target computes it, so that it cannot be written.
    pub generated: bool,
}

impl Schema {
    /// The table of this name; a `schema` of `None` asks for the default one. Where the target ignores case, so does
    /// this, unless there is one in the very spelling.
    #[must_use]
    pub fn table(&self, schema: Option<&str>, name: &str) -> Option<&Table> {
        let exact = self.tables.iter().find(|table| table.name == name && table.schema.as_deref() == schema);
        exact.or_else(|| {
            self.tables.iter().filter(|table| table.ignores_case).find(|table| {
                let same_schema = match (table.schema.as_deref(), schema) {
                    (Some(left), Some(right)) => same_letters(left, right),
                    (left, right) => left == right,
                };
                same_schema && same_letters(&table.name, name)
            })
        })
    }
}

/// Whether two names differ in nothing but case.
fn same_letters(left: &str, right: &str) -> bool {
    left.eq_ignore_ascii_case(right) || left.to_lowercase() == right.to_lowercase()
}

impl Table {
    /// The column of this name; where the target ignores case, so does this, unless there is one in the very spelling.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&TableColumn> {
        let exact = self.columns.iter().find(|column| column.name == name);
        exact.or_else(|| {
            self.columns.iter().filter(|_| self.ignores_case).find(|column| same_letters(&column.name, name))
        })
    }

    /// Whether the table has a primary key or unique index over exactly these columns, in any order. The names are
    /// those of [`TableColumn::name`].
    #[must_use]
    pub fn is_unique(&self, columns: &[&str]) -> bool {
        self.unique.iter().any(|unique| {
            unique.len() == columns.len() && unique.iter().all(|column| columns.contains(&column.as_str()))
        })
    }
}
