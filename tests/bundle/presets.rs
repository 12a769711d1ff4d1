//! The presets, against small mirrors that are laid out as the publishers' are.

use std::fs;

use crate::images::iso;
use crate::keys::Gpg;
use crate::nginx::Nginx;
use crate::requirements::missing;
use crate::workshop::{Workshop, content, listed, run};

const PROGRAMS: [&str; 4] = ["gpg", "gpgv", "xorriso", "tar"];

/// Makes an image that holds these files, and returns its content.
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

fn ubuntu(workshop: &Workshop, gpg: &Gpg) {
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
    run(
        "tar",
        &["-czf", netboot, "-C", "net", "./amd64"],
        &workshop.path(""),
    );
    list += &listed(
        "ubuntu-24.04.3-netboot-amd64.tar.gz",
        &fs::read(workshop.path(netboot)).unwrap(),
    );
    let list = workshop.write("web/24.04/SHA256SUMS", list);
    gpg.sign(&list, ".gpg");
}

fn debian(workshop: &Workshop, gpg: &Gpg) {
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

/// What the boot ISOs of Fedora and its descendants hold.
const ANACONDA: [&str; 5] = [
    "images/pxeboot/vmlinuz",
    "images/pxeboot/initrd.img",
    "images/install.img",
    "EFI/BOOT/BOOTX64.EFI",
    "EFI/BOOT/grubx64.efi",
];

fn fedora(workshop: &Workshop, gpg: &Gpg) {
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

fn almalinux(workshop: &Workshop, gpg: &Gpg) {
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

fn rocky(workshop: &Workshop, gpg: &Gpg) {
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

fn leap_micro(workshop: &Workshop, gpg: &Gpg) {
    let name = "openSUSE-Leap-Micro.x86_64-Default-SelfInstall.iso";
    let at = format!("web/6.0/appliances/{name}");
    let iso = image(
        workshop,
        &at,
        &["boot/x86_64/loader/linux", "boot/x86_64/loader/initrd"],
    );
    let list = workshop.write(&format!("{at}.sha256"), listed(name, &iso));
    gpg.sign(&list, ".asc");
}

fn flatcar(workshop: &Workshop, gpg: &Gpg) {
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

fn fedora_coreos(workshop: &Workshop, gpg: &Gpg) {
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
        let said = serde_json::json!({
            "location": location, "signature": format!("{location}.sig"), "sha256": listed("", &file).trim(),
        });
        pxe.insert(key.to_owned(), said);
    }
    let stream = serde_json::json!({
        "stream": "stable",
        "architectures": {"x86_64": {"artifacts": {"metal": {"release": "42.20250901.3.0", "formats": {"pxe": pxe}}}}},
    });
    workshop.write("web/streams/stable.json", stream.to_string());
}

fn kairos(workshop: &Workshop, _: &Gpg) {
    let name = "kairos-ubuntu-24.04-core-amd64-generic-v3.5.0.iso";
    let iso = image(
        workshop,
        &format!("web/v3.5.0/{name}"),
        &["boot/kernel", "boot/initrd", "rootfs.squashfs"],
    );
    workshop.write(&format!("web/v3.5.0/{name}.sha256"), listed(name, &iso));
}

fn talos(workshop: &Workshop, _: &Gpg) {
    let mut list = String::new();
    for (name, seed) in [("vmlinuz-amd64", 1), ("initramfs-amd64.xz", 2)] {
        let file = content(seed, 30_000);
        workshop.write(&format!("web/v1.10.0/{name}"), &file);
        list += &listed(name, &file);
    }
    workshop.write("web/v1.10.0/sha256sum.txt", list);
}

/// A preset, its mirror, the keys of its bundle, a file that its publisher vouches for, and whether
/// by a signature.
type Row = (
    &'static str,
    fn(&Workshop, &Gpg),
    &'static str,
    &'static str,
    bool,
);

const ROWS: [Row; 10] = [
    (
        "ubuntu-24.04",
        ubuntu,
        "grub initrd iso kernel shim",
        "24.04/SHA256SUMS",
        true,
    ),
    (
        "debian-12",
        debian,
        "grub initrd kernel shim",
        "dists/bookworm/InRelease",
        true,
    ),
    (
        "fedora-42",
        fedora,
        "grub initrd kernel shim stage2",
        "releases/42/Everything/x86_64/iso/Fedora-Everything-42-1.1-x86_64-CHECKSUM",
        true,
    ),
    (
        "almalinux-9",
        almalinux,
        "grub initrd kernel shim stage2",
        "9/isos/x86_64/CHECKSUM",
        true,
    ),
    (
        "rocky-9",
        rocky,
        "grub initrd kernel shim stage2",
        "9/isos/x86_64/CHECKSUM",
        true,
    ),
    (
        "leap-micro-6.0",
        leap_micro,
        "initrd iso kernel",
        "6.0/appliances/openSUSE-Leap-Micro.x86_64-Default-SelfInstall.iso.sha256",
        true,
    ),
    (
        "flatcar-stable",
        flatcar,
        "image initrd kernel",
        "amd64-usr/current/flatcar_production_pxe.vmlinuz",
        true,
    ),
    (
        "fedora-coreos-stable",
        fedora_coreos,
        "initrd kernel rootfs",
        "prod/streams/stable/builds/42.20250901.3.0/x86_64/fedora-coreos-42.20250901.3.0-live-kernel.x86_64",
        true,
    ),
    (
        "kairos-ubuntu-24.04",
        kairos,
        "initrd iso kernel squashfs",
        "v3.5.0/kairos-ubuntu-24.04-core-amd64-generic-v3.5.0.iso",
        false,
    ),
    (
        "talos",
        talos,
        "initrd kernel",
        "v1.10.0/vmlinuz-amd64",
        false,
    ),
];

fn build_all(of: impl Fn(&Workshop) -> (String, Option<Nginx>)) {
    let gpg = Gpg::new();
    for (preset, publish, keys, vouched, signed) in ROWS {
        let workshop = Workshop::new();
        publish(&workshop, &gpg);
        gpg.export(&workshop.path("keys.gpg"), preset.len() % 2 == 0);
        let (mirror, nginx) = of(&workshop);
        let release = match preset {
            "kairos-ubuntu-24.04" => "--release v3.5.0",
            "talos" => "--release v1.10.0",
            _ => "",
        };
        let line = format!(
            "bundle build --preset {preset} --keyring keys.gpg --mirror {mirror} {release} --retries 0"
        );
        let ran = workshop.pxectl(&line);
        ran.ended(0, &[]);
        assert_eq!(
            ran.stderr.contains("nobody has signed"),
            !signed,
            "{preset}: {ran:#?}"
        );
        let bundle: serde_json::Value =
            serde_json::from_str(&workshop.pxectl(&format!("{line} --format json")).stdout)
                .unwrap();
        assert_eq!(bundle["name"], preset);
        let files = bundle["files"].as_object().unwrap();
        let found: Vec<&str> = files.keys().map(String::as_str).collect();
        assert_eq!(found.join(" "), keys, "{preset}");
        for file in files.values() {
            assert_eq!(
                file["source"].is_null(),
                nginx.is_none(),
                "{preset}: {file}"
            );
        }
        // What the publisher vouches for is changed by somebody else.
        let path = workshop.path("web").join(vouched);
        let mut changed = fs::read(&path).unwrap();
        let before = listed("", &changed);
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        fs::write(&path, &changed).unwrap();
        if preset.starts_with("fedora-coreos") {
            // Whoever changes a file can change a list that nobody has signed.
            let stream = workshop.path("web/streams/stable.json");
            let text = fs::read_to_string(&stream).unwrap();
            fs::write(
                stream,
                text.replace(before.trim(), listed("", &changed).trim()),
            )
            .unwrap();
        }
        // What is in the store already would be taken from there.
        fs::remove_dir_all(workshop.path("store")).unwrap();
        let ran = workshop.pxectl(&line);
        let said = if signed {
            "is not signed as it should be"
        } else {
            "hashes to"
        };
        ran.ended(1, &[said]);
        assert!(workshop.store().names().unwrap().is_empty(), "{preset}");
    }
}

#[test]
fn each_preset_builds_from_a_mirror_on_this_machine() {
    if missing(&PROGRAMS) {
        return;
    }
    build_all(|_| ("web".to_owned(), None));
}

#[test]
fn each_preset_builds_from_a_mirror_on_the_web() {
    if missing(&[&PROGRAMS[..], &["nginx"]].concat()) {
        return;
    }
    build_all(|workshop| {
        let nginx = Nginx::start(workshop);
        (nginx.url(""), Some(nginx))
    });
}

#[test]
fn a_spec_may_add_to_a_preset() {
    if missing(&PROGRAMS) {
        return;
    }
    let (gpg, workshop) = (Gpg::new(), Workshop::new());
    ubuntu(&workshop, &gpg);
    gpg.export(&workshop.path("keys.gpg"), false);
    workshop.write("own.img", "own");
    workshop.spec(
        "ubuntu-24.04-own",
        "preset: {name: ubuntu-24.04, mirror: web, keyring: keys.gpg}\nfiles:\n  own: {from: own.img}\n",
    );
    let ran = workshop.pxectl("bundle build spec.yaml");
    ran.ended(0, &[]);
    for part in [
        "own:",
        "kernel:",
        "path: casper/vmlinuz",
        "path: ubuntu-24.04.3-live-server-amd64.iso",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {ran:#?}");
    }
}

#[test]
fn the_installer_of_debian_lies_where_the_preset_looks() {
    // Debian packages the very directory that it publishes.
    let packaged = "/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64";
    if missing(&[packaged]) {
        return;
    }
    let (gpg, workshop) = (Gpg::new(), Workshop::new());
    let images = workshop.path("web/dists/bookworm/main/installer-amd64/current/images");
    let netboot = images.join("netboot/debian-installer");
    fs::create_dir_all(&netboot).unwrap();
    run("cp", &["-rL", packaged, netboot.to_str().unwrap()], &images);
    let list = run("sh", &["-c", "find . -type f | xargs sha256sum"], &images);
    fs::write(images.join("SHA256SUMS"), &list).unwrap();
    let release = format!(
        "SHA256:\n {} {} main/installer-amd64/current/images/SHA256SUMS\n",
        listed("", list.as_bytes()).trim(),
        list.len()
    );
    gpg.sign_inline(&workshop.write("web/dists/bookworm/InRelease", release));
    gpg.export(&workshop.path("keys.gpg"), false);
    let ran = workshop.pxectl("bundle build --preset debian-12 --mirror web --keyring keys.gpg");
    ran.ended(0, &[]);
    for name in ["linux", "initrd.gz", "bootnetx64.efi", "grubx64.efi"] {
        let content = fs::read(format!("{packaged}/{name}")).unwrap();
        assert!(workshop.blob(&content) == content, "{name}");
    }
}
