//! The source of a pull: a registry, a directory or a tar file.

use std::io::Read;
use std::sync::Arc;

use serde_json::Value;

use super::archive_reader::ArchiveReader;
use super::docker_archive::DockerArchive;
use super::error::TransferError;
use super::location::BundleLocation;
use crate::bundle::oci::{Descriptor, Index};
use crate::bundle::parallel::StopSignal;
use crate::bundle::registry::{Registry, RegistryOptions};
use crate::bundle::store::BundleStore;
use crate::inventory::{BundleFile, SignaturePolicy};
use crate::machine::{CpuArchitecture, Sha256Digest};

/// How many files are copied between directories at the same time: while one is synced, others are
/// copied.
pub(super) const FILES_AT_ONCE: usize = 4;

/// What to pull from a source.
pub struct PullOptions<'p> {
    /// The bundle's name; may be `None` if the source has or names only one bundle.
    pub name: Option<&'p str>,
    /// Which variant to take of an image for several processors.
    pub arch: Option<CpuArchitecture>,
    /// How to talk to a registry.
    pub registry: RegistryOptions,
    /// Whose signatures the bundle must have; checked before any file is copied.
    pub signatures: &'p SignaturePolicy,
}

/// An open source.
pub enum PullSource<'w> {
    Registry {
        registry: Box<Registry<'w>>,
        reference: String,
    },
    Directory {
        store: BundleStore,
        reference: Option<String>,
    },
    Archive {
        archive: ArchiveReader,
        reference: Option<String>,
    },
    DockerArchive(DockerArchive),
}

impl<'w> PullSource<'w> {
    pub fn open(
        location: &BundleLocation,
        options: &PullOptions<'_>,
        on_retry: &'w (dyn Fn(&str) + Sync),
    ) -> Result<Self, TransferError> {
        Ok(match location {
            BundleLocation::Directory(layout) => Self::Directory {
                store: BundleStore::open(&layout.path)?,
                reference: layout.reference.clone(),
            },
            BundleLocation::Archive(layout) => Self::Archive {
                archive: ArchiveReader::open(&layout.path)?,
                reference: layout.reference.clone(),
            },
            BundleLocation::DockerArchive(layout) => Self::DockerArchive(DockerArchive::open(
                &layout.path,
                layout.reference.as_deref(),
            )?),
            BundleLocation::Registry(address) => {
                let named = address.reference.as_deref().or(options.name);
                let reference = named.ok_or_else(|| TransferError::NotFound {
                    location: location.to_string(),
                    object: "tag: write one, or add the bundle's name to the command".to_owned(),
                })?;
                let registry =
                    Registry::new(address.clone(), options.registry.clone(), false, on_retry)?;
                Self::Registry {
                    registry: Box::new(registry),
                    reference: reference.to_owned(),
                }
            }
        })
    }

    /// Finds the requested manifest, also in an index of variants for several processors.
    pub fn manifest(
        &mut self,
        location: &str,
        options: &PullOptions<'_>,
    ) -> Result<Vec<u8>, TransferError> {
        let mut manifest = match self {
            Self::Registry {
                registry,
                reference,
            } => {
                let found = registry.manifest(reference)?;
                let (manifest, _) = found.ok_or_else(|| TransferError::NotFound {
                    location: location.to_owned(),
                    object: format!("`{reference}`"),
                })?;
                manifest
            }
            Self::Directory { store, reference } => {
                let index = store.index()?;
                let descriptor =
                    select_manifest(&index, location, reference.as_deref(), options.name)?;
                store.read_manifest(&descriptor)?
            }
            Self::Archive { archive, reference } => {
                let index = archive.index()?;
                let descriptor =
                    select_manifest(&index, location, reference.as_deref(), options.name)?;
                archive.manifest(&descriptor)?
            }
            Self::DockerArchive(archive) => archive.manifest()?,
        };
        // Indexes are not nested deeper in practice.
        for _ in 0..2 {
            let Ok(list) = serde_json::from_slice::<Index>(&manifest) else {
                break;
            };
            let variant = variant_for(&list, location, options.arch)?;
            manifest = self.manifest_at(&variant, location)?;
        }
        Ok(manifest)
    }

    fn manifest_at(
        &mut self,
        descriptor: &Descriptor,
        location: &str,
    ) -> Result<Vec<u8>, TransferError> {
        match self {
            Self::Registry { registry, .. } => {
                let found = registry.manifest(&descriptor.digest)?;
                let (manifest, _) = found.ok_or_else(|| TransferError::NotFound {
                    location: location.to_owned(),
                    object: format!("manifest {}", descriptor.digest),
                })?;
                Ok(manifest)
            }
            Self::Directory { store, .. } => Ok(store.read_manifest(descriptor)?),
            Self::Archive { archive, .. } => archive.manifest(descriptor),
            Self::DockerArchive(archive) => archive.manifest(),
        }
    }

    /// Returns how many blobs to read at the same time, and the signal that stops them. A tar file is read
    /// from its beginning to its end.
    pub fn parallelism(&self, options: &PullOptions<'_>) -> (usize, Arc<StopSignal>) {
        match self {
            Self::Registry { registry, .. } => (options.registry.jobs, Arc::clone(registry.stop())),
            Self::Directory { .. } => (FILES_AT_ONCE, Arc::default()),
            Self::Archive { .. } | Self::DockerArchive(_) => (1, Arc::default()),
        }
    }

    /// Opens a blob; the caller verifies its digest.
    pub fn open_blob(&self, blob: &Descriptor) -> Result<Box<dyn Read + '_>, TransferError> {
        Ok(match self {
            Self::Registry { registry, .. } => Box::new(registry.open(blob)?),
            Self::Archive { archive, .. } => Box::new(archive.open_blob(blob)?),
            Self::DockerArchive(archive) => archive.open_blob(blob)?,
            Self::Directory { store, .. } => {
                let not_found = || TransferError::NotFound {
                    location: store.root().display().to_string(),
                    object: format!("intact blob {}", blob.digest),
                };
                let digest: Sha256Digest = blob.sha256().ok_or_else(not_found)?;
                let file = BundleFile {
                    path: blob.digest.clone(),
                    sha256: digest,
                    size: blob.size,
                    source: None,
                };
                Box::new(store.open_blob(&file)?)
            }
        })
    }
}

/// Finds the manifest that the location names in a layout, or the one with the bundle's name, or the only one.
fn select_manifest(
    index: &Index,
    location: &str,
    reference: Option<&str>,
    name: Option<&str>,
) -> Result<Descriptor, TransferError> {
    if let Some(reference) = reference {
        let found = index.find(reference).cloned();
        return found.ok_or_else(|| TransferError::NotFound {
            location: location.to_owned(),
            object: format!("manifest `{reference}`"),
        });
    }
    let found = name.and_then(|name| index.find(name));
    match (found, index.manifests.as_slice()) {
        (Some(found), _) => Ok(found.clone()),
        (None, [only]) => Ok(only.clone()),
        (None, []) => Err(TransferError::NotFound {
            location: location.to_owned(),
            object: "bundles".to_owned(),
        }),
        (None, several) => {
            let names = several.iter().filter_map(Descriptor::name);
            Err(match name {
                Some(name) => TransferError::NotFound {
                    location: location.to_owned(),
                    object: format!("`{name}`"),
                },
                None => TransferError::Ambiguous {
                    location: location.to_owned(),
                    found: names.map(str::to_owned).collect(),
                },
            })
        }
    }
}

/// Finds the variant of an image for one processor in an index.
fn variant_for(
    list: &Index,
    location: &str,
    requested_arch: Option<CpuArchitecture>,
) -> Result<Descriptor, TransferError> {
    // The index also lists a builder's attestations, which are for no processor.
    let arch_of = |it: &Descriptor| {
        let platform = it.other.get("platform").unwrap_or(&Value::Null);
        let name = platform["architecture"].as_str().unwrap_or_default();
        CpuArchitecture::from_name(name)
    };
    let images = list.manifests.iter();
    let images: Vec<(&Descriptor, CpuArchitecture)> =
        images.filter_map(|it| Some((it, arch_of(it)?))).collect();
    let mut matching = images
        .iter()
        .filter(|(_, arch)| requested_arch.is_none_or(|requested| requested == *arch));
    match (matching.next(), matching.next(), list.manifests.as_slice()) {
        (Some((one, _)), None, _) => Ok((*one).clone()),
        (None, _, [only]) if images.is_empty() => Ok(only.clone()),
        _ => Err(TransferError::Image {
            location: location.to_owned(),
            reason: format!(
                "it has variants for {}: choose one with `--arch`",
                match images.as_slice() {
                    [] => "no known processor".to_owned(),
                    images => {
                        let names: Vec<&str> = images.iter().map(|(_, arch)| arch.name()).collect();
                        names.join(", ")
                    }
                }
            ),
        }),
    }
}
