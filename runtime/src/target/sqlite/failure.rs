//! What SQLite's errors mean, by result code: <https://www.sqlite.org/rescode.html>.

use std::fmt;

use redis_wb_plan::RejectCode;
use rusqlite::ffi;

use crate::error::Failure;
use crate::target::meaning::Meaning::{Passes, Refuses, Wants};
use crate::target::meaning::{Line, line};

/// A result code and its name; an extended one stands for itself alone.
#[derive(Debug, Clone, Copy)]
pub(in crate::target) struct Code(i32, &'static str);

/// The bits of an extended result code that say what it extends.
const PRIMARY: i32 = 0xff;

impl Code {
    fn is(self, extended: i32) -> bool {
        self.0 == extended || self.0 == extended & PRIMARY
    }
}

impl fmt::Display for Code {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "`{}`", self.1)
    }
}

macro_rules! codes {
    ($($name:ident)*) => { &[$(Code(ffi::$name, stringify!($name))),*] };
}

/// The first line that has a code counts.
#[rustfmt::skip]
pub(in crate::target) const MEANINGS: &[Line<Code>] = &[
    line("another process writes", codes![SQLITE_BUSY SQLITE_LOCKED SQLITE_PROTOCOL], Passes),
    line("no room on the disk or in memory, files that cannot be read or written for the moment",
        codes![SQLITE_FULL SQLITE_NOMEM SQLITE_IOERR], Passes),
    line("broken off", codes![SQLITE_INTERRUPT SQLITE_ABORT], Passes),
    line("a table changed: its statements are prepared anew", codes![SQLITE_SCHEMA], Passes),
    line("parents that are missing, children that are left", codes![SQLITE_CONSTRAINT_FOREIGNKEY],
        Refuses(RejectCode::ForeignKey)),
    line("values that a column does not take, rows that are too large",
        codes![SQLITE_CONSTRAINT_DATATYPE SQLITE_TOOBIG SQLITE_MISMATCH SQLITE_RANGE], Refuses(RejectCode::TargetValue)),
    line("constraints, what triggers raise", codes![SQLITE_CONSTRAINT], Refuses(RejectCode::Constraint)),
    line("the file cannot be opened", codes![SQLITE_CANTOPEN],
        Wants("check `database` of the connection: the folder must exist, and this user must be allowed to write to it")),
    line("the file may not be written", codes![SQLITE_READONLY SQLITE_PERM],
        Wants("let this user write to the file and its folder; it goes on by itself then")),
    line("the file is no database", codes![SQLITE_NOTADB SQLITE_CORRUPT],
        Wants("restore the file from a backup, or name another one")),
];

/// What the others want.
pub(in crate::target) const OTHERWISE: &str = "create the table or column, or mend the job; it goes on by itself then";

pub(super) fn of(error: rusqlite::Error) -> Failure {
    let said = format!("SQLite: {error}");
    let Some(facts) = error.sqlite_error() else {
        return Failure::configuration(said, "compile the jobs again, and compare them with the table");
    };
    let known = MEANINGS.iter().find(|line| line.codes.iter().any(|code| code.is(facts.extended_code)));
    match known.map_or(Wants(OTHERWISE), |line| line.meaning) {
        Passes => Failure::Transient(said),
        Refuses(code) => Failure::refused(code, error.to_string()),
        Wants(help) => Failure::configuration(said, help),
    }
}
