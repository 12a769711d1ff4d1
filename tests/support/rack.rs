//! An inventory in a temporary directory, with its store, and runs of `pxectl` on it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pxectl::store::SqliteStore;

use crate::support::directory::copy_tree;
use crate::support::run_output::RunOutput;

/// The bundle of `fixtures/rack-a` that most tests use.
pub const BUNDLE: &str = "ubuntu-24.04-stand-in";

/// An inventory that a test may change. Each area adds the functions that only its tests need.
pub struct Rack {
    base: tempfile::TempDir,
    inventory: PathBuf,
    environment: Vec<(&'static str, OsString)>,
}

impl Rack {
    /// Makes an empty inventory. Its store is in the same directory, below `state` and `witness`.
    pub fn empty() -> Self {
        let base = tempfile::tempdir().expect("a directory");
        Self {
            inventory: base.path().to_owned(),
            environment: vec![
                ("PXECTL_STATE", "state".into()),
                ("PXECTL_WITNESS", "witness".into()),
            ],
            base,
        }
    }

    /// Copies `fixtures/rack-a` with its bundles, and of its hosts the six that iPXE boots.
    pub fn a() -> Self {
        Self::whole().without_other_loaders()
    }

    /// Copies the whole of `fixtures/rack-a`: also one host for each kind of loader.
    pub fn whole() -> Self {
        let rack = Self::empty();
        copy_tree(&fixture("rack-a"), rack.path());
        rack
    }

    /// The same as [`Rack::a`], with an empty store.
    pub fn with_store() -> Self {
        let rack = Self::a();
        rack.create_store();
        rack
    }

    /// The same as [`Rack::with_store`], with the store outside the inventory, so that a server that
    /// watches the inventory sees no changes of the store.
    pub fn beside_store() -> Self {
        Self::whole_beside_store().without_other_loaders()
    }

    /// The same as [`Rack::beside_store`], also with one host for each kind of loader.
    pub fn whole_beside_store() -> Self {
        let mut rack = Self::empty();
        rack.inventory = rack.base().join("rack-a");
        rack.environment = vec![
            ("PXECTL_INVENTORY", rack.inventory.clone().into()),
            ("PXECTL_STATE", rack.state().into()),
            ("PXECTL_WITNESS", rack.witness().into()),
        ];
        copy_tree(&fixture("rack-a"), rack.path());
        rack.create_store();
        rack
    }

    fn without_other_loaders(self) -> Self {
        fs::remove_file(self.file("loaders.yaml")).expect("the hosts with other loaders");
        self
    }

    pub fn create_store(&self) {
        SqliteStore::create(&self.state(), &self.witness()).expect("a store");
    }

    /// Sets a variable for the runs of this rack.
    pub fn set_environment(&mut self, name: &'static str, value: impl Into<OsString>) {
        self.environment.push((name, value.into()));
    }

    /// Returns the directory of the inventory.
    pub fn path(&self) -> &Path {
        &self.inventory
    }

    /// Returns a path in the inventory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.inventory.join(name)
    }

    /// Returns the temporary directory: the inventory, or the directory in which it lies.
    pub fn base(&self) -> &Path {
        self.base.path()
    }

    /// Returns the directory of the store.
    pub fn state(&self) -> PathBuf {
        self.base().join("state")
    }

    /// Returns the directory of the store's witness file.
    pub fn witness(&self) -> PathBuf {
        self.base().join("witness")
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap_or_else(|error| panic!("`{name}`: {error}"))
    }

    /// Writes a file, in place of one that may exist.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> &Self {
        fs::write(self.file(name), text).unwrap_or_else(|error| panic!("`{name}`: {error}"));
        self
    }

    /// Replaces the first occurrence of a text.
    ///
    /// # Panics
    /// If the file does not contain the text.
    #[track_caller]
    pub fn edit(&self, name: &str, from: &str, to: &str) -> &Self {
        let text = self.read(name);
        assert!(text.contains(from), "`{from}` is not in `{name}`");
        self.write(name, text.replacen(from, to, 1))
    }

    /// Replaces a file in one step, as an editor does.
    ///
    /// # Panics
    /// If `change` changes nothing.
    #[track_caller]
    pub fn rewrite(&self, name: &str, change: impl FnOnce(String) -> String) {
        let text = self.read(name);
        let changed = change(text.clone());
        assert_ne!(changed, text, "nothing to change in `{name}`");
        let new = self.base().join("new");
        fs::write(&new, changed).expect("a file");
        fs::rename(new, self.file(name)).expect("a new name");
    }

    /// Lists every file below a directory, with its content.
    pub fn tree(&self, name: &str) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        walk(&self.file(name), &mut files);
        files.sort();
        files
    }

    /// Prepares a run of `pxectl` on this rack.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_under(&[], arguments)
    }

    /// Prepares a run of `pxectl` by another command, such as `unshare --net`.
    pub fn command_under(&self, wrapper: &[&str], arguments: &[&str]) -> Command {
        let words = [wrapper, &[env!("CARGO_BIN_EXE_pxectl")], arguments].concat();
        let mut command = Command::new(words[0]);
        remove_settings(&mut command);
        command
            .args(&words[1..])
            .current_dir(self.base())
            // Not the credentials of the user who runs the tests.
            .env("DOCKER_CONFIG", self.base().join("docker"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> RunOutput {
        RunOutput::of(&mut self.command(arguments))
    }

    /// Runs a command that must succeed, and returns its standard output.
    #[track_caller]
    pub fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status, Some(0), "{arguments:?}: {output:?}");
        output.stdout
    }

    /// Runs a command that must fail with a status, and returns its standard error.
    #[track_caller]
    pub fn refused(&self, status: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status, Some(status), "{arguments:?}: {output:?}");
        assert!(output.stderr.contains("error: "), "{}", output.stderr);
        output.stderr
    }
}

/// Returns a path below `fixtures/`.
pub fn fixture(name: &str) -> PathBuf {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    fixtures.join(name)
}

/// Removes the settings of the user who runs the tests from the environment of a command.
pub fn remove_settings(command: &mut Command) {
    const NAMES: [&str; 4] = [
        "COLUMNS",
        "NO_COLOR",
        "REGISTRY_AUTH_FILE",
        "XDG_RUNTIME_DIR",
    ];
    const PREFIXES: [&str; 3] = ["IPMI", "PXECTL_", "VAULT_"];
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy();
        if NAMES.contains(&&*name)
            || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            || name.to_ascii_lowercase().ends_with("_proxy")
        {
            command.env_remove(&variable);
        }
    }
}

fn walk(directory: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(&path, files);
        } else {
            let content = fs::read(&path).expect("its content");
            files.push((path, content));
        }
    }
}
