//! TLS with verification, both ways: PostgreSQL with certificates of its own, and a Redis behind a TLS terminator.

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
