//! TLS with verification, both ways: PostgreSQL and MariaDB with certificates of their own, a Redis behind a TLS terminator;
//! and the connections of `docs/targets.md` as they stand there.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helping functions as well")]

mod support;

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use redis::Commands as _;
use support::maria::Maria;
use support::{Project, Row, assert_same_rows, text};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use xtask::servers::Redis;

/// An issuer of certificates.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate and its key, in PEM.
    fn certificate(&self, name: &str, host: &str) -> (String, String) {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

const JOB: &str = "source:\n  redis:\n    trigger: write-behind\n    key_pattern: emp:*\n    key: emp:<id:int>\noutput:\n  \
    - uses: relational.write\n    with: {connection: pg, table: emp, keys: [id], mapping: [name]}\n";
const TABLE: &str = "CREATE TABLE emp (id integer PRIMARY KEY, name text);";

/// Gives PostgreSQL a certificate and the rule by which it lets clients in.
fn serve_tls(project: &Project, authority: &Authority, (certificate, key): &(String, String), rule: &str) {
    let write = |file: &str, text: &str| {
        let text = text.trim_end();
        project.pg(&format!(
            "DO $do$ BEGIN EXECUTE format($$COPY (SELECT unnest(string_to_array(%L, E'\\n'))) TO %L$$, $pem${text}$pem$, \
             current_setting('data_directory') || '/{file}'); EXECUTE format($$COPY (SELECT 1) TO PROGRAM %L$$, \
             'cat > /dev/null; chmod 600 ' || current_setting('data_directory') || '/{file}'); END $do$"
        ));
    };
    write("own.crt", certificate);
    write("own.key", key);
    write("ca.crt", &authority.pem);
    // The test itself comes in as another user.
    write("pg_hba.conf", &format!("host all postgres 127.0.0.1/32 trust\n{rule}"));
    for setting in ["ssl_cert_file = 'own.crt'", "ssl_key_file = 'own.key'", "ssl_ca_file = 'ca.crt'", "ssl = on"] {
        project.pg(&format!("ALTER SYSTEM SET {setting}"));
    }
    project.pg("SELECT pg_reload_conf()");
    project.wait("PostgreSQL has read its settings", || {
        let says = "SELECT bool_and(error IS NULL)::text FROM pg_hba_file_rules";
        let loaded = "SELECT (pg_conf_load_time() > (SELECT modification FROM pg_stat_file('pg_hba.conf')))::text";
        project.pg_rows(says) == [["true"]] && project.pg_rows(loaded) == [["true"]]
    });
}

/// Writes the configuration with these parameters of the connection, and drains.
fn drain_with(project: &Project, user: &str, args: &str) -> std::process::Output {
    let config = format!(
        "connections:\n  pg:\n    type: postgresql\n    host: 127.0.0.1\n    port: {}\n    database: postgres\n    \
         user: {user}\n    ddl: schema.sql\n    query_args: {args}\napplier:\n  on_failed_retry_interval: 0\n",
        project.postgres.port(),
    );
    project.write("config.yaml", &config);
    project.command(&["run", "--until-idle", "--redis", &project.redis.url()]).output().unwrap()
}

#[test]
fn a_server_is_verified_and_verifies() {
    let project = Project::new("emp", JOB, TABLE);
    let (ours, other) = (Authority::new("ours"), Authority::new("another"));
    project.write("ca.crt", &ours.pem);
    project.write("other.crt", &other.pem);
    let (certificate, key) = ours.certificate("worker", "worker");
    project.write("worker.crt", &certificate);
    project.write("worker.key", &key);
    project.pg("CREATE ROLE worker LOGIN; GRANT ALL ON SCHEMA public TO worker; \
                GRANT ALL ON emp TO worker");
    assert!(drain_with(&project, "worker", "{}").status.success());
    let at = |file: &str| project.path(file).display().to_string();
    let (ca, wrong) = (at("ca.crt"), at("other.crt"));

    serve_tls(&project, &ours, &ours.certificate("db", "127.0.0.1"), "hostssl all all 127.0.0.1/32 trust");
    let mut source = project.client();
    let _: () = source.hset("emp:1", "name", "Ada").unwrap();
    let output = drain_with(&project, "worker", "{sslmode: disable}");
    assert!(!output.status.success() && text(&output.stderr).contains("pg_hba.conf"), "{}", text(&output.stderr));
    let output = drain_with(&project, "worker", &format!("{{sslmode: verify-full, sslrootcert: {wrong}}}"));
    let said = text(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("certificate is not trusted") && said.contains("sslrootcert"), "{said}");
    let rows = |expected: &[[&str; 2]]| {
        let expected: Vec<Row> = expected.iter().map(|row| row.map(str::to_owned).to_vec()).collect();
        assert_same_rows(&project.pg_rows("SELECT id::text, name FROM emp ORDER BY id"), &expected);
    };
    rows(&[]);
    let output = drain_with(&project, "worker", &format!("{{sslmode: verify-full, sslrootcert: {ca}}}"));
    assert!(output.status.success(), "{}", text(&output.stderr));
    rows(&[["1", "Ada"]]);

    // The certificate of another host, and a worker that must show its own.
    let rule = "hostssl all worker 127.0.0.1/32 cert";
    serve_tls(&project, &ours, &ours.certificate("db", "db.example.com"), rule);
    let _: () = source.hset("emp:2", "name", "Alan").unwrap();
    let identity = format!("sslcert: {}, sslkey: {}", at("worker.crt"), at("worker.key"));
    let output = drain_with(&project, "worker", &format!("{{sslmode: verify-full, sslrootcert: {ca}, {identity}}}"));
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains("certificate is not trusted"), "{said}");
    let output = drain_with(&project, "worker", &format!("{{sslmode: verify-ca, sslrootcert: {ca}}}"));
    assert!(!output.status.success(), "{}", text(&output.stderr));
    let output = drain_with(&project, "worker", &format!("{{sslmode: verify-ca, sslrootcert: {ca}, {identity}}}"));
    assert!(output.status.success(), "{}", text(&output.stderr));
    rows(&[["1", "Ada"], ["2", "Alan"]]);
}

#[test]
fn a_mariadb_is_verified_and_verifies() {
    use std::os::unix::fs::PermissionsExt;
    let project = Project::new("emp", &JOB.replace("connection: pg", "connection: maria"), TABLE);
    let (ours, other) = (Authority::new("ours"), Authority::new("another"));
    let open = |path: &std::path::Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    open(project.folder.path(), 0o755);
    let write = |file: &str, text: &str| {
        project.write(file, text);
        open(&project.path(file), 0o644);
        project.path(file).display().to_string()
    };
    let (ca, wrong) = (write("ca.crt", &ours.pem), write("other.crt", &other.pem));
    let (certificate, key) = ours.certificate("db", "127.0.0.1");
    let (own, own_key) = (write("own.crt", &certificate), write("own.key", &key));
    let (certificate, key) = ours.certificate("worker", "worker");
    let (worker, worker_key) = (write("worker.crt", &certificate), write("worker.key", &key));
    let arguments = [format!("--ssl-ca={ca}"), format!("--ssl-cert={own}"), format!("--ssl-key={own_key}")];
    let maria = Maria { server: xtask::servers::MariaDb::start_with(&arguments) };
    maria.run(TABLE);
    maria.run("CREATE USER worker REQUIRE X509; GRANT ALL ON test.* TO worker");
    let drain = |args: &str| {
        let config = format!(
            "connections:\n  maria:\n    type: mariadb\n    host: 127.0.0.1\n    port: {}\n    database: test\n    \
             user: worker\n    connect_args: {args}\napplier:\n  on_failed_retry_interval: 0\n",
            maria.server.port(),
        );
        project.write("config.yaml", &config);
        project.command(&["run", "--until-idle", "--redis", &project.redis.url()]).output().unwrap()
    };
    let identity = format!("ssl_cert: {worker}, ssl_key: {worker_key}");
    let output = drain(&format!("{{ssl_ca: {wrong}, {identity}}}"));
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains("certificate is not trusted"), "{said}");
    let output = drain(&format!("{{ssl_ca: {ca}}}"));
    assert!(!output.status.success(), "who shows no certificate stays outside: {}", text(&output.stderr));
    let right = format!("{{ssl_ca: {ca}, {identity}}}");
    assert!(drain(&right).status.success());
    let _: () = project.client().hset("emp:1", "name", "Ada").unwrap();
    let output = drain(&right);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_same_rows(&maria.rows("SELECT CAST(id AS text), name FROM emp"), &[vec!["1".into(), "Ada".into()]]);
}

/// Ends TLS in front of a Redis, as stunnel does, for clients that show a certificate.
fn terminator(redis: &Redis, authority: &Authority) -> u16 {
    let (certificate, key) = authority.certificate("cache", "127.0.0.1");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    let config = ServerConfig::builder()
        .with_client_cert_verifier(WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap())
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (port, (sender, receiver)) = (redis.port(), std::sync::mpsc::channel());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap().port()).unwrap();
            while let Ok((socket, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut client) = acceptor.accept(socket).await else { return };
                    let mut server = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
    });
    receiver.recv().unwrap()
}

#[test]
fn a_redis_is_written_to_by_tls() {
    let job = "source:\n  redis:\n    trigger: write-behind\n    key_pattern: emp:*\n    key: emp:<id:int>\noutput:\n  \
        - uses: redis.write\n    with: {connection: cache, key: {expression: \"'e:' || id\", language: sql}, \
        mapping: [name]}\n";
    let project = Project::new("emp", job, TABLE);
    let (cache, ours) = (Redis::start_bare(&[]), Authority::new("ours"));
    let port = terminator(&cache, &ours);
    project.write("ca.crt", &ours.pem);
    project.write("other.crt", &Authority::new("another").pem);
    let (certificate, key) = ours.certificate("worker", "worker");
    project.write("worker.crt", &certificate);
    project.write("worker.key", &key);
    let at = |file: &str| project.path(file).display().to_string();
    let drain = |args: &str| {
        project.write(
            "config.yaml",
            &format!(
                "connections:\n  cache:\n    type: redis\n    host: 127.0.0.1\n    port: {port}\n    query_args: {args}\n\
                 applier:\n  on_failed_retry_interval: 0\n"
            ),
        );
        project.command(&["run", "--until-idle", "--redis", &project.redis.url()]).output().unwrap()
    };
    let identity = format!("sslcert: {}, sslkey: {}", at("worker.crt"), at("worker.key"));
    let output = drain(&format!("{{sslrootcert: {}, {identity}}}", at("other.crt")));
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains("certificate is not trusted"), "{said}");
    let right = format!("{{sslrootcert: {}, {identity}}}", at("ca.crt"));
    assert!(drain(&right).status.success());
    let _: () = project.client().hset("emp:1", "name", "Ada").unwrap();
    let output = drain(&right);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mut client = redis::Client::open(cache.url()).unwrap().get_connection().unwrap();
    assert_eq!(client.hget::<_, _, String>("e:1", "name").unwrap(), "Ada");

    // The Redis whose changes are carried over, by TLS as well.
    let source = format!("rediss://127.0.0.1:{}", terminator(&project.redis, &ours));
    let run =
        |more: &[&str]| project.command(&["run", "--until-idle", "--redis", &source]).args(more).output().unwrap();
    let (ca, own, own_key) = (at("ca.crt"), at("worker.crt"), at("worker.key"));
    let output = run(&["--redis-ca", &at("other.crt"), "--redis-cert", &own, "--redis-key", &own_key]);
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains("certificate is not trusted"), "{said}");
    let _: () = project.client().hset("emp:2", "name", "Alan").unwrap();
    let output = run(&["--redis-ca", &ca, "--redis-cert", &own, "--redis-key", &own_key]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(client.hget::<_, _, String>("e:2", "name").unwrap(), "Alan");
}

/// A block of a section of `docs/targets.md`.
fn shown(section: &str, language: &str) -> String {
    let page = std::fs::read_to_string(xtask::root().join("docs/targets.md")).unwrap();
    let section = page.split("\n## ").find(|part| part.starts_with(section)).unwrap();
    let block = section.split(&format!("```{language}\n")).nth(1).unwrap();
    block.split("```").next().unwrap().to_owned()
}

/// The connection of a section, where only host, port and database are others.
fn connection(section: &str, port: (u16, u16), database: (&str, &str)) -> String {
    let config = shown(section, "yaml").replace("db.internal", "127.0.0.1").replace("cache.internal", "127.0.0.1");
    let config = config.replace(&format!("port: {}", port.0), &format!("port: {}", port.1));
    config.replace(&format!("database: {}", database.0), &format!("database: {}", database.1))
}

/// A folder with what a user has: certificates of our own issuer, the job, and no tables' DDL.
fn folder_of_a_user(ours: &Authority) -> Project {
    let project = Project::new("emp", &JOB.replace("connection: pg", "connection: target"), TABLE);
    project.write("ca.crt", &ours.pem);
    project.write("other.crt", &Authority::new("another").pem);
    let (certificate, key) = ours.certificate("redis_wb", "redis_wb");
    project.write("redis_wb.crt", &certificate);
    project.write("redis_wb.key", &key);
    project
}

/// Drains with a configuration, from another folder: paths count from that of the configuration.
fn drain(project: &Project, config: &str) -> (bool, String) {
    project.write("config.yaml", config);
    let mut run = project.command(&["run", "--until-idle", "--redis", &project.redis.url()]);
    let run = run.args(["--config", &project.path("config.yaml").display().to_string()]).current_dir("/");
    let output = run.env("TARGET_PASSWORD", "secret").env("CACHE_PASSWORD", "secret").output().unwrap();
    (output.status.success(), text(&output.stderr))
}

/// What becomes of a connection that works: a key comes, another goes; and what is said of one that does not.
fn try_as_shown(project: &Project, config: &str, place: &str, ca: &str, rows: &dyn Fn() -> Vec<Row>) {
    let (is_done, said) = drain(project, config);
    assert!(is_done, "{said}");
    let mut source = project.client();
    let _: () = source.hset("emp:1", "name", "Ada").unwrap();
    let _: () = source.hset("emp:2", "name", "Alan").unwrap();
    let (is_done, said) = drain(project, config);
    assert!(is_done, "{said}");
    let _: () = source.del("emp:2").unwrap();
    // A name of a file is one without `./` as well.
    let (is_done, said) = drain(project, &config.replace("./", ""));
    assert!(is_done, "{said}");
    assert_same_rows(&rows(), &[vec!["1".to_owned(), "Ada".to_owned()]]);
    for (wrong, what, remedy) in [
        (config.replace("./ca.crt", "./other.crt"), "no issuer that is known here has signed it", ca),
        (config.replace("127.0.0.1", "localhost"), "not valid for name", "the host as the certificate does"),
        (config.replace("./ca.crt", "./nothing.crt"), "nothing.crt` cannot be read as a certificate", "name a file"),
        (config.replace("./ca.crt", "./config.yaml"), "holds no certificate that could be trusted", "name a file"),
        (config.replace("./redis_wb.key", "./other.crt"), "cannot be read as a private key", "name a file"),
    ] {
        let (is_done, said) = drain(project, &wrong);
        let words = said.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
        assert!(!is_done && words.contains(what) && words.contains(remedy), "{what}; {remedy}: {said}");
        assert!(words.contains(place), "{place}: {said}");
    }
}

#[test]
fn a_postgresql_is_used_as_its_page_says() {
    let ours = Authority::new("ours");
    let project = folder_of_a_user(&ours);
    project.pg("CREATE ROLE redis_wb LOGIN PASSWORD 'secret'; REVOKE CREATE ON SCHEMA public FROM public; \
                GRANT SELECT, INSERT, UPDATE, DELETE ON emp TO redis_wb");
    let rule = "hostssl all redis_wb 127.0.0.1/32 scram-sha-256 clientcert=verify-full";
    serve_tls(&project, &ours, &ours.certificate("db", "127.0.0.1"), rule);
    let config = connection("PostgreSQL", (5432, project.postgres.port()), ("shop", "postgres"));
    let (is_done, said) = drain(&project, &config);
    let words = said.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
    let is_told =
        words.contains("connection `target`: the table `redis_wb_checkpoint`") && words.contains("CREATE TABLE");
    assert!(!is_done && is_told, "{said}");
    project.pg(&shown("PostgreSQL", "sql"));
    let rows = || project.pg_rows("SELECT id::text, name FROM emp");
    try_as_shown(&project, &config, "connection `target`", "`sslrootcert`", &rows);
    let without = config.replace("      sslcert: ./redis_wb.crt", "").replace("      sslkey: ./redis_wb.key", "");
    let (is_done, said) = drain(&project, &without);
    assert!(!is_done && said.contains("`sslcert`"), "{said}");
}

#[test]
fn a_mariadb_is_used_as_its_page_says() {
    use std::os::unix::fs::PermissionsExt;
    let ours = Authority::new("ours");
    let project = folder_of_a_user(&ours);
    let open = |path: &std::path::Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    open(project.folder.path(), 0o755);
    let (certificate, key) = ours.certificate("db", "127.0.0.1");
    project.write("own.crt", &certificate);
    project.write("own.key", &key);
    let at = |file: &str| {
        open(&project.path(file), 0o644);
        project.path(file).display().to_string()
    };
    let arguments = [("ca", "ca.crt"), ("cert", "own.crt"), ("key", "own.key")];
    let arguments = arguments.map(|(name, file)| format!("--ssl-{name}={}", at(file)));
    let maria = Maria { server: xtask::servers::MariaDb::start_with(&arguments) };
    maria.run(TABLE);
    maria.run(
        "CREATE USER redis_wb IDENTIFIED BY 'secret' REQUIRE X509; \
               GRANT SELECT, INSERT, UPDATE, DELETE ON test.emp TO redis_wb",
    );
    let config = connection("MariaDB and MySQL", (3306, maria.server.port()), ("shop", "test"));
    let (is_done, said) = drain(&project, &config);
    let words = said.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
    let is_told =
        words.contains("connection `target`: the table `redis_wb_checkpoint`") && words.contains("CREATE TABLE");
    assert!(!is_done && is_told, "{said}");
    maria.run(&shown("MariaDB and MySQL", "sql"));
    let rows = || maria.rows("SELECT CAST(id AS text), name FROM emp");
    try_as_shown(&project, &config, "connection `target`", "`ssl_ca`", &rows);
    let without = config.replace("      ssl_cert: ./redis_wb.crt", "").replace("      ssl_key: ./redis_wb.key", "");
    let (is_done, said) = drain(&project, &without);
    assert!(!is_done && said.contains("`ssl_cert`"), "{said}");
}

#[test]
fn a_redis_is_used_as_its_page_says() {
    let ours = Authority::new("ours");
    let project = folder_of_a_user(&ours);
    let cache = Redis::start_bare(&["--user", "redis_wb", "on", ">secret", "~*", "+@all"]);
    let config = connection("Redis", (6379, terminator(&cache, &ours)), ("0", "0"));
    let job = shown("Redis", "yaml\n# jobs/employees_cache.yaml").replace("first_name", "name");
    project.write("jobs/emp.yaml", &job);
    let mut client = redis::Client::open(cache.url()).unwrap().get_connection().unwrap();
    let client = std::cell::RefCell::new(&mut client);
    let rows = || {
        let keys: Vec<String> = redis::cmd("KEYS").arg("employee:*").query(*client.borrow_mut()).unwrap();
        let row = |key: String| {
            let name: String = client.borrow_mut().hget(&key, "name").unwrap();
            vec![key.replace("employee:", ""), name]
        };
        keys.into_iter().map(row).collect()
    };
    try_as_shown(&project, &config, "`cache`", "`sslrootcert`", &rows);
    let without = config.replace("      sslcert: ./redis_wb.crt", "").replace("      sslkey: ./redis_wb.key", "");
    let (is_done, said) = drain(&project, &without);
    assert!(!is_done && said.contains("`sslcert`"), "{said}");
}

#[test]
fn an_sqlite_is_used_as_its_page_says() {
    let project = folder_of_a_user(&Authority::new("ours"));
    let config = shown("SQLite", "yaml");
    let (is_done, said) = drain(&project, &config);
    assert!(!is_done && said.contains("there is no file") && said.contains("sqlite3"), "{said}");
    let ddl = project.command(&["compile", "--ddl"]).output().unwrap();
    let shop = rusqlite::Connection::open(project.path("shop.db")).unwrap();
    shop.execute_batch(&text(&ddl.stdout)).unwrap();
    // The first run that gets so far has the keys captured.
    let (is_done, said) = drain(&project, &config);
    assert!(is_done, "{said}");
    let _: () = project.client().hset("emp:1", "name", "Ada").unwrap();
    let (is_done, said) = drain(&project, &config);
    assert!(is_done, "{said}");
    let name: String = shop.query_row("SELECT name FROM emp WHERE id = 1", [], |row| row.get(0)).unwrap();
    assert_eq!(name, "Ada");
}
