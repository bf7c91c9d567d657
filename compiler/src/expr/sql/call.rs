//! Calls: which function it is, how many arguments it takes, and what is no function of one record.

use redis_wb_plan::fold;
use redis_wb_plan::sql::function::{self, Body, Definition};
use redis_wb_plan::sql::op::{SqlFunction, SqlOp};
use sqlparser::ast::{self, FunctionArg, FunctionArgExpr, FunctionArguments, Spanned as _};

use super::super::{Language, foreign};
use super::Manner;
use super::lower::{Lowering, Node};
use crate::codes::Code;
use crate::suggest::{meant, nearest};

const AGGREGATES: [&str; 16] = [
    "avg",
    "count",
    "group_concat",
    "string_agg",
    "sum",
    "total",
    "median",
    "percentile",
    "percentile_cont",
    "percentile_disc",
    "json_group_array",
    "json_group_object",
    "jsonb_group_array",
    "jsonb_group_object",
    "stddev",
    "variance",
];

const WINDOWS: [&str; 11] = [
    "row_number",
    "rank",
    "dense_rank",
    "percent_rank",
    "cume_dist",
    "ntile",
    "lag",
    "lead",
    "first_value",
    "last_value",
    "nth_value",
];

/// Functions of a connection or its library, and what they would need.
const CONNECTION: [(&str, &str); 11] = [
    ("changes", "the last statement of a connection"),
    ("total_changes", "the statements of a connection"),
    ("last_insert_rowid", "the last insert of a connection"),
    ("load_extension", "a connection that loads native code"),
    ("sqlite_version", "SQLite itself, which does not evaluate this expression"),
    ("sqlite_source_id", "SQLite itself, which does not evaluate this expression"),
    ("sqlite_compileoption_get", "SQLite itself, which does not evaluate this expression"),
    ("sqlite_compileoption_used", "SQLite itself, which does not evaluate this expression"),
    ("sqlite_log", "the error log of SQLite"),
    ("sqlite_offset", "a table"),
    ("subtype", "SQLite's inner marks of values"),
];

/// Functions of SQLite's search extensions, which work on their tables.
const SEARCH: [&str; 17] = [
    "match",
    "regexp",
    "bm25",
    "highlight",
    "snippet",
    "matchinfo",
    "offsets",
    "optimize",
    "rtreecheck",
    "rtreedepth",
    "rtreenode",
    "fts3_tokenizer",
    "fts5",
    "fts5_source_id",
    "fts5_locale",
    "fts5_get_locale",
    "fts5_insttoken",
];

impl Lowering<'_> {
    pub(super) fn call(&mut self, call: &ast::Function, span: (usize, usize), depth: usize) -> Option<Node> {
        let name = call.name.to_string().to_ascii_lowercase();
        let place = self.places.bytes(call.name.span());
        if call.over.is_some() || WINDOWS.contains(&name.as_str()) {
            let message = format!("`{name}` over a window looks at other rows; an expression sees one record");
            return self.refuse(place, message, "compute it in the target, over the table's rows");
        }
        let args = self.arguments(call, &name, place)?;
        let extreme = matches!(name.as_str(), "min" | "max") && args.len() == 1;
        if extreme || AGGREGATES.contains(&name.as_str()) || call.filter.is_some() {
            let message = format!("`{name}` is an aggregate over many rows; an expression sees one record");
            let help = if extreme {
                "write two arguments or more; over an array use JMESPath: `max(items[].price)`"
            } else {
                "over an array of the record use JMESPath: `sum(items[].price)`, `length(items)`"
            };
            return self.refuse(place, message, help);
        }
        if let Some(refused) = self.refused(&name, place) {
            return refused;
        }
        let function = self.function(&name, &args, place)?;
        self.arity(function, &name, args.len(), place)?;
        let nodes = self.all(args, depth)?;
        self.applied(function, nodes, span)
    }

    fn arguments<'e>(
        &mut self,
        call: &'e ast::Function,
        name: &str,
        place: (usize, usize),
    ) -> Option<Vec<&'e ast::Expr>> {
        let FunctionArguments::List(list) = &call.args else { return Some(Vec::new()) };
        let mut args = Vec::new();
        for arg in &list.args {
            match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => args.push(expr),
                // `count(*)` is refused as an aggregate.
                FunctionArg::Unnamed(_) if AGGREGATES.contains(&name) => {}
                _ => {
                    let message = format!("`{arg}` is not an argument that SQLite knows");
                    let help = "write plain expressions with commas between them".to_owned();
                    self.report(Code::E0103, place, message, "here", Some(help));
                    return None;
                }
            }
        }
        let plain = list.clauses.is_empty() && list.duplicate_treatment.is_none() && call.within_group.is_empty();
        if !plain && !AGGREGATES.contains(&name) {
            let message = format!("`{name}` takes neither DISTINCT nor ORDER BY, which are for aggregates");
            self.report(Code::E0103, place, message, "here", Some("take it out".to_owned()));
            return None;
        }
        Some(args)
    }

    /// What SQLite has and cannot be asked of one record.
    fn refused(&mut self, name: &str, place: (usize, usize)) -> Option<Option<Node>> {
        if let Some((_, needs)) = CONNECTION.iter().find(|(known, _)| *known == name) {
            let message = format!("`{name}` needs {needs}");
            return Some(self.refuse(place, message, "an expression sees the record and nothing else"));
        }
        if name == "raise" {
            let message = "`raise` belongs into a trigger";
            return Some(self.refuse(place, message, "keep records out with the transform `filter`"));
        }
        if SEARCH.contains(&name) {
            let message = format!("`{name}` belongs to an extension of SQLite and works on its tables");
            return Some(self.refuse(place, message, "use `LIKE`, `GLOB` or `instr`"));
        }
        None
    }

    fn function(&mut self, name: &str, args: &[&ast::Expr], place: (usize, usize)) -> Option<SqlFunction> {
        let found = SqlFunction::named(name).filter(|function| !is_keyword(function.definition().name));
        if found.is_none() {
            let names = function::all().map(|function| function.definition().name);
            let args: Vec<String> = args.iter().map(ToString::to_string).collect();
            let help = foreign::function(name, &args, Language::Sql).unwrap_or_else(|| match nearest(name, names) {
                Some(near) => meant(near),
                None => "`redis-wb functions` lists all of them; JMESPath's are others".to_owned(),
            });
            let message = format!("SQLite has no function `{name}`");
            self.report(Code::E0207, place, message, "unknown function", Some(help));
        }
        found
    }

    fn arity(&mut self, function: SqlFunction, name: &str, count: usize, place: (usize, usize)) -> Option<()> {
        let definition = function.definition();
        let odd = wants_pairs(definition, count);
        if function.takes(count) && odd.is_none() {
            return Some(());
        }
        let wanted = match (odd, definition.most) {
            (Some(wanted), _) => wanted.to_owned(),
            (None, Some(most)) if most == definition.least => counted(most),
            (None, Some(most)) => format!("{} to {most} arguments", definition.least),
            (None, None) => format!("at least {}", counted(definition.least)),
        };
        let message = format!("`{name}` takes {wanted}, not {count}");
        let help = format!("it is written `{name}({})`", definition.args);
        self.report(Code::E0303, place, message, "wrong number of arguments", Some(help));
        None
    }

    /// The call, or the operator that it is.
    fn applied(&mut self, function: SqlFunction, mut args: Vec<Node>, span: (usize, usize)) -> Option<Node> {
        let definition = function.definition();
        if !matches!(definition.body, Body::Operator) {
            let node = Node::of(SqlOp::Call(function), args, span);
            return self.unless_always_rejected(node);
        }
        let op = match definition.name {
            "coalesce" | "ifnull" => SqlOp::Coalesce,
            "iif" => SqlOp::Case,
            "nullif" => SqlOp::NullIf(self.plain(&args)),
            "min" => SqlOp::Min(self.plain(&args)),
            "max" => SqlOp::Max(self.plain(&args)),
            // The functions take the pattern first, the operators the text. The order of evaluation does not show.
            "like" | "glob" => {
                let collation = args.iter().find_map(|arg| arg.collation);
                args.swap(0, 1);
                let op = if definition.name == "like" { SqlOp::Like } else { SqlOp::Glob };
                return Some(Node { collation, ..Node::of(op, args, span) });
            }
            // `likely`, `unlikely` and `likelihood` are their first argument.
            _ => {
                args.truncate(1);
                let node = args.pop()?;
                return Some(Node { affinity: None, ..node });
            }
        };
        Some(Node::of(op, args, span))
    }

    fn unless_always_rejected(&mut self, node: Node) -> Option<Node> {
        if self.manner == Manner::Exact {
            return Some(node);
        }
        let Some(Err(reject)) = fold::constant(&fold::fold(node.expr.clone())) else { return Some(node) };
        let message = format!("this is rejected for every record: {}", reject.reason);
        let help = "change the constants in it: as they are, no record can get through".to_owned();
        self.report(Code::E0306, node.span, message, "always rejected", Some(help));
        None
    }
}

/// Written without parentheses, so that they are no calls.
fn is_keyword(name: &str) -> bool {
    matches!(name, "current_date" | "current_time" | "current_timestamp")
}

/// What JSON's functions want where they take names or paths and values in pairs.
fn wants_pairs(definition: &Definition, count: usize) -> Option<&'static str> {
    let base = definition.name.trim_start_matches("jsonb_").trim_start_matches("json_");
    match base {
        "object" if !count.is_multiple_of(2) => Some("an even number of arguments"),
        "insert" | "replace" | "set" | "array_insert" if definition.name != base && count.is_multiple_of(2) => {
            Some("an odd number of arguments")
        }
        _ => None,
    }
}

fn counted(count: usize) -> String {
    if count == 1 { "1 argument".to_owned() } else { format!("{count} arguments") }
}
