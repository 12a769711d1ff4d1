use std::sync::{Arc, PoisonError};

use super::checksums::Checksums;
use super::context::Builder;
use super::error::BuildError;
use super::location::{Place, beside, path_of};
use super::signature::{OpenPgp, check_minisign};
use crate::bundle::store::Temporary;
use crate::inventory::{KeyId, Signature, SignatureKey, SignaturePlace, Source};
use crate::machine::Sha256Digest;

/// The largest list of checksums that is read, in octets. Debian's `InRelease` has a megabyte.
const LIST_LIMIT: u64 = 32 << 20;
/// The largest signature that is read, in octets.
const SIGNATURE_LIMIT: u64 = 1 << 20;

/// What a source turned out to be.
pub(super) struct Expected {
    /// Where it lies, with nothing left open.
    pub from: String,
    /// Its digest, and who says so.
    pub digest: Option<(Sha256Digest, String)>,
}

impl Builder<'_> {
    /// Finds out where a source lies and what it should hash to.
    pub(super) fn expected(&self, source: &Source) -> Result<Expected, BuildError> {
        let mut from = source.from.clone();
        let mut digest = source.sha256.map(|digest| (digest, "the spec".to_owned()));
        if let Some(list) = &source.checksums {
            let place = beside(&list.from, &from);
            let shown = Place::new(&place, self.base).shown();
            let failed = |source| BuildError::Checksums {
                list: shown.clone(),
                source,
            };
            let checksums = self.list(list, &place)?;
            if from.contains('*') {
                from = checksums.resolve(&from).map_err(failed)?;
            }
            let listed = checksums.find(path_of(&from)).map_err(failed)?;
            match digest {
                Some((pinned, said_by)) if pinned != listed => {
                    return Err(BuildError::WrongDigest {
                        what: shown,
                        found: listed,
                        expected: pinned,
                        said_by,
                    });
                }
                Some(_) => {}
                None => digest = Some((listed, format!("`{shown}`"))),
            }
        }
        Ok(Expected { from, digest })
    }

    /// Checks the signature of a file that is here.
    pub(super) fn check_signature(
        &self,
        signature: &Signature,
        from: &str,
        file: &std::path::Path,
    ) -> Result<(), BuildError> {
        let what = Place::new(from, self.base).shown();
        let SignaturePlace::Detached(place) = &signature.place else {
            return Err(BuildError::Signature {
                what,
                reason: "only a text can be signed inline".to_owned(),
            });
        };
        let place = Place::new(&beside(place, from), self.base);
        let octets = place.read(self.web, SIGNATURE_LIMIT, self.progress)?;
        match &signature.key {
            SignatureKey::OpenPgp(keyring) => {
                OpenPgp::open(self.store, &self.base.join(keyring))?.check(&what, file, &octets)
            }
            SignatureKey::Minisign(key) => {
                let text = String::from_utf8_lossy(&octets);
                let id = KeyId::of_signature(&text);
                if let Some(site) = id.and_then(|id| self.policy.revoked_key(id)) {
                    let reason = format!(
                        "it is signed by key `{}`, which the site has revoked",
                        site.name
                    );
                    return Err(BuildError::Signature { what, reason });
                }
                check_minisign(&what, file, &octets, key, self.base)
            }
        }
    }

    /// Reads a list once, however many files it verifies.
    fn list(&self, list: &Source, place: &str) -> Result<Arc<Checksums>, BuildError> {
        let known = {
            let mut lists = self.lists.0.lock().unwrap_or_else(PoisonError::into_inner);
            lists.entry(place.to_owned()).or_default().clone()
        };
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(checksums) = known.as_ref() {
            return Ok(checksums.clone());
        }
        let text = self.small(list, place)?;
        let checksums = Arc::new(Checksums::parse(&String::from_utf8_lossy(&text)));
        *known = Some(checksums.clone());
        Ok(checksums)
    }

    /// Reads a list and verifies it, if anything says how.
    fn small(&self, source: &Source, from: &str) -> Result<Vec<u8>, BuildError> {
        let place = Place::new(from, self.base);
        let shown = place.shown();
        let content = place.read(self.web, LIST_LIMIT, self.progress)?;
        let named = Source {
            from: from.to_owned(),
            ..source.clone()
        };
        let expected = self.expected(&named)?;
        let found = Sha256Digest::of(&content);
        if let Some((expected, said_by)) = expected.digest.filter(|(digest, _)| *digest != found) {
            return Err(BuildError::WrongDigest {
                what: shown,
                found,
                expected,
                said_by,
            });
        }
        let verified = source.sha256.is_some() || source.checksums.is_some();
        match &source.signature {
            None if verified || source.unverified => Ok(content),
            None => {
                self.progress.warn(
                    &format!("nobody has signed `{shown}`"),
                    "whoever can change it can change what it verifies: look at the digests before you \
                     commit them, or pin them with `sha256`",
                );
                Ok(content)
            }
            Some(Signature {
                place: SignaturePlace::Inline,
                key: SignatureKey::OpenPgp(keyring),
            }) => {
                OpenPgp::open(self.store, &self.base.join(keyring))?.check_inline(&shown, &content)
            }
            Some(signature) => {
                let mut file = Temporary::create(&self.store.partial()?)?;
                file.write(&content)?;
                self.check_signature(signature, from, file.path())?;
                Ok(content)
            }
        }
    }
}
