//! What errors of MariaDB and MySQL mean, by number: <https://mariadb.com/kb/en/mariadb-error-code-reference/>,
//! <https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html>.

use std::ops::RangeInclusive;

use mysql_async::{DriverError, Error, ServerError};
use redis_wb_plan::RejectCode;

use crate::error::Failure;
use crate::target::meaning::Meaning::{self, Passes, Refuses, Wants};
use crate::target::meaning::{Line, line};
use crate::tls;

/// A row that is there already.
const DUPLICATE: u16 = 1062;

/// The first line that has a number counts; what no line has wants a look at the table.
#[rustfmt::skip]
pub(in crate::target) const MEANINGS: &[Line<RangeInclusive<u16>>] = &[
    line("deadlocks and locks that are waited for, snapshots that are too old",
        &[1205..=1207, 1213..=1213, 1020..=1020, 1180..=1181, 1614..=1614, 3058..=3058, 3101..=3101,
          3572..=3572],
        Passes),
    line("too many connections, statements or transactions",
        &[1040..=1041, 1135..=1135, 1203..=1203, 1226..=1226, 1461..=1461, 1637..=1637],
        Passes),
    line("the server starts or stops, or ends what takes too long; a node of a cluster is not ready",
        &[1047..=1047, 1053..=1053, 1077..=1080, 1317..=1317, 1927..=1927, 1969..=1969, 3024..=3024,
          3032..=3032, 3168..=3169, 4031..=4031],
        Passes),
    line("the network", &[1081..=1081, 1152..=1152, 1154..=1161, 1184..=1184, 1189..=1190], Passes),
    line("no room on the disk or in memory, files that cannot be read for the moment",
        &[1015..=1015, 1021..=1021, 1023..=1024, 1026..=1026, 1028..=1028, 1030..=1030, 1037..=1038,
          1114..=1114],
        Passes),
    line("read-only: a replica, or a primary that is handed over",
        &[1290..=1290, 1792..=1792, 1836..=1836, 3100..=3100],
        Passes),
    line("a table changed: its statements are prepared anew", &[1243..=1243, 1412..=1412, 1615..=1615], Passes),
    line("parents that are missing, children that are left",
        &[1216..=1217, 1451..=1452],
        Refuses(RejectCode::ForeignKey)),
    line("duplicates",
        &[1022..=1022, DUPLICATE..=DUPLICATE, 1169..=1169, 1557..=1557, 1586..=1586, 1761..=1762, 1859..=1859],
        Refuses(RejectCode::Constraint)),
    line("nulls, columns that get nothing, checks, views and partitions that do not take the row, what a trigger signals",
        &[1048..=1048, 1263..=1263, 1364..=1364, 1369..=1369, 1526..=1526, 1591..=1591, 1644..=1644,
          1748..=1748, 3819..=3819, 4025..=4025],
        Refuses(RejectCode::Constraint)),
    line("numbers, dates and texts that the column does not take",
        &[1264..=1267, 1292..=1292, 1300..=1301, 1365..=1367, 1406..=1406, 1411..=1411, 1441..=1441,
          1525..=1525, 1690..=1690, 1918..=1918],
        Refuses(RejectCode::TargetValue)),
    line("rows that are too large; JSON, shapes and patterns that are none",
        &[1118..=1118, 1139..=1139, 1153..=1153, 1162..=1162, 1416..=1416, 3037..=3037, 3140..=3158,
          3903..=3903, 4037..=4038, 4076..=4079],
        Refuses(RejectCode::TargetValue)),
    line("user or password",
        &[1045..=1045, 1251..=1251, 1275..=1275, 1698..=1698, 1862..=1862, 3118..=3118, 4151..=4151],
        Wants("check user and password of the connection; a user of whom a certificate is wanted needs `ssl_cert` and `ssl_key`")),
    line("hosts that are blocked",
        &[1129..=1130],
        Wants("let this host connect: see `FLUSH HOSTS` and the hosts of the user")),
    line("no such database, or no right to it",
        &[1044..=1044, 1049..=1049],
        Wants("check `database` of the connection, or create the database and grant the user rights to it")),
    line("a right that the user lacks",
        &[1142..=1143, 1227..=1227, 1370..=1370],
        Wants("grant the right to the connection's user; it goes on by itself then")),
    line("no such table", &[1146..=1146], Wants("create the table, or mend the job; it goes on by itself then")),
    line("no such column", &[1054..=1054], Wants("add the column, or mend the job; it goes on by itself then")),
    line("a binary log that does not take such statements",
        &[1665..=1665],
        Wants("set the server's `binlog_format` to `ROW` or `MIXED`; it goes on by itself then")),
];

/// What the others want.
pub(in crate::target) const OTHERWISE: &str =
    "compile the job again with the table's DDL, or `redis-wb check --connect` it";

/// What a failed statement means.
pub(super) fn of(error: Error) -> Failure {
    match error {
        Error::Server(error) => of_server(&error),
        Error::Driver(
            error @ (DriverError::UnknownAuthPlugin { .. }
            | DriverError::MysqlOldPasswordDisabled
            | DriverError::CleartextPluginDisabled
            | DriverError::CantParseServerVersion { .. }),
        ) => Failure::configuration(
            format!("the server cannot be talked to: {error}"),
            "have the user authenticated by `caching_sha2_password` or `mysql_native_password`",
        ),
        Error::Driver(DriverError::NoClientSslFlagFromServer) => Failure::configuration(
            "the server speaks no TLS, which the connection asks for",
            "turn TLS on there (`ssl_cert`, `ssl_key`), or leave `ssl_ca` out on a network that you trust",
        ),
        other => tls::refusal(&other, tls::MYSQL).unwrap_or_else(|| Failure::Transient(other.to_string())),
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
    let said = format!("{} (error {}, SQLSTATE {})", error.message, error.code, error.state);
    match meaning(error.code) {
        Passes => Failure::Transient(said),
        Refuses(code) => Failure::refused(code, said),
        Wants(help) => Failure::configuration(said, help),
    }
}

fn meaning(code: u16) -> Meaning {
    let known = MEANINGS.iter().find(|line| line.codes.iter().any(|codes| codes.contains(&code)));
    known.map_or(Wants(OTHERWISE), |known| known.meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_stands_in_one_line() {
        let all: Vec<u16> = MEANINGS.iter().flat_map(|line| line.codes.iter().cloned().flatten()).collect();
        let mut once = all.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), all.len());
    }
}
