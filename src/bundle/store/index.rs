use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;

use serde::Deserialize;

use super::error::{BundleStoreError, io_error};
use super::layout::{BundleStore, INDEX_FILE, SMALL_LIMIT, read_small};
use crate::bundle::oci::{Descriptor, Index, MANIFEST_LIMIT};
use crate::machine::Sha256Digest;

/// What a manifest of any kind refers to.
#[derive(Clone, Debug, Default, Deserialize)]
struct ManifestReferences {
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

impl BundleStore {
    /// Reads the index.
    ///
    /// # Errors
    /// When the index cannot be read, or is invalid.
    pub fn index(&self) -> Result<Index, BundleStoreError> {
        let path = self.root().join(INDEX_FILE);
        let text = read_small(&path).map_err(|source| io_error(&path, source))?;
        serde_json::from_slice(&text).map_err(|error| BundleStoreError::NotALayout {
            path,
            reason: error.to_string(),
        })
    }

    /// Changes the index under a lock; writes nothing if nothing has changed.
    ///
    /// # Errors
    /// What `change` returns, without a change to the index; or when the disk fails.
    pub fn edit_index<T, E: From<BundleStoreError>>(
        &self,
        change: impl FnOnce(&mut Index) -> Result<T, E>,
    ) -> Result<T, E> {
        let _lock = self.lock_index()?;
        let before = self.index()?;
        let mut index = before.clone();
        let value = change(&mut index)?;
        if index != before {
            let invalid = |reason: String| BundleStoreError::NotALayout {
                path: self.root().join(INDEX_FILE),
                reason,
            };
            let text = serde_json::to_vec(&index).map_err(|error| invalid(error.to_string()))?;
            if text.len() as u64 > SMALL_LIMIT {
                let reason = "the index would exceed 4 MiB: remove unused bundles";
                return Err(invalid(reason.to_owned()).into());
            }
            self.replace(INDEX_FILE, &text)?;
        }
        Ok(value)
    }

    /// Lists the manifests that have a name, by name.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn names(&self) -> Result<BTreeMap<String, Descriptor>, BundleStoreError> {
        let manifests = self.index()?.manifests.into_iter();
        Ok(manifests
            .filter_map(|manifest| Some((manifest.name()?.to_owned(), manifest)))
            .collect())
    }

    /// Removes a name from the index, and returns its manifest. The blobs stay.
    ///
    /// # Errors
    /// [`BundleStoreError::UnknownName`], or when the disk fails.
    pub fn remove_name(&self, name: &str) -> Result<Descriptor, BundleStoreError> {
        self.edit_index(|index| {
            let at = index
                .manifests
                .iter()
                .position(|it| it.name() == Some(name));
            at.map(|at| index.manifests.remove(at))
                .ok_or_else(|| BundleStoreError::UnknownName {
                    root: self.root().to_owned(),
                    name: name.to_owned(),
                })
        })
    }

    /// Reads a manifest, and verifies its size and digest.
    ///
    /// # Errors
    /// When the manifest is missing, too large, has another size or digest, or cannot be read.
    pub fn read_manifest(&self, descriptor: &Descriptor) -> Result<Vec<u8>, BundleStoreError> {
        let file = format!("manifest {}", descriptor.digest);
        let invalid = |reason: &str| BundleStoreError::NotALayout {
            path: self.root().to_owned(),
            reason: format!("{file} {reason}"),
        };
        let Some(digest) = descriptor.sha256() else {
            return Err(invalid("has no SHA-256 digest"));
        };
        if descriptor.size > MANIFEST_LIMIT {
            return Err(invalid("exceeds 4 MiB"));
        }
        let path = self.blob_path(&digest);
        let opened = fs::File::open(&path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => BundleStoreError::MissingBlob {
                file: file.clone(),
                path: path.clone(),
            },
            _ => io_error(&path, source),
        })?;
        let mut content = Vec::new();
        opened
            .take(MANIFEST_LIMIT + 1)
            .read_to_end(&mut content)
            .map_err(|source| io_error(&path, source))?;
        if content.len() as u64 != descriptor.size {
            return Err(BundleStoreError::WrongSize {
                file,
                path,
                found: content.len() as u64,
                expected: descriptor.size,
            });
        }
        let found = Sha256Digest::of(&content);
        if found != digest {
            return Err(BundleStoreError::WrongDigest { file, path, found });
        }
        Ok(content)
    }

    /// Lists every blob that the index refers to, through manifests of any kind.
    ///
    /// # Errors
    /// When a manifest is missing or invalid: it is unknown then what it refers to.
    pub fn referenced(&self) -> Result<BTreeSet<Sha256Digest>, BundleStoreError> {
        self.referenced_by(self.index()?.manifests)
    }

    /// Lists the blobs of some manifests, and every blob that they refer to.
    ///
    /// # Errors
    /// As [`BundleStore::referenced`].
    pub fn referenced_by(
        &self,
        manifests: Vec<Descriptor>,
    ) -> Result<BTreeSet<Sha256Digest>, BundleStoreError> {
        let mut found = BTreeSet::new();
        let mut open = manifests;
        while let Some(descriptor) = open.pop() {
            let is_new = descriptor
                .sha256()
                .is_some_and(|digest| found.insert(digest));
            if !is_new {
                continue;
            }
            let content = self.read_manifest(&descriptor)?;
            let references: ManifestReferences =
                serde_json::from_slice(&content).map_err(|error| BundleStoreError::NotALayout {
                    path: self.root().to_owned(),
                    reason: format!("invalid manifest {}: {error}", descriptor.digest),
                })?;
            found.extend(
                references
                    .config
                    .iter()
                    .chain(&references.layers)
                    .filter_map(Descriptor::sha256),
            );
            open.extend(references.manifests);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::inventory::{Bundle, BundleFile};

    fn store() -> (tempfile::TempDir, BundleStore) {
        let directory = tempfile::tempdir().unwrap();
        let store = BundleStore::open_or_create(&directory.path().join("store")).unwrap();
        (directory, store)
    }

    fn bundle(store: &BundleStore, name: &str, content: &[u8]) -> Bundle {
        let (sha256, size) = store.add_blob(&mut &content[..]).unwrap();
        let file = BundleFile {
            path: "linux".into(),
            sha256,
            size,
            source: None,
        };
        Bundle {
            name: name.into(),
            arch: "x86_64".into(),
            expires: None,
            signatures: Vec::new(),
            files: BTreeMap::from([("kernel".to_owned(), file)]),
        }
    }

    #[test]
    fn a_bundle_is_added_and_its_blobs_are_read_by_digest() {
        let (_directory, store) = store();
        let bundle = bundle(&store, "b", b"kernel");
        let digest = store.add_bundle(&bundle).unwrap();
        assert_eq!(digest, bundle.manifest_digest());
        store.add_bundle(&bundle).unwrap();
        assert_eq!(store.index().unwrap().manifests.len(), 1);
        let mut text = String::new();
        store
            .open_blob(&bundle.files["kernel"])
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "kernel");
        let left: Vec<_> = fs::read_dir(store.blobs())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left.len(), 3, "blob, config and manifest: {left:?}");
        assert_eq!(store.referenced().unwrap().len(), 3);
        assert_eq!(
            store.read_manifest(&store.names().unwrap()["b"]).unwrap(),
            bundle.manifest()
        );
    }

    #[test]
    fn blobs_that_are_missing_or_short_are_named() {
        let (_directory, store) = store();
        let bundle = bundle(&store, "b", b"kernel");
        let file = &bundle.files["kernel"];
        fs::write(store.blob_path(&file.sha256), "kern").unwrap();
        assert!(matches!(
            store.open_blob(file),
            Err(BundleStoreError::WrongSize { found: 4, .. })
        ));
        fs::remove_file(store.blob_path(&file.sha256)).unwrap();
        assert!(matches!(
            store.open_blob(file),
            Err(BundleStoreError::MissingBlob { .. })
        ));
        assert!(store.add_bundle(&bundle).is_err());
        assert!(store.names().unwrap().is_empty());
    }

    #[test]
    fn a_name_never_changes_its_content() {
        let (_directory, store) = store();
        let (first, second) = (bundle(&store, "b", b"one"), bundle(&store, "b", b"two"));
        store.add_bundle(&first).unwrap();
        for refused in [
            store.add_bundle(&second).unwrap_err(),
            store.check_name(&second).unwrap_err(),
        ] {
            let error = refused.to_string();
            assert!(
                error.contains(&first.manifest_digest().to_string()),
                "{error}"
            );
            assert!(
                error.contains(&second.manifest_digest().to_string()),
                "{error}"
            );
        }
        store.check_name(&first).unwrap();
        assert_eq!(
            store.names().unwrap()["b"].sha256(),
            Some(first.manifest_digest())
        );
        store.remove_name("b").unwrap();
        assert!(matches!(
            store.remove_name("b"),
            Err(BundleStoreError::UnknownName { .. })
        ));
        store.add_bundle(&second).unwrap();
    }

    #[test]
    fn no_name_is_lost_when_many_threads_add_names() {
        let (_directory, store) = store();
        let bundles: Vec<Bundle> = (0..16)
            .map(|number| bundle(&store, &format!("b{number}"), &[number]))
            .collect();
        let (store, contested) = (
            &store,
            &Bundle {
                name: "contested".into(),
                ..bundles[0].clone()
            },
        );
        let won: usize = std::thread::scope(|scope| {
            let adders: Vec<_> = bundles
                .iter()
                .map(|bundle| {
                    scope.spawn(move || {
                        store.add_bundle(bundle).unwrap();
                        let rival = Bundle {
                            files: bundle.files.clone(),
                            ..contested.clone()
                        };
                        store.add_bundle(&rival).is_ok()
                    })
                })
                .collect();
            let ended = adders.into_iter().map(|adder| adder.join().unwrap());
            ended.filter(|won| *won).count()
        });
        assert_eq!((won, store.names().unwrap().len()), (1, 17));
    }

    #[test]
    fn fields_by_other_programs_stay_in_the_index() {
        let (_directory, store) = store();
        let path = store.root().join(INDEX_FILE);
        let theirs = r#"{"schemaVersion":2,"annotations":{"a":"b"},"manifests":[{"mediaType":"x/y","digest":"sha512:ab","size":3,"platform":{"os":"linux"}}]}"#;
        fs::write(&path, theirs).unwrap();
        store.add_bundle(&bundle(&store, "b", b"kernel")).unwrap();
        store.remove_name("b").unwrap();
        let (before, after): (Value, Value) = (
            serde_json::from_str(theirs).unwrap(),
            serde_json::from_slice(&fs::read(&path).unwrap()).unwrap(),
        );
        assert_eq!(before, after);
    }

    #[test]
    fn a_damaged_manifest_is_an_error_and_not_empty() {
        let (_directory, store) = store();
        let bundle = bundle(&store, "b", b"kernel");
        let digest = store.add_bundle(&bundle).unwrap();
        let manifest = bundle.manifest();
        fs::write(store.blob_path(&digest), vec![b' '; manifest.len()]).unwrap();
        assert!(matches!(
            store.referenced(),
            Err(BundleStoreError::WrongDigest { .. })
        ));
    }
}
