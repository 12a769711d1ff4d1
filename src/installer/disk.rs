//! The disk that an installer may overwrite, and the shell command that finds it.

use serde::{Deserialize, Serialize};

use super::shell::shell_word;

/// Selects the disk that an installer may overwrite. Kernel names such as `/dev/sda` are not accepted,
/// because they change between boots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskSelector {
    /// World Wide Name, such as `0x5000c500a1b2c3d4`.
    Wwn(String),
    /// The disk's serial number.
    Serial(String),
    /// A name below `/dev/disk/by-path/`.
    ByPath(String),
    /// The only disk of a model that has at least a given size.
    Model {
        /// The model as the kernel prints it.
        model: String,
        /// The minimum size in bytes.
        min_size: u64,
    },
}

/// Writes a POSIX shell fragment, on one line, that sets `disk` to the path of the selected disk. It
/// runs `otherwise` if no disk matches, or more than one.
///
/// It runs in the Debian installer's busybox and in dash. Values are compared whole, because part of a
/// serial number may match another disk. Tests set `pxectl_root`, which is put before `/sys` and
/// `/dev`.
pub(super) fn find_disk(selector: &DiskSelector, otherwise: &str) -> String {
    let candidates = match selector {
        DiskSelector::ByPath(path) => format!(
            "for l in {}; do [ -b \"$l\" ] || continue; d=$(readlink -f \"$l\"); m=1;",
            shell_word(&format!("/dev/disk/by-path/{path}"))
        ),
        DiskSelector::Wwn(wwn) => every_disk(&by_wwn(wwn)),
        DiskSelector::Serial(serial) => every_disk(&by_serial(serial)),
        DiskSelector::Model { model, min_size } => every_disk(&format!(
            "v=; [ -r \"$s/device/model\" ] && read -r v < \"$s/device/model\"; \
             z=0; [ -r \"$s/size\" ] && read -r z < \"$s/size\"; \
             [ \"$v\" = {} ] && [ \"$z\" -ge {} ] && m=1;",
            shell_word(model.trim()),
            min_size.div_ceil(512),
        )),
    };
    format!(
        "disk=; found=0; {candidates} [ \"$m\" = 1 ] || continue; disk=$d; found=$((found+1)); done; \
         [ $found = 1 ] || {{ {otherwise}; }}"
    )
}

/// Begins a loop over all disks: `s` is the disk's directory in `/sys`, `d` its path, and `matches`
/// sets `m`.
fn every_disk(matches: &str) -> String {
    // An NVMe disk with several paths has one entry that is not hidden: only that one has a device node.
    format!(
        "for s in \"${{pxectl_root:-}}\"/sys/block/*; do n=${{s##*/}}; \
         case $n in loop*|ram*|zram*|dm-*|md*|sr*|fd*|nbd*|mmcblk*boot*|mmcblk*rpmb) continue ;; esac; \
         v=; [ -r \"$s/hidden\" ] && read -r v < \"$s/hidden\"; [ \"$v\" = 1 ] && continue; \
         d=/dev/$(echo \"$n\" | tr '!' /); m=; {matches}"
    )
}

/// Compares what `lsblk -o SERIAL` may print: the drivers' value and udev's.
fn by_serial(serial: &str) -> String {
    let word = shell_word(serial);
    format!(
        "for f in \"$s/device/serial\" \"$s/serial\"; do \
         v=; [ -r \"$f\" ] && read -r v < \"$f\"; [ \"$v\" = {word} ] && m=1; done; \
         udevadm info -q property -n \"$d\" 2>/dev/null \
         | grep -qxF -e ID_SERIAL_SHORT={word} -e ID_SCSI_SERIAL={word} && m=1;"
    )
}

fn by_wwn(wwn: &str) -> String {
    let wwn = wwn.to_ascii_lowercase();
    let bare = ["0x", "naa.", "eui."]
        .iter()
        .find_map(|prefix| wwn.strip_prefix(prefix))
        .unwrap_or(&wwn);
    let values = [
        shell_word(&wwn),
        shell_word(&format!("naa.{bare}")),
        shell_word(&format!("eui.{bare}")),
    ];
    let links = [
        shell_word(&format!("wwn-0x{bare}")),
        shell_word(&format!("nvme-eui.{bare}")),
        shell_word(&format!("nvme-{wwn}")),
    ];
    format!(
        "for f in \"$s/device/wwid\" \"$s/wwid\"; do v=; [ -r \"$f\" ] && read -r v < \"$f\"; \
         case $v in {}) m=1 ;; esac; done; \
         for l in {}; do l=\"${{pxectl_root:-}}/dev/disk/by-id/$l\"; \
         [ -e \"$l\" ] && [ \"$(readlink -f \"$l\")\" = \"${{pxectl_root:-}}$d\" ] && m=1; done;",
        values.join("|"),
        links.join(" "),
    )
}

/// Describes the selector in a message.
pub(super) fn describe(selector: &DiskSelector) -> String {
    match selector {
        DiskSelector::Wwn(wwn) => format!("wwn {wwn}"),
        DiskSelector::Serial(serial) => format!("serial {serial}"),
        DiskSelector::ByPath(path) => format!("path {path}"),
        DiskSelector::Model { model, min_size } => {
            format!("model {model} of at least {min_size} bytes")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;
    use std::process::Command;

    use super::*;

    /// Runs the fragment in every available shell, on disks made of files below `root`.
    fn found(root: &Path, selector: &DiskSelector) -> String {
        let script = format!(
            "{}; echo \"$disk\"",
            find_disk(selector, "echo none; exit 0")
        );
        let path = format!("{}/bin:{}", root.display(), std::env::var("PATH").unwrap());
        let run = |shell: &[&str]| {
            let output = Command::new(shell[0])
                .args(&shell[1..])
                .args(["-c", &script])
                .env("pxectl_root", root)
                .env("PATH", &path)
                .output()
                .ok()?;
            assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{shell:?}");
            Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
        };
        let found = run(&["sh"]).expect("a shell");
        for shell in [&["dash"][..], &["busybox", "sh"]] {
            if let Some(other) = run(shell) {
                assert_eq!(other, found, "{shell:?}");
            }
        }
        found
    }

    #[test]
    fn a_disk_is_found_only_if_exactly_one_matches_the_whole_value() {
        let serial = |text: &str| DiskSelector::Serial(text.to_owned());
        let wwn = |text: &str| DiskSelector::Wwn(text.to_owned());
        let model = |text: &str, min_size| DiskSelector::Model {
            model: text.to_owned(),
            min_size,
        };
        // Files below `sys/block`, udev properties, links in `dev/disk/by-id`.
        type Disks = &'static [(&'static str, &'static str)];
        let nvme: Disks = &[
            ("nvme0n1/device/serial", "S4XY12  \n"),
            ("nvme0n1/wwid", "eui.0025385a11b2c3d4\n"),
            ("nvme0c0n1/device/serial", "S4XY12\n"),
            ("nvme0c0n1/hidden", "1\n"),
        ];
        let two_namespaces: Disks = &[
            ("nvme0n1/device/serial", "S4XY12\n"),
            ("nvme0n2/device/serial", "S4XY12\n"),
        ];
        let ata: Disks = &[
            ("sda/size", "1000\n"),
            ("sda/device/model", "WDC WD40  EFRX  \n"),
            ("udev sda", "ID_SERIAL=WDC_S4XY12\nID_SERIAL_SHORT=S4XY12\n"),
            ("sdb/device/wwid", "naa.5000c500a1b2c301\n"),
            ("sdb/device/model", "WDC WD40  EFRX\n"),
            ("sdb/size", "2000\n"),
        ];
        let trap: Disks = &[
            ("udev sda", "ID_SERIAL=WDC_A_12\nID_SERIAL_SHORT=A_12\n"),
            ("sda/size", "1000\n"),
            ("vda/serial", "X12\n"),
            ("sdb/device/wwid", "naa.5000c500a1b2c301f\n"),
            ("sr0/device/serial", "12\n"),
            ("loop0/serial", "12\n"),
        ];
        let linked: Disks = &[
            ("sda/size", "1000\n"),
            ("link sda", "wwn-0x5000c500a1b2c301"),
            ("sdb/size", "1000\n"),
            ("link sdb", "wwn-0x5000c500a1b2c301f"),
        ];
        let rows = [
            (&[][..], serial("S4XY12"), "none"),
            (&[], wwn("0x5000c500a1b2c301"), "none"),
            (nvme, serial("S4XY12"), "/dev/nvme0n1"),
            (nvme, serial("S4XY1"), "none"),
            (nvme, wwn("eui.0025385A11B2C3D4"), "/dev/nvme0n1"),
            (nvme, wwn("0x0025385a11b2c3d"), "none"),
            (two_namespaces, serial("S4XY12"), "none"),
            (ata, serial("S4XY12"), "/dev/sda"),
            (ata, wwn("0x5000c500a1b2c301"), "/dev/sdb"),
            (ata, model("WDC WD40  EFRX", 512 * 1001), "/dev/sdb"),
            (ata, model("WDC WD40  EFRX", 512), "none"),
            (ata, model("WD40  EFRX", 512), "none"),
            (trap, serial("12"), "none"),
            (trap, serial("A_12"), "/dev/sda"),
            (trap, serial("X12"), "/dev/vda"),
            (trap, wwn("0x5000c500a1b2c301"), "none"),
            (linked, wwn("0x5000c500a1b2c301"), "/dev/sda"),
        ];
        for (disks, selector, expected) in rows {
            let directory = tempfile::tempdir().unwrap();
            let root = directory.path().canonicalize().unwrap();
            let write = |name: &str, text: &str| {
                let path = root.join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            };
            fs::create_dir_all(root.join("sys/block")).unwrap();
            fs::create_dir_all(root.join("dev/disk/by-id")).unwrap();
            // Called as `udevadm info -q property -n /dev/NAME`.
            write(
                "bin/udevadm",
                "#!/bin/sh\ncat \"$pxectl_root/udev/${5##*/}\" 2>/dev/null\n",
            );
            let program = root.join("bin/udevadm");
            fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
            for (name, text) in disks {
                match name.split_once(' ') {
                    Some(("udev", disk)) => write(&format!("udev/{disk}"), text),
                    Some((_, disk)) => {
                        write(&format!("dev/{disk}"), "");
                        let link = root.join("dev/disk/by-id").join(text);
                        symlink(root.join("dev").join(disk), link).unwrap();
                    }
                    None => write(&format!("sys/block/{name}"), text),
                }
            }
            assert_eq!(found(&root, &selector), expected, "{selector:?} {disks:?}");
        }
    }
}
