//! The signatures that a site requires of its bundles, and their check.

use jiff::civil::Date;
use minisign_verify::Signature;
use serde::{Deserialize, Serialize};

use super::bundle::Bundle;
use super::reader::Reader;
use super::signature::{KeyId, PublicKey};
use super::tree::Node;

/// What stands in a signature's comment before the day until which it is good.
pub const SIGNED_EXPIRES: &str = "expires:";
/// The `signatures` of a site: who signs its bundles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignaturePolicy {
    /// Whether a bundle without a good signature is refused.
    pub required: bool,
    /// The keys whose signatures count.
    pub keys: Vec<SiteKey>,
    /// The keys whose signatures count no more.
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

/// Why a bundle's signatures are not what the site wants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It has none, and the site requires one.
    #[error("it is not signed, and the site requires a signature")]
    Unsigned,
    /// A signature is not one.
    #[error("a signature of it is not in minisign's format")]
    Malformed,
    /// A signature of a key of the site is not of this content.
    #[error("its signature by key `{key}` is wrong: it was changed after it was signed")]
    Wrong {
        /// The site's name for the key.
        key: String,
    },
    /// Nobody whom the site trusts signed it; these keys did.
    #[error("it is signed by no key of the site, but by {}", spelled(.0))]
    UnknownKey(Vec<KeyId>),
    /// It was signed to expire, and its document lets it live longer.
    #[error("its signature by key `{key}` is good until {day}, and it expires {}",
        .expires.map_or("never".to_owned(), |day| format!("on {day}")))]
    OutlivesSignature {
        /// The site's name for the key.
        key: String,
        /// The last day that was signed.
        day: Date,
        /// The day that the document says.
        expires: Option<Date>,
    },
    /// Of the site's keys, only one that is revoked has signed it.
    #[error("it is signed by key `{0}`, which the site has revoked")]
    Revoked(String),
}

impl SignatureError {
    /// Says what to do about the bundle.
    pub fn help(&self, bundle: &str) -> String {
        match self {
            Self::Unsigned | Self::UnknownKey(_) => {
                format!("`pxectl bundle sign {bundle} --key FILE`, and commit what it prints")
            }
            Self::Revoked(_) => format!(
                "check its files, then sign it with another key of the site: `pxectl bundle sign \
                 {bundle} --key FILE`, and commit what it prints"
            ),
            Self::Malformed => {
                "write all four lines that minisign wrote, as a block after `|`".into()
            }
            Self::OutlivesSignature { day, .. } => format!(
                "write `expires: {day}`, or sign it for longer: `pxectl bundle sign {bundle} --expires DAY --key FILE`"
            ),
            Self::Wrong { .. } => {
                "take the document from where it was signed; do not sign what you have not checked"
                    .into()
            }
        }
    }
}

impl SignaturePolicy {
    /// Checks a bundle's signatures, and returns the names of the site's keys that signed it.
    ///
    /// A signature that is wrong is an error also where none is required, and so is one by a revoked
    /// key where no key of the site has signed too.
    ///
    /// # Errors
    /// See [`SignatureError`].
    pub fn check(&self, bundle: &Bundle) -> Result<Vec<&str>, SignatureError> {
        if bundle.signatures.is_empty() {
            return match self.required {
                true => Err(SignatureError::Unsigned),
                false => Ok(Vec::new()),
            };
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
                // Keys of other makers may share an identifier, by mistake or on purpose: such a
                // signature is not ours, and so it is wrong.
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

    /// Finds the revoked key that has an identifier: whatever it has signed does not count.
    pub fn revoked_key(&self, id: KeyId) -> Option<&SiteKey> {
        self.revoked.iter().find(|site| site.key.id() == id)
    }

    /// Returns the rules for a bundle that need not be signed yet.
    pub fn for_unsigned(self) -> Self {
        Self {
            required: false,
            ..self
        }
    }
}

/// Reads the day until which a signature is good, which its signer may have put into the comment that
/// is signed with it: `expires:2027-05-01`.
fn last_day(signature: &Signature) -> Result<Option<Date>, SignatureError> {
    let mut words = signature.trusted_comment().split_whitespace();
    let day = words.find_map(|word| word.strip_prefix(SIGNED_EXPIRES));
    // What cannot be read was meant to bound it all the same.
    day.map(|day| day.parse().map_err(|_| SignatureError::Malformed))
        .transpose()
}

fn spelled(keys: &[KeyId]) -> String {
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
        let help = "add `keys: [{name: …, key: …}]`: `pxectl bundle keygen` prints such a line";
        let message = "signatures are required, and there is no key to check them with";
        return reader.refuse("no-signing-key", node.span, message, help);
    }
    let all: Vec<&SiteKey> = policy.keys.iter().chain(&policy.revoked).collect();
    for (index, site) in all.iter().enumerate() {
        let earlier = all.iter().take(index);
        let same = |other: &&&SiteKey| other.key.id() == site.key.id() || other.name == site.name;
        if let Some(other) = earlier.into_iter().find(same) {
            let message = format!(
                "`{}` and `{}` are the same key or have the same name",
                other.name, site.name
            );
            let help = "a key stands once, with its own name: below `keys`, or below `revoked`";
            return reader.refuse("duplicate-key", node.span, message, help);
        }
    }
    Some(policy)
}

fn read_key(reader: &mut Reader, node: &Node) -> Option<SiteKey> {
    let mut fields = reader.fields(node, "this key")?;
    let name = fields.required(reader, "name", Reader::name);
    let key = fields.required(reader, "key", |r, n| {
        r.parsed::<PublicKey>(
            n,
            "the second line of the public key's file, such as `RWQ…`",
        )
    });
    fields.finish(reader);
    Some(SiteKey {
        name: name?.value,
        key: key?,
    })
}
