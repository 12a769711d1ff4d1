use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use jiff::Timestamp;
use pxectl::machine::{HostRecord, MacAddress, Session};
use pxectl::store::{SqliteStore, Store};
use pxectl::token::{Capability, Purpose, StoreKey};

/// A copy of `fixtures/rack-a`, with a store of its own: of its hosts the six that iPXE boots.
pub struct Rack {
    base: tempfile::TempDir,
}

impl Rack {
    pub fn new() -> Self {
        let rack = Self::whole();
        fs::remove_file(rack.path("loaders.yaml")).unwrap();
        rack
    }

    /// The same without a store.
    pub fn without_store() -> Self {
        let rack = Self::new();
        fs::remove_dir_all(rack.state()).unwrap();
        fs::remove_dir_all(rack.witness()).unwrap();
        rack
    }

    /// Also with one host for each kind of loader.
    pub fn whole() -> Self {
        let base = tempfile::tempdir().unwrap();
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/rack-a");
        copy(&fixture, &base.path().join("rack-a"));
        let rack = Self { base };
        drop(rack.store());
        rack
    }

    pub fn base(&self) -> &Path {
        self.base.path()
    }

    /// A path in the inventory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.base.path().join("rack-a").join(name)
    }

    /// Copies the inventory to another place beside it.
    pub fn copy_to(&self, name: &str) -> PathBuf {
        let to = self.base.path().join(name);
        copy(&self.base.path().join("rack-a"), &to);
        to
    }

    pub fn state(&self) -> PathBuf {
        self.base.path().join("state")
    }

    /// Changes a file of the inventory in one step, as an editor does.
    pub fn edit(&self, name: &str, change: impl FnOnce(String) -> String) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        let changed = change(text.clone());
        assert_ne!(changed, text, "nothing to change in `{name}`");
        let new = self.base.path().join("new");
        fs::write(&new, changed).unwrap();
        fs::rename(new, self.path(name)).unwrap();
    }

    /// `pxectl` with this inventory and store.
    pub fn pxectl(&self, words: &[&str]) -> Command {
        self.pxectl_under(&[], words)
    }

    /// The same by way of another command, such as `unshare --net`.
    pub fn pxectl_under(&self, wrapper: &[&str], words: &[&str]) -> Command {
        let all: Vec<&str> = wrapper
            .iter()
            .copied()
            .chain([env!("CARGO_BIN_EXE_pxectl")])
            .chain(words.iter().copied())
            .collect();
        let mut command = Command::new(all[0]);
        command
            .args(&all[1..])
            .arg("--inventory")
            .arg(self.base.path().join("rack-a"))
            .arg("--state")
            .arg(self.state())
            .env_remove("PXECTL_INVENTORY")
            .env_remove("PXECTL_STATE")
            .env_remove("PXECTL_BUNDLES")
            .env("PXECTL_WITNESS", self.witness())
            .stdin(Stdio::null());
        command
    }

    /// Runs a command that must end well.
    pub fn run(&self, words: &[&str]) -> Output {
        let output = self.pxectl(words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
        output
    }

    /// The directory of the store's witness file.
    pub fn witness(&self) -> PathBuf {
        self.base.path().join("witness")
    }

    pub fn store(&self) -> SqliteStore {
        SqliteStore::open_or_create(&self.state(), &self.witness()).unwrap()
    }

    pub fn record(&self, host: &str) -> Option<HostRecord> {
        self.store().host(host).unwrap()
    }

    pub fn session(&self, host: &str) -> Session {
        self.record(host).and_then(|it| it.session).unwrap()
    }

    pub fn key(&self) -> StoreKey {
        StoreKey::new(*self.store().key())
    }

    /// The text that opens the latest session of a host.
    pub fn capability(&self, host: &str, purpose: Purpose) -> String {
        let capability = self.key().capability(Capability {
            session: self.session(host).id,
            attempt: 1,
            purpose,
        });
        capability.expose().to_owned()
    }

    /// The boot URL of `worker-01`, and the token in it.
    pub fn boot_url(&self) -> (String, String) {
        self.boot_url_at(Timestamp::now())
    }

    /// The same, given by a DHCP server whose clock shows another time.
    pub fn boot_url_at(&self, now: Timestamp) -> (String, String) {
        let mac: MacAddress = "52:54:00:85:00:01".parse().unwrap();
        let uuid = "4c4c4544-0035-5a10-8054-b4c04f4e0132";
        let token = self.key().boot_token(mac, uuid.parse().ok(), now);
        let identity = "serial=C7X9K1&asset=A-0001&platform=efi&buildarch=x86_64";
        let token = token.expose().to_owned();
        let url = format!("/boot.ipxe?token={token}&mac={mac}&uuid={uuid}&{identity}");
        (url, token)
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
