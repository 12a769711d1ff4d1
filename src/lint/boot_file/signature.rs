//! Authenticode: who signed an image, and whether it is still what was signed.
//!
//! Whether the signer's key made the signature is left to firmware, which has the authority's
//! certificate: what is found here is what happens to files, not what a forger would do.

use authenticode::{
    AttributeCertificate, AttributeCertificateIterator, AuthenticodeSignature, PeTrait,
    authenticode_digest,
};
use cms::signed_data::SignerIdentifier;
use sha2::{Digest, Sha256, Sha384, Sha512};

/// More signatures than any firmware would look through.
const LIMIT: usize = 16;

/// One signature of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The common name of the authority that vouches for the signer, which firmware must trust:
    /// `Microsoft Corporation UEFI CA 2011`. A self-signed certificate vouches for itself.
    pub authority: String,
    /// Whether the image is what was signed.
    pub holds: bool,
}

/// A signature that says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The table of signatures makes no sense.
    #[error("the table of its signatures is damaged: {0}")]
    Table(String),
    /// One entry of it makes no sense.
    #[error("its signature cannot be read: {0}")]
    Entry(String),
    /// The digest that it signs is of a kind that firmware takes from nobody any more.
    #[error("its signature under `{authority}` is over a digest of kind {algorithm}, not SHA-2")]
    Digest {
        /// As [`Signature::authority`].
        authority: String,
        /// The object identifier of the digest.
        algorithm: String,
    },
}

/// Why nobody vouches for an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSigned {
    /// There is no signature.
    #[error("it has no signature")]
    Unsigned,
    /// There is one of something else.
    #[error("it was altered since it was signed under `{authority}`")]
    Altered {
        /// As [`Signature::authority`].
        authority: String,
    },
    /// There is one that says nothing.
    #[error(transparent)]
    Unreadable(#[from] SignatureError),
}

/// Lists whose signatures hold: firmware takes an image when it trusts any one of them.
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

/// Reads the signatures of an image. `is_hashable` says that its sections are no more than the file:
/// others would be hashed for ever.
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

/// Reports whether what the signer's key signed is the digest that the signature shows: the digest
/// stands in the content, and the key signs attributes that hold the content's own digest.
///
/// Source: RFC 2315 §9.3.
fn is_sealed(signature: &AuthenticodeSignature) -> bool {
    /// `messageDigest`, 1.2.840.113549.1.9.4.
    const MESSAGE_DIGEST: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];
    let signer = signature.signer_info();
    let Some(attributes) = &signer.signed_attrs else {
        // The key signs the content itself.
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

/// Returns the common name of the signer's issuer, or the whole of a name that has none.
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
    // The name comes out of a file and is shown on terminals.
    name.chars()
        .take(128)
        .map(|c| match c {
            c if c.is_control() => char::REPLACEMENT_CHARACTER,
            '`' => '\'',
            c => c,
        })
        .collect()
}

/// The digests that firmware knows. Source: UEFI 2.10 §32.5.3.3, without SHA-1 and SHA-224.
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

    fn of(self, octets: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(octets).to_vec(),
            Self::Sha384 => Sha384::digest(octets).to_vec(),
            Self::Sha512 => Sha512::digest(octets).to_vec(),
        }
    }
}

/// The digests of one image, each worked out once.
struct Digests<'a> {
    image: &'a dyn PeTrait,
    is_hashable: bool,
    known: Vec<(Algorithm, Option<Vec<u8>>)>,
}

impl Digests<'_> {
    /// Returns the digest of the image without its signatures, if it can be worked out.
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

/// Returns the digest that a signature over an image is about, with SHA-256.
#[cfg(test)]
pub(super) fn image_digest(image: &dyn PeTrait) -> Option<Vec<u8>> {
    hash::<Sha256>(image)
}

fn hash<Hash: Digest>(image: &dyn PeTrait) -> Option<Vec<u8>> {
    let mut bridge = Bridge(Hash::new());
    authenticode_digest(image, &mut bridge).ok()?;
    Some(bridge.0.finalize().to_vec())
}

/// Feeds a hash of sha2's generation of traits where the older one is asked for.
struct Bridge<Hash>(Hash);

impl<Hash: Digest> digest::Update for Bridge<Hash> {
    fn update(&mut self, octets: &[u8]) {
        self.0.update(octets);
    }
}
