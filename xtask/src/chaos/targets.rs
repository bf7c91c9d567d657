//! The three targets, asked as an operator would: by their own clients. It must not know what the answers should be.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::servers::{MariaDb, Postgres};
use crate::{Error, tools};

/// What stands between two columns of what a client prints.
const BETWEEN: char = '\t';
/// What stands for NULL.
pub(super) const NULL: &str = "∅";
/// How long the file of SQLite may be busy.
const BUSY_SECONDS_MAX: Duration = Duration::from_secs(60);

/// A row, each column as text.
pub(super) type Row = Vec<String>;

/// Where the targets are.
pub(super) struct Targets<'s> {
    pub(super) postgres: &'s Postgres,
    pub(super) maria: &'s MariaDb,
    pub(super) lite: &'s Path,
}

impl Targets<'_> {
    /// Runs statements of PostgreSQL, and gives the rows.
    pub(super) fn pg(&self, sql: &str) -> Result<Vec<Row>, Error> {
        let mut command = Command::new(tools::psql()?);
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-F", &BETWEEN.to_string()]);
        command.args(["-c", sql, &self.postgres.url()]);
        rows(&mut command)
    }

    /// Runs statements of MariaDB, and gives the rows.
    pub(super) fn maria(&self, sql: &str) -> Result<Vec<Row>, Error> {
        let mut command = Command::new(tools::mariadb_client()?);
        command.args(["--no-defaults", "--batch", "--raw", "--skip-column-names", "--quick"]);
        command.args(["--default-character-set=utf8mb4", "--host=127.0.0.1", "--user=root", "--database=test"]);
        command.arg(format!("--port={}", self.maria.port())).args(["--execute", sql]);
        rows(&mut command)
    }

    /// Runs statements of SQLite.
    pub(super) fn lite(&self, sql: &str) -> Result<(), Error> {
        self.open_lite().and_then(|file| file.execute_batch(sql)).map_err(Error::during("write to SQLite"))
    }

    /// The rows of a query with text columns, of each target. In its casts `text` stands for what MariaDB calls `char`.
    pub(super) fn select(&self, sql: &str) -> Result<[(&'static str, Vec<Row>); 3], Error> {
        let [pg, lite, maria] = ["pg", "lite", "maria"];
        Ok([(pg, self.rows(pg, sql)?), (lite, self.rows(lite, sql)?), (maria, self.rows(maria, sql)?)])
    }

    /// The same of one target, by the name of its connection.
    pub(super) fn rows(&self, target: &str, sql: &str) -> Result<Vec<Row>, Error> {
        match target {
            "pg" => self.pg(sql),
            "maria" => self.maria(&sql.replace(" AS text)", " AS char)")),
            _ => self.lite_rows(sql).map_err(Error::during("read SQLite")),
        }
    }

    fn lite_rows(&self, sql: &str) -> rusqlite::Result<Vec<Row>> {
        let file = self.open_lite()?;
        let mut select = file.prepare(sql)?;
        let columns = select.column_count();
        let rows = select.query_map([], |row| (0..columns).map(|at| row.get(at)).collect());
        rows?.collect()
    }

    fn open_lite(&self) -> rusqlite::Result<rusqlite::Connection> {
        let file = rusqlite::Connection::open(self.lite)?;
        file.busy_timeout(BUSY_SECONDS_MAX)?;
        Ok(file)
    }
}

/// Columns as text that are never null.
pub(super) fn texts(columns: &[&str]) -> String {
    let text = |column: &&str| format!("COALESCE(CAST({column} AS text), '{NULL}')");
    columns.iter().map(text).collect::<Vec<_>>().join(", ")
}

/// What a client printed. Not by [`tools::output`], which trims: a row may end with an empty text.
fn rows(command: &mut Command) -> Result<Vec<Row>, Error> {
    let output = command.output().map_err(Error::during("run a client"))?;
    if !output.status.success() {
        return Err(Error::new(format!("a target refused: {}", String::from_utf8_lossy(&output.stderr).trim())));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().map(|line| line.split(BETWEEN).map(str::to_owned).collect()).collect())
}
