//! `connect_args` and `query_args`: further parameters of a client, by the names that it has for them.

use redis_wb_plan::plan::Dialect;

use super::super::mapping::Context;
use super::{connection, variable};
use crate::Diagnostic;
use crate::ast::{SecretFile, Secrets};
use crate::codes::Code;
use crate::secret;
use crate::source::Spanned;
use crate::suggest::did_you_mean;
use crate::yaml::{Node, Value};

/// The parameters that concern TLS, by the names that libpq has for them; a Redis takes them, too.
const SSL: &[&str] = &["sslmode", "sslrootcert", "sslcert", "sslkey"];

/// The parameters that the client of a dialect knows; `None` where the client checks them itself.
const fn known(dialect: Dialect) -> Option<&'static [&'static str]> {
    match dialect {
        Dialect::PostgreSql => Some(SSL),
        Dialect::MySql | Dialect::MariaDb => Some(&["ssl_ca", "ssl_cert", "ssl_key"]),
        Dialect::Sqlite => Some(&[]),
        Dialect::SqlServer | Dialect::Oracle | Dialect::Db2 | Dialect::Cassandra => None,
    }
}

/// What `sslmode` can be.
const SSL_MODES: [(&str, ()); 6] =
    [("disable", ()), ("allow", ()), ("prefer", ()), ("require", ()), ("verify-ca", ()), ("verify-full", ())];

/// Reads the parameters under `what`. The kind is that of [`connection::KINDS`]; `None` where `type` could not be read.
pub(super) fn read(
    context: &mut Context<'_>,
    node: &Node,
    what: &'static str,
    kind: Option<Option<Dialect>>,
    secrets: &mut Secrets,
) -> Vec<(String, String)> {
    match &node.value {
        Value::Map(entries) => entries
            .iter()
            .filter_map(|(key, node)| {
                match kind {
                    Some(Some(dialect)) => check_name(context, key, what, dialect.title(), known(dialect)),
                    Some(None) => check_name(context, key, what, "Redis", Some(SSL)),
                    None => {}
                }
                if secret::is_one(&key.value) {
                    let text = connection::password(context, node, secrets)?;
                    return secret::is_reference(&text).then(|| (key.value.clone(), text));
                }
                if key.value == "sslmode" && !node.text().is_some_and(variable::is_in) {
                    context.word(node, "sslmode", &SSL_MODES)?;
                }
                let text = connection::text(context, node, what)?;
                if secret::is_file(&key.value, &text.value) {
                    file(context, key, &text, secrets)?;
                }
                Some((key.value.clone(), text.value))
            })
            .collect(),
        Value::Null => Vec::new(),
        _ => {
            context.wrong_shape(node, what, "a mapping");
            Vec::new()
        }
    }
}

/// Takes note of a file of TLS. What such a file holds is a secret, and no path.
fn file(context: &mut Context<'_>, key: &Spanned<String>, text: &Spanned<String>, secrets: &mut Secrets) -> Option<()> {
    if text.value.contains("-----BEGIN") {
        secrets.plain.push(text.span);
        let message = format!("`{}` must be the path of a file, not what the file holds", key.value);
        let diagnostic = Diagnostic::new(Code::E0004, text.span, message, "this is no path");
        context.report(diagnostic.help("write it to a file that only redis-wb's user may read, and name that"));
        return None;
    }
    if !variable::is_in(&text.value) {
        secrets.files.push(SecretFile { key: key.value.clone(), path: text.clone() });
    }
    Some(())
}

fn check_name(
    context: &mut Context<'_>,
    key: &Spanned<String>,
    what: &str,
    title: &str,
    known: Option<&'static [&'static str]>,
) {
    let Some(names) = known.filter(|names| !names.contains(&key.value.as_str())) else {
        return;
    };
    let message = format!("`{what}` of {title} has no key `{}`", key.value);
    let help = did_you_mean(&key.value, names.iter().copied());
    let diagnostic = Diagnostic::new(Code::E0002, key.span, message, "unknown key");
    context.report(diagnostic.help("take it out: there is nothing to set").maybe_help(help));
}
