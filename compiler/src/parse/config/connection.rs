//! One entry of `connections`.

use std::collections::BTreeMap;

use redis_wb_plan::plan::{Connection as PlanConnection, Dialect, RedisConnection};

use super::super::mapping::{Context, Mapping};
use super::{arguments, variable};
use crate::Diagnostic;
use crate::ast::{Connection, SecretFile, Secrets};
use crate::codes::Code;
use crate::secret;
use crate::source::Spanned;
use crate::yaml::{Node, Value};

/// A connection: to tables, or to a Redis.
pub(super) enum Any {
    Table(Connection),
    Redis(RedisConnection),
}

/// The types of connections; `None` for a Redis.
pub(super) const KINDS: [(&str, Option<Dialect>); 9] = [
    ("postgresql", Some(Dialect::PostgreSql)),
    ("mysql", Some(Dialect::MySql)),
    ("mariadb", Some(Dialect::MariaDb)),
    ("sqlite", Some(Dialect::Sqlite)),
    ("sqlserver", Some(Dialect::SqlServer)),
    ("oracle", Some(Dialect::Oracle)),
    ("db2", Some(Dialect::Db2)),
    ("cassandra", Some(Dialect::Cassandra)),
    ("redis", None),
];

/// The highest TCP port.
const PORT_MAX: i64 = 65_535;

/// Reads a connection; the secrets that it has are added to `secrets`.
pub(super) fn read(
    context: &mut Context<'_>,
    name: &Spanned<String>,
    node: &Node,
    secrets: &mut Secrets,
) -> Option<Any> {
    let mut map = Mapping::open(context, node, "connection", name.span)?;
    let kind = map.required("type", "type: postgresql");
    let kind = kind.and_then(|(_, node)| context.word(node, "type", &KINDS));
    let hosts = hosts(context, &mut map);
    let port = map.optional("port").and_then(|(_, node)| port(context, node));
    let mut text = |context: &mut Context<'_>, key| {
        map.optional(key).and_then(|(_, node)| text(context, node, key)).map(|text| text.value)
    };
    let (database, user) = (text(context, "database"), text(context, "user"));
    let password = map.optional("password").and_then(|(_, node)| password(context, node, secrets));
    let mut args = BTreeMap::new();
    for key in ["connect_args", "query_args"] {
        if let Some((_, node)) = map.optional(key) {
            args.extend(arguments::read(context, node, key, kind, secrets));
        }
    }
    let ddl = map.optional("ddl").and_then(|(_, node)| context.known(node, "ddl"));
    map.finish(context);
    Some(match kind? {
        Some(dialect) => {
            let plan = PlanConnection { dialect, hosts, port, database, user, password, args };
            Any::Table(Connection { plan, ddl })
        }
        None => Any::Redis(RedisConnection { hosts, port, database, user, password, args }),
    })
}

/// A text in which `${VAR}` may stand.
pub(super) fn text(context: &mut Context<'_>, node: &Node, what: &str) -> Option<Spanned<String>> {
    let text = context.text(node, what)?;
    variable::check(context, node, &text);
    Some(text)
}

/// `host` and `hosts`, in this order.
fn hosts(context: &mut Context<'_>, map: &mut Mapping<'_>) -> Vec<String> {
    let host = map.optional("host").and_then(|(_, node)| text(context, node, "host"));
    let mut hosts: Vec<String> = host.into_iter().map(|host| host.value).collect();
    if let Some((key, node)) = map.optional("hosts") {
        let items = context.list(node, "hosts");
        if items.is_empty() && matches!(node.value, Value::List(_) | Value::Null) {
            let diagnostic = Diagnostic::new(Code::E0020, key.span, "`hosts` names no host", "an empty list");
            context.report(diagnostic.help("name at least one: `hosts: [db1.example.com, db2.example.com]`"));
        }
        hosts.extend(items.iter().filter_map(|host| text(context, host, "hosts")).map(|host| host.value));
    }
    hosts
}

/// A number, or a variable that holds one.
fn port(context: &mut Context<'_>, node: &Node) -> Option<String> {
    if node.text().is_some_and(variable::is_in) {
        return text(context, node, "port").map(|port| port.value);
    }
    context.number(node, "port", 1, PORT_MAX).map(|port| port.to_string())
}

/// A password goes into the plan only as `${VAR}` or as the path of a file.
pub(super) fn password(context: &mut Context<'_>, node: &Node, secrets: &mut Secrets) -> Option<String> {
    let text = text(context, node, "password")?;
    if secret::is_path(&text.value) {
        secrets.files.push(SecretFile { key: "password".to_owned(), path: text.clone() });
        return Some(text.value);
    }
    if !secret::is_reference(&text.value) {
        secrets.plain.push(text.span);
        let message = "the password stands in the configuration in plain text";
        let diagnostic = Diagnostic::new(Code::W0011, text.span, message, "left out of the plan");
        context.report(diagnostic.help(
            "write `password: ${TARGET_PASSWORD}` and set that variable, or the path of a file that holds it, which \
             begins with `/`, `./` or `../`",
        ));
    }
    Some(text.value)
}
