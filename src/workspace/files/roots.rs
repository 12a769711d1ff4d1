//! Paths that `server.files` must not contain, directly or through links.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::inventory::{Diagnostic, Inventory, SecretReference, Span};

/// Directories that hold this machine's configuration, keys and devices, and everything below them.
const SYSTEM: [&str; 6] = ["/etc", "/proc", "/sys", "/dev", "/run", "/var/run"];
/// The default directory of the stores.
const STORES: &str = "/var/lib/pxectl";
/// The file that identifies a store.
const DATABASE: &str = "state.db";
/// The shells of accounts without login; their homes are not private.
const NO_SHELLS: [&str; 5] = ["nologin", "false", "sync", "halt", "shutdown"];

/// The private paths around a site, which must not be served. Their links are resolved.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    system: BTreeSet<PathBuf>,
    /// The directory of all homes, such as `/home`.
    home: PathBuf,
    homes: BTreeSet<PathBuf>,
    inventory: Option<PathBuf>,
    /// The store of the site.
    state: Option<PathBuf>,
    bundles: Option<PathBuf>,
    /// The files that the inventory's secret references name.
    secrets: BTreeSet<PathBuf>,
}

/// An entry of `server.files` that must not be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` must not be served: {}{reason}", .path.display(), leads(.path, .real))]
pub struct RootRefused {
    /// The entry.
    path: PathBuf,
    /// Its target.
    real: PathBuf,
    reason: RefusalReason,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum RefusalReason {
    #[error("it is the root of the file system")]
    FileSystem,
    #[error("`{}` contains configuration, keys and devices of this machine", .0.display())]
    System(PathBuf),
    #[error("it is a home directory")]
    Home,
    #[error("it contains the home directories of this machine")]
    Homes,
    #[error("it contains the home directory `{}`", .0.display())]
    ContainsHome(PathBuf),
    #[error("it contains the inventory `{}`", .0.display())]
    ContainsInventory(PathBuf),
    #[error("it is a document of the inventory")]
    Document,
    #[error("it belongs to the history of a git repository")]
    Git,
    #[error("it contains the store `{}`", .0.display())]
    ContainsStore(PathBuf),
    #[error("it is inside the store `{}`", .0.display())]
    InsideStore(PathBuf),
    #[error("it contains the bundle store `{}`", .0.display())]
    ContainsBundles(PathBuf),
    #[error("it is inside the bundle store `{}`", .0.display())]
    InsideBundles(PathBuf),
    #[error("the inventory names `{}` as a secret", .0.display())]
    Secret(PathBuf),
    #[error("it is neither a directory nor a regular file")]
    Special,
}

fn leads(path: &Path, real: &Path) -> String {
    if path == real || path.is_relative() && real.ends_with(path) {
        return String::new();
    }
    format!("it leads to `{}`, and ", real.display())
}

/// Checks that an entry of `server.files` contains nothing private, directly or through links. A path
/// that does not exist yet is checked as far as it exists.
///
/// # Errors
/// Why it must not be served.
pub fn check_root(path: &Path, surroundings: &Surroundings) -> Result<(), RootRefused> {
    surroundings.check_real(path, &resolved(path))
}

/// Lists the entries of `server.files` that must not be served, by their index.
pub fn refused_roots(
    inventory: &Inventory,
    directory: &Path,
    surroundings: &Surroundings,
) -> Vec<(usize, RootRefused)> {
    let roots = inventory.site.server.files.iter().enumerate();
    let refused = roots.filter_map(|(index, root)| {
        let refused = check_root(&directory.join(root), surroundings).err()?;
        let path = PathBuf::from(root);
        Some((index, RootRefused { path, ..refused }))
    });
    refused.collect()
}

impl RootRefused {
    /// Returns what to do about it.
    pub fn help(&self) -> String {
        match &self.reason {
            RefusalReason::Secret(_) => {
                "move the secret to another directory, or use another directory in `server.files`"
                    .to_owned()
            }
            RefusalReason::InsideBundles(_) | RefusalReason::ContainsBundles(_) => {
                "bundle files are verified and served below `/b/`; keep other files \
                 in their own directory, such as `/srv/boot`"
                    .to_owned()
            }
            _ => "keep the files to serve in their own directory, such as `/srv/boot`, or \
                  list each file in `server.files`"
                .to_owned(),
        }
    }

    /// Returns the diagnostic of the entry.
    pub fn diagnostic(&self, place: Option<Span>) -> Diagnostic {
        let severity = crate::inventory::Severity::Error;
        Diagnostic::new(severity, "private-files", place, self.to_string()).help(self.help())
    }
}

impl Surroundings {
    /// Finds the private paths around the inventory in `directory`, with its bundle store and its store.
    pub fn new(
        directory: &Path,
        inventory: &Inventory,
        bundles: Option<&Path>,
        state: Option<&Path>,
    ) -> Self {
        Self {
            inventory: Some(resolved(directory)),
            state: state.map(resolved),
            bundles: bundles.map(resolved),
            secrets: secrets(directory, inventory),
            ..Self::machine()
        }
    }

    /// Finds the private paths of this machine, without a site.
    pub fn machine() -> Self {
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let own = std::env::var_os("HOME").map(PathBuf::from);
        let homes = homes(&passwd, own);
        Self {
            system: SYSTEM
                .iter()
                .map(|path| resolved(Path::new(path)))
                .collect(),
            home: resolved(Path::new("/home")),
            homes: homes.iter().map(|home| resolved(home)).collect(),
            ..Self::default()
        }
    }

    /// Checks an entry of `server.files` whose target is the path `real`, which contains no link.
    ///
    /// # Errors
    /// Why it must not be served.
    pub(super) fn check_real(&self, path: &Path, real: &Path) -> Result<(), RootRefused> {
        self.reason(real).map_or(Ok(()), |reason| {
            Err(RootRefused {
                path: path.to_owned(),
                real: real.to_owned(),
                reason,
            })
        })
    }

    fn reason(&self, real: &Path) -> Option<RefusalReason> {
        let kind = fs::metadata(real).ok().map(|data| data.file_type());
        let (is_file, is_directory) = kind.map_or((false, true), |it| (it.is_file(), it.is_dir()));
        let inside = |other: &Option<PathBuf>| other.clone().filter(|it| real.starts_with(it));
        let contains = |other: &Option<PathBuf>| other.clone().filter(|it| it.starts_with(real));
        if real.parent().is_none() {
            return Some(RefusalReason::FileSystem);
        }
        if let Some(system) = self.system.iter().find(|it| real.starts_with(it)) {
            return Some(RefusalReason::System(system.clone()));
        }
        if self.homes.contains(real) || is_directory && real.parent() == Some(&self.home) {
            return Some(RefusalReason::Home);
        }
        if self.home.starts_with(real) {
            return Some(RefusalReason::Homes);
        }
        if let Some(home) = below(&self.homes, real) {
            return Some(RefusalReason::ContainsHome(home.clone()));
        }
        if let Some(inventory) = contains(&self.inventory) {
            return Some(RefusalReason::ContainsInventory(inventory));
        }
        if is_file && real.parent() == self.inventory.as_deref() && is_document(real) {
            return Some(RefusalReason::Document);
        }
        if real.components().any(|part| part.as_os_str() == ".git") {
            return Some(RefusalReason::Git);
        }
        let default = Some(PathBuf::from(STORES));
        if let Some(store) = contains(&self.state).or_else(|| contains(&default)) {
            return Some(RefusalReason::ContainsStore(store));
        }
        let mut ancestors = real.ancestors();
        let store = ancestors.find(|it| it.join(DATABASE).is_file());
        if let Some(store) = inside(&self.state).or_else(|| store.map(Path::to_owned)) {
            return Some(RefusalReason::InsideStore(store));
        }
        if let Some(bundles) = contains(&self.bundles) {
            return Some(RefusalReason::ContainsBundles(bundles));
        }
        if let Some(bundles) = inside(&self.bundles) {
            return Some(RefusalReason::InsideBundles(bundles));
        }
        if let Some(secret) = below(&self.secrets, real) {
            return Some(RefusalReason::Secret(secret.clone()));
        }
        (!is_file && !is_directory).then_some(RefusalReason::Special)
    }
}

/// Finds a path that is the directory or is below it. Paths sort by their parts, so it comes next.
fn below<'p>(paths: &'p BTreeSet<PathBuf>, directory: &Path) -> Option<&'p PathBuf> {
    let mut from = paths.range(directory.to_owned()..);
    from.next().filter(|path| path.starts_with(directory))
}

fn is_document(path: &Path) -> bool {
    let ending = path.extension().and_then(OsStr::to_str);
    ending.is_some_and(|ending| matches!(ending, "yaml" | "yml" | "hbs"))
}

/// Lists the homes of accounts with login. Source: passwd(5).
fn homes(passwd: &str, own: Option<PathBuf>) -> BTreeSet<PathBuf> {
    let mut of_people = BTreeSet::from([PathBuf::from("/root")]);
    let mut of_services = BTreeSet::new();
    for line in passwd.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let (Some(home), Some(shell)) = (fields.get(5), fields.get(6)) else {
            continue;
        };
        let shell = shell.rsplit('/').next().unwrap_or_default();
        let homes = if NO_SHELLS.contains(&shell) {
            &mut of_services
        } else {
            &mut of_people
        };
        homes.insert(PathBuf::from(home));
    }
    of_people.extend(own.filter(|own| !of_services.contains(own)));
    of_people.retain(|home| home.is_absolute() && home.parent().is_some());
    of_people
}

/// Lists the files in the inventory's secret references: files that contain a secret, and files of
/// commands that print one.
fn secrets(directory: &Path, inventory: &Inventory) -> BTreeSet<PathBuf> {
    let controllers = inventory
        .hosts
        .values()
        .filter_map(|host| host.bmc.as_ref());
    let mut named: BTreeSet<&str> = BTreeSet::new();
    let mut words: BTreeSet<&str> = BTreeSet::new();
    for controller in controllers {
        match &controller.password {
            SecretReference::File(name) => _ = named.insert(name),
            SecretReference::Exec(command) => words.extend(command.iter().map(String::as_str)),
            SecretReference::Env(_) | SecretReference::Vault { .. } => {}
        }
    }
    let words = words.into_iter().map(|word| directory.join(word));
    let words = words.filter(|path| path.is_file());
    let named = named.into_iter().map(|name| directory.join(name));
    let both = named.chain(words).flat_map(|path| {
        // The link itself is also a secret, because its target may change.
        let parent = path.parent().map(resolved);
        let here = parent.and_then(|parent| Some(parent.join(path.file_name()?)));
        [Some(resolved(&path)), here]
    });
    both.flatten().collect()
}

/// Resolves the links of a path as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if let Ok(real) = fs::canonicalize(&absolute) {
        return real;
    }
    let mut real = PathBuf::from("/");
    for part in absolute.components() {
        match part {
            Component::Normal(name) => {
                let next = real.join(name);
                real = fs::canonicalize(&next).unwrap_or(next);
            }
            Component::ParentDir => _ = real.pop(),
            _ => {}
        }
    }
    real
}

#[cfg(test)]
mod tests;
