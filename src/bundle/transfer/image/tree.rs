use std::collections::BTreeMap;

use crate::bundle::store::{BundleStore, BundleStoreError};
use crate::inventory::{BundleFile, is_inside, is_name};
use crate::machine::Sha256Digest;
use crate::wire::tar::{Tar, TarEntry, TarKind};

/// Where an image keeps its files.
const ROOT: &str = "disk/";
/// The largest configuration or `metadata.yaml` that is read, in octets.
pub(super) const TEXT_LIMIT: u64 = 1 << 20;
const METADATA: &str = "metadata.yaml";
/// The most files that an image may have below `/disk/`.
const FILES_LIMIT: usize = 1 << 12;
/// The most links that are followed, one after the other: as Linux does.
const LINKS_LIMIT: usize = 40;

/// What an image's layers make together, of what matters here.
#[derive(Default)]
pub struct Tree {
    files: BTreeMap<String, (Sha256Digest, u64)>,
    /// Symbolic links, and where they lead, as they say it.
    links: BTreeMap<String, String>,
}

impl Tree {
    /// Adds an entry of a layer, whose content comes next.
    pub fn add_entry(
        &mut self,
        store: &BundleStore,
        entry: TarEntry,
        content: &mut Tar<impl std::io::Read>,
    ) -> Result<(), String> {
        let path = entry.path.strip_prefix("./").unwrap_or(&entry.path);
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
        if entry.kind == TarKind::Directory {
            return Ok(());
        }
        self.remove(&path);
        // The rest is nothing that is served, and need not come.
        if !matters(&path) {
            return Ok(());
        }
        if self.files.len() + self.links.len() >= FILES_LIMIT {
            return Err(format!("it has more than {FILES_LIMIT} files"));
        }
        if let Some(link) = ancestors(&path).find(|it| self.links.contains_key(*it)) {
            return Err(format!("its file `{path}` lies below its link `{link}`"));
        }
        match entry.kind {
            TarKind::File => {
                let added = store
                    .reserve(entry.size)
                    .and_then(|()| store.add_blob(content));
                let added = added.map_err(|error| match error {
                    BundleStoreError::Content(error)
                        if error.kind() == std::io::ErrorKind::UnexpectedEof =>
                    {
                        format!("its file `{path}` ends too soon")
                    }
                    error => error.to_string(),
                })?;
                self.files.insert(path, added);
            }
            // It is the same file as one that came before, whatever comes after.
            TarKind::HardLink(target) => {
                let leads = target.trim_start_matches("./").trim_start_matches('/');
                if !is_inside(leads) || !matters(leads) {
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
                    "its file `{path}` is stored with holes, which is not read: build the image with a \
                     tool that stores it whole"
                ));
            }
            // Devices and pipes are nothing that a machine boots.
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

    /// Puts what links lead to in their places.
    fn follow_links(&mut self) -> Result<(), String> {
        let mut found = BTreeMap::new();
        for link in self.links.keys() {
            let leads = self.resolved(link)?;
            if let Some(file) = self.files.get(&leads) {
                found.insert(link.clone(), *file);
                continue;
            }
            // A directory: what lies in it is reached by both names.
            let below = format!("{leads}/");
            let count = found.len();
            for (path, file) in self.files.range(below.clone()..) {
                let Some(rest) = path.strip_prefix(&below) else {
                    break;
                };
                found.insert(join(link, rest), *file);
                if found.len() > FILES_LIMIT {
                    return Err(format!("its links make more than {FILES_LIMIT} files"));
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

    /// Says where a link leads in the end, also through links that lie on the way, as Linux goes.
    fn resolved(&self, link: &str) -> Result<String, String> {
        let mut at: Vec<&str> = Vec::new();
        // The next part of the way is the last of these.
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
                    "its link `{link}` leads in a circle, or through more than {LINKS_LIMIT} others"
                ));
            }
            target = leads;
            match target.starts_with('/') {
                true => at.clear(),
                false => drop(at.pop()),
            }
            ahead.extend(target.split('/').rev());
        }
        let path = at.join("/");
        match matters(&path) {
            true => Ok(path),
            false => Err(leads_out(link, target)),
        }
    }

    /// Names what lies below `/disk/`, as profiles will.
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
            if !is_name(&key) {
                return Err(format!("its file `{path}` has too long a name"));
            }
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

/// Reports whether an entry is one of those that a bundle is made of.
fn matters(path: &str) -> bool {
    path == METADATA || path.starts_with(ROOT)
}

/// Lists the directories that a path goes through, from the outermost.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

fn leads_out(link: &str, target: &str) -> String {
    format!(
        "its link `{link}` leads out of `/{ROOT}`, to `{}`",
        target.escape_debug()
    )
}

fn leads_nowhere(link: &str, target: &str) -> String {
    let target = target.escape_debug();
    format!("its link `{link}` leads to `{target}`, which is not in it")
}
