//! What a round runs: jobs over all four types, their tables, and triggers that note every version that a row had.
//! It must not know how anything is started.

/// The connections that each job writes to.
pub(super) const CONNECTIONS: [&str; 3] = ["pg", "lite", "maria"];

/// Every table, in the SQL of all targets.
pub(super) const TABLES: &str = "
CREATE TABLE item (id integer PRIMARY KEY, version bigint NOT NULL, name varchar(40), quantity bigint,
    note varchar(40), place varchar(20) CHECK (place <> 'nowhere'));
CREATE TABLE item_log (id integer NOT NULL, op varchar(1) NOT NULL, version bigint, quantity bigint,
    place varchar(20) CHECK (place <> 'nowhere'));
CREATE TABLE doc (id integer PRIMARY KEY, version bigint NOT NULL, title varchar(40));
CREATE TABLE doc_line (doc integer NOT NULL REFERENCES doc (id), no integer NOT NULL, article varchar(40),
    PRIMARY KEY (doc, no));
CREATE TABLE tag (product varchar(20) NOT NULL, tag varchar(20) NOT NULL, PRIMARY KEY (product, tag));
CREATE TABLE score (game varchar(20) NOT NULL, player varchar(20) NOT NULL, points bigint, PRIMARY KEY (game, player));
";

/// Each version that a row had, in order. What the log keeps gets a number there as well.
pub(super) const PG_AUDIT: &str = "
ALTER TABLE item_log ADD seq bigserial;
CREATE TABLE audit (seq bigserial PRIMARY KEY, kind text NOT NULL, id integer NOT NULL, version bigint NOT NULL);
CREATE FUNCTION record() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN INSERT INTO audit (kind, id, version) VALUES (TG_TABLE_NAME, NEW.id, NEW.version); RETURN NULL; END';
CREATE TRIGGER record AFTER INSERT OR UPDATE ON item FOR EACH ROW EXECUTE FUNCTION record();
CREATE TRIGGER record AFTER INSERT OR UPDATE ON doc FOR EACH ROW EXECUTE FUNCTION record();
";
pub(super) const LITE_AUDIT: &str = "
CREATE TABLE audit (seq INTEGER PRIMARY KEY, kind text NOT NULL, id integer NOT NULL, version bigint NOT NULL);
CREATE TRIGGER item_inserted AFTER INSERT ON item
  BEGIN INSERT INTO audit (kind, id, version) VALUES ('item', NEW.id, NEW.version); END;
CREATE TRIGGER item_updated AFTER UPDATE ON item
  BEGIN INSERT INTO audit (kind, id, version) VALUES ('item', NEW.id, NEW.version); END;
CREATE TRIGGER doc_inserted AFTER INSERT ON doc
  BEGIN INSERT INTO audit (kind, id, version) VALUES ('doc', NEW.id, NEW.version); END;
CREATE TRIGGER doc_updated AFTER UPDATE ON doc
  BEGIN INSERT INTO audit (kind, id, version) VALUES ('doc', NEW.id, NEW.version); END;
";
pub(super) const MARIA_AUDIT: &str = "
ALTER TABLE item_log ADD seq bigint AUTO_INCREMENT PRIMARY KEY;
CREATE TABLE audit (seq bigint AUTO_INCREMENT PRIMARY KEY, kind varchar(10) NOT NULL, id integer NOT NULL,
    version bigint NOT NULL);
CREATE TRIGGER item_inserted AFTER INSERT ON item
  FOR EACH ROW INSERT INTO audit (kind, id, version) VALUES ('item', NEW.id, NEW.version);
CREATE TRIGGER item_updated AFTER UPDATE ON item
  FOR EACH ROW INSERT INTO audit (kind, id, version) VALUES ('item', NEW.id, NEW.version);
CREATE TRIGGER doc_inserted AFTER INSERT ON doc
  FOR EACH ROW INSERT INTO audit (kind, id, version) VALUES ('doc', NEW.id, NEW.version);
CREATE TRIGGER doc_updated AFTER UPDATE ON doc
  FOR EACH ROW INSERT INTO audit (kind, id, version) VALUES ('doc', NEW.id, NEW.version);
";

/// The tables that must say what Redis says: each with the columns that are compared, as text.
pub(super) const COMPARED: [(&str, &[&str]); 5] = [
    ("item", &["id", "version", "name", "quantity", "note", "place"]),
    ("doc", &["id", "version", "title"]),
    ("doc_line", &["doc", "no", "article"]),
    ("tag", &["product", "tag"]),
    ("score", &["game", "player", "points"]),
];

/// One job by each type, and one that keeps every change of the hashes.
pub(super) fn jobs() -> [(&'static str, String); 5] {
    let items = everywhere(
        "    key_pattern: item:*\n    data_type: hash\n    key: item:{<slot:int>}:<id:int>",
        &["      table: item\n      keys: [id]\n      mapping: [version: v, name, quantity: qty, note, place]"],
    );
    let log = everywhere(
        "    key_pattern: item:*\n    data_type: hash\n    key: item:{<slot:int>}:<id:int>\n    row_format: full",
        &["      table: item_log\n      load_strategy: APPEND\n      keys: [id: key.id]\n      mapping:\n        \
           - version: after.v\n        - quantity: after.qty\n        - place: after.place\n        \
           - op: {expression: opcode, language: jmespath}"],
    );
    let docs = everywhere(
        "    key_pattern: doc:*\n    data_type: json\n    key: doc:{<slot:int>}:<id:int>",
        &[
            "      table: doc\n      keys: [id]\n      mapping: [version: v, title]",
            "      table: doc_line\n      foreach: 'line: lines[]'\n      keys: [doc: id, no: line.no]\n      mapping: \
             [article: line.article]",
        ],
    );
    let tags = everywhere(
        "    key_pattern: tags:*\n    data_type: set\n    key: tags:{<slot:int>}:<product>",
        &[
            "      table: tag\n      foreach: 'member: members'\n      keys: [product, tag: member]\n      parent: [product]",
        ],
    );
    let scores = everywhere(
        "    key_pattern: game:*\n    data_type: sorted_set\n    key: game:{<slot:int>}:<game>",
        &["      table: score\n      foreach: 'entry: members'\n      keys: [game, player: entry.member]\n      \
           parent: [game]\n      mapping: [points: entry.score]"],
    );
    [("items", items), ("log", log), ("docs", docs), ("tags", tags), ("scores", scores)]
}

/// A job whose outputs go to all connections; each output is the text behind its connection.
fn everywhere(source: &str, outputs: &[&str]) -> String {
    let mut job = format!("source:\n  redis:\n    trigger: write-behind\n    on_expire: delete\n{source}\noutput:\n");
    for connection in CONNECTIONS {
        for output in outputs {
            job += &format!("  - uses: relational.write\n    with:\n      connection: {connection}\n{output}\n");
        }
    }
    job
}

/// The configuration of a worker.
pub(super) fn config(pg_port: u16, maria_port: u16, lite: &str) -> String {
    format!(
        "connections:\n  pg:\n    type: postgresql\n    host: 127.0.0.1\n    port: {pg_port}\n    \
         database: postgres\n    user: postgres\n    ddl: schema.sql\n  maria:\n    type: mariadb\n    \
         host: 127.0.0.1\n    port: {maria_port}\n    database: test\n    user: root\n    ddl: schema.sql\n  \
         lite:\n    type: sqlite\n    database: {lite}\n    ddl: schema.sql\n\
         applier:\n  on_failed_retry_interval: 0\n  dlq_max_messages: 100000\n"
    )
}
