//! Where the parts of a site lie: its store, and its bundle store.

use std::path::{Path, PathBuf};

use crate::inventory::Inventory;

/// Returns where a site's store lies when no option says so: `/var/lib/pxectl/<site>` where it is
/// there or we are root, else below the XDG state directory.
pub fn state_directory(site: &str) -> PathBuf {
    let system = PathBuf::from("/var/lib/pxectl").join(site);
    if system.is_dir() || rustix::process::geteuid().is_root() {
        return system;
    }
    let from = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let state =
        from("XDG_STATE_HOME").or_else(|| from("HOME").map(|home| home.join(".local/state")));
    state
        .unwrap_or_else(|| PathBuf::from("."))
        .join("pxectl")
        .join(site)
}

/// Returns where the bundle store of an inventory lies: what the command line says, else what the
/// site says, relative to the inventory.
pub fn bundle_directory(
    directory: &Path,
    inventory: &Inventory,
    given: Option<&Path>,
) -> Option<PathBuf> {
    let of_site = inventory.site.bundles.as_ref();
    given
        .map(Path::to_owned)
        .or_else(|| of_site.map(|path| directory.join(path)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::inventory::{SourceFile, parse};

    #[test]
    fn the_bundle_store_is_the_given_one_else_the_one_of_the_site() {
        for (line, given, expected) in [
            ("bundles: ../store\n", None, Some("/rack/../store")),
            ("bundles: /srv/store\n", None, Some("/srv/store")),
            ("bundles: ../store\n", Some("here"), Some("here")),
            ("", Some("here"), Some("here")),
            ("", None, None),
        ] {
            let site =
                "kind: Site\nname: a\nserver: {address: 10.0.0.1}\nnetworks: []\nloaders: {}\n";
            let file = SourceFile {
                name: "site.yaml".to_owned(),
                text: format!("{site}{line}"),
            };
            let parsed = parse(&[file], BTreeMap::new());
            let inventory = parsed.inventory.expect("a good inventory");
            let found = bundle_directory(Path::new("/rack"), &inventory, given.map(Path::new));
            assert_eq!(found.as_deref(), expected.map(Path::new), "{line}");
        }
    }
}
