use std::sync::{Arc, PoisonError};

use super::checksums::Checksums;
use super::context::Builder;
use super::error::BuildError;
use super::location::SourceLocation;
use super::signature::{OpenPgp, check_minisign};
use super::url_path::beside;
use crate::bundle::store::Temporary;
use crate::inventory::{KeyId, Signature, SignatureKey, SignaturePlace, SpecSource};
use crate::machine::Sha256Digest;

/// The largest list of checksums that is read, in bytes. Debian's `InRelease` has about 1 MB.
const LIST_LIMIT: u64 = 32 << 20;
/// The largest signature that is read, in bytes.
const SIGNATURE_LIMIT: u64 = 1 << 20;

/// The file that a source stands for.
pub(super) struct ExpectedFile {
    /// Its path or URL, without wildcards.
    pub from: String,
    /// Its expected digest, and where that comes from.
    pub digest: Option<(Sha256Digest, String)>,
}

impl Builder<'_> {
    /// Finds the path or URL of a source, and its expected digest.
    pub(super) fn expected(&self, source: &SpecSource) -> Result<ExpectedFile, BuildError> {
        let mut from = source.from.clone();
        let mut digest = source.sha256.map(|digest| (digest, "the spec".to_owned()));
        if let Some(list) = &source.checksums {
            let location = beside(&list.from, &from);
            let shown = SourceLocation::new(&location, self.base).shown();
            let failed = |source| BuildError::Checksums {
                list: shown.clone(),
                source,
            };
            let checksums = self.checksums(list, &location)?;
            if from.contains('*') {
                from = checksums.resolve(&from).map_err(failed)?;
            }
            let listed = checksums.find(&from, &location).map_err(failed)?;
            match digest {
                Some((pinned, stated_by)) if pinned != listed => {
                    return Err(BuildError::WrongDigest {
                        what: shown,
                        found: listed,
                        expected: pinned,
                        stated_by,
                    });
                }
                Some(_) => {}
                None => digest = Some((listed, format!("`{shown}`"))),
            }
        }
        Ok(ExpectedFile { from, digest })
    }

    /// Checks the signature of a local file.
    pub(super) fn check_signature(
        &self,
        signature: &Signature,
        from: &str,
        file: &std::path::Path,
    ) -> Result<(), BuildError> {
        let what = SourceLocation::new(from, self.base).shown();
        let SignaturePlace::Detached(place) = &signature.place else {
            return Err(BuildError::Signature {
                what,
                reason: "only a text can have an inline signature".to_owned(),
                is_of_other_content: false,
            });
        };
        let location = SourceLocation::new(&beside(place, from), self.base);
        let bytes = location.read(self.web, SIGNATURE_LIMIT, self.progress)?;
        match &signature.key {
            SignatureKey::OpenPgp(keyring) => {
                OpenPgp::open(self.store, &self.base.join(keyring))?.check(&what, file, &bytes)
            }
            SignatureKey::Minisign(key) => {
                let text = String::from_utf8_lossy(&bytes);
                let id = KeyId::of_signature(&text);
                if let Some(site) = id.and_then(|id| self.policy.revoked_key(id)) {
                    let reason =
                        format!("signed by key `{}`, which the site has revoked", site.name);
                    return Err(BuildError::Signature {
                        what,
                        reason,
                        is_of_other_content: false,
                    });
                }
                check_minisign(&what, file, &bytes, key, self.base)
            }
        }
    }

    /// Reads a list once for all files that it verifies.
    fn checksums(&self, list: &SpecSource, location: &str) -> Result<Arc<Checksums>, BuildError> {
        let known = {
            let mut lists = self.lists.0.lock().unwrap_or_else(PoisonError::into_inner);
            lists.entry(location.to_owned()).or_default().clone()
        };
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(checksums) = known.as_ref() {
            return Ok(checksums.clone());
        }
        let text = self.read_list(list, location)?;
        let checksums = Arc::new(Checksums::parse(&text));
        *known = Some(checksums.clone());
        Ok(checksums)
    }

    /// Reads a list, and verifies it as the source states.
    fn read_list(&self, source: &SpecSource, from: &str) -> Result<Vec<u8>, BuildError> {
        let location = SourceLocation::new(from, self.base);
        let shown = location.shown();
        let content = location.read(self.web, LIST_LIMIT, self.progress)?;
        let named = SpecSource {
            from: from.to_owned(),
            ..source.clone()
        };
        let expected = self.expected(&named)?;
        let found = Sha256Digest::of(&content);
        if let Some((expected, stated_by)) = expected.digest.filter(|(digest, _)| *digest != found)
        {
            return Err(BuildError::WrongDigest {
                what: shown,
                found,
                expected,
                stated_by,
            });
        }
        let verified = source.sha256.is_some() || source.checksums.is_some();
        match &source.signature {
            None if verified || source.unverified => Ok(content),
            None => {
                self.progress.warn(
                    &format!("`{shown}` is not signed"),
                    "check the digests before you commit them, or pin them with `sha256`: anyone who can \
                     change this list can change the files that it verifies",
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
