//! Where a pull reads from.

use std::io::Read;
use std::sync::Arc;

use serde_json::Value;

use super::archive_reader::ArchiveReader;
use super::error::TransferError;
use super::location::Place;
use crate::bundle::oci::{Descriptor, Index};
use crate::bundle::parallel::Stop;
use crate::bundle::registry::{Registry, RegistryOptions};
use crate::bundle::store::BundleStore;
use crate::inventory::{BundleFile, SignaturePolicy};
use crate::machine::{CpuArchitecture, Sha256Digest};

/// How many files go from one directory to another at once: while one is synced, others are copied.
pub(super) const FILES_AT_ONCE: usize = 4;

/// What is wanted from a place.
pub struct PullOptions<'p> {
    /// The bundle's name; may be left out where the place holds or names only one.
    pub name: Option<&'p str>,
    /// Which of an image of several processors is wanted.
    pub arch: Option<CpuArchitecture>,
    /// How a registry is talked to.
    pub registry: RegistryOptions,
    /// Whose signatures it must have; checked before any of its files travels.
    pub signatures: &'p SignaturePolicy,
}

/// A place that is read from.
pub enum Source<'w> {
    Registry {
        registry: Box<Registry<'w>>,
        reference: String,
    },
    Directory(BundleStore),
    Archive(ArchiveReader),
}

impl<'w> Source<'w> {
    pub fn open(
        place: &Place,
        options: &PullOptions<'_>,
        waiting: &'w (dyn Fn(&str) + Sync),
    ) -> Result<Self, TransferError> {
        Ok(match place {
            Place::Directory(path) => Self::Directory(BundleStore::open(path)?),
            Place::Archive(path) => Self::Archive(ArchiveReader::open(path)?),
            Place::Registry(address) => {
                let named = address.reference.as_deref().or(options.name);
                let reference = named.ok_or_else(|| TransferError::NotFound {
                    place: place.to_string(),
                    what: "name in it: write a tag, or the bundle's name after it".to_owned(),
                })?;
                let registry =
                    Registry::new(address.clone(), options.registry.clone(), false, waiting)?;
                Self::Registry {
                    registry: Box::new(registry),
                    reference: reference.to_owned(),
                }
            }
        })
    }

    /// Finds the manifest that is meant, through a list of several processors.
    pub fn manifest(
        &mut self,
        place: &str,
        options: &PullOptions<'_>,
    ) -> Result<Vec<u8>, TransferError> {
        let mut manifest = match self {
            Self::Registry {
                registry,
                reference,
            } => {
                let found = registry.manifest(reference)?;
                let (manifest, _) = found.ok_or_else(|| TransferError::NotFound {
                    place: place.to_owned(),
                    what: format!("`{reference}`"),
                })?;
                manifest
            }
            Self::Directory(store) => {
                let descriptor = chosen(&store.index()?, place, options.name)?;
                store.read_manifest(&descriptor)?
            }
            Self::Archive(archive) => {
                let descriptor = chosen(&archive.index()?, place, options.name)?;
                archive.manifest(&descriptor)?
            }
        };
        // A list in a list is nothing that anybody builds.
        for _ in 0..2 {
            let Ok(list) = serde_json::from_slice::<Index>(&manifest) else {
                break;
            };
            let one = of_arch(&list, place, options.arch)?;
            manifest = self.manifest_at(&one, place)?;
        }
        Ok(manifest)
    }

    fn manifest_at(
        &mut self,
        descriptor: &Descriptor,
        place: &str,
    ) -> Result<Vec<u8>, TransferError> {
        match self {
            Self::Registry { registry, .. } => {
                let found = registry.manifest(&descriptor.digest)?;
                let (manifest, _) = found.ok_or_else(|| TransferError::NotFound {
                    place: place.to_owned(),
                    what: format!("manifest {}", descriptor.digest),
                })?;
                Ok(manifest)
            }
            Self::Directory(store) => Ok(store.read_manifest(descriptor)?),
            Self::Archive(archive) => archive.manifest(descriptor),
        }
    }

    /// Says how many blobs are read at once, and by what they are stopped. A tar file is read from its
    /// beginning to its end.
    pub fn at_once(&self, options: &PullOptions<'_>) -> (usize, Arc<Stop>) {
        match self {
            Self::Registry { registry, .. } => (options.registry.jobs, Arc::clone(registry.stop())),
            Self::Directory(_) => (FILES_AT_ONCE, Arc::default()),
            Self::Archive(_) => (1, Arc::default()),
        }
    }

    /// Opens a blob; who reads it checks it.
    pub fn open_blob(&self, blob: &Descriptor) -> Result<Box<dyn Read + '_>, TransferError> {
        Ok(match self {
            Self::Registry { registry, .. } => Box::new(registry.open(blob)?),
            Self::Archive(archive) => Box::new(archive.open_blob(blob)?),
            Self::Directory(store) => {
                let none = || TransferError::NotFound {
                    place: store.root().display().to_string(),
                    what: format!("good {}", blob.digest),
                };
                let digest: Sha256Digest = blob.sha256().ok_or_else(none)?;
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

/// Finds what a name stands for in a layout, or the only thing in it.
fn chosen(index: &Index, place: &str, name: Option<&str>) -> Result<Descriptor, TransferError> {
    let found = name.and_then(|name| index.find(name));
    match (found, index.manifests.as_slice()) {
        (Some(found), _) => Ok(found.clone()),
        (None, [only]) => Ok(only.clone()),
        (None, []) => Err(TransferError::NotFound {
            place: place.to_owned(),
            what: "bundle at all".to_owned(),
        }),
        (None, several) => {
            let names = several.iter().filter_map(Descriptor::name);
            Err(match name {
                Some(name) => TransferError::NotFound {
                    place: place.to_owned(),
                    what: format!("`{name}`"),
                },
                None => TransferError::Ambiguous {
                    place: place.to_owned(),
                    found: names.map(str::to_owned).collect(),
                },
            })
        }
    }
}

/// Finds the image of one processor in a list of several.
fn of_arch(
    list: &Index,
    place: &str,
    wanted: Option<CpuArchitecture>,
) -> Result<Descriptor, TransferError> {
    // What a builder attests of an image is in the list too, for no processor at all.
    let arch_of = |it: &Descriptor| {
        let platform = it.other.get("platform").unwrap_or(&Value::Null);
        let name = platform["architecture"].as_str().unwrap_or_default();
        CpuArchitecture::from_name(name)
    };
    let images = list.manifests.iter();
    let images: Vec<(&Descriptor, CpuArchitecture)> =
        images.filter_map(|it| Some((it, arch_of(it)?))).collect();
    let mut of_wanted = images
        .iter()
        .filter(|(_, arch)| wanted.is_none_or(|wanted| wanted == *arch));
    match (
        of_wanted.next(),
        of_wanted.next(),
        list.manifests.as_slice(),
    ) {
        (Some((one, _)), None, _) => Ok((*one).clone()),
        (None, _, [only]) if images.is_empty() => Ok(only.clone()),
        _ => Err(TransferError::Image {
            place: place.to_owned(),
            reason: format!(
                "it is there for {}: choose one with `--arch`",
                match images.as_slice() {
                    [] => "no processor that we know".to_owned(),
                    images => {
                        let names: Vec<&str> = images.iter().map(|(_, arch)| arch.name()).collect();
                        names.join(", ")
                    }
                }
            ),
        }),
    }
}
