use std::collections::{BTreeMap, HashMap};

use super::source::Span;
use crate::machine::Architecture;

/// The spans of fields whose checks need more than the inventory: other files, or today's date.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSpans {
    /// The entries of `server.files`, in order.
    pub roots: Vec<Span>,
    /// The site's loaders.
    pub site: BTreeMap<Architecture, LoaderSpans>,
    /// The files that the site's menu starts, in the order of its entries.
    pub menu: Vec<Span>,
    /// The loaders of profiles, by the profile's name.
    pub profiles: HashMap<String, LoaderSpans>,
    /// The loaders of hosts, by the host's name.
    pub hosts: HashMap<String, LoaderSpans>,
    /// The `secure_boot` of profiles, by the profile's name.
    pub secure_boot: HashMap<String, Span>,
    /// The `expires` of bundles, by the bundle's name.
    pub expires: HashMap<String, Span>,
}

/// The spans of a loader's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoaderSpans {
    /// The file that the firmware requests.
    pub first: Span,
    /// The file that the first one requests.
    pub second: Option<Span>,
}
