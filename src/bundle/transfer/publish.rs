use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::archive_reader::ArchiveReader;
use super::archive_writer::ArchiveWriter;
use super::error::TransferError;
use super::location::{BundleLocation, LayoutLocation};
use super::outgoing_file::OutgoingFile;
use super::progress::{ProgressReader, TransferProgress, TransferSummary};
use super::source::FILES_AT_ONCE;
use crate::bundle::oci::{Descriptor, NAME_ANNOTATION};
use crate::bundle::parallel::{StopSignal, run_parallel};
use crate::bundle::registry::{Registry, RegistryAddress, RegistryOptions};
use crate::bundle::store::{BundleStore, BundleStoreError, merge_signatures};
use crate::inventory::{ARTIFACT_TYPE, Bundle, BundleFile, EMPTY_CONFIG, MANIFEST_MEDIA_TYPE};
use crate::machine::Sha256Digest;

/// Copies a bundle from the store to a destination. Each file is read once and hashed while it is copied: a
/// damaged file does not arrive.
///
/// # Errors
/// When the store has no such bundle or no intact copy of it, when the destination has the name with other
/// content, or when it fails. The destination is unchanged then, apart from blobs without a name.
pub fn publish(
    store: &BundleStore,
    name: &str,
    location: &BundleLocation,
    options: &RegistryOptions,
    progress: &Arc<dyn TransferProgress>,
) -> Result<TransferSummary, TransferError> {
    let publication = Publication {
        store,
        bundle: store.bundle(name)?,
        location,
        progress,
    };
    match location {
        BundleLocation::Directory(layout) => {
            publication.check_reference(layout)?;
            publication.to_directory(&BundleStore::open_or_create(&layout.path)?)
        }
        BundleLocation::Archive(layout) => {
            publication.check_reference(layout)?;
            publication.to_archive(&layout.path)
        }
        BundleLocation::DockerArchive(_) => Err(TransferError::NotAnImage(location.to_string())),
        BundleLocation::Registry(address) => publication.to_registry(address, options),
    }
}

struct Publication<'p> {
    store: &'p BundleStore,
    bundle: Bundle,
    location: &'p BundleLocation,
    progress: &'p Arc<dyn TransferProgress>,
}

impl Publication<'_> {
    /// Checks the name that the location states for the bundle: a layout lists a bundle by its own name.
    fn check_reference(&self, layout: &LayoutLocation) -> Result<(), TransferError> {
        match &layout.reference {
            Some(reference) if *reference != self.bundle.name => Err(TransferError::OtherTag {
                location: layout.path.display().to_string(),
                tag: reference.clone(),
                name: self.bundle.name.clone(),
            }),
            _ => Ok(()),
        }
    }

    fn to_directory(&self, destination: &BundleStore) -> Result<TransferSummary, TransferError> {
        destination.check_name(&self.bundle)?;
        // Protects the blobs from garbage collection until they have a name.
        let _lock = destination.lock_shared()?;
        let (missing, summary) = self.missing(|file| Ok(destination.has_intact(file)))?;
        destination.reserve(summary.bytes)?;
        run_parallel(FILES_AT_ONCE, missing, &StopSignal::default(), |file| {
            let progress = self.progress.begin_file(&file.path, file.size);
            let mut content = ProgressReader::new(self.store.open_blob(file)?, progress);
            let added =
                destination.add_blob_as(&file.sha256, Some(file.size), &mut content, &file.path);
            added.map_err(|error| TransferError::from(self.damaged(file, error)))
        })?;
        destination.add_bundle(&self.bundle)?;
        Ok(summary)
    }

    fn to_archive(&self, path: &Path) -> Result<TransferSummary, TransferError> {
        let files = self.bundle.files.values();
        let blobs = files
            .map(|file| file.sha256)
            .chain([Sha256Digest::of(EMPTY_CONFIG)])
            .collect();
        let mut archive = ArchiveWriter::begin(path, &blobs)?;
        let present = archive
            .index
            .find(&self.bundle.name)
            .map(|present| ArchiveReader::open(path)?.manifest(present))
            .transpose()?;
        let manifest = self.merged_manifest(present.as_deref())?;
        let descriptor = self.descriptor(&manifest);
        let (missing, summary) = self.missing(|file| Ok(archive.has(&file.sha256)))?;
        for file in missing {
            let progress = self.progress.begin_file(&file.path, file.size);
            let mut content = ProgressReader::new(self.store.open_blob(file)?, progress);
            let put = archive.put_blob(&file.sha256, file.size, &mut content);
            put.map_err(|error| match error {
                TransferError::Store(error) => self.damaged(file, error).into(),
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
        Ok(summary)
    }

    fn to_registry(
        &self,
        address: &RegistryAddress,
        options: &RegistryOptions,
    ) -> Result<TransferSummary, TransferError> {
        let on_retry = |text: &str| self.progress.note(text);
        let registry = Registry::new(address.clone(), options.clone(), true, &on_retry)?;
        if let Some(digest) = address.reference.as_deref().filter(|it| it.contains(':')) {
            return Err(TransferError::NotATag(digest.to_owned()));
        }
        let tag = address.reference.as_deref().unwrap_or(&self.bundle.name);
        let manifest = || {
            let present = registry.manifest(tag)?;
            self.merged_manifest(present.as_ref().map(|(present, _)| present.as_slice()))
        };
        manifest()?;
        let (missing, summary) =
            self.missing(|file| Ok(registry.has(&Descriptor::of_blob(&file.sha256, file.size))?))?;
        let stop = registry.stop();
        run_parallel(options.jobs, missing, stop, |file| {
            let outgoing = self.outgoing(file, stop);
            registry.put_blob(&Descriptor::of_blob(&file.sha256, file.size), &outgoing)
        })?;
        let config = Descriptor::of("application/vnd.oci.empty.v1+json", EMPTY_CONFIG);
        if !registry.has(&config)? {
            registry.put_blob(&config, &EMPTY_CONFIG)?;
        }
        // Checks the tag again: another publish may have been faster.
        registry.put_manifest(tag, MANIFEST_MEDIA_TYPE, &manifest()?)?;
        Ok(summary)
    }

    /// Lists the files whose blobs the destination lacks, each blob once, and reports their number.
    fn missing(
        &self,
        mut is_present: impl FnMut(&BundleFile) -> Result<bool, TransferError>,
    ) -> Result<(Vec<&BundleFile>, TransferSummary), TransferError> {
        let mut missing: Vec<&BundleFile> = Vec::new();
        for file in self.bundle.files.values() {
            let is_listed = missing.iter().any(|other| other.sha256 == file.sha256);
            if !is_listed && !is_present(file)? {
                missing.push(file);
            }
        }
        let summary = TransferSummary {
            blobs: missing.len(),
            bytes: missing.iter().map(|file| file.size).sum(),
        };
        let total_files = self.bundle.files.len();
        self.progress
            .begin(summary.blobs, summary.bytes, total_files);
        Ok((missing, summary))
    }

    fn outgoing<'f>(&'f self, file: &'f BundleFile, stop: &Arc<StopSignal>) -> OutgoingFile<'f> {
        let progress = self.progress.begin_file(&file.path, file.size);
        OutgoingFile::new(self.store, file, progress, Arc::clone(stop))
    }

    /// Names the damaged blob of the store as the cause of a failed copy.
    fn damaged(&self, file: &BundleFile, error: BundleStoreError) -> BundleStoreError {
        match error {
            BundleStoreError::Unexpected { found, .. } => BundleStoreError::WrongDigest {
                file: file.path.clone(),
                path: self.store.blob_path(&file.sha256),
                found,
            },
            other => other,
        }
    }

    /// Returns the manifest with all signatures: the bundle's, and those that the destination has for the
    /// same content.
    fn merged_manifest(&self, present: Option<&[u8]>) -> Result<Vec<u8>, TransferError> {
        let Some(present) = present else {
            return Ok(self.bundle.envelope());
        };
        let same_content = Bundle::from_manifest(present)
            .ok()
            .filter(|known| known.manifest_digest() == self.bundle.manifest_digest());
        match same_content {
            Some(known) => Ok(merge_signatures(&self.bundle, Some(known)).envelope()),
            None => Err(TransferError::NameTaken {
                location: self.location.to_string(),
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
