//! What DDL of each dialect says of tables.

use redis_wb_plan::plan::Dialect as Id;

use super::*;
use crate::dialect;

fn read(id: Id, text: &str) -> Schema {
    let (mut files, mut diagnostics) = (Files::new(), Diagnostics::default());
    let file = files.add("schema.sql", text);
    let schema = parse(file, &files, dialect::of(id), &mut diagnostics);
    schema.unwrap_or_else(|| panic!("{:?}", diagnostics.into_sorted()))
}

/// A table on one line: its columns with what is known of each, and its unique keys.
fn line(schema: &Schema, name: &str) -> String {
    let table = schema.table(None, name).unwrap_or_else(|| panic!("no {name} in {schema:?}"));
    let column = |column: &TableColumn| {
        let flags = [(!column.nullable, "!"), (column.has_default, "="), (column.generated, "*")];
        let flags: String = flags.into_iter().filter(|(is, _)| *is).map(|(_, flag)| flag).collect();
        format!("{} {}{flags}", column.name, column.column_type)
    };
    let columns: Vec<String> = table.columns.iter().map(column).collect();
    let unique: Vec<String> = table.unique.iter().map(|columns| format!("({})", columns.join(", "))).collect();
    format!("{} unique {}", columns.join(", "), unique.join(" "))
}

#[test]
fn a_dump_of_mysql() {
    let text = "
        /*!40101 SET NAMES utf8mb4 */;
        DROP TABLE IF EXISTS `emp`;
        CREATE TABLE `emp` (
          `id` int(11) unsigned NOT NULL AUTO_INCREMENT,
          `we``ird` varchar(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL COMMENT 'it''s',
          `full` varchar(81) GENERATED ALWAYS AS (concat(`we``ird`,' ')) STORED,
          `short` int AS (1 + 1) VIRTUAL,
          `active` tinyint(1) NOT NULL DEFAULT '1',
          `seen` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
          `kind` enum('a','b') NOT NULL,
          PRIMARY KEY (`id`),
          UNIQUE KEY `u` (`we``ird`, `active`),
          UNIQUE KEY `prefix` (`full`(10)),
          KEY `k` (`seen`),
          CONSTRAINT `f` FOREIGN KEY (`active`) REFERENCES `other` (`id`) ON DELETE CASCADE
        ) ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
        INSERT INTO `emp` VALUES (1,'x;y');
        ALTER TABLE `emp` ADD UNIQUE KEY `late` (`seen`);
        CREATE UNIQUE INDEX `later` ON `emp` (`kind`);";
    for id in [Id::MySql, Id::MariaDb] {
        assert_eq!(
            line(&read(id, text), "EMP"),
            "id int32!=, we`ird text(40)=, full text(81)=*, short int32=*, active bool!=, seen timestamptz(0)!=, \
             kind text! unique (id) (we`ird, active) (seen) (kind)"
        );
    }
}

#[test]
fn names_fold_as_in_the_target() {
    let text = "CREATE TABLE Emp (EmpNo integer PRIMARY KEY, \"Name\" varchar(9) NOT NULL, \"ALL\" varchar(9))";
    for (id, table, expected) in [
        (Id::PostgreSql, "emp", "empno int32!, Name text(9)!, ALL text(9) unique (empno)"),
        (Id::Oracle, "emp", "empno decimal(38,0)!, Name text(9)!, all text(9) unique (empno)"),
        (Id::Db2, "emp", "empno int32!, Name text(9)!, all text(9) unique (empno)"),
        (Id::Sqlite, "EMP", "EmpNo int!=, Name text!, ALL text unique (EmpNo)"),
    ] {
        assert_eq!(line(&read(id, text), table), expected, "{}", id.name());
    }
    let schema = read(Id::Sqlite, text);
    assert!(schema.table(None, "eMP").and_then(|table| table.column("EMPNO")).is_some());
    assert!(read(Id::PostgreSql, text).table(None, "Emp").is_none());
}

#[test]
fn a_script_of_sql_server() {
    let text = "
        SET ANSI_NULLS ON
        GO
        CREATE TABLE [dbo].[emp] (
            [id] int IDENTITY(1,1) NOT NULL,
            [na]]me] nvarchar(40) NULL,
            [doc] nvarchar(max) NULL,
            CONSTRAINT [pk] PRIMARY KEY ([id])
        )
        GO
        CREATE UNIQUE INDEX [u] ON [dbo].[emp] ([na]]me])
        GO";
    assert_eq!(line(&read(Id::SqlServer, text), "emp"), "id int32!=, na]me text(40), doc text unique (id) (na]me)");
}

#[test]
fn a_dialect_that_is_not_read_says_so() {
    let (mut files, mut diagnostics) = (Files::new(), Diagnostics::default());
    let file = files.add("schema.cql", "CREATE TABLE t (a int PRIMARY KEY)");
    assert!(parse(file, &files, dialect::of(Id::Cassandra), &mut diagnostics).is_none());
    assert!(diagnostics.has_errors());
}
