//! A MariaDB as a target beside the others.

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Value};
use xtask::servers::MariaDb;

use super::{Project, Row, null};

/// A MariaDB that a project's connection `maria` names.
pub(crate) struct Maria {
    pub(crate) server: MariaDb,
}

impl Maria {
    /// Starts one and makes its tables. Its connection has no DDL: the tables are asked for.
    pub(crate) fn join(project: &Project, tables: &str) -> Self {
        let maria = Self { server: MariaDb::start() };
        maria.run(tables);
        let config = std::fs::read_to_string(project.path("config.yaml")).unwrap();
        let port = maria.server.port();
        let connection = format!(
            "connections:\n  maria:\n    type: mariadb\n    host: 127.0.0.1\n    port: {port}\n    database: test\n    \
             user: root\n"
        );
        project.write("config.yaml", &config.replacen("connections:\n", &connection, 1));
        maria
    }

    /// Runs statements, one by one.
    pub(crate) fn run(&self, sql: &str) {
        for statement in sql.split(';').filter(|statement| !statement.trim().is_empty()) {
            self.ask(statement);
        }
    }

    /// The rows of a query, in whose casts `text` stands for `char`.
    pub(crate) fn rows(&self, sql: &str) -> Vec<Row> {
        let text = |value| match value {
            Value::NULL => null(),
            Value::Bytes(bytes) => String::from_utf8(bytes).unwrap(),
            other => other.as_sql(true),
        };
        self.ask(&sql.replace(" AS text)", " AS char)"))
            .into_iter()
            .map(|row| row.unwrap().into_iter().map(text).collect())
            .collect()
    }

    fn ask(&self, sql: &str) -> Vec<mysql_async::Row> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut connection = Conn::from_url(self.server.url()).await.unwrap();
            let rows = connection.query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
            connection.disconnect().await.unwrap();
            rows
        })
    }
}
