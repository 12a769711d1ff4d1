//! Images with boot files, as metalman's users build them: `FROM scratch`, with the files below
//! `/disk/`, and in `metadata.yaml` which of them DHCP hands out.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::pull::Source;
use super::{TransferError, Travelled, Watch, Watched};
use crate::bundle::{BundleStore, Descriptor};
use crate::inventory::{Bundle, BundleFile, is_inside};
use crate::machine::{CpuArchitecture, Sha256Digest};

/// Where an image keeps its files.
const ROOT: &str = "disk/";
const METADATA: &str = "metadata.yaml";
/// The largest configuration or `metadata.yaml` that is read, in octets.
const TEXT_LIMIT: u64 = 1 << 20;

/// A bundle made of an image; its blobs are in the store, its name is not yet.
pub struct Unpacked {
    /// The bundle.
    pub bundle: Bundle,
    /// What came over for it.
    pub travelled: Travelled,
}

/// Unpacks an image's layers into the store's blobs.
///
/// # Errors
/// When a layer cannot be had, is not what the manifest says, names a file outside of the image, or
/// when there are no files below `/disk/`.
pub(super) fn unpack(
    store: &BundleStore,
    source: &mut Source<'_>,
    place: &str,
    manifest: &[u8],
    name: &str,
    arch: Option<CpuArchitecture>,
    watch: &Arc<dyn Watch>,
) -> Result<Unpacked, TransferError> {
    let refused = |reason: String| TransferError::Image {
        place: place.to_owned(),
        reason,
    };
    let manifest: Value =
        serde_json::from_slice(manifest).map_err(|error| refused(error.to_string()))?;
    let described = |value: &Value| serde_json::from_value::<Descriptor>(value.clone());
    let config = described(&manifest["config"]);
    let config = config.map_err(|error| refused(format!("its configuration: {error}")))?;
    let layers = manifest["layers"].as_array().map(Vec::as_slice);
    let layers: Result<Vec<Descriptor>, _> =
        layers.unwrap_or_default().iter().map(described).collect();
    let layers = layers.map_err(|error| refused(format!("its layers: {error}")))?;

    let arch = match arch {
        Some(arch) => arch,
        None => {
            let mut text = Vec::new();
            let opened = source.open_blob(&config)?;
            let read = opened.take(TEXT_LIMIT).read_to_end(&mut text);
            read.map_err(|error| refused(format!("its configuration: {error}")))?;
            let config: Value = serde_json::from_slice(&text).unwrap_or_default();
            let named = config["architecture"].as_str().unwrap_or_default();
            CpuArchitecture::from_name(named).ok_or_else(|| {
                refused(format!(
                    "its processor is `{named}`: say which with `--arch`"
                ))
            })?
        }
    };
    let travelled = Travelled {
        blobs: layers.len(),
        octets: layers
            .iter()
            .fold(0, |sum, layer| layer.size.saturating_add(sum)),
    };
    watch.begins(travelled.blobs, travelled.octets, layers.len());
    let mut tree = Tree::default();
    for layer in &layers {
        let part = watch.file(&layer.digest, layer.size);
        let content = Watched::new(source.open_blob(layer)?, part);
        tree.add_layer(store, content, layer).map_err(&refused)?;
    }
    let files = tree.into_files(store).map_err(refused)?;
    Ok(Unpacked {
        bundle: Bundle {
            name: name.to_owned(),
            arch: arch.name().to_owned(),
            expires: None,
            signatures: Vec::new(),
            files,
        },
        travelled,
    })
}

/// What an image's layers make together.
#[derive(Default)]
struct Tree {
    files: BTreeMap<String, (Sha256Digest, u64)>,
    /// Links, and the paths that they lead to.
    links: BTreeMap<String, String>,
}

impl Tree {
    /// Adds a layer: its files go before those of the layers below it.
    ///
    /// Source: OCI image specification 1.1, "Image Layer Filesystem Changeset".
    fn add_layer(
        &mut self,
        store: &BundleStore,
        content: impl Read,
        layer: &Descriptor,
    ) -> Result<(), String> {
        let broken = |error: io::Error| format!("its layer {}: {error}", layer.digest);
        let mut hashed = Hashed {
            content,
            hasher: Sha256::new(),
        };
        {
            let padding = Cell::new(0);
            let plain = decompressed(&mut hashed).map_err(broken)?;
            // umoci 0.4 does not pad the last file of an archive, nor end it.
            let mut archive = tar::Archive::new(Padded {
                content: plain,
                padding: &padding,
            });
            for entry in archive.entries().map_err(broken)? {
                self.add_entry(store, entry.map_err(broken)?, &padding)
                    .map_err(|error| format!("its layer {}: {error}", layer.digest))?;
            }
        }
        // The end of the archive is not the end of the layer.
        io::copy(&mut hashed, &mut io::sink()).map_err(broken)?;
        let found = Sha256Digest::new(hashed.hasher.finalize().into());
        match layer.sha256() == Some(found) {
            true => Ok(()),
            false => Err(format!("its layer {} hashes to {found}", layer.digest)),
        }
    }

    fn add_entry(
        &mut self,
        store: &BundleStore,
        mut entry: tar::Entry<'_, impl Read>,
        padding: &Cell<usize>,
    ) -> Result<(), String> {
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let path = path.strip_prefix("./").unwrap_or(&path);
        let path = path.trim_end_matches('/').to_owned();
        if path.is_empty() || path == "." {
            return Ok(());
        }
        if !is_inside(&path) {
            return Err(format!(
                "its file `{}` lies outside of it",
                path.escape_debug()
            ));
        }
        let (parent, base) = path.rsplit_once('/').unwrap_or(("", &path));
        if base == ".wh..wh..opq" {
            self.remove_below(parent);
            return Ok(());
        }
        if let Some(hidden) = base.strip_prefix(".wh.") {
            let gone = join(parent, hidden);
            self.remove(&gone);
            return Ok(());
        }
        let kind = entry.header().entry_type();
        if kind.is_dir() {
            return Ok(());
        }
        self.remove(&path);
        if kind.is_file() {
            let size = entry.size();
            let added = store
                .add_blob(&mut entry)
                .map_err(|error| error.to_string())?;
            if added.1 != size || padding.get() > 0 {
                return Err(format!("its file `{path}` ends too soon"));
            }
            self.files.insert(path, added);
        } else if kind.is_hard_link() || kind.is_symlink() {
            let target = entry.link_name_bytes().unwrap_or_default();
            let target = String::from_utf8_lossy(&target).into_owned();
            let base = if kind.is_symlink() { parent } else { "" };
            let leads = followed(base, &target)
                .ok_or_else(|| format!("its link `{path}` leads out of it, to `{target}`"))?;
            self.links.insert(path, leads);
        }
        // Devices and pipes are nothing that a machine boots.
        Ok(())
    }

    fn remove(&mut self, path: &str) {
        self.files.remove(path);
        self.links.remove(path);
        self.remove_below(path);
    }

    fn remove_below(&mut self, directory: &str) {
        let below = match directory {
            "" => String::new(),
            directory => format!("{directory}/"),
        };
        self.files.retain(|path, _| !path.starts_with(&below));
        self.links.retain(|path, _| !path.starts_with(&below));
    }

    /// Names what lies below `/disk/`, as profiles will.
    fn into_files(mut self, store: &BundleStore) -> Result<BTreeMap<String, BundleFile>, String> {
        for (path, target) in std::mem::take(&mut self.links) {
            match self.files.get(&target) {
                Some(found) => {
                    self.files.insert(path, *found);
                }
                None if path.starts_with(ROOT) => {
                    return Err(format!(
                        "its link `{path}` leads to `{target}`, which is no file"
                    ));
                }
                None => {}
            }
        }
        let mut inside: BTreeMap<&str, (Sha256Digest, u64)> = self
            .files
            .iter()
            .filter_map(|(path, blob)| Some((path.strip_prefix(ROOT)?, *blob)))
            .collect();
        if let Some(blob) = self.files.get(METADATA) {
            inside.entry(METADATA).or_insert(*blob);
        }
        if !inside.keys().any(|path| *path != METADATA) {
            return Err(format!("it holds no files below `/{ROOT}`"));
        }
        let loader = match inside.get(METADATA) {
            Some((digest, size)) if *size <= TEXT_LIMIT => {
                let text = std::fs::read_to_string(store.blob_path(digest));
                let text = text.map_err(|error| format!("its `{METADATA}`: {error}"))?;
                loader_in(&text)?
            }
            _ => None,
        };
        if let Some(loader) = loader.as_deref().filter(|it| !inside.contains_key(it)) {
            return Err(format!(
                "its `{METADATA}` names `{loader}`, which is not in it"
            ));
        }
        let mut files = BTreeMap::new();
        for (path, (sha256, size)) in inside {
            let file = BundleFile {
                path: path.to_owned(),
                sha256,
                size,
                source: None,
            };
            let word = match loader.as_deref() == Some(path) {
                true => Some("loader"),
                false => well_known(path),
            };
            let key = word.filter(|word| !files.contains_key(*word));
            let key = key.map_or_else(|| key_of(path), str::to_owned);
            if files.insert(key.clone(), file).is_some() {
                return Err(format!("two of its files would be called `{key}`"));
            }
        }
        Ok(files)
    }
}

/// Reads which file DHCP hands out.
fn loader_in(text: &str) -> Result<Option<String>, String> {
    #[derive(serde::Deserialize)]
    struct Metadata {
        #[serde(rename = "dhcpBootImageName")]
        loader: Option<String>,
    }
    let read: Result<Option<Metadata>, _> = serde_yaml::from_str(text);
    let read = read.map_err(|error| format!("its `{METADATA}`: {error}"))?;
    Ok(read.and_then(|it| it.loader))
}

/// What profiles call a file, by the names that distributions give it.
fn well_known(path: &str) -> Option<&'static str> {
    let begins = |words: &[&str]| words.iter().any(|word| path.starts_with(word));
    match path {
        path if path.contains('/') => None,
        "linux" | "kernel" | "bzImage" => Some("kernel"),
        _ if begins(&["vmlinuz", "vmlinux"]) => Some("kernel"),
        _ if begins(&["initrd", "initramfs"]) => Some("initrd"),
        _ => None,
    }
}

fn key_of(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let key: String = path
        .chars()
        .map(|c| if plain(c) { c } else { '-' })
        .collect();
    match key.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        true => key,
        false => format!("file{key}"),
    }
}

fn join(parent: &str, base: &str) -> String {
    match parent {
        "" => base.to_owned(),
        parent => format!("{parent}/{base}"),
    }
}

/// Says where a link leads from a directory; none where that is outside.
fn followed(directory: &str, target: &str) -> Option<String> {
    let start = if target.starts_with('/') {
        ""
    } else {
        directory
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in start.split('/').chain(target.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Undoes a layer's compression, which its first octets tell.
fn decompressed<'r>(mut content: impl Read + 'r) -> io::Result<Box<dyn Read + 'r>> {
    let mut head = Vec::new();
    content.by_ref().take(4).read_to_end(&mut head)?;
    let whole = io::Cursor::new(head.clone()).chain(content);
    Ok(match head.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(whole)),
        [0x28, 0xb5, 0x2f, 0xfd] => Box::new(zstd::Decoder::new(whole)?),
        _ => Box::new(whole),
    })
}

/// The most octets that an archive's end may lack: of the last block, and the two after it.
const PADDING: usize = 3 * 512;

/// Ends an archive that was not ended. Whoever reads a file's content sees whether it is that.
struct Padded<'p, R> {
    content: R,
    /// How many octets were made up.
    padding: &'p Cell<usize>,
}

impl<R: Read> Read for Padded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let made_up = self.padding.get();
        if made_up == 0 {
            match self.content.read(buffer)? {
                0 => {}
                read => return Ok(read),
            }
        }
        let more = buffer.len().min(PADDING - made_up);
        buffer[..more].fill(0);
        self.padding.set(made_up + more);
        Ok(more)
    }
}

struct Hashed<R> {
    content: R,
    hasher: Sha256,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
