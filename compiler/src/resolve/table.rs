//! The table of an output and its columns, in what is known of the target.

use redis_wb_plan::schema::{Schema, Table, TableColumn};

use crate::ast;
use crate::codes::Code;
use crate::dialect;
use crate::source::Spanned;
use crate::suggest::did_you_mean;
use crate::{Diagnostic, Diagnostics};

/// Where tables and columns are looked for.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) schema: &'a Schema,
    pub(super) connection: &'a ast::Connection,
}

impl<'a> Place<'a> {
    pub(super) fn table(self, ast: &ast::Relational, diagnostics: &mut Diagnostics) -> Option<&'a Table> {
        let wanted = ast.schema.as_ref().map(|schema| schema.value.as_str());
        let name = &ast.table.value;
        let found = self
            .schema
            .table(wanted, name)
            .or_else(|| wanted.filter(|schema| self.is_default(schema)).and_then(|_| self.schema.table(None, name)));
        if found.is_none() {
            let in_schema = wanted.map(|schema| format!(" in the schema `{schema}`")).unwrap_or_default();
            let message = format!("there is no table `{name}`{in_schema}");
            let help = self.elsewhere(name).or_else(|| {
                let read = self.schema.tables.iter().map(|table| (&table.schema, &table.name));
                let all = read.chain(self.schema.others.iter().map(|(schema, name)| (schema, name)));
                let names = all.filter(|(schema, _)| schema.as_deref() == wanted).map(|(_, name)| name.as_str());
                did_you_mean(name, names)
            });
            self.report(Code::E0401, &ast.table, message, help, "its CREATE TABLE", diagnostics);
        }
        found
    }

    /// Whether a table that is named without a schema is in this one.
    fn is_default(self, schema: &str) -> bool {
        let ast::Connection { plan, .. } = self.connection;
        match dialect::of(plan.dialect).default_schema() {
            "" => [&plan.database, &plan.user].into_iter().flatten().any(|name| name == schema),
            default => default == schema,
        }
    }

    /// Help where the table is in another schema.
    fn elsewhere(self, name: &str) -> Option<String> {
        let table = self.schema.tables.iter().find(|table| table.name == name)?;
        Some(match &table.schema {
            Some(schema) => format!("it is in another schema: write `schema: {schema}`"),
            None => "it has no schema: take `schema` out".to_owned(),
        })
    }

    pub(super) fn column(
        self,
        table: &'a Table,
        name: &Spanned<String>,
        diagnostics: &mut Diagnostics,
    ) -> Option<&'a TableColumn> {
        let found = table.column(&name.value);
        if found.is_none() {
            let message = format!("the table `{}` has no column `{}`", table.name, name.value);
            let help = did_you_mean(&name.value, table.columns.iter().map(|column| column.name.as_str()));
            self.report(Code::E0402, name, message, help, "it", diagnostics);
        }
        found
    }

    /// What is not there may be newer than the DDL file.
    fn report(
        self,
        code: Code,
        name: &Spanned<String>,
        message: String,
        help: Option<String>,
        what: &str,
        diagnostics: &mut Diagnostics,
    ) {
        // Without DDL the database itself was asked.
        let ddl = self.connection.ddl();
        let label = ddl.map_or_else(|| "the target has none".to_owned(), |ddl| format!("not in `{ddl}`"));
        let missing = ddl
            .map_or_else(|| "create it there".to_owned(), |ddl| format!("if the target has it, add {what} to `{ddl}`"));
        let help = match help {
            Some(help) if help.starts_with("known here") => format!("{help}; {missing}"),
            Some(help) => help,
            None => missing,
        };
        diagnostics.report(Diagnostic::new(code, name.span, message, label).help(help));
    }
}
