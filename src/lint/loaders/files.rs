use std::collections::BTreeMap;

use crate::lint::boot_file::BootFile;

/// The files behind the inventory's loaders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoaderFiles {
    /// Every file that the inventory names, by its name.
    pub files: BTreeMap<String, LoaderFile>,
    /// The indexes of the `server.files` entries that do not exist here.
    pub absent_roots: Vec<usize>,
}

/// A file that the inventory names as a loader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoaderFile {
    /// It exists, in this format.
    Read(BootFile),
    /// No existing directory has it.
    Absent,
    /// It exists, but cannot be served or read, for this reason.
    Refused(String),
}
