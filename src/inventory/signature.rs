//! Minisign public keys, and the form of signatures.
//!
//! Source: minisign(1), "Signature format" and "Public key format".

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64;
use minisign_verify::Signature;
use serde::{Deserialize, Serialize};

/// The longest signature with its comments, in bytes.
const SIGNATURE_LIMIT: usize = 4096;

/// A minisign public key: the second line of its file, which starts with `RW`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PublicKey {
    text: String,
    id: KeyId,
    key: minisign_verify::PublicKey,
}

/// The identifier of a key: eight bytes, printed as minisign prints them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; 8]);

/// The error of a text that is not a minisign public key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{seen}` is not a minisign public key")]
pub struct ParsePublicKeyError {
    seen: String,
}

impl PublicKey {
    /// Returns the identifier of the key.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Reports whether the key made a signature of this content.
    pub(super) fn has_signed(&self, content: &[u8], signature: &Signature) -> bool {
        self.key.verify(content, signature, true).is_ok()
    }
}

impl FromStr for PublicKey {
    type Err = ParsePublicKeyError;

    fn from_str(text: &str) -> Result<Self, ParsePublicKeyError> {
        let refused = || ParsePublicKeyError {
            seen: text.chars().take(80).collect(),
        };
        let octets = BASE64.decode(text.as_bytes()).map_err(|_| refused())?;
        let key = minisign_verify::PublicKey::from_base64(text).map_err(|_| refused())?;
        Ok(Self {
            text: text.to_owned(),
            id: KeyId::at(&octets).ok_or_else(refused)?,
            key,
        })
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.text
    }
}

impl TryFrom<String> for PublicKey {
    type Error = ParsePublicKeyError;

    fn try_from(text: String) -> Result<Self, ParsePublicKeyError> {
        text.parse()
    }
}

impl KeyId {
    /// Makes an identifier from its bytes, in the order of keys and signatures.
    pub const fn new(octets: [u8; 8]) -> Self {
        Self(octets)
    }

    /// Returns the identifier of the key that made a signature in minisign's format.
    pub fn of_signature(text: &str) -> Option<Self> {
        let line = text.lines().nth(1)?;
        Self::at(&BASE64.decode(line.trim_end().as_bytes()).ok()?)
    }

    /// Reads the identifier after the two bytes of the algorithm.
    fn at(octets: &[u8]) -> Option<Self> {
        Some(Self(octets.get(2..10)?.try_into().ok()?))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", u64::from_le_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reports whether a text is a printable signature in minisign's format.
pub fn is_signature(text: &str) -> bool {
    let plain = |c: char| !c.is_control() || c == '\n' || c == '\t';
    text.len() <= SIGNATURE_LIMIT && text.chars().all(plain) && Signature::decode(text).is_ok()
}
