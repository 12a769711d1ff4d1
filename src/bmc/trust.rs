//! Verification of BMC certificates.
//!
//! Every connection is verified, and TLS sessions are never resumed: if the certificate changes
//! between two connections of one command, the second one fails.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore};
use rustls::{SignatureScheme, SupportedProtocolVersion};
use x509_cert::der::Decode;

use super::legacy;
use crate::machine::{CertificateNote, Sha256Digest, cleaned};

/// Which certificates to trust.
#[derive(Clone)]
pub enum Trust {
    /// The certificate with this digest. Messages name the origin of the digest.
    Pinned(Sha256Digest, PinOrigin),
    /// Certificates that these authorities signed.
    Authorities(Arc<RootCertStore>),
    /// Certificates that these authorities signed; otherwise the first one presented, which is then
    /// recorded.
    FirstUse(Arc<RootCertStore>),
    /// Every certificate: only to read the certificate, never to send a password.
    Anything,
}

/// The origin of a pinned digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinOrigin {
    /// `bmc.pin` in the inventory.
    Inventory,
    /// The store, which recorded it on first use or when the operator accepted it.
    Store,
}

/// The certificate that a BMC presented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresentedCertificate {
    /// The certificate.
    pub note: CertificateNote,
    /// Whether a trusted authority signed it.
    pub by_authority: bool,
    /// Why it is not trusted, if so.
    pub refusal: Option<CertificateRefusal>,
}

/// Why a certificate is not trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRefusal {
    /// The expected and the presented certificate.
    pub message: String,
    /// The next command or edit.
    pub help: String,
}

/// Verifies certificates by a [`Trust`] and remembers the one that was presented.
pub struct CertificateVerifier {
    trust: Trust,
    host: String,
    is_legacy: bool,
    authorities: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
    presented: Mutex<Option<PresentedCertificate>>,
}

impl CertificateVerifier {
    /// Makes the verifier for the BMC of a host.
    pub fn new(host: &str, trust: Trust, is_legacy: bool) -> Arc<Self> {
        let provider = Arc::new(ring::default_provider());
        let authorities = match &trust {
            Trust::Authorities(roots) | Trust::FirstUse(roots) => {
                // Building fails without any authority; then no certificate counts as signed.
                let roots = Arc::clone(roots);
                WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
                    .build()
                    .ok()
            }
            Trust::Pinned(..) | Trust::Anything => None,
        };
        Arc::new(Self {
            trust,
            host: host.to_owned(),
            is_legacy,
            authorities,
            provider,
            presented: Mutex::default(),
        })
    }

    /// Makes the TLS client configuration that uses this verifier.
    ///
    /// # Errors
    /// Never in practice: the provider supports both TLS versions.
    pub fn client_config(self: &Arc<Self>) -> Result<ClientConfig, Error> {
        // Signatures of RSA keys below 2048 bits can be verified in TLS 1.2 only.
        const TLS12_ONLY: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS12];
        let versions = if self.is_legacy {
            &TLS12_ONLY[..]
        } else {
            rustls::DEFAULT_VERSIONS
        };
        let verifier = Arc::clone(self) as Arc<dyn ServerCertVerifier>;
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(versions)?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        // The server of a resumed connection does not present its certificate again.
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    /// Returns the certificate that was presented; `None` before the first connection.
    pub fn presented(&self) -> Option<PresentedCertificate> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<PresentedCertificate>> {
        self.presented
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn judge(
        &self,
        end_entity: &CertificateDer<'_>,
        verify: impl FnOnce(&WebPkiServerVerifier) -> Result<ServerCertVerified, Error>,
    ) -> Result<PresentedCertificate, Error> {
        let previous = self.presented();
        // A refusal is final. Otherwise the next connection of this command, for the logout, would
        // compare the refused certificate with itself.
        if let Some(refused) = previous.clone().filter(|it| it.refusal.is_some()) {
            return Ok(refused);
        }
        let note = note(end_entity);
        let fingerprint = note.fingerprint;
        let mut presented = PresentedCertificate {
            note,
            by_authority: false,
            refusal: None,
        };
        // One command never talks to two certificates.
        let previous = previous.map(|previous| previous.note.fingerprint);
        if let Some(previous) = previous.filter(|previous| *previous != fingerprint) {
            let origin = "at the start of this command";
            presented.refusal = Some(self.changed(previous, &presented.note, origin));
            return Ok(presented);
        }
        let is_signed = match &self.authorities {
            Some(authorities) => verify(authorities).map(|_| true),
            None => Ok(false),
        };
        match &self.trust {
            Trust::Pinned(pin, origin) if *pin != fingerprint => {
                let origin = match origin {
                    PinOrigin::Inventory => "from `bmc.pin`",
                    PinOrigin::Store => "from the store",
                };
                presented.refusal = Some(self.changed(*pin, &presented.note, origin));
            }
            Trust::Pinned(..) | Trust::Anything => {}
            Trust::Authorities(_) => match is_signed {
                Ok(true) => presented.by_authority = true,
                Ok(false) => {
                    presented.refusal = Some(CertificateRefusal {
                        message: "no certificate authority is configured to verify the certificate"
                            .to_owned(),
                        help: "set `bmc.ca`".to_owned(),
                    });
                }
                Err(error) => presented.refusal = Some(self.unsigned(&presented.note, &error)),
            },
            Trust::FirstUse(_) => presented.by_authority = is_signed.unwrap_or(false),
        }
        Ok(presented)
    }

    fn changed(
        &self,
        expected: Sha256Digest,
        found: &CertificateNote,
        origin: &str,
    ) -> CertificateRefusal {
        CertificateRefusal {
            message: format!(
                "the certificate has changed: expected sha256:{expected} ({origin}), found {}",
                describe_certificate(found)
            ),
            help: format!(
                "find out why; if it was renewed on purpose, accept it with `pxectl bmc pin {}`, \
                 and correct `bmc.pin` if the inventory has one",
                self.host
            ),
        }
    }

    fn unsigned(&self, found: &CertificateNote, error: &Error) -> CertificateRefusal {
        CertificateRefusal {
            message: format!(
                "the certificate is not trusted: {}; found {}",
                reason(error),
                describe_certificate(found)
            ),
            help: format!(
                "give the BMC a certificate for this address, or correct `bmc.ca`; without \
                 `bmc.ca`, `pxectl bmc pin {}` accepts this certificate",
                self.host
            ),
        }
    }
}

impl fmt::Debug for CertificateVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificateVerifier({})", self.host)
    }
}

impl ServerCertVerifier for CertificateVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let presented = self.judge(end_entity, |authorities| {
            authorities.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                now,
            )
        })?;
        let is_refused = presented.refusal.is_some();
        *self.lock() = Some(presented);
        if is_refused {
            Err(CertificateError::ApplicationVerificationFailure.into())
        } else {
            Ok(ServerCertVerified::assertion())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.is_legacy {
            return legacy::verify(message, certificate, signature);
        }
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Reads the name and validity of a certificate. A certificate that cannot be parsed has only its
/// digest.
fn note(certificate: &CertificateDer<'_>) -> CertificateNote {
    let parsed = x509_cert::Certificate::from_der(certificate).ok();
    let body = parsed.map(|parsed| parsed.tbs_certificate);
    let timestamp = |time: x509_cert::time::Time| {
        let seconds = i64::try_from(time.to_unix_duration().as_secs()).ok()?;
        Timestamp::from_second(seconds).ok()
    };
    let validity = body.as_ref().map(|body| body.validity);
    CertificateNote {
        fingerprint: Sha256Digest::of(certificate),
        subject: body.map_or_else(String::new, |body| cleaned(&body.subject.to_string(), 120)),
        valid_from: validity.and_then(|validity| timestamp(validity.not_before)),
        valid_until: validity.and_then(|validity| timestamp(validity.not_after)),
    }
}

/// Describes a certificate for messages: fingerprint, subject and validity.
pub fn describe_certificate(note: &CertificateNote) -> String {
    let subject = match note.subject.as_str() {
        "" => "no subject",
        subject => subject,
    };
    let day = |at: Option<Timestamp>| match at {
        Some(at) => at.strftime("%Y-%m-%d").to_string(),
        None => "?".to_owned(),
    };
    let (from, until) = (day(note.valid_from), day(note.valid_until));
    let fingerprint = note.fingerprint;
    format!("sha256:{fingerprint} ({subject}, valid {from} to {until})")
}

fn reason(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => "unknown issuer".to_owned(),
        Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => "expired".to_owned(),
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "issued for another address".to_owned(),
        other => cleaned(&other.to_string(), 120),
    }
}

/// Loads the certificate authorities of the operating system; empty if it has none.
pub fn system_authorities() -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    Arc::new(roots)
}

/// Parses certificate authorities in PEM.
///
/// # Errors
/// When the text holds no certificate, or one that cannot be parsed.
pub fn parse_authorities(pem: &[u8]) -> Result<Arc<RootCertStore>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() {
        return Err("no certificate in the file".to_owned());
    }
    Ok(Arc::new(roots))
}
