//! Authenticode signatures: who signed an image, and whether it changed since.
//!
//! This detects accidents, not forgeries: only firmware, which has the certificate of the authority,
//! verifies that the signer's key made the signature.

use authenticode::{
    AttributeCertificate, AttributeCertificateIterator, AuthenticodeSignature, PeTrait,
    authenticode_digest,
};
use cms::signed_data::SignerIdentifier;
use sha2::{Digest, Sha256, Sha384, Sha512};

/// The maximum number of signatures that are read.
const LIMIT: usize = 16;

/// One signature of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The common name of the authority that issued the signer's certificate, which firmware must trust,
    /// such as `Microsoft Corporation UEFI CA 2011`. A self-signed certificate is its own authority.
    pub authority: String,
    /// Whether the image is unchanged since it was signed.
    pub holds: bool,
}

/// Why a signature cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The signature table is invalid.
    #[error("its signature table is damaged: {0}")]
    Table(String),
    /// An entry of the table is invalid.
    #[error("its signature cannot be read: {0}")]
    Entry(String),
    /// The digest algorithm is one that firmware no longer accepts.
    #[error("its signature under `{authority}` uses digest algorithm {algorithm}, not SHA-2")]
    Digest {
        /// As [`Signature::authority`].
        authority: String,
        /// The object identifier of the digest algorithm.
        algorithm: String,
    },
}

/// Why an image has no valid signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSigned {
    /// It has no signature.
    #[error("it has no signature")]
    Unsigned,
    /// It changed since it was signed.
    #[error("it was changed after it was signed under `{authority}`")]
    Altered {
        /// As [`Signature::authority`].
        authority: String,
    },
    /// Its signature cannot be used.
    #[error(transparent)]
    Unreadable(#[from] SignatureError),
}

/// Lists the authorities of valid signatures: firmware accepts an image if it trusts one of them.
pub(super) fn authorities(
    signatures: &[Result<Signature, SignatureError>],
) -> Result<Vec<&str>, NotSigned> {
    let good: Vec<&str> = signatures
        .iter()
        .flatten()
        .filter(|signature| signature.holds)
        .map(|signature| signature.authority.as_str())
        .collect();
    match signatures.first() {
        _ if !good.is_empty() => Ok(good),
        None => Err(NotSigned::Unsigned),
        Some(Err(error)) => Err(error.clone().into()),
        Some(Ok(signature)) => Err(NotSigned::Altered {
            authority: signature.authority.clone(),
        }),
    }
}

/// Reads the signatures of an image. `is_hashable` means that its sections are not larger than the
/// file: hashing other images would take too long.
pub(super) fn read(
    image: &dyn PeTrait,
    is_hashable: bool,
) -> Vec<Result<Signature, SignatureError>> {
    let table = match AttributeCertificateIterator::new(image) {
        Ok(Some(table)) => table,
        Ok(None) => return Vec::new(),
        Err(error) => return vec![Err(SignatureError::Table(error.to_string()))],
    };
    let mut digests = Digests {
        image,
        is_hashable,
        known: Vec::new(),
    };
    table
        .take(LIMIT)
        .map(|entry| {
            let entry = entry.map_err(|error| SignatureError::Table(error.to_string()))?;
            read_entry(&entry, &mut digests)
        })
        .collect()
}

fn read_entry(
    entry: &AttributeCertificate<'_>,
    digests: &mut Digests<'_>,
) -> Result<Signature, SignatureError> {
    let signature = entry
        .get_authenticode_signature()
        .map_err(|error| SignatureError::Entry(error.to_string()))?;
    let authority = authority(&signature);
    let oid = signature.digest_algorithm().oid.to_string();
    let Some(algorithm) = Algorithm::from_oid(&oid) else {
        return Err(SignatureError::Digest {
            authority,
            algorithm: oid,
        });
    };
    let holds = digests.of_image(algorithm) == Some(signature.digest()) && is_sealed(&signature);
    Ok(Signature { authority, holds })
}

/// Reports whether the signer's key signed the digest in the signature: the content contains the
/// digest, and the key signs attributes that contain the digest of the content.
///
/// Source: RFC 2315 §9.3.
fn is_sealed(signature: &AuthenticodeSignature) -> bool {
    /// `messageDigest`, 1.2.840.113549.1.9.4.
    const MESSAGE_DIGEST: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];
    let signer = signature.signer_info();
    let Some(attributes) = &signer.signed_attrs else {
        // The key signs the content directly.
        return true;
    };
    let content = signature.encapsulated_content().unwrap_or_default();
    let Some(algorithm) = Algorithm::from_oid(&signer.digest_alg.oid.to_string()) else {
        return false;
    };
    let digest = algorithm.of(content);
    attributes
        .iter()
        .filter(|attribute| attribute.oid.as_bytes() == MESSAGE_DIGEST)
        .flat_map(|attribute| attribute.values.iter())
        .any(|value| value.value() == digest)
}

/// Returns the common name of the signer's issuer, or its whole name if it has no common name.
fn authority(signature: &AuthenticodeSignature) -> String {
    /// `commonName`, 2.5.4.3.
    const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
    let SignerIdentifier::IssuerAndSerialNumber(signer) = &signature.signer_info().sid else {
        return "a key without a name".to_owned();
    };
    let mut parts = signer.issuer.0.iter().flat_map(|part| part.0.iter());
    let name = match parts.find(|part| part.oid.as_bytes() == COMMON_NAME) {
        Some(part) => String::from_utf8_lossy(part.value.value()).into_owned(),
        None => signer.issuer.to_string(),
    };
    // The name is not trusted, and is shown on terminals.
    name.chars()
        .take(128)
        .map(|c| match c {
            c if c.is_control() => char::REPLACEMENT_CHARACTER,
            '`' => '\'',
            c => c,
        })
        .collect()
}

/// The digest algorithms of firmware. Source: UEFI 2.10 §32.5.3.3, without SHA-1 and SHA-224.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Sha256,
    Sha384,
    Sha512,
}

impl Algorithm {
    fn from_oid(oid: &str) -> Option<Self> {
        match oid {
            "2.16.840.1.101.3.4.2.1" => Some(Self::Sha256),
            "2.16.840.1.101.3.4.2.2" => Some(Self::Sha384),
            "2.16.840.1.101.3.4.2.3" => Some(Self::Sha512),
            _ => None,
        }
    }

    fn of(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha384 => Sha384::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }
}

/// The digests of an image, each computed once.
struct Digests<'a> {
    image: &'a dyn PeTrait,
    is_hashable: bool,
    known: Vec<(Algorithm, Option<Vec<u8>>)>,
}

impl Digests<'_> {
    /// Returns the digest of the image without its signatures, if it can be computed.
    fn of_image(&mut self, algorithm: Algorithm) -> Option<&[u8]> {
        let at = match self.known.iter().position(|(known, _)| *known == algorithm) {
            Some(at) => at,
            None => {
                let digest = self.is_hashable.then(|| match algorithm {
                    Algorithm::Sha256 => hash::<Sha256>(self.image),
                    Algorithm::Sha384 => hash::<Sha384>(self.image),
                    Algorithm::Sha512 => hash::<Sha512>(self.image),
                });
                self.known.push((algorithm, digest.flatten()));
                self.known.len() - 1
            }
        };
        self.known.get(at).and_then(|(_, digest)| digest.as_deref())
    }
}

/// Returns the SHA-256 digest of an image that a signature covers.
#[cfg(test)]
pub(super) fn image_digest(image: &dyn PeTrait) -> Option<Vec<u8>> {
    hash::<Sha256>(image)
}

fn hash<Hash: Digest>(image: &dyn PeTrait) -> Option<Vec<u8>> {
    let mut bridge = Bridge(Hash::new());
    authenticode_digest(image, &mut bridge).ok()?;
    Some(bridge.0.finalize().to_vec())
}

/// Adapts a hash of the current `digest` traits to the older ones that `authenticode` uses.
struct Bridge<Hash>(Hash);

impl<Hash: Digest> digest::Update for Bridge<Hash> {
    fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}
