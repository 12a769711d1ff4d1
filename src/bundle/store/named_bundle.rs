use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::error::BundleStoreError;
use super::layout::BundleStore;
use crate::bundle::oci::{Descriptor, Index, MANIFEST_LIMIT, NAME_ANNOTATION};
use crate::clock::wall_time;
use crate::inventory::{ARTIFACT_TYPE, Bundle, EMPTY_CONFIG, KeyId, MANIFEST_MEDIA_TYPE};
use crate::machine::Sha256Digest;

/// The annotation of a retired bundle; its value is the reason.
pub const RETIRED_ANNOTATION: &str = "dev.pxectl.retired";

/// The annotation with the time at which a name was added to the index.
///
/// Source: OCI image specification 1.1, "Pre-Defined Annotation Keys".
pub const CREATED_ANNOTATION: &str = "org.opencontainers.image.created";

/// A name of the index, with its bundle.
#[derive(Debug)]
pub struct NamedBundle {
    /// The entry in the index.
    pub descriptor: Descriptor,
    /// The bundle, or why it is not a bundle or cannot be read.
    pub bundle: Result<Bundle, BundleStoreError>,
}

impl NamedBundle {
    /// Returns the reason for which the bundle was retired, if it was.
    pub fn retired(&self) -> Option<&str> {
        let annotations = &self.descriptor.annotations;
        annotations.get(RETIRED_ANNOTATION).map(String::as_str)
    }

    /// Returns when the bundle was added to this store, if known.
    pub fn created(&self) -> Option<Timestamp> {
        let annotations = &self.descriptor.annotations;
        annotations.get(CREATED_ANNOTATION)?.parse().ok()
    }
}

impl BundleStore {
    /// Adds a bundle whose blobs are in the store: its manifest, and its name in the index.
    ///
    /// If the name has this content already, new signatures are added to the present ones. Returns the
    /// digest of [`Bundle::manifest`].
    ///
    /// # Errors
    /// [`BundleStoreError::InvalidBundle`] and [`BundleStoreError::TooManyFiles`] when the bundle could not
    /// be read again, [`BundleStoreError::NameTaken`] when the name has other content, when a blob is
    /// missing or has another size, or when the disk fails.
    pub fn add_bundle(&self, bundle: &Bundle) -> Result<Sha256Digest, BundleStoreError> {
        check_readable(bundle)?;
        let _lock = self.lock_shared()?;
        for file in bundle.files.values() {
            self.open_blob(file)?;
        }
        self.add_blob(&mut &EMPTY_CONFIG[..])?;
        // The signed content is a blob too, so that `minisign` can verify it.
        let (digest, _) = self.add_blob(&mut bundle.manifest().as_slice())?;
        loop {
            let present = self.index()?.find(&bundle.name).cloned();
            let known = self.same_content(bundle, present.as_ref())?;
            let merged = merge_signatures(bundle, known);
            check_readable(&merged)?;
            let envelope = merged.envelope();
            self.add_blob(&mut envelope.as_slice())?;
            let mut descriptor = Descriptor::of(MANIFEST_MEDIA_TYPE, &envelope);
            let kind = ("artifactType".to_owned(), Value::from(ARTIFACT_TYPE));
            descriptor.other.extend([kind]);
            let kept = present.as_ref().map(|it| it.annotations.clone());
            descriptor.annotations = kept.unwrap_or_default();
            let name = (NAME_ANNOTATION.to_owned(), bundle.name.clone());
            descriptor.annotations.extend([name]);
            let created = descriptor.annotations.entry(CREATED_ANNOTATION.to_owned());
            created.or_insert_with(|| format!("{:.0}", wall_time()));
            let put = |index: &mut Index| {
                if index.find(&bundle.name) != present.as_ref() {
                    return Ok::<bool, BundleStoreError>(false);
                }
                let named = |it: &&mut Descriptor| it.name() == Some(&bundle.name);
                match index.manifests.iter_mut().find(named) {
                    Some(entry) => *entry = descriptor,
                    None => index.manifests.push(descriptor),
                }
                Ok(true)
            };
            if self.edit_index(put)? {
                return Ok(digest);
            }
        }
    }

    /// Checks that a bundle's name is free or has this content.
    ///
    /// # Errors
    /// [`BundleStoreError::NameTaken`], and when the index cannot be read.
    pub fn check_name(&self, bundle: &Bundle) -> Result<(), BundleStoreError> {
        let present = self.index()?.find(&bundle.name).cloned();
        self.same_content(bundle, present.as_ref()).map(|_| ())
    }

    /// Reads the bundle with a name.
    ///
    /// # Errors
    /// [`BundleStoreError::UnknownName`], and when its manifest is not a bundle's or cannot be read.
    pub fn bundle(&self, name: &str) -> Result<Bundle, BundleStoreError> {
        match self.index()?.find(name) {
            Some(descriptor) => self.bundle_at(descriptor),
            None => Err(BundleStoreError::UnknownName {
                root: self.root().to_owned(),
                name: name.to_owned(),
            }),
        }
    }

    /// Reads every name with its bundle.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn bundles(&self) -> Result<BTreeMap<String, NamedBundle>, BundleStoreError> {
        let names = self.names()?.into_iter();
        Ok(names
            .map(|(name, descriptor)| {
                let bundle = self.bundle_at(&descriptor);
                (name, NamedBundle { descriptor, bundle })
            })
            .collect())
    }

    /// Marks a bundle as retired for a reason, or removes the mark if `reason` is `None`. The bundle stays in
    /// the store.
    ///
    /// # Errors
    /// [`BundleStoreError::UnknownName`], or when the disk fails.
    pub fn retire(&self, name: &str, reason: Option<&str>) -> Result<(), BundleStoreError> {
        // Garbage collection must not run between its check of the mark and the removal.
        let _lock = self.lock_shared()?;
        self.edit_index(|index| {
            let found = index
                .manifests
                .iter_mut()
                .find(|it| it.name() == Some(name))
                .ok_or_else(|| BundleStoreError::UnknownName {
                    root: self.root().to_owned(),
                    name: name.to_owned(),
                })?;
            found.annotations.remove(RETIRED_ANNOTATION);
            found
                .annotations
                .extend(reason.map(|reason| (RETIRED_ANNOTATION.to_owned(), reason.to_owned())));
            Ok(())
        })
    }

    /// Reads the bundle of a manifest.
    ///
    /// # Errors
    /// When the manifest is not a bundle's or cannot be read.
    pub fn bundle_at(&self, descriptor: &Descriptor) -> Result<Bundle, BundleStoreError> {
        let manifest = self.read_manifest(descriptor)?;
        Bundle::from_manifest(&manifest).map_err(|error| BundleStoreError::NotABundle {
            name: descriptor.name().unwrap_or(&descriptor.digest).to_owned(),
            error,
        })
    }

    /// Reads the present bundle of a name, and checks that it has the content of `bundle`.
    fn same_content(
        &self,
        bundle: &Bundle,
        present: Option<&Descriptor>,
    ) -> Result<Option<Bundle>, BundleStoreError> {
        let Some(present) = present else {
            return Ok(None);
        };
        let new = bundle.manifest_digest();
        let known = self.bundle_at(present).ok();
        let digest = known.as_ref().map(Bundle::manifest_digest);
        if digest == Some(new) || present.sha256() == Some(new) {
            return Ok(known);
        }
        Err(BundleStoreError::NameTaken {
            name: bundle.name.clone(),
            present: digest.map_or_else(|| present.digest.clone(), |it| format!("sha256:{it}")),
            new: format!("sha256:{new}"),
        })
    }
}

/// Checks that a bundle can be read again after it is written: one that cannot would block garbage
/// collection.
fn check_readable(bundle: &Bundle) -> Result<(), BundleStoreError> {
    let envelope = bundle.envelope();
    let (name, size) = (bundle.name.clone(), envelope.len() as u64);
    if size > MANIFEST_LIMIT {
        return Err(BundleStoreError::TooManyFiles { name, size });
    }
    Bundle::from_manifest(&envelope)
        .map(drop)
        .map_err(|error| BundleStoreError::InvalidBundle { name, error })
}

/// Returns a bundle with the signatures by other keys that `known`, a bundle with the same content, has.
pub(in crate::bundle) fn merge_signatures(bundle: &Bundle, known: Option<Bundle>) -> Bundle {
    let mut merged = bundle.clone();
    let ids: Vec<Option<KeyId>> = (merged.signatures.iter())
        .map(|text| KeyId::of_signature(text))
        .collect();
    if let Some(known) = known {
        let others = known.signatures.into_iter();
        merged
            .signatures
            .extend(others.filter(|text| !ids.contains(&KeyId::of_signature(text))));
        merged.expires = merged.expires.or(known.expires);
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::key::SecretKey;
    use crate::bundle::store::SampleStore;
    use crate::inventory::BundleFile;

    #[test]
    fn signatures_are_merged_under_one_name_and_the_content_stays() {
        let sample = SampleStore::with(b"kernel");
        let (store, file) = (&sample.store, sample.file.clone());
        let plain = Bundle {
            name: "b".into(),
            arch: "x86_64".into(),
            expires: None,
            signatures: Vec::new(),
            files: BTreeMap::from([("kernel".to_owned(), file)]),
        };
        let digest = store.add_bundle(&plain).unwrap();
        store.retire("b", Some("old")).unwrap();
        let keys = [(); 2].map(|()| SecretKey::generate().unwrap());
        for key in &keys {
            let signatures = vec![key.sign(&plain.manifest(), "")];
            let signed = Bundle {
                signatures,
                ..plain.clone()
            };
            store.check_name(&signed).unwrap();
            assert_eq!(store.add_bundle(&signed).unwrap(), digest);
        }
        let signed = store.bundle("b").unwrap();
        assert_eq!(signed.signatures.len(), 2);
        // Adding the bundle without signatures removes none, and the bundle stays retired.
        store.add_bundle(&plain).unwrap();
        assert_eq!(store.bundle("b").unwrap(), signed);
        assert_eq!(store.bundles().unwrap()["b"].retired(), Some("old"));
        assert_eq!(store.index().unwrap().manifests.len(), 1);
        assert_eq!(
            std::fs::read(store.blob_path(&digest)).unwrap(),
            plain.manifest()
        );
    }

    #[test]
    fn a_bundle_that_cannot_be_read_again_gets_no_name() {
        let sample = SampleStore::with(b"kernel");
        let store = &sample.store;
        let file = |path: &str| BundleFile {
            path: path.to_owned(),
            ..sample.file.clone()
        };
        let bundle = |name: &str, arch: &str, files: BTreeMap<String, BundleFile>| Bundle {
            name: name.into(),
            arch: arch.into(),
            expires: None,
            signatures: Vec::new(),
            files,
        };
        let one = |key: &str, path: &str| BTreeMap::from([(key.to_owned(), file(path))]);
        let many = (0..4096).map(|it| (format!("f{it}"), file(&"x".repeat(1000))));
        for (bundle, expected) in [
            (
                bundle("a b", "x86_64", one("k", "k")),
                "`a b` is not a valid bundle",
            ),
            (bundle("b", "z80", one("k", "k")), "`z80`"),
            (bundle("b", "x86_64", one(&"k".repeat(129), "k")), "kkk"),
            (bundle("b", "x86_64", one("k", "../k")), "leaves the bundle"),
            (bundle("b", "x86_64", many.collect()), "exceeds 4 MiB"),
        ] {
            let refused = store.add_bundle(&bundle).unwrap_err().to_string();
            assert!(refused.contains(expected), "{refused}");
            assert_eq!(store.index().unwrap().manifests, []);
        }
    }
}
