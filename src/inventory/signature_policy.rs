//! The signatures that a site requires of its bundles, and their check.

use jiff::civil::Date;
use minisign_verify::Signature;
use serde::{Deserialize, Serialize};

use super::bundle::Bundle;
use super::reader::Reader;
use super::signature::{KeyId, PublicKey};
use super::tree::Node;

/// The prefix of the expiry date in the trusted comment of a signature.
pub const SIGNED_EXPIRES: &str = "expires:";
/// The `signatures` of a site: the keys that sign its bundles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignaturePolicy {
    /// Whether every bundle must have a valid signature.
    pub required: bool,
    /// The trusted keys.
    pub keys: Vec<SiteKey>,
    /// The revoked keys, whose signatures are not valid.
    pub revoked: Vec<SiteKey>,
}

/// A public key, and the site's name for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteKey {
    /// The name, for messages.
    pub name: String,
    /// The key.
    pub key: PublicKey,
}

/// Why the signatures of a bundle do not meet the site's policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It has no signature, and the site requires one.
    #[error("no signature, but the site requires one")]
    Unsigned,
    /// A signature cannot be parsed.
    #[error("a signature is not in minisign's format")]
    Malformed,
    /// A signature by a trusted key is for other content.
    #[error("the signature by key `{key}` is invalid: the bundle was changed after it was signed")]
    Wrong {
        /// The site's name for the key.
        key: String,
    },
    /// Only keys that the site does not trust signed it.
    #[error("no signature by a key of the site, only by {}", list_keys(.0))]
    UnknownKey(Vec<KeyId>),
    /// The document has a later expiry date than the signature.
    #[error("the signature by key `{key}` is valid until {day}, but the bundle {}",
        .expires.map_or("never expires".to_owned(), |day| format!("expires on {day}")))]
    OutlivesSignature {
        /// The site's name for the key.
        key: String,
        /// The expiry date of the signature.
        day: Date,
        /// The expiry date of the document.
        expires: Option<Date>,
    },
    /// The only signature is by a revoked key.
    #[error("signed only by key `{0}`, which the site has revoked")]
    Revoked(String),
}

impl SignatureError {
    /// Returns what to do about the bundle.
    pub fn help(&self, bundle: &str) -> String {
        match self {
            Self::Unsigned | Self::UnknownKey(_) => {
                format!("run `pxectl bundle sign {bundle} --key FILE`, and commit its output")
            }
            Self::Revoked(_) => format!(
                "check its files, sign it with another key of the site (`pxectl bundle sign \
                 {bundle} --key FILE`), and commit the output"
            ),
            Self::Malformed => {
                "copy all four lines of the `.minisig` file, as a block after `|`".into()
            }
            Self::OutlivesSignature { day, .. } => format!(
                "write `expires: {day}`, or sign it until a later date: `pxectl bundle sign {bundle} --expires DATE --key FILE`"
            ),
            Self::Wrong { .. } => {
                "restore the signed document; do not sign a bundle that you have not checked".into()
            }
        }
    }
}

impl SignaturePolicy {
    /// Checks a bundle's signatures, and returns the names of the site's keys that signed it.
    ///
    /// An invalid signature is an error even if signatures are optional. So is a signature by a revoked
    /// key, unless a trusted key also signed the bundle.
    ///
    /// # Errors
    /// See [`SignatureError`].
    pub fn check(&self, bundle: &Bundle) -> Result<Vec<&str>, SignatureError> {
        if bundle.signatures.is_empty() {
            if self.required {
                return Err(SignatureError::Unsigned);
            }
            return Ok(Vec::new());
        }
        let manifest = bundle.manifest();
        let (mut good, mut revoked, mut unknown) = (Vec::new(), None, Vec::new());
        let mut outlived = None;
        for text in &bundle.signatures {
            let id = KeyId::of_signature(text).ok_or(SignatureError::Malformed)?;
            let signature = Signature::decode(text).map_err(|_| SignatureError::Malformed)?;
            if let Some(site) = self.revoked_key(id) {
                revoked = Some(site.name.clone());
            } else if let Some(site) = self.keys.iter().find(|site| site.key.id() == id) {
                // Another key may have the same identifier, by accident or on purpose. Its signature is
                // invalid.
                if !site.key.has_signed(&manifest, &signature) {
                    let key = site.name.clone();
                    return Err(SignatureError::Wrong { key });
                }
                match last_day(&signature)? {
                    Some(day) if bundle.expires.is_none_or(|expires| expires > day) => {
                        let (key, expires) = (site.name.clone(), bundle.expires);
                        outlived = Some(SignatureError::OutlivesSignature { key, day, expires });
                    }
                    _ => good.push(site.name.as_str()),
                }
            } else {
                unknown.push(id);
            }
        }
        if let Some(error) = outlived.filter(|_| good.is_empty()) {
            return Err(error);
        }
        match revoked {
            _ if !good.is_empty() => Ok(good),
            Some(name) => Err(SignatureError::Revoked(name)),
            None if self.required => Err(SignatureError::UnknownKey(unknown)),
            None => Ok(good),
        }
    }

    /// Finds the revoked key with an identifier.
    pub fn revoked_key(&self, id: KeyId) -> Option<&SiteKey> {
        self.revoked.iter().find(|site| site.key.id() == id)
    }

    /// Returns the policy for a bundle that is not signed yet.
    pub fn for_unsigned(self) -> Self {
        Self {
            required: false,
            ..self
        }
    }
}

/// Reads the expiry date in the trusted comment of a signature, if it has one: `expires:2027-05-01`.
fn last_day(signature: &Signature) -> Result<Option<Date>, SignatureError> {
    let mut words = signature.trusted_comment().split_whitespace();
    let day = words.find_map(|word| word.strip_prefix(SIGNED_EXPIRES));
    // An unreadable date must not extend the signature.
    day.map(|day| day.parse().map_err(|_| SignatureError::Malformed))
        .transpose()
}

fn list_keys(keys: &[KeyId]) -> String {
    let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
    keys.join(", ")
}

/// Reads `signatures` of the site.
pub(super) fn read_policy(reader: &mut Reader, node: &Node) -> Option<SignaturePolicy> {
    let mut fields = reader.fields(node, "`signatures`")?;
    let required = fields.optional(reader, "required", Reader::boolean);
    let keys = fields.optional(reader, "keys", |r, n| r.items(n, read_key));
    let revoked = fields.optional(reader, "revoked", |r, n| r.items(n, read_key));
    fields.finish(reader);
    let policy = SignaturePolicy {
        required: required.unwrap_or(false),
        keys: keys.unwrap_or_default(),
        revoked: revoked.unwrap_or_default(),
    };
    if policy.required && policy.keys.is_empty() {
        let help = "add `keys: [{name: …, key: …}]`; `pxectl bundle keygen` prints such a line";
        let message = "signatures are required, but `keys` is empty";
        return reader.refuse("no-signing-key", node.span, message, help);
    }
    let all: Vec<&SiteKey> = policy.keys.iter().chain(&policy.revoked).collect();
    for (index, site) in all.iter().enumerate() {
        let earlier = all.iter().take(index);
        let same = |other: &&&SiteKey| other.key.id() == site.key.id() || other.name == site.name;
        if let Some(other) = earlier.into_iter().find(same) {
            let message = format!(
                "`{}` and `{}` have the same key or the same name",
                other.name, site.name
            );
            let help = "list each key once, with a unique name, in `keys` or in `revoked`";
            return reader.refuse("duplicate-key", node.span, message, help);
        }
    }
    Some(policy)
}

fn read_key(reader: &mut Reader, node: &Node) -> Option<SiteKey> {
    let mut fields = reader.fields(node, "this key")?;
    let name = fields.required(reader, "name", Reader::name);
    let key = fields.required(reader, "key", |r, n| {
        r.parsed::<PublicKey>(n, "the second line of the public key file, such as `RWQ…`")
    });
    fields.finish(reader);
    Some(SiteKey {
        name: name?.value,
        key: key?,
    })
}
