use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::archive_reader::ArchiveReader;
use super::archive_writer::ArchiveWriter;
use super::error::TransferError;
use super::location::Place;
use super::outgoing_file::Outgoing;
use super::progress::{Travelled, Watch, Watched};
use super::source::FILES_AT_ONCE;
use crate::bundle::oci::{Descriptor, NAME_ANNOTATION};
use crate::bundle::parallel::{Stop, at_once};
use crate::bundle::registry::{Registry, RegistryAddress, RegistryOptions};
use crate::bundle::store::{BundleStore, BundleStoreError, joined};
use crate::inventory::{ARTIFACT_TYPE, Bundle, BundleFile, EMPTY_CONFIG, MANIFEST_MEDIA_TYPE};
use crate::machine::Sha256Digest;

/// Copies a bundle from the store to a place. Each of its files is read once, and hashed
/// on its way: one that is not what its name says does not arrive.
///
/// # Errors
/// When the store has no such bundle or no good copy of it, when the place has the name with other
/// content, and when it refuses. The name is not there then, and what was there before is.
pub fn publish(
    store: &BundleStore,
    name: &str,
    place: &Place,
    options: &RegistryOptions,
    watch: &Arc<dyn Watch>,
) -> Result<Travelled, TransferError> {
    let going = Going {
        store,
        bundle: store.bundle(name)?,
        place,
        watch,
    };
    match place {
        Place::Directory(path) => going.to_directory(&BundleStore::open_or_create(path)?),
        Place::Archive(path) => going.to_archive(path),
        Place::Registry(address) => going.to_registry(address, options),
    }
}

struct Going<'p> {
    store: &'p BundleStore,
    bundle: Bundle,
    place: &'p Place,
    watch: &'p Arc<dyn Watch>,
}

impl Going<'_> {
    fn to_directory(&self, other: &BundleStore) -> Result<Travelled, TransferError> {
        other.check_name(&self.bundle)?;
        // What is there or arrives is not collected before it has a name.
        let _writing = other.write()?;
        let (missing, travelled) = self.missing(|file| Ok(other.has_good(file)))?;
        other.reserve(travelled.octets)?;
        at_once(FILES_AT_ONCE, missing, &Stop::default(), |file| {
            let part = self.watch.file(&file.path, file.size);
            let mut content = Watched::new(self.store.open_blob(file)?, part);
            let added = other.add_blob_as(&file.sha256, Some(file.size), &mut content, &file.path);
            added.map_err(|error| TransferError::from(self.bad(file, error)))
        })?;
        other.add_bundle(&self.bundle)?;
        Ok(travelled)
    }

    fn to_archive(&self, path: &Path) -> Result<Travelled, TransferError> {
        let files = self.bundle.files.values();
        let wanted = files.map(|file| file.sha256);
        let wanted = wanted.chain([Sha256Digest::of(EMPTY_CONFIG)]).collect();
        let mut archive = ArchiveWriter::begin(path, &wanted)?;
        let present = archive.index.find(&self.bundle.name);
        let present = present.map(|present| ArchiveReader::open(path)?.manifest(present));
        let manifest = self.joined(present.transpose()?.as_deref())?;
        let descriptor = self.descriptor(&manifest);
        let (missing, travelled) = self.missing(|file| Ok(archive.has(&file.sha256)))?;
        for file in missing {
            let part = self.watch.file(&file.path, file.size);
            let mut content = Watched::new(self.store.open_blob(file)?, part);
            let put = archive.put_blob(&file.sha256, file.size, &mut content);
            put.map_err(|error| match error {
                TransferError::Store(error) => self.bad(file, error).into(),
                other => other,
            })?;
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
        options: &RegistryOptions,
    ) -> Result<Travelled, TransferError> {
        let waiting = |text: &str| self.watch.note(text);
        let registry = Registry::new(address.clone(), options.clone(), true, &waiting)?;
        if let Some(digest) = address.reference.as_deref().filter(|it| it.contains(':')) {
            return Err(TransferError::NotATag(digest.to_owned()));
        }
        let tag = address.reference.as_deref().unwrap_or(&self.bundle.name);
        let manifest = || {
            let present = registry.manifest(tag)?;
            self.joined(present.as_ref().map(|(present, _)| present.as_slice()))
        };
        manifest()?;
        let (missing, travelled) =
            self.missing(|file| registry.has(&Descriptor::of_blob(&file.sha256, file.size)))?;
        let stop = registry.stop();
        at_once(options.jobs, missing, stop, |file| {
            let outgoing = self.outgoing(file, stop);
            registry.put_blob(&Descriptor::of_blob(&file.sha256, file.size), &outgoing)
        })?;
        let config = Descriptor::of("application/vnd.oci.empty.v1+json", EMPTY_CONFIG);
        if !registry.has(&config)? {
            registry.put_blob(&config, &EMPTY_CONFIG)?;
        }
        // Looked at again: somebody else may have been faster.
        registry.put_manifest(tag, MANIFEST_MEDIA_TYPE, &manifest()?)?;
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

    fn outgoing<'f>(&'f self, file: &'f BundleFile, stop: &Arc<Stop>) -> Outgoing<'f> {
        let part = self.watch.file(&file.path, file.size);
        Outgoing::new(self.store, file, part, Arc::clone(stop))
    }

    /// Says of a blob that was to be copied that it is not what its name says.
    fn bad(&self, file: &BundleFile, error: BundleStoreError) -> BundleStoreError {
        match error {
            BundleStoreError::Unexpected { found, .. } => BundleStoreError::WrongDigest {
                file: file.path.clone(),
                path: self.store.blob_path(&file.sha256),
                found,
            },
            other => other,
        }
    }

    /// Writes the manifest, with the signatures of the one that has the name there already.
    fn joined(&self, present: Option<&[u8]>) -> Result<Vec<u8>, TransferError> {
        let Some(present) = present else {
            return Ok(self.bundle.envelope());
        };
        let known = Bundle::from_manifest(present).ok();
        let known = known.filter(|it| it.manifest_digest() == self.bundle.manifest_digest());
        match known {
            Some(known) => Ok(joined(&self.bundle, Some(known)).envelope()),
            None => Err(TransferError::NameTaken {
                place: self.place.to_string(),
                name: self.bundle.name.clone(),
            }),
        }
    }

    fn descriptor(&self, manifest: &[u8]) -> Descriptor {
        let mut descriptor = Descriptor::of(MANIFEST_MEDIA_TYPE, manifest);
        let name = (NAME_ANNOTATION.to_owned(), self.bundle.name.clone());
        descriptor.annotations.extend([name]);
        let kind = ("artifactType".to_owned(), Value::from(ARTIFACT_TYPE));
        descriptor.other.extend([kind]);
        descriptor
    }
}
