use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::boot_site::HOST;
use crate::debian::{AMD64, ARM64};
use crate::firmware::Firmware;
use crate::network::{INTERFACE, Network, SERVER};

/// What every loader prints that runs [`LOCAL_DISK_SCRIPT`], or what GRUB has in its place.
pub const LOCAL_DISK_SAID: &str = "reference: booting from the local disk";
/// A script that boots the first disk of a BIOS, and sends a UEFI machine on to its next boot option:
/// a plain `exit` would be success, after which OVMF opens its setup menu.
pub const LOCAL_DISK_SCRIPT: &str = "\
#!ipxe
echo reference: booting from the local disk
iseq ${platform} pcbios && sanboot --no-describe --drive 0x80 || exit 1
";
/// GRUB's words for the same; it takes the disk that it finds as the root of what it starts there.
const LOCAL_DISK_CONFIG: &str = "\
echo 'reference: booting from the local disk'
for loader in /EFI/BOOT/BOOTX64.EFI /EFI/BOOT/BOOTAA64.EFI; do
  if search --no-floppy --file --set=root $loader; then chainloader $loader; boot; fi
done
";

const PRESEED: &str = r#"d-i preseed/early_command string echo "reference: early command" >/dev/console
d-i preseed/late_command string wget -q -O /dev/null --post-data= http://10.85.0.1:8080/s/capability/installed
"#;

/// Returns a script that starts Debian's installer without any question before its seed.
pub fn install_script() -> String {
    let base = format!("http://{SERVER}:8080");
    format!(
        "\
#!ipxe
echo reference: installing
kernel {base}/linux initrd=initrd auto=true priority=critical \
url={base}/s/capability/preseed.cfg BOOTIF=01-${{netX/mac:hexhyp}} interface=auto \
hostname={HOST} domain=test console=ttyS0 DEBIAN_FRONTEND=text
initrd --name initrd {base}/initrd.gz
boot
"
    )
}

/// dnsmasq for DHCP and TFTP, and Python for HTTP; killed when dropped.
pub struct Reference {
    children: [Child; 2],
    _files: TempDir,
}

impl Reference {
    /// Serves `script`, the installer and what a firmware needs to come to either, in a network.
    pub fn start(network: &Network, firmware: Firmware, script: &str) -> Self {
        let files = tempfile::tempdir().unwrap();
        let root = files.path();
        fs::create_dir_all(root.join("s/capability")).unwrap();
        fs::write(root.join("boot.ipxe"), script).unwrap();
        fs::write(root.join("s/capability/preseed.cfg"), PRESEED).unwrap();
        symlink(AMD64.kernel, root.join("linux")).unwrap();
        symlink(AMD64.initrd, root.join("initrd.gz")).unwrap();
        for name in ["snponly.efi", "undionly.kpxe"] {
            symlink(Path::new("/usr/lib/ipxe").join(name), root.join(name)).unwrap();
        }
        for installer in [&AMD64, &ARM64] {
            let letters = installer.letters;
            symlink(installer.shim, root.join(format!("boot{letters}.efi"))).unwrap();
            symlink(installer.grub, root.join(format!("grub{letters}.efi"))).unwrap();
            let prefix = root.join(installer.grub_prefix);
            fs::create_dir_all(&prefix).unwrap();
            fs::write(prefix.join("grub.cfg"), LOCAL_DISK_CONFIG).unwrap();
        }
        let loader = loader(firmware);

        let mut dhcp = network.command("dnsmasq");
        dhcp.args(["--keep-in-foreground", "--conf-file=/dev/null", "--port=0"])
            .args(["--user=root", "--bind-dynamic", "--leasefile-ro"])
            .args(["--no-resolv", "--no-ping", "--dhcp-authoritative"])
            .arg(format!("--interface={INTERFACE}"))
            .arg("--dhcp-range=10.85.0.200,10.85.0.250,5m")
            .arg(format!("--dhcp-option=option:router,{SERVER}"))
            .arg(format!("--dhcp-option=option:dns-server,{SERVER}"))
            // shim reads the boot file in the header alone.
            .arg("--dhcp-no-override")
            .arg("--enable-tftp")
            .arg(format!("--tftp-root={}", root.display()))
            .args([
                "--dhcp-match=set:ipxe,175",
                "--dhcp-option=encap:175,176,1b",
            ])
            .arg(format!(
                "--dhcp-boot=tag:!ipxe,tag:!http,{loader},,{SERVER}"
            ))
            .arg("--dhcp-vendorclass=set:http,HTTPClient")
            .arg("--dhcp-option-force=tag:http,60,HTTPClient")
            .arg(format!(
                "--dhcp-boot=tag:!ipxe,tag:http,http://{SERVER}:8080/{loader}"
            ))
            .arg(format!(
                "--dhcp-boot=tag:ipxe,http://{SERVER}:8080/boot.ipxe"
            ));
        let mut http = network.command("python3");
        http.args(["-m", "http.server", "8080", "--bind", SERVER, "--directory"])
            .arg(root);
        Self {
            children: [quiet(dhcp), quiet(http)],
            _files: files,
        }
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Returns the file that a firmware is given; iPXE gets its script without one.
fn loader(firmware: Firmware) -> &'static str {
    match firmware {
        Firmware::UefiX64 | Firmware::HttpX64 => "snponly.efi",
        Firmware::SecureX64 | Firmware::SecureHttpX64 => "bootx64.efi",
        Firmware::Arm64 => "bootaa64.efi",
        Firmware::Bios | Firmware::BiosIpxeRom => "undionly.kpxe",
    }
}

fn quiet(mut command: Command) -> Child {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}
