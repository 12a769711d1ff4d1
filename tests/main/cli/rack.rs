use std::path::{Path, PathBuf};

use pxectl::store::SqliteStore;

use crate::cli::pxectl::{Pxectl, fixture};

/// A copy of an inventory that a test may spoil.
pub struct Rack {
    directory: tempfile::TempDir,
}

impl Rack {
    /// Makes an empty inventory.
    pub fn empty() -> Self {
        Self {
            directory: tempfile::tempdir().expect("a directory"),
        }
    }

    /// Copies `fixtures/rack-a` with its bundle store, and of its hosts the six that iPXE boots.
    pub fn a() -> Self {
        let rack = Self::whole();
        std::fs::remove_file(rack.file("loaders.yaml")).expect("the hosts with other loaders");
        rack
    }

    /// Copies the whole of `fixtures/rack-a`: also one host for each kind of loader.
    pub fn whole() -> Self {
        let rack = Self::empty();
        copy(&fixture("rack-a"), rack.path());
        rack
    }

    /// The same as [`Rack::a`], with an empty store.
    pub fn with_store() -> Self {
        let rack = Self::a();
        SqliteStore::create(&rack.file("state"), &rack.file("witness")).expect("a store");
        rack
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file, in place of one that may be there.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> &Self {
        std::fs::write(self.file(name), text).expect("a file");
        self
    }

    /// Replaces the first occurrence of a text, which must be there.
    #[track_caller]
    pub fn edit(&self, name: &str, from: &str, to: &str) -> &Self {
        let text = std::fs::read_to_string(self.file(name)).expect("the file");
        assert!(text.contains(from), "`{from}` is not in `{name}`");
        self.write(name, text.replacen(from, to, 1))
    }

    /// Prepares a run in this inventory.
    pub fn pxectl(&self, line: &str) -> Pxectl {
        Pxectl::at(self.path()).args(line)
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir(&target).expect("a directory");
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).expect("a copy");
        }
    }
}
