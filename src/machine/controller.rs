use jiff::Timestamp;
use serde::Serialize;

use super::{Sha256Digest, SystemUuid};

/// What the store remembers of the management controller (BMC) of one host: which certificate it
/// is trusted by, and which machine was seen behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ControllerRecord {
    /// The host's name in the inventory.
    pub host: String,
    /// Where the controller answered.
    pub url: String,
    /// Why it is trusted.
    pub trust: ControllerTrust,
    /// The serial number that the machine showed; placeholders are left out.
    pub serial: Option<String>,
    /// The UUID that the machine showed; placeholders are left out.
    pub uuid: Option<SystemUuid>,
    /// When that was first seen, or last accepted.
    pub seen_at: Timestamp,
}

/// Why a controller is trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ControllerTrust {
    /// It has no certificate: IPMI, or plain HTTP.
    Plain,
    /// An authority vouches for its certificate.
    Authority,
    /// Its certificate is the one that was seen first, or accepted since.
    Pinned(CertificateNote),
}

/// What is worth knowing of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CertificateNote {
    /// The SHA-256 digest of its DER form.
    pub fingerprint: Sha256Digest,
    /// Whom it names; empty where that cannot be read.
    pub subject: String,
    /// From when it is valid.
    pub valid_from: Option<Timestamp>,
    /// Until when it is valid.
    pub valid_until: Option<Timestamp>,
}

impl ControllerRecord {
    /// Starts the record of a controller of which nothing is known yet.
    pub fn new(host: &str, url: String, now: Timestamp) -> Self {
        Self {
            host: host.to_owned(),
            url,
            trust: ControllerTrust::Plain,
            serial: None,
            uuid: None,
            seen_at: now,
        }
    }
}
