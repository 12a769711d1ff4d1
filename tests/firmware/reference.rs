use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::network::{INTERFACE, Network, SERVER};
use crate::rack::{HOST, INITRD, KERNEL};

/// A script that sends a UEFI machine on to its next boot option: a plain `exit` would be success,
/// after which OVMF opens its setup menu.
pub const LOCAL_DISK_SCRIPT: &str = "\
#!ipxe
echo reference: booting from the local disk
exit 1
";

const SNPONLY: &str = "/usr/lib/ipxe/snponly.efi";
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
    /// Serves `script` and the installer in a network.
    pub fn start(network: &Network, script: &str) -> Self {
        let files = tempfile::tempdir().unwrap();
        let root = files.path();
        fs::create_dir_all(root.join("s/capability")).unwrap();
        fs::write(root.join("boot.ipxe"), script).unwrap();
        fs::write(root.join("s/capability/preseed.cfg"), PRESEED).unwrap();
        symlink(SNPONLY, root.join("snponly.efi")).unwrap();
        symlink(KERNEL, root.join("linux")).unwrap();
        symlink(INITRD, root.join("initrd.gz")).unwrap();

        let mut dhcp = network.command("dnsmasq");
        dhcp.args(["--keep-in-foreground", "--conf-file=/dev/null", "--port=0"])
            .args(["--user=root", "--bind-dynamic", "--leasefile-ro"])
            .args(["--no-resolv", "--no-ping", "--dhcp-authoritative"])
            .arg(format!("--interface={INTERFACE}"))
            .arg("--dhcp-range=10.85.0.200,10.85.0.250,5m")
            .arg(format!("--dhcp-option=option:router,{SERVER}"))
            .arg(format!("--dhcp-option=option:dns-server,{SERVER}"))
            .args(["--enable-tftp", "--tftp-root=/usr/lib/ipxe"])
            .args([
                "--dhcp-match=set:ipxe,175",
                "--dhcp-option=encap:175,176,1b",
            ])
            .arg("--dhcp-boot=tag:!ipxe,tag:!http,snponly.efi")
            .arg("--dhcp-vendorclass=set:http,HTTPClient")
            .arg("--dhcp-option-force=tag:http,60,HTTPClient")
            .arg(format!(
                "--dhcp-boot=tag:!ipxe,tag:http,http://{SERVER}:8080/snponly.efi"
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

fn quiet(mut command: Command) -> Child {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}
