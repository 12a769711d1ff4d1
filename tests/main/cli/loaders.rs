//! `pxectl validate` checks the loaders themselves: one golden for each problem.

use std::fs;

use crate::cli::validate::{same_facts, with_host};
use crate::support::rack::Rack;
use crate::support::rack::fixture;

/// Copies one of `fixtures/loaders/` into the rack.
fn put(rack: &Rack, name: &str, loader: &str) {
    fs::copy(
        fixture("loaders").join(loader),
        rack.file("boot").join(name),
    )
    .expect("a copy");
}

/// Gives the hosts of one profile a chain of two files, and says that they boot with Secure Boot on.
fn secure(rack: &Rack, first: &str, second: &str) {
    put(rack, "shimx64.efi", first);
    put(rack, "grubx64.efi", second);
    rack.edit(
        "profiles.yaml",
        "args:",
        "secure_boot: true\nloader: {first: shimx64.efi, second: grubx64.efi}\nargs:",
    );
}

/// Gives the site a menu that starts a file.
fn menu(rack: &Rack, file: &str, arch: &str) {
    let entry = format!("{{label: Tool, loader: {file}, arch: {arch}}}");
    let menu = format!("menu: {{groups: [{{title: Tools, entries: [{entry}]}}]}}\nloaders:");
    rack.edit("site.yaml", "loaders:", &menu);
}

/// Changes one byte of the code of a loader.
fn alter(rack: &Rack, name: &str) {
    let path = rack.file("boot").join(name);
    let mut bytes = fs::read(&path).expect("a loader");
    bytes[0x210] ^= 1;
    fs::write(path, bytes).expect("a loader");
}

/// The name of a golden, a change that causes the problem, and the exit status.
type Fault = (&'static str, fn(&Rack), i32);

#[rustfmt::skip]
const FAULTS: [Fault; 19] = [
    ("loader-for-other-processor", |rack| put(rack, "snponly.efi", "arm64.efi"), 1),
    ("loader-for-bios", |rack| { rack.edit("site.yaml", "uefi-x64: snponly.efi", "uefi-x64: undionly.kpxe"); }, 1),
    ("loader-for-uefi", |rack| { rack.edit("site.yaml", "bios: undionly.kpxe", "bios: snponly.efi"); }, 1),
    ("loader-cut-off", |rack| {
        let bytes = fs::read(fixture("loaders/x64.efi")).expect("a loader");
        fs::write(rack.file("boot/snponly.efi"), &bytes[..1000]).expect("a file");
    }, 1),
    ("loader-page", |rack| fs::write(rack.file("boot/snponly.efi"), "<html>404 Not Found\n").expect("a file"), 1),
    ("loader-of-host", |rack| with_host(rack, "disk:", "loader: undionly.kpxe\ndisk:"), 1),
    ("loader-of-profile", |rack| { rack.edit("profiles.yaml", "args:", "loader: undionly.kpxe\nargs:"); }, 1),
    ("second-loader-for-other-processor", |rack| {
        put(rack, "grubaa64.efi", "arm64.efi");
        rack.edit("site.yaml", "uefi-x64: snponly.efi", "uefi-x64: {first: snponly.efi, second: grubaa64.efi}");
    }, 1),
    ("unsigned-second-loader", |rack| secure(rack, "x64-signed.efi", "x64.efi"), 1),
    ("altered-loader", |rack| { secure(rack, "x64-signed.efi", "x64-signed.efi"); alter(rack, "grubx64.efi"); }, 1),
    ("foreign-signer", |rack| secure(rack, "x64-signed.efi", "x64-signed.efi"), 0),
    ("missing-loader", |rack| { rack.edit("site.yaml", "uefi-x64: snponly.efi", "uefi-x64: ipxe.efi"); }, 0),
    ("image-over-pxe", |rack| {
        let mut image = vec![0; 0x9000];
        image[0x8001..0x8006].copy_from_slice(b"CD001");
        fs::write(rack.file("boot/rescue.iso"), image).expect("a file");
        with_host(rack, "disk:", "loader: rescue.iso\ndisk:");
    }, 0),
    ("missing-module", |rack| {
        fs::remove_file(rack.file("boot/ldlinux.c32")).expect("a module");
        rack.edit("site.yaml", "bios: undionly.kpxe", "bios: pxelinux.0");
    }, 0),
    ("missing-menu-loader", |rack| menu(rack, "memtest86+x64.efi", "[uefi-x64]"), 0),
    ("menu-loader-for-other-processor", |rack| { put(rack, "shell.efi", "arm64.efi"); menu(rack, "shell.efi", "[uefi-x64]"); }, 0),
    ("unsigned-menu-loader", |rack| {
        secure(rack, "x64-signed.efi", "x64-signed.efi");
        put(rack, "shell.efi", "x64.efi");
        menu(rack, "shell.efi", "[uefi-x64]");
    }, 0),
    ("private-files", |rack| { rack.edit("site.yaml", "files: [boot]", "files: [boot, /etc/ssl]"); }, 1),
    ("missing-directory", |rack| { rack.edit("site.yaml", "files: [boot]", "files: [boot, /nonexistent/ipxe, tftp]").edit("site.yaml", "uefi-x64: snponly.efi", "uefi-x64: ipxe.efi"); }, 0),
];

#[test]
fn every_problem_of_a_loader_is_shown_where_it_is_named() {
    for (name, spoil, status) in FAULTS {
        let rack = Rack::a();
        spoil(&rack);
        let text = rack
            .pxectl("validate")
            .stdout_golden(&format!("diagnostics/{name}.txt"))
            .status(status)
            .run();
        assert!(text.contains(" = help: "), "{name} has no help:\n{text}");
        assert!(text.contains("--> "), "{name} has no position:\n{text}");
        same_facts(&rack, "validate --format json", &text, status);
    }
}

#[test]
fn a_missing_directory_hides_no_existing_loader() {
    let rack = Rack::a();
    rack.edit("site.yaml", "files: [boot]", "files: [boot, /nonexistent]");
    rack.pxectl("validate --deny warnings")
        .stdout("rack-a: 6 hosts, 2 profiles, 2 bundles: 0 errors, 0 warnings\n")
        .run();
    put(&rack, "snponly.efi", "arm64.efi");
    let text = rack.pxectl("validate").stdout_returned().status(1).run();
    assert!(
        text.starts_with("error: `snponly.efi` is a UEFI program for aarch64"),
        "{text}"
    );
}

#[test]
fn a_loader_that_cannot_be_served_is_a_warning_with_the_reason() {
    use std::os::unix::fs::PermissionsExt;

    let rack = Rack::a();
    let path = rack.file("boot/snponly.efi");
    fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("a mode");
    let text = rack.pxectl("validate").stdout_returned().run();
    let expected = "warning: loader `snponly.efi` cannot be served: others may not read `";
    assert!(text.starts_with(expected), "{text}");
    assert!(text.contains("--> site.yaml:20:13"), "{text}");
    assert!(text.contains("chmod o+r "), "{text}");
}
