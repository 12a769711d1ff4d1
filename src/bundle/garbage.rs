use std::collections::BTreeSet;
use std::fs;
use std::io;

use super::error::{BundleStoreError, io_error};
use super::layout::BundleStore;
use crate::inventory::Bundle;
use crate::machine::Sha256Digest;

/// What somebody still needs, whatever the index says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needed {
    names: BTreeSet<String>,
    blobs: BTreeSet<Sha256Digest>,
}

/// What nobody needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Garbage {
    /// Names that would go.
    pub names: BTreeSet<String>,
    /// Blobs that would go.
    pub blobs: BTreeSet<Sha256Digest>,
    /// The octets of these.
    pub octets: u64,
}

impl Needed {
    /// Keeps a bundle: its name, its files, and what signs them.
    pub fn add(&mut self, bundle: &Bundle) {
        self.names.insert(bundle.name.clone());
        self.blobs.insert(bundle.manifest_digest());
        let files = bundle.files.values();
        self.blobs.extend(files.map(|file| file.sha256));
    }
}

impl Garbage {
    /// Reports whether there is none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.blobs.is_empty()
    }
}

impl BundleStore {
    /// Finds what nobody needs: names that are retired, or with `unused` any, and are not needed;
    /// and blobs that neither a name that stays leads to nor somebody needs.
    ///
    /// # Errors
    /// When what a name leads to is not known, since its manifest is missing or damaged: then
    /// nothing may go.
    pub fn garbage(&self, needed: &Needed, unused: bool) -> Result<Garbage, BundleStoreError> {
        let index = self.index()?;
        let (mut stay, mut names) = (Vec::new(), BTreeSet::new());
        for descriptor in index.manifests {
            let retired = descriptor
                .annotations
                .contains_key(super::RETIRED_ANNOTATION);
            match descriptor.name() {
                Some(name) if (retired || unused) && !needed.names.contains(name) => {
                    names.insert(name.to_owned());
                }
                _ => stay.push(descriptor),
            }
        }
        let mut kept = needed.blobs.clone();
        for descriptor in &stay {
            // What is signed stands beside what travels. Other people's images sign nothing.
            match self.bundle_at(descriptor) {
                Ok(bundle) => kept.extend([bundle.manifest_digest()]),
                Err(BundleStoreError::NotABundle { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        kept.extend(self.referenced_by(stay)?);
        let mut garbage = Garbage {
            names,
            ..Garbage::default()
        };
        let blobs = self.blobs();
        let failed = |source| io_error(&blobs, source);
        for entry in fs::read_dir(&blobs).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let digest = name.to_str().and_then(|name| name.parse().ok());
            // What is no blob is not ours to remove.
            let Some(digest) = digest.filter(|digest| !kept.contains(digest)) else {
                continue;
            };
            garbage.octets += entry.metadata().map_err(failed)?.len();
            garbage.blobs.insert(digest);
        }
        Ok(garbage)
    }

    /// Removes what was found to be garbage and is so still, while nobody writes. Returns what went.
    ///
    /// # Errors
    /// As [`BundleStore::garbage`], and when the disk refuses.
    pub fn collect(
        &self,
        found: &Garbage,
        needed: &Needed,
        unused: bool,
    ) -> Result<Garbage, BundleStoreError> {
        let _alone = self.write_alone()?;
        let now = self.garbage(needed, unused)?;
        let mut gone = Garbage::default();
        // The names first: a blob that is gone has no name then.
        for name in now.names.intersection(&found.names) {
            self.remove_name(name)?;
            gone.names.insert(name.clone());
        }
        // A name that was retired meanwhile stays, and with it its blobs.
        for digest in now.blobs.intersection(&found.blobs) {
            let path = self.blob_path(digest);
            let size = self.blob_size(digest).unwrap_or_default();
            match fs::remove_file(&path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(io_error(&path, source));
                }
                _ => {}
            }
            gone.blobs.insert(*digest);
            gone.octets += size;
        }
        Ok(gone)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::inventory::BundleFile;

    fn add(store: &BundleStore, name: &str, contents: &[&str]) -> Bundle {
        let files = contents.iter().map(|content| {
            let (sha256, size) = store.add_blob(&mut content.as_bytes()).unwrap();
            let file = BundleFile {
                path: (*content).to_owned(),
                sha256,
                size,
                source: None,
            };
            ((*content).to_owned(), file)
        });
        let bundle = Bundle {
            name: name.into(),
            arch: "x86_64".into(),
            expires: None,
            signatures: Vec::new(),
            files: files.collect::<BTreeMap<_, _>>(),
        };
        store.add_bundle(&bundle).unwrap();
        bundle
    }

    #[test]
    fn only_what_nobody_needs_goes() {
        let directory = tempfile::tempdir().unwrap();
        let store = BundleStore::open_or_create(directory.path()).unwrap();
        let there = |content: &str| {
            let digest = Sha256Digest::of(content.as_bytes());
            store.blob_size(&digest).is_some()
        };
        add(&store, "old", &["shared", "own"]);
        add(&store, "new", &["shared", "new"]);
        let running = add(&store, "running", &["running"]);
        store.add_blob(&mut &b"stray"[..]).unwrap();
        let foreign = store.root().join("blobs/sha256/README");
        fs::write(&foreign, "not ours").unwrap();
        for name in ["old", "running"] {
            store.retire(name, Some("too old")).unwrap();
        }
        let mut needed = Needed::default();
        needed.add(&running);

        let found = store.garbage(&needed, false).unwrap();
        assert_eq!(found.names, BTreeSet::from(["old".to_owned()]));
        assert_eq!(store.collect(&found, &needed, false).unwrap(), found);
        let names: Vec<String> = store.names().unwrap().into_keys().collect();
        assert_eq!(names, ["new", "running"]);
        for content in ["shared", "new", "running"] {
            assert!(there(content), "{content}");
        }
        assert!(!there("own") && !there("stray") && foreign.exists());
        assert!(store.garbage(&needed, false).unwrap().is_empty());

        // What somebody came to need after it was found stays.
        let found = store.garbage(&Needed::default(), true).unwrap();
        assert_eq!(found.names.len(), 2);
        let gone = store.collect(&found, &needed, true).unwrap();
        assert_eq!(gone.names, BTreeSet::from(["new".to_owned()]));
        assert!(there("running") && !there("new"));
    }

    #[test]
    fn nothing_goes_while_it_is_not_known_what_a_name_leads_to() {
        let directory = tempfile::tempdir().unwrap();
        let store = BundleStore::open_or_create(directory.path()).unwrap();
        let bundle = add(&store, "b", &["kernel"]);
        store.add_blob(&mut &b"stray"[..]).unwrap();
        fs::write(store.blob_path(&bundle.manifest_digest()), "{}").unwrap();
        assert!(store.garbage(&Needed::default(), false).is_err());
    }
}
