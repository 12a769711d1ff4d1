use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::error::{BundleStoreError, io_error};
use super::layout::BundleStore;
use super::named_bundle::{CREATED_ANNOTATION, RETIRED_ANNOTATION};
use crate::bundle::oci::Descriptor;
use crate::inventory::Bundle;
use crate::machine::Sha256Digest;

/// Bundles in use, which garbage collection must keep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BundlesInUse {
    /// The users of each name.
    users: BTreeMap<String, Vec<String>>,
    blobs: BTreeSet<Sha256Digest>,
}

/// Names and blobs that nothing uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Garbage {
    /// The names to remove.
    pub names: BTreeSet<String>,
    /// The blobs to remove.
    pub blobs: BTreeSet<Sha256Digest>,
    /// The size of these blobs in bytes.
    pub bytes: u64,
}

/// What counts as garbage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GarbageRules {
    /// Whether to remove unused names that are not retired, too.
    pub unused: bool,
    /// The minimum age of blobs without a name and of names that are not retired: younger ones may be
    /// about to get a name, or to be pinned in git.
    pub least_age: Duration,
}

impl GarbageRules {
    /// Reports whether something is old enough to be removed; a time in the future is not.
    fn is_old(&self, since: SystemTime) -> bool {
        let age = SystemTime::now().duration_since(since);
        age.is_ok_and(|age| age >= self.least_age)
    }
}

impl BundlesInUse {
    /// Keeps a bundle: its name, its files, and its signed manifest. `user` names what uses it.
    pub fn add(&mut self, bundle: &Bundle, user: String) {
        self.users
            .entry(bundle.name.clone())
            .or_default()
            .push(user);
        self.blobs.insert(bundle.manifest_digest());
        let files = bundle.files.values();
        self.blobs.extend(files.map(|file| file.sha256));
    }

    /// Returns the users of a name.
    pub fn users(&self, name: &str) -> &[String] {
        self.users.get(name).map_or(&[], Vec::as_slice)
    }
}

impl Garbage {
    /// Reports whether there is nothing to remove.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.blobs.is_empty()
    }
}

impl BundleStore {
    /// Finds unused names that are retired, or all unused names if `rules` say so, with their blobs; and
    /// old blobs that neither a remaining name nor a user refers to.
    ///
    /// # Errors
    /// When the manifest of a name is missing or damaged: it is unknown then which blobs are in use, so
    /// nothing may be removed.
    pub fn garbage(
        &self,
        in_use: &BundlesInUse,
        rules: GarbageRules,
    ) -> Result<Garbage, BundleStoreError> {
        let index = self.index()?;
        let (removed, kept): (Vec<_>, Vec<_>) = index
            .manifests
            .into_iter()
            .partition(|descriptor| self.is_garbage(descriptor, in_use, rules));
        let kept_blobs = self.blobs_in_use(kept, in_use)?;
        // The blobs of a removed name go with it. If they are unknown, they wait until they are old.
        let mut removed_blobs = BTreeSet::new();
        for descriptor in &removed {
            removed_blobs.extend(self.bundle_at(descriptor).map(|it| it.manifest_digest()));
            let referenced = self.referenced_by(vec![descriptor.clone()]);
            removed_blobs.extend(referenced.unwrap_or_default());
        }
        let names = removed.iter().filter_map(|it| it.name().map(str::to_owned));
        let mut garbage = Garbage {
            names: names.collect(),
            ..Garbage::default()
        };
        let blobs = self.blobs();
        let failed = |source| io_error(&blobs, source);
        for entry in fs::read_dir(&blobs).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let digest = name.to_str().and_then(|name| name.parse().ok());
            // Other files are not the store's.
            let Some(digest) = digest.filter(|digest| !kept_blobs.contains(digest)) else {
                continue;
            };
            let data = entry.metadata().map_err(failed)?;
            if removed_blobs.contains(&digest) || rules.is_old(data.modified().map_err(failed)?) {
                garbage.bytes += data.len();
                garbage.blobs.insert(digest);
            }
        }
        Ok(garbage)
    }

    /// Reports whether a name of the index can be removed.
    fn is_garbage(
        &self,
        descriptor: &Descriptor,
        in_use: &BundlesInUse,
        rules: GarbageRules,
    ) -> bool {
        let Some(name) = descriptor.name() else {
            return false;
        };
        let retired = descriptor.annotations.contains_key(RETIRED_ANNOTATION);
        let age = || {
            let created = descriptor
                .annotations
                .get(CREATED_ANNOTATION)
                .and_then(|at| at.parse::<Timestamp>().ok());
            // Without the annotation of another program's entry, the age of the manifest counts.
            created.map(SystemTime::from).or_else(|| {
                let path = self.blob_path(&descriptor.sha256()?);
                fs::metadata(path).and_then(|data| data.modified()).ok()
            })
        };
        let unused = || rules.unused && age().is_none_or(|since| rules.is_old(since));
        !in_use.users.contains_key(name) && (retired || unused())
    }

    /// Lists the blobs of the remaining names, and those in use.
    fn blobs_in_use(
        &self,
        remaining: Vec<Descriptor>,
        in_use: &BundlesInUse,
    ) -> Result<BTreeSet<Sha256Digest>, BundleStoreError> {
        let mut kept = in_use.blobs.clone();
        for descriptor in &remaining {
            // The signed manifest is a blob besides the one in the index. Other images have none.
            match self.bundle_at(descriptor) {
                Ok(bundle) => kept.extend([bundle.manifest_digest()]),
                Err(BundleStoreError::NotABundle { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        kept.extend(self.referenced_by(remaining)?);
        Ok(kept)
    }

    /// Removes what was found to be garbage and still is, while no process writes to the store or holds its
    /// blobs. Returns what was removed.
    ///
    /// Calls `in_use` under the lock, so that bundles that came into use since `found` stay.
    ///
    /// # Errors
    /// As [`BundleStore::garbage`], when the disk fails, and what `in_use` returns; removes nothing then.
    pub fn collect<E: From<BundleStoreError>>(
        &self,
        found: &Garbage,
        rules: GarbageRules,
        in_use: impl FnOnce() -> Result<BundlesInUse, E>,
    ) -> Result<Garbage, E> {
        let _alone = self.lock_exclusive()?;
        let now = self.garbage(&in_use()?, rules)?;
        Ok(self.remove(found, &now)?)
    }

    /// Removes what is in both `found` and `now`.
    fn remove(&self, found: &Garbage, now: &Garbage) -> Result<Garbage, BundleStoreError> {
        let mut removed = Garbage::default();
        // Names come first, so that no name refers to a removed blob.
        for name in now.names.intersection(&found.names) {
            self.remove_name(name)?;
            removed.names.insert(name.clone());
        }
        // A name that was retired since `found` stays, and so do its blobs.
        for digest in now.blobs.intersection(&found.blobs) {
            let path = self.blob_path(digest);
            let size = self.blob_size(digest).unwrap_or_default();
            match fs::remove_file(&path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(io_error(&path, source));
                }
                _ => {}
            }
            removed.blobs.insert(*digest);
            removed.bytes += size;
        }
        Ok(removed)
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

    const NOW: GarbageRules = GarbageRules {
        unused: false,
        least_age: Duration::ZERO,
    };
    const UNUSED: GarbageRules = GarbageRules {
        unused: true,
        ..NOW
    };

    fn collect(
        store: &BundleStore,
        found: &Garbage,
        rules: GarbageRules,
        in_use: &BundlesInUse,
    ) -> Garbage {
        let again = || Ok::<BundlesInUse, BundleStoreError>(in_use.clone());
        store.collect(found, rules, again).unwrap()
    }

    #[test]
    fn young_blobs_and_bundles_stay() {
        let directory = tempfile::tempdir().unwrap();
        let store = BundleStore::open_or_create(directory.path()).unwrap();
        add(&store, "built", &["built", "shared"]);
        add(&store, "retired", &["old", "shared"]);
        store.add_blob(&mut &b"stray"[..]).unwrap();
        store.retire("retired", Some("old")).unwrap();
        let rules = GarbageRules {
            unused: true,
            least_age: Duration::from_secs(3600),
        };
        // A retired bundle goes whatever its age.
        let found = store.garbage(&BundlesInUse::default(), rules).unwrap();
        assert_eq!(found.names, BTreeSet::from(["retired".to_owned()]));
        let of = |content: &str| Sha256Digest::of(content.as_bytes());
        assert!(found.blobs.contains(&of("old")));
        for content in ["built", "shared", "stray"] {
            assert!(!found.blobs.contains(&of(content)), "{content}");
        }
        // More than an hour later.
        let then = SystemTime::now() - Duration::from_secs(4000);
        let stray = fs::File::options()
            .write(true)
            .open(store.blob_path(&of("stray")));
        stray.unwrap().set_modified(then).unwrap();
        let aged = |index: &mut crate::bundle::oci::Index| {
            for it in &mut index.manifests {
                let then = Timestamp::try_from(then).unwrap().to_string();
                let created = CREATED_ANNOTATION.to_owned();
                it.annotations.insert(created, then);
            }
            Ok::<(), BundleStoreError>(())
        };
        store.edit_index(aged).unwrap();
        let found = store.garbage(&BundlesInUse::default(), rules).unwrap();
        assert_eq!(found.names.len(), 2);
        for content in ["old", "built", "shared", "stray"] {
            assert!(found.blobs.contains(&of(content)), "{content}");
        }
    }

    #[test]
    fn only_what_nothing_uses_is_removed() {
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
        fs::write(&foreign, "other").unwrap();
        for name in ["old", "running"] {
            store.retire(name, Some("too old")).unwrap();
        }
        let mut in_use = BundlesInUse::default();
        in_use.add(&running, "an install".to_owned());

        let found = store.garbage(&in_use, NOW).unwrap();
        assert_eq!(found.names, BTreeSet::from(["old".to_owned()]));
        assert_eq!(collect(&store, &found, NOW, &in_use), found);
        let names: Vec<String> = store.names().unwrap().into_keys().collect();
        assert_eq!(names, ["new", "running"]);
        for content in ["shared", "new", "running"] {
            assert!(there(content), "{content}");
        }
        assert!(!there("own") && !there("stray") && foreign.exists());
        assert!(store.garbage(&in_use, NOW).unwrap().is_empty());

        // What came into use after it was found stays.
        let found = store.garbage(&BundlesInUse::default(), UNUSED).unwrap();
        assert_eq!(found.names.len(), 2);
        let gone = collect(&store, &found, UNUSED, &in_use);
        assert_eq!(gone.names, BTreeSet::from(["new".to_owned()]));
        assert!(there("running") && !there("new"));
    }

    #[test]
    fn use_is_checked_while_no_new_use_can_begin() {
        let directory = tempfile::tempdir().unwrap();
        let store = BundleStore::open_or_create(directory.path()).unwrap();
        add(&store, "old", &["old"]);
        store.retire("old", Some("old")).unwrap();
        let found = store.garbage(&BundlesInUse::default(), NOW).unwrap();
        let refused = store.collect(&found, NOW, || {
            // No process can write to the store or hold its blobs now.
            let lock = fs::File::open(store.partial().unwrap()).unwrap();
            assert!(lock.try_lock_shared().is_err());
            Err::<BundlesInUse, _>(BundleStoreError::Absent("inventory".into()))
        });
        assert!(matches!(refused, Err(BundleStoreError::Absent(_))));
        assert_eq!(store.garbage(&BundlesInUse::default(), NOW).unwrap(), found);
    }

    #[test]
    fn nothing_is_removed_while_a_manifest_is_damaged() {
        let directory = tempfile::tempdir().unwrap();
        let store = BundleStore::open_or_create(directory.path()).unwrap();
        let bundle = add(&store, "b", &["kernel"]);
        store.add_blob(&mut &b"stray"[..]).unwrap();
        fs::write(store.blob_path(&bundle.manifest_digest()), "{}").unwrap();
        assert!(store.garbage(&BundlesInUse::default(), NOW).is_err());
    }
}
