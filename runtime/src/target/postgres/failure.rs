//! What PostgreSQL's errors mean, by SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.

use redis_wb_plan::RejectCode;
use tokio_postgres::error::DbError;

use crate::error::Failure;

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
    let class = state.get(..2).unwrap_or_default();
    match (class, state) {
        // The same state is a missing right, and a row that a policy of row-level security refuses.
        (_, "42501") if error.routine() == Some("ExecWithCheckOptions") => {
            Failure::refused(RejectCode::Constraint, detailed(error))
        }
        (_, "25006") => Failure::Transient(said(error, "this PostgreSQL is read-only: waiting until it is a primary")),
        (_, "25P03") => Failure::Transient(said(error, "this worker stood still in a transaction")),
        (_, "0A000" | "26000") => Failure::Transient(said(error, "a table changed: its statements are prepared anew")),
        ("08" | "40" | "53" | "55" | "57" | "58", _) => Failure::Transient(said(error, "PostgreSQL")),
        (_, "23503") => Failure::refused(RejectCode::ForeignKey, detailed(error)),
        ("23" | "44" | "P0", _) => Failure::refused(RejectCode::Constraint, detailed(error)),
        ("21" | "22" | "54", _) => Failure::refused(RejectCode::TargetValue, detailed(error)),
        _ => configuration(error, class),
    }
}

fn configuration(error: &DbError, class: &str) -> Failure {
    let help = match (class, error.code().code()) {
        ("28", _) => "check user and password of the connection, and the server's pg_hba.conf",
        ("3D", _) => "check `database` of the connection, or create the database",
        (_, "42P01" | "3F000") => "create the table, or mend the job; it goes on by itself then",
        (_, "42703") => "add the column, or mend the job; it goes on by itself then",
        (_, "42501") => "grant the right to the connection's user; it goes on by itself then",
        (_, "42P10") => "create a unique index over exactly the columns of `keys`; it goes on by itself then",
        _ => "compile the job again with the table's DDL, or `redis-wb check` it",
    };
    Failure::configuration(said(error, "PostgreSQL"), help)
}

fn said(error: &DbError, what: &str) -> String {
    format!("{what}: {} (SQLSTATE {})", error.message(), error.code().code())
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
