//! The templates of all dialects in one environment, each compiled once. Knows no statement.
//!
//! A template writes marks between NUL characters, which no name can have, for what depends on more than the template:
//! the place and type of a parameter, and the part of a text that is repeated for each row.

use std::sync::LazyLock;

use minijinja::Environment;
use minijinja::value::{Serde, Value};
use serde::Serialize;

use crate::dialect::{self, Dialect};

/// A column as a template sees it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Column {
    /// Its name, in quotes.
    pub(crate) name: String,
    /// A name for it that is none of the table's, where both are in sight.
    pub(crate) new: String,
    /// The mark of its parameter.
    pub(crate) parameter: String,
    /// The type that the parameter must be cast to.
    pub(crate) cast: Option<String>,
    /// Whether its values have no equality.
    pub(crate) opaque: bool,
    /// Whether it is a text.
    pub(crate) text: bool,
}

/// A mark, as rendered text has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark<'t> {
    /// A column of a row, by its place.
    Row(usize),
    /// A column of a parent, by its place.
    Parent(usize),
    /// Where the part begins that is repeated.
    Begin,
    /// Where it ends, and what stands between two of it.
    End(&'t str),
}

impl<'t> Mark<'t> {
    /// The text of the mark between its NULs.
    pub(crate) fn read(text: &'t str) -> Option<Self> {
        let rest = text.get(1..)?;
        match text.chars().next()? {
            'r' => rest.parse().ok().map(Self::Row),
            'p' => rest.parse().ok().map(Self::Parent),
            '[' => Some(Self::Begin),
            ']' => Some(Self::End(rest)),
            _ => None,
        }
    }

    /// The mark as it stands in rendered text.
    pub(crate) fn write(self) -> String {
        match self {
            Self::Row(column) => format!("\0r{column}\0"),
            Self::Parent(column) => format!("\0p{column}\0"),
            Self::Begin => "\0[\0".to_owned(),
            Self::End(separator) => format!("\0]{separator}\0"),
        }
    }
}

/// Renders a template.
pub(crate) fn render(dialect: Dialect, name: &str, context: impl Serialize) -> Result<String, String> {
    let environment = ENVIRONMENT.as_ref().map_err(Clone::clone)?;
    environment
        .get_template(&path(dialect, name))
        .and_then(|template| template.render(Value::from(Serde(context))))
        .map_err(|error| error.to_string())
}

/// Whether the dialect has a template of this name.
pub(crate) fn has(dialect: Dialect, name: &str) -> bool {
    dialect.templates().iter().any(|(known, _)| *known == name)
}

fn path(dialect: Dialect, name: &str) -> String {
    format!("{}/{name}", dialect.id().name())
}

static ENVIRONMENT: LazyLock<Result<Environment<'static>, String>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.add_filter("names", |columns: Value| join(&columns, "name"));
    environment.add_filter("parameters", |columns: Value| join(&columns, "parameter"));
    environment.add_filter("repeated", |text: String, separator: String| {
        format!("{}{text}{}", Mark::Begin.write(), Mark::End(&separator).write())
    });
    for dialect in dialect::ALL {
        for (name, text) in dialect.templates() {
            environment.add_template_owned(path(dialect, name), *text).map_err(|error| error.to_string())?;
        }
    }
    Ok(environment)
});

/// One attribute of all columns, with commas between.
fn join(columns: &Value, attribute: &str) -> Result<String, minijinja::Error> {
    let mut text = String::new();
    for (at, column) in columns.try_iter()?.enumerate() {
        if at > 0 {
            text.push_str(", ");
        }
        text.push_str(&column.get_attr(attribute)?.to_string());
    }
    Ok(text)
}
