//! Checks the loaders and the bundle store.

use std::collections::BTreeSet;
use std::path::Path;

use super::obstacle::Obstacle;
use crate::bundle::BundleStore;
use crate::inventory::{Menu, Site};
use crate::workspace::files::{FileRoots, Surroundings};

/// Checks that the directories of `server.files` exist and contain the loaders.
pub fn loaders(site: &Site, directory: &Path, found: &mut Vec<Obstacle>) {
    let roots: Vec<_> = site
        .server
        .files
        .iter()
        .map(|root| directory.join(root))
        .collect();
    for root in roots.iter().filter(|root| !root.exists()) {
        found.push(Obstacle {
            fatal: false,
            what: format!("`{}` of `server.files` does not exist", root.display()),
            help: "create it, or correct `server.files` of the site".to_owned(),
        });
    }
    let files = FileRoots::new(roots, Surroundings::machine());
    let first = site.loaders.values().map(|loader| loader.first.as_str());
    let of_menu = site.menu.iter().flat_map(Menu::loaders);
    let names: BTreeSet<&str> = first.chain(of_menu).collect();
    for name in names {
        if let Err(error) = files.open(name) {
            found.push(Obstacle {
                fatal: false,
                what: format!("cannot serve loader `{name}`: {error}"),
                help: "put the loader into a directory of `server.files`; on Debian, the package `ipxe` installs loaders in /usr/lib/ipxe; if a link there leads to /boot, add its target: `files: [/usr/lib/ipxe, /boot/ipxe.efi]`".to_owned(),
            });
        }
    }
}

/// Checks that the bundle store can be opened.
pub fn bundle_store(path: Option<&Path>, found: &mut Vec<Obstacle>) {
    let Some(Err(error)) = path.map(BundleStore::open) else {
        return;
    };
    found.push(Obstacle {
        fatal: false,
        what: format!("cannot serve bundle files: {error}"),
        help: error
            .help()
            .unwrap_or_else(|| "correct `bundles:` of the site, or use `--bundles DIR`".to_owned()),
    });
}
