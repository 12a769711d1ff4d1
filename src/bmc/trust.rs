//! Whether a controller's certificate is the one that is trusted.
//!
//! Every connection is checked, and none is resumed: a certificate that changes between two
//! connections of one command stops the second.

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

/// Whose word is taken for a certificate.
#[derive(Clone)]
pub enum Trust {
    /// The certificate with this digest; where the digest stands is said in the message.
    Pinned(Sha256Digest, PinPlace),
    /// These authorities.
    Authorities(Arc<RootCertStore>),
    /// These authorities; else whatever is seen first, which is then kept.
    FirstUse(Arc<RootCertStore>),
    /// Any: only to look at the certificate, never to send a password.
    Anything,
}

/// Where a pin stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinPlace {
    /// As `bmc.pin` in the inventory.
    Inventory,
    /// In the store, since it was first seen or accepted.
    Store,
}

/// What was seen of the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenCertificate {
    /// The certificate.
    pub note: CertificateNote,
    /// Whether an authority vouches for it.
    pub by_authority: bool,
    /// Why it is not good, where it is not.
    pub refused: Option<(String, String)>,
}

/// Checks certificates by a [`Trust`], and remembers what it saw.
pub struct Verifier {
    trust: Trust,
    host: String,
    is_legacy: bool,
    authorities: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
    seen: Mutex<Option<SeenCertificate>>,
}

impl Verifier {
    /// Makes the verifier for the controller of a host.
    pub fn new(host: &str, trust: Trust, is_legacy: bool) -> Arc<Self> {
        let provider = Arc::new(ring::default_provider());
        let authorities = match &trust {
            Trust::Authorities(roots) | Trust::FirstUse(roots) => {
                // Without any authority, nobody vouches for anything.
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
            seen: Mutex::default(),
        })
    }

    /// Makes the configuration of a client that checks by this verifier.
    ///
    /// # Errors
    /// Never in practice: the provider knows both versions of TLS.
    pub fn client(self: &Arc<Self>) -> Result<ClientConfig, Error> {
        // Signatures of RSA keys below 2048 bits can be checked in TLS 1.2 only.
        const OLD: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS12];
        let versions = match self.is_legacy {
            true => &OLD[..],
            false => rustls::DEFAULT_VERSIONS,
        };
        let verifier = Arc::clone(self) as Arc<dyn ServerCertVerifier>;
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(versions)?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        // A resumed connection would not show its certificate again.
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    /// Returns what was seen; none before the first connection.
    pub fn seen(&self) -> Option<SeenCertificate> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<SeenCertificate>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn judge(
        &self,
        end_entity: &CertificateDer<'_>,
        vouch: impl FnOnce(&WebPkiServerVerifier) -> Result<ServerCertVerified, Error>,
    ) -> Result<SeenCertificate, Error> {
        // What was refused once stays refused: else the next connection of this command, to log out,
        // would find the certificate that it saw last.
        if let Some(refused) = self.seen().filter(|seen| seen.refused.is_some()) {
            return Ok(refused);
        }
        let note = note(end_entity);
        let before = self.lock().as_ref().map(|seen| seen.note.fingerprint);
        let mut seen = SeenCertificate {
            note,
            by_authority: false,
            refused: None,
        };
        let fingerprint = seen.note.fingerprint;
        // One command never speaks to two certificates.
        if let Some(before) = before.filter(|before| *before != fingerprint) {
            seen.refused = Some(self.changed(before, &seen.note, "at the start of this command"));
            return Ok(seen);
        }
        let vouched = match &self.authorities {
            Some(authorities) => vouch(authorities).map(|_| true),
            None => Ok(false),
        };
        match &self.trust {
            Trust::Anything => {}
            Trust::Pinned(pin, place) if *pin != fingerprint => {
                let place = match place {
                    PinPlace::Inventory => "in `bmc.pin`",
                    PinPlace::Store => "until now",
                };
                seen.refused = Some(self.changed(*pin, &seen.note, place));
            }
            Trust::Pinned(..) => {}
            Trust::Authorities(_) => match vouched {
                Ok(vouched) => {
                    seen.by_authority = vouched;
                    if !vouched {
                        let what = "there is no authority to vouch for its certificate".to_owned();
                        seen.refused = Some((what, "name one with `bmc.ca`".to_owned()));
                    }
                }
                Err(error) => {
                    let what = format!(
                        "no authority vouches for its certificate sha256:{fingerprint} ({}): {}",
                        described(&seen.note),
                        why(&error)
                    );
                    let help = format!(
                        "give the BMC a certificate for this address, or correct `bmc.ca`; without \
                         `bmc.ca`, `pxectl bmc pin {}` accepts this one",
                        self.host
                    );
                    seen.refused = Some((what, help));
                }
            },
            Trust::FirstUse(_) => seen.by_authority = vouched.unwrap_or(false),
        }
        Ok(seen)
    }

    fn changed(
        &self,
        wanted: Sha256Digest,
        seen: &CertificateNote,
        place: &str,
    ) -> (String, String) {
        let what = format!(
            "its certificate has changed: it was sha256:{wanted} {place}, and is sha256:{} ({})",
            seen.fingerprint,
            described(seen)
        );
        let help = format!(
            "find out why; where it was renewed on purpose, accept it with `pxectl bmc pin {}`, \
             and correct `bmc.pin` where the inventory has one",
            self.host
        );
        (what, help)
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({})", self.host)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let seen = self.judge(end_entity, |authorities| {
            authorities.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                now,
            )
        })?;
        let refused = seen.refused.is_some();
        *self.lock() = Some(seen);
        match refused {
            true => Err(CertificateError::ApplicationVerificationFailure.into()),
            false => Ok(ServerCertVerified::assertion()),
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
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Reads what is worth knowing of a certificate; one that cannot be read has its digest alone.
fn note(certificate: &CertificateDer<'_>) -> CertificateNote {
    let read = x509_cert::Certificate::from_der(certificate).ok();
    let body = read.map(|read| read.tbs_certificate);
    let time = |time: x509_cert::time::Time| {
        let seconds = i64::try_from(time.to_unix_duration().as_secs()).ok()?;
        Timestamp::from_second(seconds).ok()
    };
    let validity = body.as_ref().map(|body| body.validity);
    CertificateNote {
        fingerprint: Sha256Digest::of(certificate),
        subject: body.map_or_else(String::new, |body| cleaned(&body.subject.to_string(), 120)),
        valid_from: validity.and_then(|validity| time(validity.not_before)),
        valid_until: validity.and_then(|validity| time(validity.not_after)),
    }
}

/// Writes a certificate in a few words.
pub fn described(note: &CertificateNote) -> String {
    let subject = match note.subject.as_str() {
        "" => "no name",
        subject => subject,
    };
    let day = |at: Option<Timestamp>| match at {
        Some(at) => at.strftime("%Y-%m-%d").to_string(),
        None => "?".to_owned(),
    };
    let (from, until) = (day(note.valid_from), day(note.valid_until));
    format!("{subject}, valid {from} to {until}")
}

fn why(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "its issuer is not known".to_owned()
        }
        Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => "it has expired".to_owned(),
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "it names another address".to_owned(),
        other => cleaned(&other.to_string(), 120),
    }
}

/// Reads the authorities of the system; none where it has none.
pub fn system_authorities() -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    Arc::new(roots)
}

/// Reads authorities from PEM.
///
/// # Errors
/// When it holds none, or one that cannot be read.
pub fn authorities(pem: &[u8]) -> Result<Arc<RootCertStore>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    match roots.is_empty() {
        true => Err("it holds no certificate".to_owned()),
        false => Ok(Arc::new(roots)),
    }
}
