use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::chain::Chain;
use crate::machine::Identity;
use crate::network::{FAR_SERVER, INTERFACE, SERVER};

/// The one host of the inventory.
pub const HOST: &str = "worker-0001";
const BUNDLE: &str = "debian-12-netboot";

/// A directory of a site: its inventory, its state and its bundle store.
pub struct BootSite {
    directory: TempDir,
}

impl BootSite {
    /// Writes a site with one host that installs Debian.
    pub fn new(chain: Chain) -> Self {
        Self::with_kernel(chain, &fs::read(chain.installer().kernel).unwrap())
    }

    /// Writes a site with one host that installs Debian with another kernel.
    pub fn with_kernel(chain: Chain, kernel: &[u8]) -> Self {
        let site = Self::without_installer(chain);
        let installer = chain.installer();
        let store = BundleStore::create(&site.directory.path().join("bundles"));
        let kernel = store.add(kernel);
        let initrd = store.add(&fs::read(installer.initrd).unwrap());
        store.publish(BUNDLE, &[("linux", &kernel), ("initrd.gz", &initrd)]);
        let Identity {
            mac,
            uuid,
            serial,
            asset,
        } = host();
        site.write(
            "hosts.yaml",
            &format!(
                r#"kind: Bundle
name: {BUNDLE}
arch: {cpu}
files:
  kernel: {{path: linux, sha256: "{}", size: {}}}
  initrd: {{path: initrd.gz, sha256: "{}", size: {}}}
---
kind: Profile
name: debian
installer: preseed
bundle: {BUNDLE}
args: [console={console}, DEBIAN_FRONTEND=text]
secure_boot: {secure_boot}
---
kind: Host
name: {HOST}
profile: debian
uuid: {uuid}
serial: {serial}
asset: {asset}
arch: {architecture}
nics:
  - {{mac: "{mac}", network: {INTERFACE}, ip: 10.85.0.58, boot: true}}
disk: {{serial: DISK0001}}
"#,
                kernel.digest,
                kernel.size,
                initrd.digest,
                initrd.size,
                cpu = installer.cpu,
                console = installer.console,
                secure_boot = chain.firmware.is_secure(),
                architecture = chain.architecture(),
            ),
        );
        site
    }

    /// Writes a site in which no host is known.
    pub fn without_installer(chain: Chain) -> Self {
        let addresses = "mode: authoritative, pool: 10.85.0.200-10.85.0.250";
        Self::with_addresses(chain, addresses)
    }

    /// Writes a site in which no host is known and another server owns the addresses.
    pub fn beside_another_server(chain: Chain) -> Self {
        Self::with_addresses(chain, "mode: proxy")
    }

    /// Writes a site in which no host is known, and to which a relay sends what machines ask.
    pub fn behind_a_relay(chain: Chain) -> Self {
        let site = Self::without_installer(chain);
        let text = fs::read_to_string(site.inventory().join("site.yaml")).unwrap();
        let text = text
            .replace(
                &format!("address: {SERVER}"),
                &format!("address: {FAR_SERVER}"),
            )
            .replace(&format!("interface: {INTERFACE}, "), "");
        site.write("site.yaml", &text);
        site
    }

    fn with_addresses(chain: Chain, addresses: &str) -> Self {
        let site = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        for part in ["inventory", "state", "bundles"] {
            fs::create_dir(site.directory.path().join(part)).unwrap();
        }
        site.write(
            "site.yaml",
            &format!(
                r#"kind: Site
name: rack-a
server:
  address: {SERVER}
  http_port: 8080
  files: [{files}]
networks:
  - {{name: {INTERFACE}, subnet: 10.85.0.0/24, interface: {INTERFACE}, {addresses},
     gateway: {SERVER}, dns: [{SERVER}]}}
bundles: ../bundles
loaders:
  {architecture}: {loader}
"#,
                files = chain.files.join(", "),
                architecture = chain.architecture(),
                loader = chain.loader,
            ),
        );
        site
    }

    /// Adds a directory to those whose files are served.
    pub fn serve_also(&self, files: &Path) {
        let site = fs::read_to_string(self.inventory().join("site.yaml")).unwrap();
        let more = format!("files: [{}, ", files.display());
        self.write("site.yaml", &site.replacen("files: [", &more, 1));
    }

    /// Adds to the one host where its controller answers.
    pub fn give_a_controller(&self, url: &str) {
        let hosts = fs::read_to_string(self.inventory().join("hosts.yaml")).unwrap();
        let controller =
            format!("bmc: {{url: \"{url}\", username: admin, password: {{env: BMC_PASSWORD}}}}\n");
        self.write("hosts.yaml", &format!("{hosts}{controller}"));
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
        uuid: "4c4c4544-0051-3610-8043-c2c04f4b3135".parse().unwrap(),
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

    fn add(&self, bytes: &[u8]) -> Blob {
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
            "config": self.add(b"{}").descriptor("application/vnd.oci.empty.v1+json"),
            "layers": layers,
        });
        let mut entry = self
            .add(manifest.to_string().as_bytes())
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
