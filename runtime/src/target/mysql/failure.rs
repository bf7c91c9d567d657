//! What errors of MariaDB and MySQL mean, by number: <https://mariadb.com/kb/en/mariadb-error-code-reference/>,
//! <https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html>.

use mysql_async::{Error, ServerError};
use redis_wb_plan::RejectCode;

use crate::error::Failure;

/// A row that is there already.
const DUPLICATE: u16 = 1062;

/// What a failed statement means.
pub(super) fn of(error: Error) -> Failure {
    match error {
        Error::Server(error) => of_server(&error),
        Error::Driver(mysql_async::DriverError::PacketTooLarge) => {
            Failure::refused(RejectCode::TargetValue, "the row is larger than the server's `max_allowed_packet`")
        }
        other => Failure::Transient(format!("the database: {other}")),
    }
}

/// What a failed move of the checkpoint means: where its row is there already, another transaction was first.
pub(super) fn of_advance(error: Error) -> Failure {
    match error {
        Error::Server(error) if error.code == DUPLICATE => Failure::Overtaken,
        other => of(other),
    }
}

fn of_server(error: &ServerError) -> Failure {
    match error.code {
        // Deadlocks, lock waits, connections, shutdowns, full disks, read-only servers, tables that change.
        1020
        | 1021
        | 1027
        | 1028
        | 1030
        | 1037
        | 1038
        | 1040
        | 1041
        | 1047
        | 1053
        | 1077
        | 1079
        | 1114
        | 1129
        | 1158..=1161
        | 1180
        | 1181
        | 1184
        | 1203
        | 1205
        | 1206
        | 1213
        | 1220
        | 1226
        | 1290
        | 1317
        | 1412
        | 1430
        | 1615
        | 1637
        | 1792
        | 1836
        | 1927
        | 1969
        | 2006
        | 2013
        | 2055
        | 3024
        | 3100
        | 3101
        | 3572 => Failure::Transient(said(error)),
        1216 | 1217 | 1451 | 1452 | 1557 => Failure::refused(RejectCode::ForeignKey, said(error)),
        // Duplicates, nulls, checks, what a trigger signals, partitions and views that do not take the row.
        1022 | 1048 | DUPLICATE | 1169 | 1364 | 1369 | 1526 | 1586 | 1644 | 1748 | 1761 | 1762 | 1859 | 3819 | 4025 => {
            Failure::refused(RejectCode::Constraint, said(error))
        }
        // Values out of range, too long, of another type; a row or packet that is too large.
        1074
        | 1118
        | 1139
        | 1153
        | 1264
        | 1265
        | 1267
        | 1292
        | 1365
        | 1366
        | 1367
        | 1406
        | 1411
        | 1416
        | 1441
        | 1690
        | 3140..=3157
        | 3854
        | 4078 => Failure::refused(RejectCode::TargetValue, said(error)),
        code => Failure::configuration(said(error), help(code)),
    }
}

fn help(code: u16) -> &'static str {
    match code {
        1045 | 1251 | 1698 | 2054 | 2061 => "check user and password of the connection",
        1044 | 1049 => "check `database` of the connection, or create the database and grant the user rights to it",
        1146 => "create the table, or mend the job; it goes on by itself then",
        1054 => "add the column, or mend the job; it goes on by itself then",
        1142 | 1143 | 1227 | 1370 => "grant the right to the connection's user; it goes on by itself then",
        _ => "compile the job again with the table's DDL, or `redis-wb check` it",
    }
}

fn said(error: &ServerError) -> String {
    format!("{} (error {}, SQLSTATE {})", error.message, error.code, error.state)
}
