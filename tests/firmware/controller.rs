//! A machine whose power and next boot are in the hands of Redfish alone: sushy-tools' emulator and
//! a libvirtd of its own, in front of QEMU.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::firmware::Firmware;
use crate::machine::Identity;
use crate::network::{CABLE, Network, SERVER};
use crate::program::run_program;

/// The password of the user `admin`.
pub const PASSWORD: &str = "s3cret-of-the-bmc";
/// Where it answers.
pub const URL: &str = "https://10.85.0.1:8443";
const PORT: &str = "8443";

/// A controller and the machine behind it; both end when it is dropped.
pub struct Controller {
    child: Child,
    directory: PathBuf,
}

impl Controller {
    /// The program that answers; `tests/run` installs it.
    pub const PYTHON: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/../python/bin/python");

    /// Starts it, with a machine that is off and boots its disk first.
    pub fn start(network: &Network, identity: Identity) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("firmware/controller");
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        let flash = Firmware::UefiX64.flash().unwrap();
        fs::copy(flash.variables, directory.join("variables")).unwrap();
        fs::write(directory.join("password"), PASSWORD).unwrap();
        fs::write(directory.join("domain.xml"), domain(&directory, identity)).unwrap();
        run_program(
            Command::new("openssl")
                .args(["req", "-x509", "-newkey", "ec", "-pkeyopt"])
                .args(["ec_paramgen_curve:P-256", "-nodes", "-days", "30"])
                .args(["-subj", "/CN=controller", "-addext"])
                .arg(format!("subjectAltName=IP:{SERVER}"))
                .args(["-keyout", "tls.key", "-out", "tls.pem"])
                .current_dir(&directory),
        );
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/firmware");
        let log = fs::File::create(directory.join("log")).unwrap();
        let child = network
            .command("unshare")
            .args(["--mount", "--propagation", "private", "--pid", "--fork"])
            .args(["--kill-child", "--mount-proc"])
            .arg(here.join("controller.sh"))
            .arg(&directory)
            .args([Self::PYTHON, "-u"])
            .arg(here.join("controller.py"))
            .arg(&directory)
            .args([SERVER, PORT])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut controller = Self { child, directory };
        controller.wait_until_it_answers(network);
        controller
    }

    fn wait_until_it_answers(&mut self, network: &Network) {
        let until = Instant::now() + crate::STEP * 2;
        loop {
            let mut curl = network.command("curl");
            curl.args(["--silent", "--insecure", "--max-time", "5", "--output"]);
            curl.args(["/dev/null", &format!("{URL}/redfish/v1/")]);
            if curl.status().is_ok_and(|status| status.success()) {
                return;
            }
            let ended = self.child.try_wait().unwrap();
            let late = Instant::now() > until;
            assert!(ended.is_none() && !late, "{ended:?}: {}", self.log());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// What the controller said.
    pub fn log(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.directory.join(name)).unwrap_or_default();
        format!("{}\n{}", read("log"), read("libvirtd.log"))
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        // The process namespace ends with it, and so do libvirtd and QEMU.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The machine as libvirt takes it.
fn domain(directory: &Path, identity: Identity) -> String {
    let flash = Firmware::UefiX64.flash().unwrap();
    format!(
        r#"<domain type="qemu">
  <name>machine</name>
  <uuid>{uuid}</uuid>
  <memory unit="MiB">1024</memory>
  <vcpu>2</vcpu>
  <os>
    <type arch="x86_64" machine="q35">hvm</type>
    <loader readonly="yes" type="pflash">{code}</loader>
    <nvram>{variables}</nvram>
    <boot dev="hd"/>
    <smbios mode="sysinfo"/>
  </os>
  <sysinfo type="smbios">
    <system><entry name="serial">{serial}</entry></system>
    <chassis><entry name="asset">{asset}</entry></chassis>
  </sysinfo>
  <features><acpi/></features>
  <cpu mode="maximum"/>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <interface type="ethernet">
      <mac address="{mac}"/>
      <target dev="{CABLE}" managed="no"/>
      <model type="virtio"/>
      <rom enabled="no"/>
    </interface>
    <serial type="file"><source path="{console}"/></serial>
  </devices>
</domain>
"#,
        uuid = identity.uuid,
        code = flash.code,
        variables = directory.join("variables").display(),
        serial = identity.serial,
        asset = identity.asset,
        mac = identity.mac,
        console = directory.join("console.log").display(),
    )
}
