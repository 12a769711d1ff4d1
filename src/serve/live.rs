//! The inventory in force.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use crate::bundle::BundleStore;
use crate::inventory::{Bundle, Inventory, SignatureError, SiteKey};
use crate::machine::Sha256Digest;
use crate::render::Templates;
use crate::workspace::files::{FileRoots, Surroundings};
use crate::workspace::{Snapshot, bundle_directory};

/// An inventory with everything that serving it needs.
pub struct Loaded {
    /// The inventory.
    pub inventory: Inventory,
    /// Its templates, compiled.
    pub templates: Templates,
    /// The entries of `server.files`.
    pub roots: FileRoots,
    /// Where the bundle store lies, if one is named, and the store once it could be opened.
    bundles: Option<PathBuf>,
    opened_bundles: OnceLock<BundleStore>,
    manifests: HashMap<Sha256Digest, String>,
    /// Where the store lies, which is never served.
    state: PathBuf,
    /// Keys that an inventory revoked which could not be loaded.
    revoked: RwLock<Vec<SiteKey>>,
    /// Of everything that it was read from.
    pub(super) digest: Sha256Digest,
}

impl Loaded {
    /// Prepares a checked inventory for serving. Relative paths are relative to its directory.
    pub fn new(
        snapshot: &Snapshot,
        inventory: Inventory,
        templates: Templates,
        bundles: Option<&Path>,
        state: &Path,
    ) -> Self {
        let directory = snapshot.directory();
        let bundles = bundle_directory(directory, &inventory, bundles);
        let surroundings =
            Surroundings::new(directory, &inventory, bundles.as_deref(), Some(state));
        let roots = inventory
            .site
            .server
            .files
            .iter()
            .map(|root| directory.join(root))
            .collect();
        let manifests = inventory
            .bundles
            .values()
            .map(|bundle| (inventory.manifest_digest(bundle), bundle.name.clone()))
            .collect();
        Self {
            templates,
            roots: FileRoots::new(roots, surroundings),
            bundles,
            opened_bundles: OnceLock::new(),
            manifests,
            state: state.to_owned(),
            revoked: RwLock::default(),
            digest: snapshot.digest(),
            inventory,
        }
    }

    /// Returns the bundle store; one that was not there yet is looked for again.
    ///
    /// # Errors
    /// When none is named, and when it cannot be opened now.
    pub fn bundles(&self) -> Result<&BundleStore, String> {
        if let Some(store) = self.opened_bundles.get() {
            return Ok(store);
        }
        let Some(path) = &self.bundles else {
            let text =
                "there is no bundle store; name one with `--bundles` or `bundles:` of the site";
            return Err(text.to_owned());
        };
        let store = BundleStore::open(path).map_err(|error| error.to_string())?;
        Ok(self.opened_bundles.get_or_init(|| store))
    }

    /// Returns where the store lies.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// Revokes keys at once, although the inventory that says so could not be loaded. Returns the
    /// names of those that were not revoked before.
    pub fn revoke(&self, keys: &[SiteKey]) -> Vec<String> {
        let known = &self.inventory.site.signatures;
        let mut revoked = self.revoked.write().unwrap_or_else(PoisonError::into_inner);
        let mut new = Vec::new();
        for key in keys {
            let is_same = |other: &SiteKey| other.key.id() == key.key.id();
            if !known.revoked.iter().chain(revoked.iter()).any(is_same) {
                new.push(key.name.clone());
                revoked.push(key.clone());
            }
        }
        new
    }

    /// Reports whether keys are revoked of which the loaded inventory does not say so.
    pub fn revokes_more(&self) -> bool {
        let revoked = self.revoked.read().unwrap_or_else(PoisonError::into_inner);
        !revoked.is_empty()
    }

    /// Checks a bundle's signatures by the rules of the site, before a file of it is served.
    ///
    /// # Errors
    /// See [`SignatureError`].
    pub fn check_signatures(&self, bundle: &Bundle) -> Result<(), SignatureError> {
        let policy = &self.inventory.site.signatures;
        let revoked = self.revoked.read().unwrap_or_else(PoisonError::into_inner);
        if revoked.is_empty() {
            return policy.check(bundle).map(drop);
        }
        let mut policy = policy.clone();
        policy.revoked.extend(revoked.iter().cloned());
        policy.check(bundle).map(drop)
    }

    /// Finds a bundle by the digest of its manifest.
    pub fn bundle_by_manifest(&self, digest: &Sha256Digest) -> Option<&Bundle> {
        self.manifests
            .get(digest)
            .and_then(|name| self.inventory.bundles.get(name))
    }
}

/// The inventory in force. Clones see the same one.
#[derive(Clone)]
pub struct Live(Arc<RwLock<Arc<Loaded>>>);

impl Live {
    /// Starts with an inventory.
    pub fn new(loaded: Loaded) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(loaded))))
    }

    /// Returns the inventory in force now; it stays whole for as long as it is held.
    pub fn current(&self) -> Arc<Loaded> {
        Arc::clone(
            &self
                .0
                .read()
                .unwrap_or_else(|poisoned| poisoned.into_inner()),
        )
    }

    /// Puts another inventory in force.
    pub fn replace(&self, loaded: Loaded) {
        *self
            .0
            .write()
            .unwrap_or_else(|poisoned| poisoned.into_inner()) = Arc::new(loaded);
    }
}
