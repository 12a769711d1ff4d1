use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::checksums::Checksums;
use super::progress::BuildProgress;
use super::web::WebClient;
use crate::bundle::store::BundleStore;
use crate::inventory::SignaturePolicy;

/// What all parts of one build share.
pub struct Builder<'b> {
    pub store: &'b BundleStore,
    pub web: &'b WebClient,
    /// The directory that relative paths start from.
    pub base: &'b Path,
    /// The site's rules for signatures; they name the revoked keys.
    pub policy: &'b SignaturePolicy,
    pub progress: &'b dyn BuildProgress,
    pub lists: ChecksumLists,
}

/// The lists of checksums, each read once, by path or URL.
#[derive(Default)]
pub struct ChecksumLists(pub Mutex<HashMap<String, Arc<ListSlot>>>);

/// A list, or `None` while its first user reads it; other users wait for the lock.
pub type ListSlot = Mutex<Option<Arc<Checksums>>>;
