use std::collections::BTreeMap;

use crate::bundle::store::{BundleStore, BundleStoreError};
use crate::inventory::{BundleFile, is_inside, is_name};
use crate::machine::Sha256Digest;
use crate::wire::tar::{Tar, TarEntry, TarKind};

/// The directory of an image that has its boot files.
const ROOT: &str = "disk/";
/// The largest configuration or `metadata.yaml` that is read, in bytes.
pub(super) const TEXT_LIMIT: u64 = 1 << 20;
const METADATA: &str = "metadata.yaml";
/// The largest number of files below `/disk/`.
const FILES_LIMIT: usize = 1 << 12;
/// The longest chain of links that is followed, as in Linux.
const LINKS_LIMIT: usize = 40;

/// The relevant files of all layers of an image.
#[derive(Default)]
pub struct Tree {
    files: BTreeMap<String, (Sha256Digest, u64)>,
    /// Symbolic links with their targets, as written in the layer.
    links: BTreeMap<String, String>,
}

impl Tree {
    /// Adds an entry of a layer; `content` is positioned at the entry's content.
    pub fn add_entry(
        &mut self,
        store: &BundleStore,
        entry: TarEntry,
        content: &mut Tar<impl std::io::Read>,
    ) -> Result<(), String> {
        let path = entry
            .path
            .strip_prefix("./")
            .unwrap_or(&entry.path)
            .trim_end_matches('/')
            .to_owned();
        if path.is_empty() || path == "." {
            return Ok(());
        }
        if !is_inside(&path) {
            return Err(format!(
                "the file `{}` is outside the image",
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
        if entry.kind == TarKind::Directory {
            return Ok(());
        }
        self.remove(&path);
        // Nothing else is served.
        if !is_relevant(&path) {
            return Ok(());
        }
        if self.files.len() + self.links.len() >= FILES_LIMIT {
            return Err(format!("more than {FILES_LIMIT} files"));
        }
        if let Some(link) = ancestors(&path).find(|it| self.links.contains_key(*it)) {
            return Err(format!("the file `{path}` is below the link `{link}`"));
        }
        match entry.kind {
            TarKind::File => {
                let blob = store
                    .reserve(entry.size)
                    .and_then(|()| store.add_blob(content))
                    .map_err(|error| match error {
                        BundleStoreError::Content(error)
                            if error.kind() == std::io::ErrorKind::UnexpectedEof =>
                        {
                            format!("the file `{path}` ends too early")
                        }
                        error => error.to_string(),
                    })?;
                self.files.insert(path, blob);
            }
            // The same file as an earlier one, whatever replaces that one later.
            TarKind::HardLink(target) => {
                let leads = target.trim_start_matches("./").trim_start_matches('/');
                if !is_inside(leads) || !is_relevant(leads) {
                    return Err(leads_out(&path, &target));
                }
                match (self.files.get(leads).copied(), self.links.get(leads)) {
                    (Some(found), _) => drop(self.files.insert(path, found)),
                    (None, Some(link)) => drop(self.links.insert(path, link.clone())),
                    (None, None) => return Err(leads_nowhere(&path, leads)),
                }
            }
            TarKind::SymbolicLink(target) => {
                self.links.insert(path, target);
            }
            TarKind::Sparse => {
                return Err(format!(
                    "the file `{path}` is stored as a sparse file, which is not supported: build the image \
                     with a tool that stores the whole file"
                ));
            }
            // No machine boots a device or a pipe.
            TarKind::Directory | TarKind::Other(_) => {}
        }
        Ok(())
    }

    fn remove(&mut self, path: &str) {
        self.files.remove(path);
        self.links.remove(path);
        self.remove_below(path);
    }

    fn remove_below(&mut self, directory: &str) {
        remove_below(&mut self.files, directory);
        remove_below(&mut self.links, directory);
    }

    /// Replaces links with the files that they lead to.
    fn follow_links(&mut self) -> Result<(), String> {
        let mut found = BTreeMap::new();
        for link in self.links.keys() {
            let leads = self.resolved(link)?;
            if let Some(file) = self.files.get(&leads) {
                found.insert(link.clone(), *file);
                continue;
            }
            // A directory: its files have both paths.
            let below = format!("{leads}/");
            let count = found.len();
            for (path, file) in self.files.range(below.clone()..) {
                let Some(rest) = path.strip_prefix(&below) else {
                    break;
                };
                found.insert(join(link, rest), *file);
                if found.len() > FILES_LIMIT {
                    return Err(format!("its links lead to more than {FILES_LIMIT} files"));
                }
            }
            if found.len() == count {
                return Err(leads_nowhere(link, &leads));
            }
        }
        self.files.extend(found);
        self.links.clear();
        Ok(())
    }

    /// Returns the final target of a link. Follows links in the directories on the way, as Linux does.
    fn resolved(&self, link: &str) -> Result<String, String> {
        let mut at: Vec<&str> = Vec::new();
        // The next part of the path is the last element.
        let mut ahead: Vec<&str> = link.split('/').rev().collect();
        let (mut target, mut passed) = (link, 0);
        while let Some(part) = ahead.pop() {
            match part {
                "" | "." => continue,
                ".." => {
                    at.pop().ok_or_else(|| leads_out(link, target))?;
                    continue;
                }
                part => at.push(part),
            }
            let Some(leads) = self.links.get(&at.join("/")) else {
                continue;
            };
            passed += 1;
            if passed > LINKS_LIMIT {
                return Err(format!(
                    "the link `{link}` leads in a circle, or through more than {LINKS_LIMIT} other links"
                ));
            }
            target = leads;
            if target.starts_with('/') {
                at.clear();
            } else {
                at.pop();
            }
            ahead.extend(target.split('/').rev());
        }
        let path = at.join("/");
        if is_relevant(&path) {
            Ok(path)
        } else {
            Err(leads_out(link, target))
        }
    }

    /// Lists the files below `/disk/` under the keys that profiles use.
    pub fn into_files(
        mut self,
        store: &BundleStore,
    ) -> Result<BTreeMap<String, BundleFile>, String> {
        self.follow_links()?;
        let mut inside: BTreeMap<&str, (Sha256Digest, u64)> = self
            .files
            .iter()
            .filter_map(|(path, blob)| Some((path.strip_prefix(ROOT)?, *blob)))
            .collect();
        if let Some(blob) = self.files.get(METADATA) {
            inside.entry(METADATA).or_insert(*blob);
        }
        if !inside.keys().any(|path| *path != METADATA) {
            return Err(format!("no files below `/{ROOT}`"));
        }
        let loader = match inside.get(METADATA) {
            Some((digest, size)) if *size <= TEXT_LIMIT => {
                let text = std::fs::read_to_string(store.blob_path(digest))
                    .map_err(|error| format!("invalid `{METADATA}`: {error}"))?;
                loader_in(&text)?
            }
            _ => None,
        };
        if let Some(loader) = loader.as_deref().filter(|it| !inside.contains_key(it)) {
            return Err(format!(
                "`{METADATA}` names `{loader}`, which is not in the image"
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
            let standard_key = if loader.as_deref() == Some(path) {
                Some("loader")
            } else {
                standard_key(path)
            };
            let key = standard_key
                .filter(|key| !files.contains_key(*key))
                .map_or_else(|| key_of(path), str::to_owned);
            if !is_name(&key) {
                return Err(format!("the name of the file `{path}` is too long"));
            }
            if files.insert(key.clone(), file).is_some() {
                return Err(format!("two files have the key `{key}`"));
            }
        }
        Ok(files)
    }
}

/// Returns the file that DHCP offers, according to `metadata.yaml`.
fn loader_in(text: &str) -> Result<Option<String>, String> {
    #[derive(serde::Deserialize)]
    struct Metadata {
        #[serde(rename = "dhcpBootImageName")]
        loader: Option<String>,
    }
    let metadata: Option<Metadata> =
        serde_yaml::from_str(text).map_err(|error| format!("invalid `{METADATA}`: {error}"))?;
    Ok(metadata.and_then(|metadata| metadata.loader))
}

/// Returns the key that profiles use for a file, by the name that distributions give it.
fn standard_key(path: &str) -> Option<&'static str> {
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
    if key.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        key
    } else {
        format!("file{key}")
    }
}

fn join(parent: &str, base: &str) -> String {
    match parent {
        "" => base.to_owned(),
        parent => format!("{parent}/{base}"),
    }
}

fn remove_below<V>(map: &mut BTreeMap<String, V>, directory: &str) {
    if directory.is_empty() {
        return map.clear();
    }
    let below = format!("{directory}/");
    let lies_below = |path: &&String| path.starts_with(&below);
    let gone = map.range(below.clone()..).map(|(path, _)| path);
    for path in gone.take_while(lies_below).cloned().collect::<Vec<_>>() {
        map.remove(&path);
    }
}

/// Reports whether a bundle uses a path of an image.
fn is_relevant(path: &str) -> bool {
    path == METADATA || path.starts_with(ROOT)
}

/// Lists the directories above a path, from the outermost.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

fn leads_out(link: &str, target: &str) -> String {
    format!(
        "the link `{link}` leads out of `/{ROOT}`, to `{}`",
        target.escape_debug()
    )
}

fn leads_nowhere(link: &str, target: &str) -> String {
    let target = target.escape_debug();
    format!("the link `{link}` leads to `{target}`, which is not in the image")
}
