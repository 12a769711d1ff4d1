use std::collections::{BTreeMap, HashMap};

use super::source::Span;
use crate::machine::Architecture;

/// Where the sources say what only a look outside the inventory, or at the clock, can check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The directories in `server.files`, in their order.
    pub roots: Vec<Span>,
    /// The site's loaders.
    pub site: BTreeMap<Architecture, LoaderPlace>,
    /// The files that the site's menu starts, in the order of its entries.
    pub menu: Vec<Span>,
    /// The loaders of profiles, by the profile's name.
    pub profiles: HashMap<String, LoaderPlace>,
    /// The loaders of hosts, by the host's name.
    pub hosts: HashMap<String, LoaderPlace>,
    /// The `secure_boot` of profiles, by the profile's name.
    pub secure_boot: HashMap<String, Span>,
    /// The `expires` of bundles, by the bundle's name.
    pub expires: HashMap<String, Span>,
}

/// Where the files of a loader are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoaderPlace {
    /// The file that firmware fetches.
    pub first: Span,
    /// The file that the first one fetches.
    pub second: Option<Span>,
}
