//! The active inventory, which reloads replace as a whole.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use crate::bundle::BundleStore;
use crate::inventory::{Bundle, Inventory, SignatureError, SiteKey};
use crate::machine::Sha256Digest;
use crate::render::Templates;
use crate::workspace::files::{FileRoots, Surroundings};
use crate::workspace::{Snapshot, bundle_directory};

/// A checked inventory, with everything that the servers need to serve it.
pub struct LoadedInventory {
    /// The inventory.
    pub inventory: Inventory,
    /// The compiled templates.
    pub templates: Templates,
    /// The entries of `server.files`.
    pub roots: FileRoots,
    /// Path of the bundle store, if one is configured.
    bundles: Option<PathBuf>,
    /// The bundle store, after it was opened successfully.
    opened_bundles: OnceLock<BundleStore>,
    manifests: HashMap<Sha256Digest, String>,
    /// State directory, which is never served.
    state: PathBuf,
    /// Keys that a later inventory revokes, although that inventory could not be loaded.
    revoked: RwLock<Vec<SiteKey>>,
    /// Digest of all files of the inventory.
    pub(super) digest: Sha256Digest,
}

impl LoadedInventory {
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

    /// Returns the bundle store. Tries to open it again if that failed before.
    ///
    /// # Errors
    /// Fails when no bundle store is configured, and when it cannot be opened now.
    pub fn bundles(&self) -> Result<&BundleStore, String> {
        if let Some(store) = self.opened_bundles.get() {
            return Ok(store);
        }
        let Some(path) = &self.bundles else {
            let text =
                "no bundle store is configured; use `--bundles DIR`, or set `bundles:` in the site";
            return Err(text.to_owned());
        };
        let store = BundleStore::open(path).map_err(|error| error.to_string())?;
        Ok(self.opened_bundles.get_or_init(|| store))
    }

    /// Returns the state directory.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// Revokes keys immediately, although the inventory that revokes them could not be loaded.
    /// Returns the names of newly revoked keys.
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

    /// Reports whether keys are revoked that the loaded inventory itself does not revoke.
    pub fn revokes_more(&self) -> bool {
        let revoked = self.revoked.read().unwrap_or_else(PoisonError::into_inner);
        !revoked.is_empty()
    }

    /// Checks a bundle's signatures by the site's policy, before a file of the bundle is served.
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

/// The active inventory. Clones share it.
#[derive(Clone)]
pub struct ActiveInventory(Arc<RwLock<Arc<LoadedInventory>>>);

impl ActiveInventory {
    /// Starts with an inventory.
    pub fn new(loaded: LoadedInventory) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(loaded))))
    }

    /// Returns the active inventory. A later reload does not change the returned value.
    pub fn current(&self) -> Arc<LoadedInventory> {
        Arc::clone(
            &self
                .0
                .read()
                .unwrap_or_else(|poisoned| poisoned.into_inner()),
        )
    }

    /// Replaces the active inventory.
    pub fn replace(&self, loaded: LoadedInventory) {
        *self
            .0
            .write()
            .unwrap_or_else(|poisoned| poisoned.into_inner()) = Arc::new(loaded);
    }
}
