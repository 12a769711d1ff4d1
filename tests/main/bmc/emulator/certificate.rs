//! Certificates, made by openssl when a test runs.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// A certificate of a BMC with its key.
#[derive(Debug)]
pub struct Certificate {
    key: Arc<CertifiedKey>,
    /// The DER form.
    pub der: Vec<u8>,
}

impl Certificate {
    /// Makes a self-signed certificate for 127.0.0.1.
    pub fn own(directory: &Path, name: &str) -> Self {
        let key = openssl(
            directory,
            &["ecparam", "-genkey", "-name", "prime256v1", "-noout"],
        );
        std::fs::write(directory.join(format!("{name}.key")), key).expect("a key");
        let key = format!("{name}.key");
        let subject = format!("/CN={name}");
        let certificate = openssl(
            directory,
            &[
                "req",
                "-x509",
                "-new",
                "-key",
                &key,
                "-days",
                "30",
                "-subj",
                &subject,
                "-addext",
                "subjectAltName=IP:127.0.0.1",
            ],
        );
        std::fs::write(directory.join(format!("{name}.pem")), certificate).expect("a file");
        Self::read(directory, name)
    }

    /// Makes a certificate that the authority in `authority.pem` of the directory signs. Makes the
    /// authority first if it does not exist.
    pub fn signed(directory: &Path, name: &str) -> Self {
        if !directory.join("authority.pem").exists() {
            Self::own(directory, "authority");
        }
        Self::own(directory, name);
        let (key, request) = (format!("{name}.key"), format!("{name}.csr"));
        let subject = format!("/CN={name}");
        let requests = openssl(directory, &["req", "-new", "-key", &key, "-subj", &subject]);
        std::fs::write(directory.join(&request), requests).expect("a request");
        let extensions = format!("{name}.ext");
        std::fs::write(directory.join(&extensions), "subjectAltName=IP:127.0.0.1\n")
            .expect("a file");
        let signed = openssl(
            directory,
            &[
                "x509",
                "-req",
                "-in",
                &request,
                "-CA",
                "authority.pem",
                "-CAkey",
                "authority.key",
                "-set_serial",
                "2",
                "-days",
                "30",
                "-extfile",
                &extensions,
            ],
        );
        std::fs::write(directory.join(format!("{name}.pem")), signed).expect("a file");
        Self::read(directory, name)
    }

    /// Makes a self-signed certificate of X.509 version 1, like those of old BMCs.
    pub fn old(directory: &Path, name: &str) -> Self {
        Self::own(directory, name);
        let (key, request) = (format!("{name}.key"), format!("{name}.csr"));
        let subject = format!("/CN={name}");
        let requests = openssl(directory, &["req", "-new", "-key", &key, "-subj", &subject]);
        std::fs::write(directory.join(&request), requests).expect("a request");
        let signed = openssl(
            directory,
            &[
                "x509", "-req", "-in", &request, "-signkey", &key, "-days", "30",
            ],
        );
        std::fs::write(directory.join(format!("{name}.pem")), signed).expect("a file");
        Self::read(directory, name)
    }

    fn read(directory: &Path, name: &str) -> Self {
        let certificate = CertificateDer::from_pem_file(directory.join(format!("{name}.pem")));
        let certificate = certificate.expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(directory.join(format!("{name}.key")));
        let key = rustls::crypto::ring::sign::any_supported_type(&key.expect("a key"));
        let der = certificate.to_vec();
        Self {
            key: Arc::new(CertifiedKey::new(
                vec![certificate],
                key.expect("a good key"),
            )),
            der,
        }
    }

    /// Returns the SHA-256 digest as openssl prints it, in lower case and without colons.
    pub fn fingerprint(&self) -> String {
        pxectl::machine::Sha256Digest::of(&self.der).to_string()
    }
}

fn openssl(directory: &Path, arguments: &[&str]) -> Vec<u8> {
    let mut command = Command::new("openssl");
    let output = command.args(arguments).current_dir(directory).output();
    let output = output.expect("openssl runs");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    output.stdout
}

/// The certificate that the next connection presents.
#[derive(Debug)]
pub struct ActiveCertificate(Mutex<Arc<CertifiedKey>>);

impl ActiveCertificate {
    pub fn new(certificate: &Certificate) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Arc::clone(&certificate.key))))
    }

    pub fn change(&self, certificate: &Certificate) {
        *self.0.lock().expect("the certificate") = Arc::clone(&certificate.key);
    }

    /// Returns the configuration of a server that presents it.
    pub fn config(self: &Arc<Self>) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Self>::clone(self);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        // A resumed session would present no certificate.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        Arc::new(config)
    }
}

impl ResolvesServerCert for ActiveCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.lock().expect("the certificate")))
    }
}
