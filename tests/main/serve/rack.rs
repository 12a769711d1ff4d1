//! The state of a rack that a server changes, and the capabilities that open it.

use std::fs;
use std::path::PathBuf;

use jiff::Timestamp;
use pxectl::machine::{HostRecord, MacAddress, Session};
use pxectl::store::{SqliteStore, Store};
use pxectl::token::{Capability, Purpose, StoreKey};

use crate::support::directory::copy_tree;
use crate::support::rack::Rack;

impl Rack {
    /// The same as [`Rack::beside_store`], without the store.
    pub fn without_store() -> Self {
        let rack = Self::beside_store();
        fs::remove_dir_all(rack.state()).unwrap();
        fs::remove_dir_all(rack.witness()).unwrap();
        rack
    }

    /// Copies the inventory to another directory beside it.
    pub fn copy_to(&self, name: &str) -> PathBuf {
        let to = self.base().join(name);
        copy_tree(self.path(), &to);
        to
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
        self.boot_url_at(pxectl::clock::wall_time())
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
