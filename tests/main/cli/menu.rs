//! The menu of a site, in the language of each loader.

use std::process::Command;

use pxectl::clients::ipxe::{Interpreter, IpxeStep, Settings};
use pxectl::decide::{BootRequest, Reason, TokenState};
use pxectl::inventory::Inventory;
use pxectl::loader::Dialect;
use pxectl::machine::Architecture;
use pxectl::render::{Templates, local_script};
use pxectl::workspace::Snapshot;

use crate::cli::pxectl::golden;
use crate::support::rack::Rack;
use crate::support::rack::fixture;
use crate::support::requirements::missing;

const MENU: &str = r#"
menu:
  timeout: 15s
  groups:
    - title: Diagnostics
      entries:
        - {label: Memtest86+, loader: memtest86+x64.efi, arch: [uefi-x64]}
        - {label: Memtest86+, loader: memtest86+x64.bin, arch: [bios], args: [console=ttyS0, nobench]}
        - {label: iPXE, loader: ipxe/undionly.kpxe, arch: [bios]}
        - {label: Hardware detection, loader: hdt.c32, arch: [bios]}
        - {label: EFI shell, loader: shellaa64.efi, arch: [uefi-arm64]}
        - {label: EFI shell, loader: shellx64.efi, arch: [uefi-x64], args: [-nomap]}
    - title: Rescue (another system)
      entries:
        - {label: Rescue shell, bundle: rescue, args: [console=ttyS0, "note=it's;$x"]}
        - {label: Kernel alone, bundle: alone}
    - title: For other machines
      entries:
        - {label: Rescue shell, bundle: rescue-arm}
"#;

const BUNDLES: &str = r#"
kind: Bundle
name: rescue
arch: x86_64
files:
  kernel: {path: k, sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", size: 3}
  initrd: {path: i, sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", size: 3}
---
kind: Bundle
name: alone
arch: x86_64
files:
  kernel: {path: k, sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", size: 3}
---
kind: Bundle
name: rescue-arm
arch: aarch64
files:
  kernel: {path: k, sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", size: 3}
"#;

/// A rack whose site has a menu.
fn rack() -> Rack {
    let rack = Rack::a();
    let site = std::fs::read_to_string(rack.file("site.yaml")).unwrap();
    rack.write("site.yaml", site + MENU)
        .write("rescue.yaml", BUNDLES);
    rack
}

/// Its inventory, and the digest that its bundle `rescue` is fetched by.
fn site() -> (Inventory, String) {
    let rack = rack();
    let checked = Snapshot::read(rack.path()).unwrap().check();
    let faults: Vec<_> = checked.diagnostics.iter().map(|it| &it.message).collect();
    assert_eq!(faults, [""; 0]);
    let (inventory, _) = checked.good.unwrap();
    let digest = inventory.bundles["rescue"].manifest_digest().to_string();
    (inventory, digest)
}

/// Renders the script that sends a host to its local disk.
fn local(inventory: &Inventory, host: &str, dialect: Dialect, reason: &Reason) -> String {
    let host = &inventory.hosts[host];
    let request = BootRequest {
        mac: host.nics[0].mac,
        uuid: host.uuid,
        serial: None,
        asset: None,
        architecture: Some(host.arch),
        dialect,
        token: TokenState::Good,
    };
    let templates = Templates::compile(&inventory.templates).unwrap();
    let script = local_script(&templates, inventory, host, &request, reason).unwrap();
    assert_eq!(script.fault, None);
    script.text
}

#[test]
fn each_loader_is_given_the_menu_of_what_its_machine_can_run() {
    let (inventory, _) = site();
    for (host, dialect) in [
        ("worker-01", Dialect::Ipxe),
        ("worker-01", Dialect::Grub),
        ("storage-02", Dialect::Pxelinux),
    ] {
        let script = local(&inventory, host, dialect, &Reason::Installed);
        let path = fixture(&format!("rendered/menu.{dialect}.txt"));
        golden(&path, &script).unwrap();
        assert!(!script.contains("For other machines"), "{script}");
    }
}

#[test]
fn a_site_without_a_menu_and_a_machine_that_can_run_nothing_of_it_boot_at_once() {
    let (with, _) = site();
    let mut without = with.clone();
    without.site.menu = None;
    let mut nothing = with.clone();
    let groups = &mut nothing.site.menu.as_mut().unwrap().groups;
    groups.drain(..2);
    for dialect in Dialect::all() {
        let rendered = |inventory| local(inventory, "worker-01", dialect, &Reason::NotArmed);
        assert_ne!(rendered(&with), rendered(&without));
        assert_eq!(rendered(&nothing), rendered(&without));
        let words = ["menu", "choose", "TIMEOUT", "timeout"];
        let script = rendered(&without);
        assert!(!words.iter().any(|word| script.contains(word)), "{script}");
    }
}

#[test]
fn the_machine_that_asks_and_not_the_one_on_record_says_what_it_can_run() {
    let (mut inventory, _) = site();
    inventory.hosts.get_mut("worker-01").unwrap().arch = Architecture::Bios;
    let host = &inventory.hosts["worker-01"];
    let request = |architecture| BootRequest {
        mac: host.nics[0].mac,
        uuid: None,
        serial: None,
        asset: None,
        architecture,
        dialect: Dialect::Ipxe,
        token: TokenState::Missing,
    };
    let templates = Templates::compile(&inventory.templates).unwrap();
    for (seen, loader) in [
        (Some(Architecture::UefiX64), "shellx64.efi"),
        (Some(Architecture::UefiArm64), "shellaa64.efi"),
        (None, "hdt.c32"),
    ] {
        let request = request(seen);
        let script = local_script(&templates, &inventory, host, &request, &Reason::NotArmed);
        assert!(script.unwrap().text.contains(loader), "{seen:?}");
    }
}

#[test]
fn a_reason_that_matters_is_shown_before_the_menu_and_as_long_as_ever() {
    let (mut inventory, _) = site();
    let menu = inventory.site.menu.as_mut().unwrap();
    menu.timeout = std::time::Duration::from_secs(3);
    let failed = Reason::Failed(Some("no disk".into()));
    for (dialect, told, waits) in [
        (Dialect::Ipxe, "failed", "\nsleep 10\n"),
        (Dialect::Grub, "failed", "\nsleep 10\n"),
        (Dialect::Pxelinux, "failed", "\nTIMEOUT 100\n"),
    ] {
        let script = local(&inventory, "worker-01", dialect, &failed);
        let (told, waits) = (script.find(told).unwrap(), script.find(waits).unwrap());
        let menu = script.find("entry-1").or(script.find("LABEL 1\n")).unwrap();
        assert!(told < waits && waits < menu, "{script}");
    }
    let script = local(
        &inventory,
        "worker-01",
        Dialect::Pxelinux,
        &Reason::NotArmed,
    );
    assert!(script.contains("\nTIMEOUT 30\n"), "{script}");
}

#[test]
fn grub_can_read_what_it_is_given() {
    if missing(&["grub-script-check"]) {
        return;
    }
    let (with, _) = site();
    let mut without = with.clone();
    without.site.menu = None;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("grub.cfg");
    let check = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let run = Command::new("grub-script-check").arg(&file).output();
        run.expect("grub-script-check").status.success()
    };
    for inventory in [&with, &without] {
        for host in ["worker-01", "storage-02"] {
            for reason in [Reason::Installed, Reason::Failed(None)] {
                let script = local(inventory, host, Dialect::Grub, &reason);
                assert!(check(&script), "{script}");
            }
        }
    }
    let script = local(&with, "worker-01", Dialect::Grub, &Reason::Installed);
    assert!(
        !check(&script.replacen("; then", "", 1)),
        "it finds nothing"
    );
}

/// Runs a script of iPXE in which `choice` is taken when the menu times out; returns what was
/// printed, how it ended and what was fetched.
fn played(script: &str, choice: &str, answers: bool) -> (Vec<String>, IpxeStep, Vec<String>) {
    let script = script.replace("--default local", &format!("--default {choice}"));
    let url = "http://10.20.0.10:8080/boot.ipxe";
    let mut machine = Interpreter::new(url, script.as_bytes(), Settings::default()).unwrap();
    let (mut printed, mut fetched) = (Vec::new(), Vec::new());
    loop {
        match machine.next() {
            IpxeStep::Print(text) => printed.push(text),
            IpxeStep::Wait(_) => {}
            IpxeStep::Choose { timeout, chosen } => printed.push(format!("{chosen} {timeout:?}")),
            IpxeStep::Fetch { url, .. } => {
                fetched.push(url);
                let answer: Result<&[u8], String> = match answers {
                    true => Ok(b"MZ"),
                    false => Err("not found".into()),
                };
                machine.supply(answer);
            }
            end => return (printed, end, fetched),
        }
    }
}

#[test]
fn ipxe_goes_to_the_local_disk_unless_somebody_chooses_and_then_to_what_was_chosen() {
    let (inventory, digest) = site();
    let script = local(&inventory, "worker-01", Dialect::Ipxe, &Reason::NotArmed);
    let root = "http://10.20.0.10:8080";
    let (printed, end, fetched) = played(&script, "local", true);
    assert_eq!((end, fetched.len()), (IpxeStep::Exit(1), 0));
    assert_eq!(
        printed[1..],
        [
            "pxectl: worker-01",
            "Local disk",
            "---- Diagnostics ----",
            "Memtest86+",
            "EFI shell",
            "---- Rescue (another system) ----",
            "Rescue shell",
            "Kernel alone",
            "local 15s",
        ]
    );
    let (_, end, _) = played(&script, "entry-2", true);
    let expected = IpxeStep::Chain {
        url: format!("{root}/files/shellx64.efi"),
        arguments: "-nomap".into(),
    };
    assert_eq!(end, expected);
    let (_, end, fetched) = played(&script, "entry-3", true);
    let files = ["kernel", "initrd"].map(|file| format!("{root}/b/{digest}/{file}"));
    assert_eq!(fetched, files);
    match end {
        IpxeStep::Boot {
            arguments, initrds, ..
        } => {
            assert_eq!(arguments, "initrd=initrd console=ttyS0 note=it's;$x");
            assert_eq!(initrds.len(), 1);
        }
        other => panic!("{other:?}"),
    }
    for entry in ["entry-1", "entry-2", "entry-3", "entry-4"] {
        let (printed, end, _) = played(&script, entry, false);
        assert_eq!(end, IpxeStep::Exit(1), "{entry}");
        assert!(
            printed
                .last()
                .unwrap()
                .starts_with("pxectl: could not start")
        );
    }
}

#[test]
fn an_ipxe_that_lacks_menus_or_an_option_still_comes_to_the_local_disk() {
    let (inventory, _) = site();
    let script = local(&inventory, "worker-01", Dialect::Ipxe, &Reason::NotArmed);
    let lacks_menus = script.replace("\nmenu ", "\nnomenu ");
    let (printed, end, _) = played(&lacks_menus, "local", true);
    assert_eq!((printed.len(), end), (1, IpxeStep::Exit(1)));
    // Debian 12's iPXE refuses the option, and shows the menu at the second command.
    let old = script.replace("--retimeout", "--unknown");
    let (printed, end, _) = played(&old, "local", true);
    assert_eq!(printed.last().map(String::as_str), Some("local 15s"));
    assert_eq!(end, IpxeStep::Exit(1));
    // A key that leaves the menu: both commands fail.
    let left = script.replace("choose ", "isset ${nothing} ");
    assert_eq!(played(&left, "local", true).1, IpxeStep::Exit(1));
}

#[test]
fn a_rehearsed_machine_waits_at_the_menu_and_boots_its_local_disk() {
    // After the install, the second boot meets the menu.
    let said = rack().pxectl("rehearse worker-01").stdout_returned().run();
    let after = said
        .split_once("the menu times out after 15 s")
        .map(|(_, after)| after);
    let after = after.unwrap_or_else(|| panic!("no menu:\n{said}"));
    assert!(after.starts_with(" and starts `local`\n"), "{said}");
    assert!(after.contains("iPXE exits with status 1"), "{said}");
}
