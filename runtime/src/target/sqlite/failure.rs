//! What SQLite's errors mean, by result code: <https://www.sqlite.org/rescode.html>.

use redis_wb_plan::RejectCode;
use rusqlite::ErrorCode;
use rusqlite::ffi::{SQLITE_CONSTRAINT_DATATYPE, SQLITE_CONSTRAINT_FOREIGNKEY};

use crate::error::Failure;

pub(super) fn of(error: rusqlite::Error) -> Failure {
    let said = format!("SQLite: {error}");
    let Some(facts) = error.sqlite_error() else {
        return Failure::configuration(said, "compile the jobs again, and compare them with the table");
    };
    match (facts.code, facts.extended_code) {
        (ErrorCode::ConstraintViolation, SQLITE_CONSTRAINT_FOREIGNKEY) => {
            Failure::refused(RejectCode::ForeignKey, error.to_string())
        }
        (ErrorCode::ConstraintViolation, SQLITE_CONSTRAINT_DATATYPE)
        | (ErrorCode::TooBig | ErrorCode::TypeMismatch | ErrorCode::ParameterOutOfRange, _) => {
            Failure::refused(RejectCode::TargetValue, error.to_string())
        }
        (ErrorCode::ConstraintViolation, _) => Failure::refused(RejectCode::Constraint, error.to_string()),
        (
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::OutOfMemory
            | ErrorCode::OperationInterrupted
            | ErrorCode::OperationAborted
            | ErrorCode::SystemIoFailure
            | ErrorCode::DiskFull
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::SchemaChanged,
            _,
        ) => Failure::Transient(said),
        (ErrorCode::CannotOpen, _) => Failure::configuration(
            said,
            "check `database` of the connection: the folder must exist, and this user must be allowed to write to it",
        ),
        (ErrorCode::ReadOnly | ErrorCode::PermissionDenied, _) => {
            Failure::configuration(said, "let this user write to the file and its folder; it goes on by itself then")
        }
        (ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt, _) => {
            Failure::configuration(said, "restore the file from a backup, or name another one")
        }
        _ => Failure::configuration(said, "create the table or column, or mend the job; it goes on by itself then"),
    }
}
