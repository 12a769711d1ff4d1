//! The directories of a site: its store, and its bundle store.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::inventory::Inventory;

/// The environment names no directory for the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot choose a directory for the store: neither `HOME` nor `XDG_STATE_HOME` is an absolute path"
)]
pub struct NoPlaceForStore;

impl NoPlaceForStore {
    /// Returns what to do about it.
    pub fn help(&self) -> String {
        "use `--state DIR` to set the directory".to_owned()
    }
}

/// Returns the default directory of a site's store: `/var/lib/pxectl/<site>` if it exists or the user is
/// root, else a directory below the XDG state directory.
///
/// # Errors
/// If the environment names no such directory. The current directory is not used, because the next
/// command may run elsewhere and would use another store.
pub fn state_directory(site: &str) -> Result<PathBuf, NoPlaceForStore> {
    let system = Path::new("/var/lib/pxectl").join(site);
    if system.is_dir() || rustix::process::geteuid().is_root() {
        return Ok(system);
    }
    of_user(site, |name| std::env::var_os(name))
}

/// Source: XDG Base Directory Specification 0.8: relative paths are ignored.
fn of_user(
    site: &str,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<PathBuf, NoPlaceForStore> {
    let from = |name| {
        let path = variable(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    from("XDG_STATE_HOME")
        .or_else(|| from("HOME").map(|home| home.join(".local/state")))
        .map(|state| state.join("pxectl").join(site))
        .ok_or(NoPlaceForStore)
}

/// The environment names no place for witness files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no place for the witness file: neither `HOME` nor `XDG_DATA_HOME` is an absolute \
     path; name one with `--witness DIR`"
)]
pub struct NoPlaceForWitness;

/// Returns where witness files lie when no option says so: `/var/lib/pxectl-witness` for root, else
/// below the XDG data directory.
///
/// # Errors
/// When the environment names no such directory.
pub fn witness_directory() -> Result<PathBuf, NoPlaceForWitness> {
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/pxectl-witness"));
    }
    let from = |name| {
        let path = std::env::var_os(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    from("XDG_DATA_HOME")
        .or_else(|| from("HOME").map(|home| home.join(".local/share")))
        .map(|data| data.join("pxectl/witness"))
        .ok_or(NoPlaceForWitness)
}

/// Returns the directory of the bundle store: the option of the command line, else the `bundles` of the
/// site, relative to the inventory.
pub fn bundle_directory(
    directory: &Path,
    inventory: &Inventory,
    option: Option<&Path>,
) -> Option<PathBuf> {
    let of_site = inventory.site.bundles.as_ref();
    option
        .map(Path::to_owned)
        .or_else(|| of_site.map(|path| directory.join(path)))
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::inventory::site_builder::inventory_of;

    #[test]
    fn a_user_without_a_home_must_set_the_directory() {
        for (xdg, home, expected) in [
            (Some("/x"), Some("/home/a"), Some("/x/pxectl/rack")),
            (
                Some("x"),
                Some("/home/a"),
                Some("/home/a/.local/state/pxectl/rack"),
            ),
            (
                None,
                Some("/home/a"),
                Some("/home/a/.local/state/pxectl/rack"),
            ),
            (None, Some(""), None),
            (None, Some("a"), None),
            (None, None, None),
        ] {
            let variable = |name: &str| match name {
                "HOME" => home.map(OsString::from),
                _ => xdg.map(OsString::from),
            };
            let expected = expected.map(PathBuf::from).ok_or(NoPlaceForStore);
            assert_eq!(of_user("rack", variable), expected, "{xdg:?} {home:?}");
        }
    }

    #[test]
    fn the_option_overrides_the_bundle_store_of_the_site() {
        for (line, given, expected) in [
            ("bundles: ../store\n", None, Some("/rack/../store")),
            ("bundles: /srv/store\n", None, Some("/srv/store")),
            ("bundles: ../store\n", Some("here"), Some("here")),
            ("", Some("here"), Some("here")),
            ("", None, None),
        ] {
            let site =
                "kind: Site\nname: a\nserver: {address: 10.0.0.1}\nnetworks: []\nloaders: {}\n";
            let inventory = inventory_of(format!("{site}{line}"));
            let found = bundle_directory(Path::new("/rack"), &inventory, given.map(Path::new));
            assert_eq!(found.as_deref(), expected.map(Path::new), "{line}");
        }
    }
}
