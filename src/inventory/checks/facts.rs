use std::collections::BTreeMap;

use crate::inventory::loader::Loader;
use crate::inventory::profile::Profile;
use crate::machine::Architecture;

/// The valid documents, as far as the checks across documents use them.
pub struct Facts<'a> {
    /// The profiles, by name.
    pub profiles: &'a BTreeMap<String, Profile>,
    /// Whether there is a site, valid or not.
    pub has_site: bool,
    /// Whether hosts without a UUID can be armed.
    pub weak_identity: bool,
    /// The site's loaders, if the site is valid.
    pub loaders: Option<&'a BTreeMap<Architecture, Loader>>,
}
