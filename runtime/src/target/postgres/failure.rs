//! What PostgreSQL's errors mean, by SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.

use redis_wb_plan::RejectCode;
use tokio_postgres::error::DbError;

use crate::error::Failure;
use crate::target::meaning::Meaning::{Passes, Refuses, Wants};
use crate::target::meaning::{Line, line};

/// The first line that has a state or its class counts; what no line has wants a look at the job.
#[rustfmt::skip]
pub(in crate::target) const MEANINGS: &[Line<&str>] = &[
    line("read-only: a replica, or a primary that is handed over", &["25006"], Passes),
    line("this worker stood still in a transaction", &["25P03"], Passes),
    line("a table changed: its statements are prepared anew", &["0A000", "26000"], Passes),
    line("the connection", &["08"], Passes),
    line("deadlocks and conflicts with other transactions", &["40"], Passes),
    line("no room on the disk or in memory, too many connections", &["53"], Passes),
    line("locks, objects in use", &["55"], Passes),
    line("the server starts or stops, or ends what takes too long", &["57"], Passes),
    line("files that cannot be read or written", &["58"], Passes),
    line("parents that are missing, children that are left", &["23503"], Refuses(RejectCode::ForeignKey)),
    line("constraints, check options of views, what triggers raise", &["23", "44", "P0"], Refuses(RejectCode::Constraint)),
    line("values that a column does not take, rows that are too large", &["21", "22", "54"],
        Refuses(RejectCode::TargetValue)),
    line("user or password", &["28"],
        Wants("check user and password of the connection, its `sslcert` and `sslkey` where the server wants a \
            certificate, and the server's pg_hba.conf")),
    line("no such database", &["3D"], Wants("check `database` of the connection, or create the database")),
    line("no such table or schema", &["42P01", "3F000"],
        Wants("create the table, or mend the job; it goes on by itself then")),
    line("no such column", &["42703"], Wants("add the column, or mend the job; it goes on by itself then")),
    line("a right that the user lacks", &["42501"],
        Wants("grant the right to the connection's user; it goes on by itself then")),
    line("no unique index over the keys", &["42P10"],
        Wants("create a unique index over exactly the columns of `keys`; it goes on by itself then")),
];

/// What the others want.
pub(in crate::target) const OTHERWISE: &str = "compile the job again with the table's DDL, or `redis-wb check` it";

/// What a failed statement means.
pub(super) fn of(error: tokio_postgres::Error) -> Failure {
    match error.as_db_error() {
        Some(db) => of_server(db),
        None => Failure::Transient(format!("PostgreSQL: {}", chain(&error))),
    }
}

/// What a failed commit means: a constraint that was deferred to it, or else as any statement.
pub(super) fn of_commit(error: tokio_postgres::Error) -> Failure {
    of(error).refusal(|refusal| refusal.at_commit = true)
}

/// What a failed move of the checkpoint means: its statement divides by zero where it did not find it in its place.
pub(super) fn of_advance(error: tokio_postgres::Error) -> Failure {
    let state = error.code().map(tokio_postgres::error::SqlState::code);
    if state == Some("22012") { Failure::Overtaken } else { of(error) }
}

fn of_server(error: &DbError) -> Failure {
    let state = error.code().code();
    // The same state is a missing right, and a row that a policy of row-level security refuses.
    if state == "42501" && error.routine() == Some("ExecWithCheckOptions") {
        return Failure::refused(RejectCode::Constraint, detailed(error));
    }
    let known = MEANINGS.iter().find(|line| line.codes.iter().any(|codes| state.starts_with(codes)));
    match known.map_or(Wants(OTHERWISE), |line| line.meaning) {
        Passes => Failure::Transient(said(error, known.map_or("", |line| line.what))),
        Refuses(code) => Failure::refused(code, detailed(error)),
        Wants(help) => Failure::configuration(said(error, ""), help),
    }
}

fn said(error: &DbError, what: &str) -> String {
    let what = if what.is_empty() { String::new() } else { format!(": {what}") };
    format!("PostgreSQL: {} (SQLSTATE {}{what})", error.message(), error.code().code())
}

/// The message with the detail that names the value, as the dead-letter queue keeps it.
fn detailed(error: &DbError) -> String {
    let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
    format!("{}{detail} (SQLSTATE {})", error.message(), error.code().code())
}

/// An error and what caused it: the client's own messages alone say little.
fn chain(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
