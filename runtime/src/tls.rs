//! TLS by rustls: which certificates are trusted, and how this worker shows who it is. The words are those of libpq,
//! <https://www.postgresql.org/docs/current/libpq-ssl.html>.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::error::Failure;
use crate::secret::expand;

/// What the files of TLS are named by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names {
    pub(crate) root: &'static str,
    pub(crate) certificate: &'static str,
    pub(crate) key: &'static str,
}

/// The names that libpq has; a Redis that a connection names has the same.
pub(crate) const LIBPQ: Names = Names { root: "sslrootcert", certificate: "sslcert", key: "sslkey" };
/// Those of MariaDB's and MySQL's clients.
pub(crate) const MYSQL: Names = Names { root: "ssl_ca", certificate: "ssl_cert", key: "ssl_key" };
/// The options for the Redis whose changes are carried over.
pub(crate) const OPTIONS: Names = Names { root: "--redis-ca", certificate: "--redis-cert", key: "--redis-key" };

/// What is checked of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// No TLS.
    Disable,
    /// TLS where the server offers it; nothing is checked.
    Prefer,
    /// TLS; nothing is checked.
    Require,
    /// TLS; the certificate must be of a trusted issuer.
    VerifyCa,
    /// TLS; the certificate must also be of this host.
    VerifyFull,
}

/// The parameters of a connection that concern TLS.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) mode: Mode,
    /// The file with the certificates of trusted issuers; those of the system where there is none.
    pub(crate) root: Option<String>,
    /// The files with this worker's certificate and its key.
    pub(crate) identity: Option<(String, String)>,
}

impl Settings {
    /// Reads `sslmode`, `sslrootcert`, `sslcert` and `sslkey`; without a mode it is `absent`.
    pub(crate) fn read(args: &BTreeMap<String, String>, absent: Mode) -> Result<Self, Failure> {
        let get = |name: &str| args.get(name).map(|text| expand(text)).transpose();
        let root = get(LIBPQ.root)?;
        let mode = match get("sslmode")?.as_deref() {
            None => absent,
            Some("disable") => Mode::Disable,
            Some("allow" | "prefer") => Mode::Prefer,
            // As libpq has it: who names the issuers wants them to be checked.
            Some("require") if root.is_some() => Mode::VerifyCa,
            Some("require") => Mode::Require,
            Some("verify-ca") => Mode::VerifyCa,
            Some("verify-full") => Mode::VerifyFull,
            Some(other) => {
                return Err(Failure::configuration(
                    format!("`sslmode: {other}` is none"),
                    "write disable, allow, prefer, require, verify-ca or verify-full",
                ));
            }
        };
        Ok(Self { mode, root, identity: identity(get(LIBPQ.certificate)?, get(LIBPQ.key)?, LIBPQ)? })
    }

    /// What rustls needs.
    pub(crate) fn client(&self) -> Result<ClientConfig, Failure> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| broken(&error))?;
        let verifier: Arc<dyn ServerCertVerifier> = match self.mode {
            Mode::Disable | Mode::Prefer | Mode::Require => Arc::new(Lenient { provider, chain: None }),
            Mode::VerifyCa | Mode::VerifyFull => {
                let roots = Arc::new(self.roots()?);
                let full = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
                    .build()
                    .map_err(|error| broken(&error))?;
                match self.mode {
                    Mode::VerifyCa => Arc::new(Lenient { provider, chain: Some(full) }),
                    _ => full,
                }
            }
        };
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let Some((certificate, key)) = &self.identity else {
            return Ok(builder.with_no_client_auth());
        };
        let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let chain = chain.map_err(|error| unreadable(certificate, CERTIFICATE, &error))?;
        let private = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, "private key", &error))?;
        builder.with_client_auth_cert(chain, private).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => Failure::configuration(
                format!("the key in `{key}` is not that of the certificate in `{certificate}`"),
                "name the two files that were made together",
            ),
            error => unreadable(certificate, CERTIFICATE, &error),
        })
    }

    fn roots(&self) -> Result<RootCertStore, Failure> {
        let mut roots = RootCertStore::empty();
        match &self.root {
            Some(path) => {
                let all = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
                roots.add_parsable_certificates(all.map_err(|error| unreadable(path, CERTIFICATE, &error))?);
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        if roots.is_empty() {
            let place = self.root.as_deref().map_or_else(|| "the system".to_owned(), |path| format!("`{path}`"));
            return Err(Failure::configuration(
                format!("{place} holds no certificate that could be trusted"),
                "name a file in PEM with the issuer's certificate",
            ));
        }
        Ok(roots)
    }
}

/// A certificate and its key belong together.
pub(crate) fn identity(
    certificate: Option<String>,
    key: Option<String>,
    names: Names,
) -> Result<Option<(String, String)>, Failure> {
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
        (None, None) => Ok(None),
        _ => Err(Failure::configuration(
            format!("`{}` and `{}` stand for one identity, and one of them is missing", names.certificate, names.key),
            "name both files, or neither",
        )),
    }
}

/// A file of a certificate or key.
pub(crate) fn bytes_of(path: &str) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| unreadable(path, "certificate or key", &error))
}

/// What most files of TLS hold.
const CERTIFICATE: &str = "certificate";

fn unreadable(path: &str, what: &str, error: &dyn StdError) -> Failure {
    // A variable may hold the certificate or the key itself, which must not be shown.
    if path.contains("-----BEGIN") {
        return Failure::configuration(
            "a certificate or key stands where the path of its file is wanted",
            "write it to a file that only this user may read, and name that",
        );
    }
    Failure::configuration(
        format!("`{path}` cannot be read as a {what}: {error}"),
        format!("name a file in PEM that holds the {what} and that this user may read"),
    )
}

fn broken(error: &dyn StdError) -> Failure {
    Failure::configuration(format!("TLS cannot be set up: {error}"), "check the certificates of the connection")
}

/// Why the other side's certificate, or ours, was not taken; `None` where an error is of another kind. The clients hand
/// on what rustls says in different wrappings, but all in its words.
pub(crate) fn refusal(error: &(dyn StdError + 'static), names: Names) -> Option<Failure> {
    let Names { root, certificate, key } = names;
    let mut cause = Some(error);
    while let Some(error) = cause {
        let said = error.to_string();
        if let Some((_, why)) = said.split_once("invalid peer certificate: ") {
            let why = if why == "UnknownIssuer" { "no issuer that is known here has signed it" } else { why };
            return Some(Failure::configuration(
                format!("the server's certificate is not trusted: {why}"),
                format!("name its issuer's certificate by `{root}`, and the host as the certificate does"),
            ));
        }
        if let Some((_, why)) = said.split_once("received fatal alert: ") {
            return Some(Failure::configuration(
                format!("the server ends the TLS handshake: {why}"),
                format!("if it wants to know this worker, name its certificate by `{certificate}` and `{key}`"),
            ));
        }
        cause = error.source();
    }
    None
}

/// Checks less than is usual, because the configuration wants it: nothing, or all but the host's name.
#[derive(Debug)]
struct Lenient {
    provider: Arc<CryptoProvider>,
    chain: Option<Arc<WebPkiServerVerifier>>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.verify_server_cert(own, between, name, ocsp, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
