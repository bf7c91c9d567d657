//! What errors of targets mean: the shape of the tables in the `failure` files, of which `docs/failures.md` is made.
//! Knows no target.

use redis_wb_plan::RejectCode;

/// What an error means for the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It passes by itself, and is waited out for ever.
    Passes,
    /// Rows are refused for good.
    Refuses(RejectCode),
    /// Somebody has to do this.
    Wants(&'static str),
}

/// One line of a table: of the lines that name a code, the first counts.
pub(super) struct Line<C: 'static> {
    pub(super) codes: &'static [C],
    /// What the codes have in common, in words.
    pub(super) what: &'static str,
    pub(super) meaning: Meaning,
}

/// A line of a table.
pub(super) const fn line<C>(what: &'static str, codes: &'static [C], meaning: Meaning) -> Line<C> {
    Line { codes, what, meaning }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::target::{mysql, postgres, sqlite};

    const INTRODUCTION: &str = "\
# What errors of a target mean

redis-wb tells errors apart by their codes, never by their texts. Made from the tables that the runtime itself reads
(`runtime/src/target/*/failure.rs`) by `UPDATE_DOCS=1 cargo test -p redis-wb-runtime meaning`; of several lines that name
a code, the first counts.

| class | what redis-wb does |
|---|---|
| transient | waits with growing pauses, for ever (`on_failed_retry_interval` is the first); the changes stay in their stream |
| configuration | says what to do, waits in the same way, and goes on by itself as soon as it is done |
| dependency | what the row refers to may still come, also from another shard: the record goes to the end of its stream, to be tried again about once a second, and all others go on; after `foreign_key_wait` seconds (of `applier`; 30, 0 for not at all) it goes to the dead-letter queue with code `R0522`. Where the job keeps every change or version there (`APPEND`, `TYPE2`), it does so at once, since its row would come behind later ones of its key |
| permanent | finds the culprits, writes the rest of the batch; the culprits go to the dead-letter queue with the code shown |

A connection that breaks, cannot be made or is not answered is transient, whatever the target. Where the outcome of a
commit is not known, the checkpoint tells.
";

    const REDIS: &str = "
## Redis as a target

A batch is one script. What it comes to is told by the words that errors begin with.

| error | what it is | class |
|---|---|---|
| `NOAUTH` `WRONGPASS` `NOPERM` | user, password or rights | configuration: mend `user` and `password` of the connection, or give the user the rights |
| `MOVED` `CROSSSLOT` | a cluster | configuration: name a Redis that is no cluster |
| what one command of a batch is refused with (`WRONGTYPE`, ...) | the key holds something else | permanent, `R0521` |
| all others (`OOM`, `READONLY`, `LOADING`, `MISCONF`, `BUSY`, ...) | full, a replica, busy | transient |
";

    fn class(meaning: Meaning) -> String {
        match meaning {
            Meaning::Passes => "transient".to_owned(),
            Meaning::Refuses(code @ RejectCode::ForeignKey) => format!("dependency, `{code}`"),
            Meaning::Refuses(code) => format!("permanent, `{code}`"),
            Meaning::Wants(help) => format!("configuration: {help}"),
        }
    }

    fn table<C>(out: &mut String, lines: &[Line<C>], shown: impl Fn(&C) -> String, others: &str) {
        out.push_str("\n| codes | what they are | class |\n|---|---|---|\n");
        for Line { codes, what, meaning } in lines {
            let codes: Vec<String> = codes.iter().map(&shown).collect();
            let _ = writeln!(out, "| {} | {what} | {} |", codes.join(" "), class(*meaning));
        }
        let _ = writeln!(out, "| all others | | configuration: {others} |");
    }

    fn document() -> String {
        let mut out = INTRODUCTION.to_owned();
        out.push_str("\n## PostgreSQL\n\nBy SQLSTATE; two characters stand for all states that begin with them.\n");
        table(&mut out, postgres::failure::MEANINGS, |state| format!("`{state}`"), postgres::failure::OTHERWISE);
        out.push_str("\n`42501` that a policy of row-level security gave for a row is permanent, `R0520`.\n");
        out.push_str("\n## MariaDB and MySQL\n\nBy error number.\n");
        let range = |codes: &std::ops::RangeInclusive<u16>| match (codes.start(), codes.end()) {
            (from, to) if from == to => format!("{from}"),
            (from, to) => format!("{from}–{to}"),
        };
        table(&mut out, mysql::failure::MEANINGS, range, mysql::failure::OTHERWISE);
        out.push_str("\n## SQLite\n\nBy result code.\n");
        table(&mut out, sqlite::failure::MEANINGS, |code| format!("{code}"), sqlite::failure::OTHERWISE);
        out + REDIS
    }

    #[test]
    fn the_document_says_what_the_tables_say() {
        let document = document();
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/failures.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, &document).unwrap();
        }
        let known = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(document == known, "docs/failures.md is not what the tables say; UPDATE_DOCS=1 writes it anew");
    }
}
