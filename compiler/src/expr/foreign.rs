//! Words, operators and functions of other languages, and what is written for them here. Only for help texts: what is
//! proposed was parsed before.

use redis_wb_grammar::jmespath;
use redis_wb_plan::functions::Function;
use redis_wb_plan::sql::op::SqlFunction;

use super::Language;
use super::sql;

/// What to do about an expression that does not parse, where it does in the other language or with the other's words
/// exchanged.
pub(super) fn help(text: &str, language: Language) -> Option<String> {
    if let Some(meant) = super::template::expression(text, language) {
        return Some(format!("a template is for `key` of the source; in an expression write `{meant}`"));
    }
    let exchanged = exchanged(text, language);
    let other = match language {
        Language::JmesPath => sql::parses(text).then_some("sql"),
        Language::Sql => jmespath::parse(text).is_ok().then_some("jmespath"),
    };
    match (exchanged, other) {
        (Some(meant), None) => Some(format!("write {}", code(&meant))),
        (Some(meant), Some(other)) => {
            Some(format!("write {}; or say `language: {other}`, which this is", code(&meant)))
        }
        (None, Some(other)) => Some(format!("this is an expression of the other language: say `language: {other}`")),
        (None, None) => None,
    }
}

/// A text between backticks, which it may have itself.
fn code(text: &str) -> String {
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}

/// The text with the words of the other language exchanged, where it parses then.
fn exchanged(text: &str, language: Language) -> Option<String> {
    let tokens = tokens(text);
    let meant = match language {
        Language::JmesPath => to_jmespath(&tokens),
        Language::Sql => to_sql(&tokens),
    };
    let parses = match language {
        Language::JmesPath => jmespath::parse(&meant).is_ok(),
        Language::Sql => sql::parses(&meant),
    };
    (parses && meant != text).then_some(meant)
}

/// A text in words, numbers, quoted parts, signs of one or two characters, and spaces.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' | '"' | '`' => rest.get(1..).and_then(|inside| inside.find(first)).map_or(rest.len(), |at| at + 2),
            _ if first.is_alphanumeric() || first == '_' => {
                let is_number = first.is_ascii_digit();
                let belongs = |char: char| char.is_alphanumeric() || char == '_' || (is_number && char == '.');
                rest.find(|char| !belongs(char)).unwrap_or(rest.len())
            }
            _ if first.is_whitespace() => rest.find(|char: char| !char.is_whitespace()).unwrap_or(rest.len()),
            _ if ["<>", "<=", ">=", "!=", "==", "&&", "||"].iter().any(|sign| rest.starts_with(sign)) => 2,
            _ => first.len_utf8(),
        };
        let (token, behind) = rest.split_at(length);
        tokens.push(token);
        rest = behind;
    }
    tokens
}

fn is_space(token: &str) -> bool {
    token.trim().is_empty()
}

/// The next word, and how many tokens it and the spaces before it are.
fn next_word<'t>(tokens: &[&'t str]) -> Option<(&'t str, usize)> {
    let at = tokens.iter().position(|token| !is_space(token))?;
    Some((tokens.get(at)?, at + 1))
}

fn to_jmespath(tokens: &[&str]) -> String {
    let mut meant = String::new();
    let mut rest = tokens;
    while let Some((token, behind)) = rest.split_first() {
        rest = behind;
        let is_place = meant.trim_end().ends_with(['[', ':', '-', '.']);
        match token.to_ascii_lowercase().as_str() {
            _ if is_place => meant.push_str(token),
            "and" => meant.push_str("&&"),
            "or" => meant.push_str("||"),
            // JSONPath's name for the record.
            "$" if rest.first() == Some(&".") => rest = rest.get(1..).unwrap_or_default(),
            "<>" => meant.push_str("!="),
            "=" => meant.push_str("=="),
            "not" => {
                meant.push('!');
                rest = rest.get(rest.iter().take_while(|token| is_space(token)).count()..).unwrap_or_default();
            }
            "is" => rest = is_null(rest, &mut meant),
            "null" | "true" | "false" => {
                meant.push_str(&format!("`{}`", token.to_ascii_lowercase()));
            }
            _ if token.starts_with(|char: char| char.is_ascii_digit()) => meant.push_str(&format!("`{token}`")),
            _ => meant.push_str(token),
        }
    }
    meant
}

/// What stands behind `is`: `null` or `not null`.
fn is_null<'t, 'u>(rest: &'u [&'t str], meant: &mut String) -> &'u [&'t str] {
    let first = next_word(rest);
    let negated = first.filter(|(word, _)| word.eq_ignore_ascii_case("not"));
    let behind = negated.and_then(|(_, count)| rest.get(count..)).unwrap_or(rest);
    match next_word(behind).filter(|(word, _)| word.eq_ignore_ascii_case("null")) {
        Some((_, count)) => {
            meant.push_str(if negated.is_some() { "!= `null`" } else { "== `null`" });
            behind.get(count..).unwrap_or_default()
        }
        None => {
            meant.push_str("is");
            rest
        }
    }
}

fn to_sql(tokens: &[&str]) -> String {
    let mut meant = String::new();
    for token in tokens {
        let inside = token.strip_prefix('`').and_then(|token| token.strip_suffix('`'));
        match *token {
            "&&" => meant.push_str("AND"),
            "!" => meant.push_str("NOT "),
            _ => meant.push_str(inside.filter(|inside| inside.parse::<f64>().is_ok()).unwrap_or(token)),
        }
    }
    meant
}

/// Functions of other languages and what is written for them in SQL; `$1` is the first argument.
const IN_SQL: [(&str, &str); 27] = [
    ("left", "substr($1, 1, $2)"),
    ("right", "substr($1, -$2)"),
    ("mid", "substr($1, $2, $3)"),
    ("len", "length($1)"),
    ("char_length", "length($1)"),
    ("character_length", "length($1)"),
    ("ucase", "upper($1)"),
    ("lcase", "lower($1)"),
    ("nvl", "ifnull($1, $2)"),
    ("isnull", "ifnull($1, $2)"),
    ("if", "iif($1, $2, $3)"),
    ("now", "datetime('now')"),
    ("getdate", "datetime('now')"),
    ("sysdate", "datetime('now')"),
    ("curdate", "date('now')"),
    ("to_char", "strftime('%Y-%m-%d', $1)"),
    ("date_format", "strftime('%Y-%m-%d', $1)"),
    ("to_date", "date($1)"),
    ("year", "strftime('%Y', $1)"),
    ("month", "strftime('%m', $1)"),
    ("day", "strftime('%d', $1)"),
    ("to_number", "CAST($1 AS REAL)"),
    ("to_string", "CAST($1 AS TEXT)"),
    ("charindex", "instr($2, $1)"),
    ("locate", "instr($2, $1)"),
    ("strpos", "instr($1, $2)"),
    ("not_null", "coalesce($1, $2)"),
];

/// The same in JMESPath.
const IN_JMESPATH: [(&str, &str); 16] = [
    ("coalesce", "not_null($1, $2)"),
    ("ifnull", "not_null($1, $2)"),
    ("nvl", "not_null($1, $2)"),
    ("isnull", "not_null($1, $2)"),
    ("if", "$1 && $2 || $3"),
    ("iif", "$1 && $2 || $3"),
    ("len", "length($1)"),
    ("size", "length($1)"),
    ("count", "length($1)"),
    ("ucase", "upper($1)"),
    ("toupper", "upper($1)"),
    ("lcase", "lower($1)"),
    ("tolower", "lower($1)"),
    ("number", "to_number($1)"),
    ("str", "to_string($1)"),
    ("initcap", "capitalize($1)"),
];

/// What is written for a function that the language does not have.
pub(super) fn function(name: &str, args: &[String], language: Language) -> Option<String> {
    let table: &[(&str, &str)] = match language {
        Language::JmesPath => &IN_JMESPATH,
        Language::Sql => &IN_SQL,
    };
    if let Some((_, pattern)) = table.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        let filled =
            args.iter().zip(1..).fold((*pattern).to_owned(), |text, (arg, at)| text.replace(&format!("${at}"), arg));
        let filled = ["$1", "$2", "$3"].iter().fold(filled, |text, left| text.replace(left, "…"));
        return Some(format!("write `{filled}`"));
    }
    match language {
        Language::JmesPath if SqlFunction::named(name).is_some() => {
            Some(format!("`{name}` is a function of SQL: say `language: sql`"))
        }
        Language::Sql if Function::named(name).is_some() => {
            Some(format!("`{name}` is a function of JMESPath: say `language: jmespath`"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_other_language_are_exchanged() {
        let jmespath = [
            ("a <> 'b'", "a != 'b'"),
            ("a = 1 and b = 'x and y'", "a == `1` && b == 'x and y'"),
            ("not active OR n IS NOT NULL", "!active || n != `null`"),
            ("n is null", "n == `null`"),
            ("$.items[*]", "items[*]"),
            ("items[0].qty > 5", "items[0].qty > `5`"),
        ];
        for (text, meant) in jmespath {
            assert_eq!(exchanged(text, Language::JmesPath).as_deref(), Some(meant), "{text}");
        }
        let sql = [("a == 'b' && !c", "a == 'b' AND NOT c"), ("a > `5` && b", "a > 5 AND b")];
        for (text, meant) in sql {
            assert_eq!(exchanged(text, Language::Sql).as_deref(), Some(meant), "{text}");
        }
        assert_eq!(exchanged("a like 'b%'", Language::JmesPath), None);
    }

    #[test]
    fn functions_are_filled_in() {
        let args = ["name".to_owned(), "2".to_owned()];
        assert_eq!(function("LEFT", &args, Language::Sql).as_deref(), Some("write `substr(name, 1, 2)`"));
        assert_eq!(function("left", &[], Language::Sql).as_deref(), Some("write `substr(…, 1, …)`"));
        assert_eq!(function("nosuch", &args, Language::Sql), None);
    }
}
