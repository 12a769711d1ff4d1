//! Small mirrors in the layouts of the publishers.

use std::fs;

use crate::bundle::images::iso;
use crate::bundle::keys::Gpg;
use crate::bundle::workshop::{Workshop, content, listed};
use crate::support::tool::run_tool_in;

/// Creates an image with these files, and returns its content.
fn image(workshop: &Workshop, to: &str, files: &[&str]) -> Vec<u8> {
    let _ = fs::remove_dir_all(workshop.path("tree"));
    for (name, seed) in files.iter().zip(1..) {
        workshop.write(
            &format!("tree/{name}"),
            content(seed, 10_000 + seed as usize),
        );
    }
    iso(workshop, "tree", to, &["-R"]);
    fs::read(workshop.path(to)).unwrap()
}

pub fn ubuntu(workshop: &Workshop, gpg: &Gpg) {
    let files = ["casper/vmlinuz", "casper/initrd", "EFI/boot/bootx64.efi"];
    let mut list = String::new();
    for name in [
        "ubuntu-24.04-live-server-amd64.iso",
        "ubuntu-24.04.3-live-server-amd64.iso",
    ] {
        let iso = image(workshop, &format!("web/24.04/{name}"), &files);
        list += &listed(name, &iso).replace("  ", " *");
    }
    workshop.write("net/amd64/bootx64.efi", content(21, 9_000));
    workshop.write("net/amd64/grubx64.efi", content(22, 9_000));
    let netboot = "web/24.04/ubuntu-24.04.3-netboot-amd64.tar.gz";
    run_tool_in(
        &workshop.path(""),
        "tar",
        &["-czf", netboot, "-C", "net", "./amd64"],
    );
    list += &listed(
        "ubuntu-24.04.3-netboot-amd64.tar.gz",
        &fs::read(workshop.path(netboot)).unwrap(),
    );
    let list = workshop.write("web/24.04/SHA256SUMS", list);
    gpg.sign(&list, ".gpg");
}

pub fn debian(workshop: &Workshop, gpg: &Gpg) {
    let images = "web/dists/bookworm/main/installer-amd64/current/images";
    let mut list = String::new();
    for (name, seed) in ["linux", "initrd.gz", "bootnetx64.efi", "grubx64.efi"]
        .into_iter()
        .zip(1..)
    {
        let path = format!("netboot/debian-installer/amd64/{name}");
        let file = content(seed, 20_000);
        workshop.write(&format!("{images}/{path}"), &file);
        list += &listed(&format!("./{path}"), &file);
        list += &listed(
            &format!("./netboot/gtk/debian-installer/amd64/{name}"),
            b"another",
        );
    }
    workshop.write(&format!("{images}/SHA256SUMS"), &list);
    let digest = listed("", list.as_bytes());
    let release = workshop.write(
        "web/dists/bookworm/InRelease",
        format!(
            "Origin: Debian\nMD5Sum:\n d41d8cd98f00b204e9800998ecf8427e 0 main/installer-amd64/current/images/SHA256SUMS\n\
             SHA256:\n {} {} main/installer-amd64/current/images/SHA256SUMS\n",
            digest.trim(),
            list.len()
        ),
    );
    gpg.sign_inline(&release);
}

/// The files in the ISO images of Fedora and its descendants.
const ANACONDA: [&str; 5] = [
    "images/pxeboot/vmlinuz",
    "images/pxeboot/initrd.img",
    "images/install.img",
    "EFI/BOOT/BOOTX64.EFI",
    "EFI/BOOT/grubx64.efi",
];

pub fn fedora(workshop: &Workshop, gpg: &Gpg) {
    let at = "web/releases/42/Everything/x86_64/iso";
    let name = "Fedora-Everything-netinst-x86_64-42-1.1.iso";
    let iso = image(workshop, &format!("{at}/{name}"), &ANACONDA);
    let digest = listed("", &iso);
    let text = format!("# {name}: {} bytes\nSHA256 ({name}) = {digest}", iso.len());
    let list = workshop.write(
        &format!("{at}/Fedora-Everything-42-1.1-x86_64-CHECKSUM"),
        text,
    );
    gpg.sign_inline(&list);
}

pub fn almalinux(workshop: &Workshop, gpg: &Gpg) {
    let mut text = String::new();
    for name in [
        "AlmaLinux-9-latest-x86_64-boot.iso",
        "AlmaLinux-9.6-x86_64-boot.iso",
    ] {
        let iso = image(workshop, &format!("web/9/isos/x86_64/{name}"), &ANACONDA);
        text += &format!("SHA256 ({name}) = {}", listed("", &iso));
    }
    let list = workshop.write("web/9/isos/x86_64/CHECKSUM", text);
    gpg.sign_inline(&list);
}

pub fn rocky(workshop: &Workshop, gpg: &Gpg) {
    let name = "Rocky-9.6-x86_64-boot.iso";
    let iso = image(workshop, &format!("web/9/isos/x86_64/{name}"), &ANACONDA);
    let text = format!(
        "# {name}: {} bytes\nSHA256 ({name}) = {}",
        iso.len(),
        listed("", &iso)
    );
    let list = workshop.write("web/9/isos/x86_64/CHECKSUM", text);
    gpg.sign(&list, ".sig");
}

/// An image for subscribers, and the digest from the customer portal.
pub fn rhel(workshop: &Workshop, _: &Gpg) {
    let name = "rhel-9.6-x86_64-dvd.iso";
    let iso = image(workshop, &format!("web/{name}"), &ANACONDA);
    workshop.write("web/SHA256SUMS", listed(name, &iso));
}

pub fn centos_stream(workshop: &Workshop, _: &Gpg) {
    let at = "web/9-stream/BaseOS/x86_64/iso";
    let name = "CentOS-Stream-9-20260202.0-x86_64-boot.iso";
    let latest = "CentOS-Stream-9-latest-x86_64-boot.iso";
    let iso = image(workshop, &format!("{at}/{name}"), &ANACONDA);
    workshop.write(&format!("{at}/{latest}"), &iso);
    let digest = listed("", &iso);
    let text = format!("# {name}: {} bytes\nSHA256 ({name}) = {digest}", iso.len());
    workshop.write(&format!("{at}/{latest}.SHA256SUM"), text);
}

pub fn leap_micro(workshop: &Workshop, gpg: &Gpg) {
    let name = "openSUSE-Leap-Micro.x86_64-Default-SelfInstall.install.tar";
    let files = [
        "pxeboot.openSUSE-Leap-Micro.x86_64-6.2.kernel",
        "pxeboot.openSUSE-Leap-Micro.x86_64-6.2.initrd",
        "openSUSE-Leap-Micro.x86_64-6.2.xz",
        "openSUSE-Leap-Micro.x86_64-6.2.sha256",
    ];
    for (file, seed) in files.iter().zip(1..) {
        workshop.write(&format!("tree/{file}"), content(seed, 20_000));
    }
    let at = format!("web/6.2/appliances/{name}");
    fs::create_dir_all(workshop.path("web/6.2/appliances")).unwrap();
    // KIWI links the name without `pxeboot.` to the kernel.
    std::os::unix::fs::symlink(
        files[0],
        workshop.path("tree/openSUSE-Leap-Micro.x86_64-6.2.kernel"),
    )
    .unwrap();
    run_tool_in(&workshop.path(""), "tar", &["-cf", &at, "-C", "tree", "."]);
    let archive = fs::read(workshop.path(&at)).unwrap();
    let list = workshop.write(&format!("{at}.sha256"), listed(name, &archive));
    gpg.sign(&list, ".asc");
}

pub fn flatcar(workshop: &Workshop, gpg: &Gpg) {
    for (name, seed) in [
        "flatcar_production_pxe.vmlinuz",
        "flatcar_production_pxe_image.cpio.gz",
        "flatcar_production_image.bin.bz2",
    ]
    .into_iter()
    .zip(1..)
    {
        let file = workshop.write(
            &format!("web/amd64-usr/current/{name}"),
            content(seed, 30_000),
        );
        gpg.sign(&file, ".sig");
    }
}

pub fn fedora_coreos(workshop: &Workshop, gpg: &Gpg) {
    let build = "prod/streams/stable/builds/42.20250901.3.0/x86_64";
    let mut pxe = serde_json::Map::new();
    for (key, name, seed) in [
        ("kernel", "live-kernel.x86_64", 1),
        ("initramfs", "live-initramfs.x86_64.img", 2),
        ("rootfs", "live-rootfs.x86_64.img", 3),
    ] {
        let name = format!("fedora-coreos-42.20250901.3.0-{name}");
        let file = content(seed, 30_000);
        let path = workshop.write(&format!("web/{build}/{name}"), &file);
        gpg.sign(&path, ".sig");
        let location = format!("https://builds.coreos.fedoraproject.org/{build}/{name}");
        let output = serde_json::json!({
            "location": location, "signature": format!("{location}.sig"), "sha256": listed("", &file).trim(),
        });
        pxe.insert(key.to_owned(), output);
    }
    let stream = serde_json::json!({
        "stream": "stable",
        "architectures": {"x86_64": {"artifacts": {"metal": {"release": "42.20250901.3.0", "formats": {"pxe": pxe}}}}},
    });
    workshop.write("web/streams/stable.json", stream.to_string());
}

pub fn kairos(workshop: &Workshop, _: &Gpg) {
    let name = "kairos-ubuntu-24.04-core-amd64-generic-v3.5.0.iso";
    let iso = image(
        workshop,
        &format!("web/v3.5.0/{name}"),
        &["boot/kernel", "boot/initrd", "rootfs.squashfs"],
    );
    workshop.write(&format!("web/v3.5.0/{name}.sha256"), listed(name, &iso));
}

pub fn talos(workshop: &Workshop, _: &Gpg) {
    let mut list = String::new();
    for (name, seed) in [("vmlinuz-amd64", 1), ("initramfs-amd64.xz", 2)] {
        let file = content(seed, 30_000);
        workshop.write(&format!("web/v1.10.0/{name}"), &file);
        list += &listed(name, &file);
    }
    workshop.write("web/v1.10.0/sha256sum.txt", list);
}
