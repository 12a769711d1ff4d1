use std::fs::File;
use std::io::Seek;
use std::sync::Arc;

use serde_json::Value;

use super::archive::ArchiveWriter;
use super::{Place, TransferError, Travelled, Watch, watched};
use crate::bundle::{
    BundleStore, BundleStoreError, Descriptor, NAME_ANNOTATION, Registry, RegistryAddress,
    RegistryOptions, Verifier,
};
use crate::inventory::{ARTIFACT_TYPE, Bundle, BundleFile, EMPTY_CONFIG, MANIFEST_MEDIA_TYPE};
use crate::machine::Sha256Digest;

/// Copies a bundle from the store to a place. Each of its files is hashed before it goes.
///
/// # Errors
/// When the store has no such bundle or no good copy of it, when the place has the name with other
/// content, and when it refuses. The name is not there then, and what was there before is.
pub fn publish(
    store: &BundleStore,
    name: &str,
    place: &Place,
    options: RegistryOptions,
    watch: &Arc<dyn Watch>,
) -> Result<Travelled, TransferError> {
    let going = Going {
        store,
        bundle: store.bundle(name)?,
        place,
        verifier: Verifier::default(),
        watch,
    };
    match place {
        Place::Directory(path) => going.to_directory(&BundleStore::open_or_create(path)?),
        Place::Archive(path) => going.to_archive(ArchiveWriter::begin(path)?),
        Place::Registry(address) => going.to_registry(address, options),
    }
}

struct Going<'p> {
    store: &'p BundleStore,
    bundle: Bundle,
    place: &'p Place,
    verifier: Verifier,
    watch: &'p Arc<dyn Watch>,
}

impl Going<'_> {
    fn to_directory(&self, other: &BundleStore) -> Result<Travelled, TransferError> {
        other.check_name(&self.bundle)?;
        let there = |file: &BundleFile| Ok(other.blob_size(&file.sha256) == Some(file.size));
        let (missing, travelled) = self.missing(there)?;
        other.reserve(travelled.octets)?;
        // The lock keeps what has arrived from being collected before it has a name.
        let _writing = other.write()?;
        for file in missing {
            let mut content = watched(self.open(file)?, self.watch);
            other.add_blob_as(&file.sha256, Some(file.size), &mut content, &file.path)?;
        }
        other.add_bundle(&self.bundle)?;
        Ok(travelled)
    }

    fn to_archive(&self, mut archive: ArchiveWriter) -> Result<Travelled, TransferError> {
        let manifest = self.bundle.envelope();
        let descriptor = self.descriptor(&manifest);
        if let Some(present) = archive.index.find(&self.bundle.name)
            && present.digest != descriptor.digest
            && !archive_has_same_content(self.place, present, &self.bundle)
        {
            return Err(self.name_taken());
        }
        let (missing, travelled) = self.missing(|file| Ok(archive.has(&file.sha256)))?;
        for file in missing {
            let mut content = watched(self.open(file)?, self.watch);
            archive.put_blob(&file.sha256, file.size, &mut content)?;
        }
        for small in [EMPTY_CONFIG, &manifest] {
            let digest = Sha256Digest::of(small);
            if !archive.has(&digest) {
                archive.put_blob(&digest, small.len() as u64, &mut &*small)?;
            }
        }
        let manifests = &mut archive.index.manifests;
        manifests.retain(|it| it.name() != Some(&self.bundle.name));
        manifests.push(descriptor);
        archive.finish()?;
        Ok(travelled)
    }

    fn to_registry(
        &self,
        address: &RegistryAddress,
        options: RegistryOptions,
    ) -> Result<Travelled, TransferError> {
        let waiting = |text: &str| self.watch.note(text);
        let mut registry = Registry::new(address.clone(), options, true, &waiting)?;
        let tag = address.reference.as_deref().unwrap_or(&self.bundle.name);
        let manifest = self.bundle.envelope();
        if let Some((present, _)) = registry.manifest(tag)? {
            let known = Bundle::from_manifest(&present).ok();
            let same =
                known.is_some_and(|it| it.manifest_digest() == self.bundle.manifest_digest());
            if !same {
                return Err(self.name_taken());
            }
        }
        let (missing, travelled) =
            self.missing(|file| registry.has(&blob(&file.sha256, file.size)))?;
        for file in missing {
            let content = || self.open(file);
            let read = |content: File| watched(content, self.watch);
            registry.put_blob(&blob(&file.sha256, file.size), &content, &read)?;
        }
        let config = Descriptor::of("application/vnd.oci.empty.v1+json", EMPTY_CONFIG);
        if !registry.has(&config)? {
            let config_file = || {
                let file = BundleFile {
                    path: "its empty configuration".to_owned(),
                    sha256: Sha256Digest::of(EMPTY_CONFIG),
                    size: EMPTY_CONFIG.len() as u64,
                    source: None,
                };
                self.reopen(&file)
            };
            registry.put_blob(&config, &config_file, &|file| Box::new(file))?;
        }
        registry.put_manifest(tag, MANIFEST_MEDIA_TYPE, &manifest)?;
        Ok(travelled)
    }

    /// Lists the files whose blobs are not there yet, each blob once, and says so.
    fn missing(
        &self,
        mut is_there: impl FnMut(&BundleFile) -> Result<bool, TransferError>,
    ) -> Result<(Vec<&BundleFile>, Travelled), TransferError> {
        let mut missing: Vec<&BundleFile> = Vec::new();
        for file in self.bundle.files.values() {
            let twice = missing.iter().any(|other| other.sha256 == file.sha256);
            if !twice && !is_there(file)? {
                missing.push(file);
            }
        }
        let travelled = Travelled {
            blobs: missing.len(),
            octets: missing.iter().map(|file| file.size).sum(),
        };
        let all = self.bundle.files.len();
        self.watch.begins(travelled.blobs, travelled.octets, all);
        Ok((missing, travelled))
    }

    fn open(&self, file: &BundleFile) -> Result<File, TransferError> {
        let opened = self.reopen(file)?;
        self.watch.file(&file.path, file.size);
        Ok(opened)
    }

    /// Opens a good blob at its beginning.
    fn reopen(&self, file: &BundleFile) -> Result<File, TransferError> {
        let mut opened = self.verifier.open(self.store, file)?;
        // Hashing has read it to its end.
        opened.rewind().map_err(|source| BundleStoreError::Io {
            path: self.store.blob_path(&file.sha256),
            source,
        })?;
        Ok(opened)
    }

    fn descriptor(&self, manifest: &[u8]) -> Descriptor {
        let mut descriptor = Descriptor::of(MANIFEST_MEDIA_TYPE, manifest);
        let name = (NAME_ANNOTATION.to_owned(), self.bundle.name.clone());
        descriptor.annotations.extend([name]);
        let kind = ("artifactType".to_owned(), Value::from(ARTIFACT_TYPE));
        descriptor.other.extend([kind]);
        descriptor
    }

    fn name_taken(&self) -> TransferError {
        TransferError::NameTaken {
            place: self.place.to_string(),
            name: self.bundle.name.clone(),
        }
    }
}

fn archive_has_same_content(place: &Place, present: &Descriptor, bundle: &Bundle) -> bool {
    let Place::Archive(path) = place else {
        return false;
    };
    let read = super::ArchiveReader::open(path).and_then(|archive| archive.manifest(present));
    read.ok()
        .and_then(|manifest| Bundle::from_manifest(&manifest).ok())
        .is_some_and(|known| known.manifest_digest() == bundle.manifest_digest())
}

/// Describes a file's blob.
pub(super) fn blob(digest: &Sha256Digest, size: u64) -> Descriptor {
    Descriptor {
        media_type: "application/octet-stream".to_owned(),
        digest: format!("sha256:{digest}"),
        size,
        annotations: Default::default(),
        other: Default::default(),
    }
}
