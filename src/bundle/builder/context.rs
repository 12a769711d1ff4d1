use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::checksums::Checksums;
use super::progress::Progress;
use super::web::Web;
use crate::bundle::store::BundleStore;
use crate::inventory::SignaturePolicy;

/// What the builders of one bundle share.
pub struct Builder<'b> {
    pub store: &'b BundleStore,
    pub web: &'b Web,
    /// Where relative paths go from.
    pub base: &'b Path,
    /// Whose signatures do not count, whatever a spec says.
    pub policy: &'b SignaturePolicy,
    pub progress: &'b dyn Progress,
    pub lists: Lists,
}

/// The lists that have been read, each once, by where they lie.
#[derive(Default)]
pub struct Lists(pub Mutex<HashMap<String, Arc<Slot>>>);

/// A list, once somebody has read it; others wait for him.
pub type Slot = Mutex<Option<Arc<Checksums>>>;
