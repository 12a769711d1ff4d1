//! The presets, with small mirrors in the publishers' layouts.

use std::fs;

use crate::bundle::keys::Gpg;
use crate::bundle::nginx::Nginx;
use crate::bundle::publishers::{
    almalinux, centos_stream, debian, fedora, fedora_coreos, flatcar, kairos, leap_micro, rhel,
    rocky, talos, ubuntu,
};
use crate::bundle::workshop::{Workshop, listed};
use crate::support::requirements::missing;
use crate::support::tool::run_tool_in;

const PROGRAMS: [&str; 4] = ["gpg", "gpgv", "xorriso", "tar"];

/// A preset, its mirror, the keys of its bundle, a verified file, and whether a signature verifies it.
type PublishedPreset = (
    &'static str,
    fn(&Workshop, &Gpg),
    &'static str,
    &'static str,
    bool,
);

const PRESETS: [PublishedPreset; 12] = [
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
        "rhel-9",
        rhel,
        "grub initrd kernel shim stage2",
        "rhel-9.6-x86_64-dvd.iso",
        false,
    ),
    (
        "centos-stream-9",
        centos_stream,
        "grub initrd kernel shim stage2",
        "9-stream/BaseOS/x86_64/iso/CentOS-Stream-9-20260202.0-x86_64-boot.iso",
        false,
    ),
    (
        "leap-micro-6.2",
        leap_micro,
        "checksum image initrd kernel",
        "6.2/appliances/openSUSE-Leap-Micro.x86_64-Default-SelfInstall.install.tar.sha256",
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
    for (preset, publish, keys, verified, signed) in PRESETS {
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
            ran.stderr.contains("is not signed"),
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
        // An attacker changes the verified file.
        let path = workshop.path("web").join(verified);
        let mut changed = fs::read(&path).unwrap();
        let before = listed("", &changed);
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        fs::write(&path, &changed).unwrap();
        if preset.starts_with("fedora-coreos") {
            // An attacker can also change a list without a signature.
            let stream = workshop.path("web/streams/stable.json");
            let text = fs::read_to_string(&stream).unwrap();
            fs::write(
                stream,
                text.replace(before.trim(), listed("", &changed).trim()),
            )
            .unwrap();
        }
        // A file in the store would not be downloaded again.
        fs::remove_dir_all(workshop.path("store")).unwrap();
        let ran = workshop.pxectl(&line);
        let output = if signed {
            "has no valid signature"
        } else {
            "hashes to"
        };
        ran.ended(1, &[output]);
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
fn each_preset_builds_from_a_mirror_on_a_web_server() {
    if missing(&[&PROGRAMS[..], &["nginx"]].concat()) {
        return;
    }
    build_all(|workshop| {
        let nginx = Nginx::start(workshop);
        (nginx.url(""), Some(nginx))
    });
}

#[test]
fn a_spec_can_add_files_to_a_preset() {
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
fn debians_installer_is_where_the_preset_expects_it() {
    for (debian, arch, efi) in [("amd64", "x86_64", "x64"), ("arm64", "aarch64", "aa64")] {
        installer_of_debian(debian, arch, efi);
    }
}

fn installer_of_debian(debian: &str, arch: &str, efi: &str) {
    // Debian's package has the same directory as its mirrors.
    let packaged =
        format!("/usr/lib/debian-installer/images/12/{debian}/text/debian-installer/{debian}");
    if missing(&[&packaged]) {
        return;
    }
    let (gpg, workshop) = (Gpg::new(), Workshop::new());
    let images = format!("main/installer-{debian}/current/images");
    let directory = workshop.path(&format!("web/dists/bookworm/{images}"));
    let netboot = directory.join("netboot/debian-installer");
    fs::create_dir_all(&netboot).unwrap();
    run_tool_in(
        &directory,
        "cp",
        &["-rL", &packaged, netboot.to_str().unwrap()],
    );
    let list = run_tool_in(
        &directory,
        "sh",
        &["-c", "find . -type f | xargs sha256sum"],
    );
    fs::write(directory.join("SHA256SUMS"), &list).unwrap();
    let release = format!(
        "SHA256:\n {} {} {images}/SHA256SUMS\n",
        listed("", list.as_bytes()).trim(),
        list.len()
    );
    gpg.sign_inline(&workshop.write("web/dists/bookworm/InRelease", release));
    gpg.export(&workshop.path("keys.gpg"), false);
    let ran = workshop.pxectl(&format!(
        "bundle build --preset debian-12 --arch {arch} --mirror web --keyring keys.gpg"
    ));
    ran.ended(0, &[]);
    for name in [
        "linux",
        "initrd.gz",
        &format!("bootnet{efi}.efi"),
        &format!("grub{efi}.efi"),
    ] {
        let content = fs::read(format!("{packaged}/{name}")).unwrap();
        assert!(workshop.blob(&content) == content, "{name}");
    }
}
