//! The boot menu, as values for the templates of local scripts.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::inventory::{INITRD, Inventory, KERNEL, MenuEntry, MenuTarget};
use crate::loader::{Dialect, FileServer};
use crate::machine::{Architecture, Sha256Digest};

/// The timeout of the sample.
const SAMPLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Returns the site's menu for a machine, or null if no entry fits the machine.
///
/// The timeout is at least `least`. Every entry has every key; missing values are null.
pub fn values(
    inventory: &Inventory,
    dialect: Dialect,
    architecture: Architecture,
    least: Duration,
) -> Value {
    let Some(menu) = &inventory.site.menu else {
        return Value::Null;
    };
    let server = &inventory.site.server;
    let notation = FileNotation {
        dialect,
        server: FileServer {
            base_url: &server.base_url,
            address: server.address,
        },
    };
    let mut id = 0;
    let mut groups = Vec::new();
    for group in &menu.groups {
        let mut entries = Vec::new();
        for entry in &group.entries {
            let bundle = match &entry.target {
                MenuTarget::Bundle(name) => match inventory.bundles.get(name) {
                    Some(bundle) => Some(bundle),
                    // `parse` returns no inventory with an unknown name.
                    None => continue,
                },
                MenuTarget::Loader(_) => None,
            };
            if entry.fits(architecture, bundle) {
                id += 1;
                let files = bundle.map(|bundle| EntryFiles {
                    manifest: inventory.manifest_digest(bundle),
                    has_initrd: bundle.files.contains_key(INITRD),
                });
                entries.push(entry_values(&notation, id, entry, files));
            }
        }
        if !entries.is_empty() {
            groups.push(json!({ "title": group.title, "entries": entries }));
        }
    }
    menu_values(menu.timeout.max(least), groups)
}

/// Returns a menu with an entry of each kind, which tests the templates.
pub fn sample(dialect: Dialect) -> Value {
    let notation = FileNotation {
        dialect,
        server: FileServer {
            base_url: "http://192.0.2.1:8080",
            address: Ipv4Addr::new(192, 0, 2, 1),
        },
    };
    let entry = |target, args: &[&str]| MenuEntry {
        label: "Label".to_owned(),
        target,
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
        arch: Vec::new(),
    };
    let files = |has_initrd| {
        Some(EntryFiles {
            manifest: Sha256Digest::of(b""),
            has_initrd,
        })
    };
    let bundle = || MenuTarget::Bundle("bundle".to_owned());
    let loader = || MenuTarget::Loader("loader".to_owned());
    let entries = [
        (entry(bundle(), &["a", "b"]), files(true)),
        (entry(bundle(), &[]), files(false)),
        (entry(loader(), &["a"]), None),
        (entry(loader(), &[]), None),
    ];
    let entries: Vec<Value> = entries
        .into_iter()
        .zip(1..)
        .map(|((entry, files), id)| entry_values(&notation, id, &entry, files))
        .collect();
    menu_values(
        SAMPLE_TIMEOUT,
        vec![json!({ "title": "Title", "entries": entries })],
    )
}

/// The files of a bundle that an entry starts.
struct EntryFiles {
    manifest: Sha256Digest,
    has_initrd: bool,
}

fn menu_values(timeout: Duration, groups: Vec<Value>) -> Value {
    if groups.is_empty() {
        return Value::Null;
    }
    let seconds = timeout.as_secs();
    json!({
        "seconds": seconds,
        "milliseconds": seconds * 1000,
        "tenths": seconds * 10,
        "groups": groups,
    })
}

fn entry_values(
    notation: &FileNotation<'_>,
    id: u32,
    entry: &MenuEntry,
    files: Option<EntryFiles>,
) -> Value {
    let loader = match &entry.target {
        MenuTarget::Loader(name) => Some(name.as_str()),
        MenuTarget::Bundle(_) => None,
    };
    let file = |files: &EntryFiles, key| notation.bundle_file(&files.manifest, key);
    json!({
        "id": id,
        "label": entry.label,
        "kernel": files.as_ref().map(|files| file(files, KERNEL)),
        "initrd": files.as_ref().filter(|files| files.has_initrd).map(|files| file(files, INITRD)),
        "loader": loader.map(|name| notation.file(name)),
        "kind": loader.map(pxelinux_kind),
        "args": entry.args,
    })
}

/// The notation of a loader for file locations.
struct FileNotation<'a> {
    dialect: Dialect,
    server: FileServer<'a>,
}

impl FileNotation<'_> {
    fn bundle_file(&self, manifest: &Sha256Digest, key: &str) -> String {
        let path = format!("b/{manifest}/{key}");
        self.dialect.bundle_location(&self.server, &path)
    }

    /// Returns the location of a file in `server.files`.
    fn file(&self, name: &str) -> String {
        self.dialect.file_location(&self.server, name)
    }
}

/// Returns the keyword that tells PXELINUX the type of a file. By name, it would take a `.bin` file for
/// a boot sector and a `.kpxe` file for a kernel.
fn pxelinux_kind(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension.to_ascii_lowercase().as_str() {
        "0" | "pxe" | "kpxe" | "kkpxe" | "kkkpxe" => "PXE",
        "c32" => "COM32",
        _ => "LINUX",
    }
}
