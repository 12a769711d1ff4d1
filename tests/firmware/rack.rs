use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::machine::Identity;
use crate::network::{INTERFACE, SERVER};

/// The one host of the inventory.
pub const HOST: &str = "worker-0001";
/// The kernel of Debian's installer.
pub const KERNEL: &str =
    "/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/linux";
/// The initrd of Debian's installer.
pub const INITRD: &str =
    "/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/initrd.gz";

const BUNDLE: &str = "debian-12-netboot";

/// A directory of a site: its inventory, its state and its bundle store.
pub struct Rack {
    directory: TempDir,
}

impl Rack {
    /// Writes a site with one host that installs Debian.
    pub fn new() -> Self {
        let rack = Self::without_installer();
        let store = BundleStore::create(&rack.directory.path().join("bundles"));
        let kernel = store.add(Path::new(KERNEL));
        let initrd = store.add(Path::new(INITRD));
        store.publish(BUNDLE, &[("linux", &kernel), ("initrd.gz", &initrd)]);
        let Identity {
            mac,
            uuid,
            serial,
            asset,
        } = host();
        rack.write(
            "hosts.yaml",
            &format!(
                r#"kind: Bundle
name: {BUNDLE}
arch: x86_64
files:
  kernel: {{path: linux, sha256: "{}", size: {}}}
  initrd: {{path: initrd.gz, sha256: "{}", size: {}}}
---
kind: Profile
name: debian
installer: preseed
bundle: {BUNDLE}
args: [console=ttyS0, DEBIAN_FRONTEND=text]
---
kind: Host
name: {HOST}
profile: debian
uuid: {uuid}
serial: {serial}
asset: {asset}
arch: uefi-x64
nics:
  - {{mac: "{mac}", network: {INTERFACE}, ip: 10.85.0.58, boot: true}}
disk: {{serial: DISK0001}}
"#,
                kernel.digest, kernel.size, initrd.digest, initrd.size
            ),
        );
        rack
    }

    /// Writes a site in which no host is known.
    pub fn without_installer() -> Self {
        Self::with_addresses("mode: authoritative, pool: 10.85.0.200-10.85.0.250")
    }

    /// Writes a site in which no host is known and another server owns the addresses.
    pub fn beside_another_server() -> Self {
        Self::with_addresses("mode: proxy")
    }

    fn with_addresses(addresses: &str) -> Self {
        let rack = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        for part in ["inventory", "state", "bundles"] {
            fs::create_dir(rack.directory.path().join(part)).unwrap();
        }
        rack.write(
            "site.yaml",
            &format!(
                r#"kind: Site
name: rack-a
server:
  address: {SERVER}
  http_port: 8080
  files: [/usr/lib/ipxe, /boot]
networks:
  - {{name: {INTERFACE}, subnet: 10.85.0.0/24, interface: {INTERFACE}, {addresses},
     gateway: {SERVER}, dns: [{SERVER}]}}
bundles: ../bundles
loaders:
  uefi-x64: snponly.efi
"#
            ),
        );
        rack
    }

    /// Returns the directory of the inventory.
    pub fn inventory(&self) -> PathBuf {
        self.directory.path().join("inventory")
    }

    /// Returns the directory of the state.
    pub fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.inventory().join(name), text).unwrap();
    }
}

/// Returns what the host of the inventory tells of itself.
pub fn host() -> Identity {
    Identity {
        mac: "52:54:00:85:00:01".parse().unwrap(),
        uuid: "11111111-2222-3333-4444-555555555555".parse().unwrap(),
        serial: "C7X9K2",
        asset: "A-0008",
    }
}

/// Finds the URL of a callback in a seed.
///
/// # Panics
/// When the seed holds none.
pub fn callback(seed: &str, name: &str) -> String {
    let end = format!("/{name}");
    seed.split(|c: char| c.is_whitespace() || "'\"`;|&()".contains(c))
        .find(|word| word.starts_with("http://") && word.ends_with(&end))
        .unwrap_or_else(|| panic!("no callback `{name}` in the seed:\n{seed}"))
        .to_owned()
}

/// An OCI image layout, written by hand so that the tests do not lean on the code under test.
///
/// Source: OCI Image Format Specification 1.1, image-layout.md and manifest.md.
struct BundleStore {
    directory: PathBuf,
}

struct Blob {
    digest: String,
    size: usize,
}

impl BundleStore {
    fn create(directory: &Path) -> Self {
        fs::create_dir_all(directory.join("blobs/sha256")).unwrap();
        let layout = json!({"imageLayoutVersion": "1.0.0"}).to_string();
        fs::write(directory.join("oci-layout"), layout).unwrap();
        Self {
            directory: directory.to_owned(),
        }
    }

    fn add(&self, file: &Path) -> Blob {
        self.add_bytes(&fs::read(file).unwrap())
    }

    fn add_bytes(&self, bytes: &[u8]) -> Blob {
        let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(bytes));
        fs::write(self.directory.join("blobs/sha256").join(&digest), bytes).unwrap();
        Blob {
            digest,
            size: bytes.len(),
        }
    }

    fn publish(&self, name: &str, files: &[(&str, &Blob)]) {
        const TITLE: &str = "org.opencontainers.image.title";
        const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
        let layers: Vec<Value> = files
            .iter()
            .map(|(title, blob)| {
                let mut layer = blob.descriptor("application/octet-stream");
                layer["annotations"] = json!({TITLE: title});
                layer
            })
            .collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": "application/vnd.pxectl.bundle.v1",
            "config": self.add_bytes(b"{}").descriptor("application/vnd.oci.empty.v1+json"),
            "layers": layers,
        });
        let mut entry = self
            .add_bytes(manifest.to_string().as_bytes())
            .descriptor(MANIFEST);
        entry["annotations"] = json!({"org.opencontainers.image.ref.name": name});
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [entry],
        });
        fs::write(self.directory.join("index.json"), index.to_string()).unwrap();
    }
}

impl Blob {
    fn descriptor(&self, media_type: &str) -> Value {
        json!({
            "mediaType": media_type,
            "digest": format!("sha256:{}", self.digest),
            "size": self.size,
        })
    }
}
