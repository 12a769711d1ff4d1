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

/// What somebody still needs, whatever the index says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needed {
    /// What needs each.
    names: BTreeMap<String, Vec<String>>,
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

/// What may be taken for garbage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GarbageRules {
    /// Whether names go too that are not retired.
    pub unused: bool,
    /// How old what belongs to no name, or is not retired, must be: what is younger may be about to
    /// be named, or to be pinned in git.
    pub least_age: Duration,
}

impl GarbageRules {
    /// Reports whether something of an age may go; what is from the future is young.
    fn is_old(&self, since: SystemTime) -> bool {
        let age = SystemTime::now().duration_since(since);
        age.is_ok_and(|age| age >= self.least_age)
    }
}

impl Needed {
    /// Keeps a bundle: its name, its files, and what signs them; `why` says what needs it.
    pub fn add(&mut self, bundle: &Bundle, why: String) {
        self.names.entry(bundle.name.clone()).or_default().push(why);
        self.blobs.insert(bundle.manifest_digest());
        let files = bundle.files.values();
        self.blobs.extend(files.map(|file| file.sha256));
    }

    /// Returns what needs a name; nothing where nobody does.
    pub fn why(&self, name: &str) -> &[String] {
        self.names.get(name).map_or(&[], Vec::as_slice)
    }
}

impl Garbage {
    /// Reports whether there is none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.blobs.is_empty()
    }
}

impl BundleStore {
    /// Finds what nobody needs: names that are retired, or by the rules any, and are not needed, with
    /// their blobs; and old blobs that neither a name that stays leads to nor somebody needs.
    ///
    /// # Errors
    /// When what a name leads to is not known, since its manifest is missing or damaged: then
    /// nothing may go.
    pub fn garbage(
        &self,
        needed: &Needed,
        rules: GarbageRules,
    ) -> Result<Garbage, BundleStoreError> {
        let index = self.index()?;
        let (mut stay, mut go) = (Vec::new(), Vec::new());
        for descriptor in index.manifests {
            match self.may_go(&descriptor, needed, rules) {
                true => go.push(descriptor),
                false => stay.push(descriptor),
            }
        }
        let kept = self.kept(stay, needed)?;
        // What a name leads to goes with it; where that is not known, it waits till it is old.
        let mut named = BTreeSet::new();
        for descriptor in &go {
            named.extend(self.bundle_at(descriptor).map(|it| it.manifest_digest()));
            let led = self.referenced_by(vec![descriptor.clone()]);
            named.extend(led.unwrap_or_default());
        }
        let names = go.iter().filter_map(|it| it.name().map(str::to_owned));
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
            // What is no blob is not ours to remove.
            let Some(digest) = digest.filter(|digest| !kept.contains(digest)) else {
                continue;
            };
            let data = entry.metadata().map_err(failed)?;
            if named.contains(&digest) || rules.is_old(data.modified().map_err(failed)?) {
                garbage.octets += data.len();
                garbage.blobs.insert(digest);
            }
        }
        Ok(garbage)
    }

    /// Reports whether a name of the index may go.
    fn may_go(&self, descriptor: &Descriptor, needed: &Needed, rules: GarbageRules) -> bool {
        let Some(name) = descriptor.name() else {
            return false;
        };
        let retired = descriptor.annotations.contains_key(RETIRED_ANNOTATION);
        let age = || {
            let created = descriptor.annotations.get(CREATED_ANNOTATION);
            let created = created.and_then(|at| at.parse::<Timestamp>().ok());
            // Others do not say when: their manifest has an age.
            created.map(SystemTime::from).or_else(|| {
                let path = self.blob_path(&descriptor.sha256()?);
                fs::metadata(path).and_then(|data| data.modified()).ok()
            })
        };
        let unused = || rules.unused && age().is_none_or(|since| rules.is_old(since));
        !needed.names.contains_key(name) && (retired || unused())
    }

    /// Lists the blobs that names which stay lead to, and those that somebody needs.
    fn kept(
        &self,
        stay: Vec<Descriptor>,
        needed: &Needed,
    ) -> Result<BTreeSet<Sha256Digest>, BundleStoreError> {
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
        Ok(kept)
    }

    /// Removes what was found to be garbage and is so still, while nobody writes to the store and
    /// nobody holds it. Returns what went.
    ///
    /// `needed` is asked only then: what somebody came to need since it was found stays.
    ///
    /// # Errors
    /// As [`BundleStore::garbage`], when the disk refuses, and what `needed` returns; nothing goes then.
    pub fn collect<E: From<BundleStoreError>>(
        &self,
        found: &Garbage,
        rules: GarbageRules,
        needed: impl FnOnce() -> Result<Needed, E>,
    ) -> Result<Garbage, E> {
        let _alone = self.write_alone()?;
        let now = self.garbage(&needed()?, rules)?;
        Ok(self.remove(found, &now)?)
    }

    /// Removes what is garbage now, as it was when it was found.
    fn remove(&self, found: &Garbage, now: &Garbage) -> Result<Garbage, BundleStoreError> {
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
        needed: &Needed,
    ) -> Garbage {
        let asked = || Ok::<Needed, BundleStoreError>(needed.clone());
        store.collect(found, rules, asked).unwrap()
    }

    #[test]
    fn what_is_young_may_be_about_to_be_named_or_pinned_and_stays() {
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
        // What was retired was told to go.
        let found = store.garbage(&Needed::default(), rules).unwrap();
        assert_eq!(found.names, BTreeSet::from(["retired".to_owned()]));
        let of = |content: &str| Sha256Digest::of(content.as_bytes());
        assert!(found.blobs.contains(&of("old")));
        for content in ["built", "shared", "stray"] {
            assert!(!found.blobs.contains(&of(content)), "{content}");
        }
        // An hour and a bit later.
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
        let found = store.garbage(&Needed::default(), rules).unwrap();
        assert_eq!(found.names.len(), 2);
        for content in ["old", "built", "shared", "stray"] {
            assert!(found.blobs.contains(&of(content)), "{content}");
        }
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
        needed.add(&running, "an install".to_owned());

        let found = store.garbage(&needed, NOW).unwrap();
        assert_eq!(found.names, BTreeSet::from(["old".to_owned()]));
        assert_eq!(collect(&store, &found, NOW, &needed), found);
        let names: Vec<String> = store.names().unwrap().into_keys().collect();
        assert_eq!(names, ["new", "running"]);
        for content in ["shared", "new", "running"] {
            assert!(there(content), "{content}");
        }
        assert!(!there("own") && !there("stray") && foreign.exists());
        assert!(store.garbage(&needed, NOW).unwrap().is_empty());

        // What somebody came to need after it was found stays.
        let found = store.garbage(&Needed::default(), UNUSED).unwrap();
        assert_eq!(found.names.len(), 2);
        let gone = collect(&store, &found, UNUSED, &needed);
        assert_eq!(gone.names, BTreeSet::from(["new".to_owned()]));
        assert!(there("running") && !there("new"));
    }

    #[test]
    fn what_is_needed_is_asked_while_nobody_can_come_to_need_more() {
        let directory = tempfile::tempdir().unwrap();
        let store = BundleStore::open_or_create(directory.path()).unwrap();
        add(&store, "old", &["old"]);
        store.retire("old", Some("old")).unwrap();
        let found = store.garbage(&Needed::default(), NOW).unwrap();
        let refused = store.collect(&found, NOW, || {
            // Neither who writes nor who holds the store gets in now.
            let lock = fs::File::open(store.partial().unwrap()).unwrap();
            assert!(lock.try_lock_shared().is_err());
            Err::<Needed, _>(BundleStoreError::Absent("inventory".into()))
        });
        assert!(matches!(refused, Err(BundleStoreError::Absent(_))));
        assert_eq!(store.garbage(&Needed::default(), NOW).unwrap(), found);
    }

    #[test]
    fn nothing_goes_while_it_is_not_known_what_a_name_leads_to() {
        let directory = tempfile::tempdir().unwrap();
        let store = BundleStore::open_or_create(directory.path()).unwrap();
        let bundle = add(&store, "b", &["kernel"]);
        store.add_blob(&mut &b"stray"[..]).unwrap();
        fs::write(store.blob_path(&bundle.manifest_digest()), "{}").unwrap();
        assert!(store.garbage(&Needed::default(), NOW).is_err());
    }
}
