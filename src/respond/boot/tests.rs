//! The answer to each loader, by the identity that it reports.

use std::collections::BTreeMap;

use super::*;
use crate::inventory::site_builder::inventory_of;
use crate::machine::{Phase, Session};

const INVENTORY: &str = r#"
kind: Site
name: s
server: {address: 10.20.0.10}
networks: [{name: n, subnet: 10.20.0.0/24}]
loaders: {uefi-x64: {first: shimx64.efi, second: grubx64.efi}, bios: pxelinux.0}
---
{kind: Profile, name: p, installer: preseed, bundle: b, SECURE args: ["a;b", "c='d e'"]}
---
kind: Bundle
name: b
arch: x86_64
files:
  kernel: {path: k, sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", size: 3}
  initrd: {path: i, sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", size: 3}
---
kind: Host
name: a
profile: p
uuid: 4c4c4544-0051-3610-8043-c2c04f4b3135
serial: C7X9K2
arch: ARCH
nics: [{mac: "52:54:00:00:00:01", network: n, ip: 10.20.0.51, boot: true}]
disk: {serial: D1}
"#;
const MAC: MacAddress = MacAddress::new([0x52, 0x54, 0, 0, 0, 1]);
const UUID: &str = "4c4c4544-0051-3610-8043-c2c04f4b3135";

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn key() -> StoreKey {
    StoreKey::new([7; 32])
}

fn inventory(arch: &str, secure: &str) -> Inventory {
    inventory_with(INVENTORY, arch, secure)
}

fn inventory_with(text: &str, arch: &str, secure: &str) -> Inventory {
    // A quoted argument has a blank, which the inventory refuses.
    let text = text
        .replace("ARCH", arch)
        .replace("SECURE", secure)
        .replace(r#", "c='d e'""#, r#", "c='d'""#);
    inventory_of(text)
}

/// Returns the answer to the machine of a path while its host is in a phase.
fn answer(inventory: &Inventory, phase: Phase, path: &str) -> BootAnswer {
    let path = MachinePath::parse(&path.split('/').collect::<Vec<_>>()).unwrap();
    let plan = Plan::new(inventory, &inventory.hosts["a"]).unwrap();
    let length = std::time::Duration::from_secs(600);
    let session = Session::open(SessionId::new(1), Standing::at(now()).clock(), length).unwrap();
    let record = HostRecord {
        phase,
        session: Some(session),
        ..HostRecord::new("a", now())
    };
    let key = key();
    let sources = BootSources {
        inventory,
        templates: &Templates::compile(&BTreeMap::new()).unwrap(),
        key: &key,
        record: Some(&record),
        plan: Some(&plan),
    };
    let MachineQuery::Script(query) = path.query else {
        panic!("not a path of a script: {path}");
    };
    let answer = sources.answer(path.mac, path.token.expose(), &query, &Standing::at(now()));
    answer.unwrap()
}

fn token() -> String {
    let token = key().boot_token(MAC, UUID.parse().ok(), now());
    token.expose().to_owned()
}

fn grub_path(token: &str, uuid: &str, serial: &str) -> String {
    format!("m/52:54:00:00:00:01/{token}/x86_64-efi/{uuid}/{serial}/-/grub.cfg")
}

#[test]
fn grub_gets_the_script_for_the_phase_and_the_machine() {
    let inventory = inventory("uefi-x64", "");
    let good = token();
    let another = "99999999-0051-3610-8043-c2c04f4b3135";
    for (phase, path, kind, line) in [
        (
            Phase::Provisioning,
            grub_path(&good, UUID, "C7X9K2"),
            EventKind::Install,
            "echo 'pxectl: installing a with p from b'",
        ),
        (
            Phase::Installed,
            grub_path(&good, UUID, "C7X9K2"),
            EventKind::LocalDisk,
            "echo 'pxectl: booting a from its local disk: installed'",
        ),
        (
            Phase::Provisioning,
            grub_path("-", UUID, "C7X9K2"),
            EventKind::Hold,
            "echo '  reason: the request has no boot token'",
        ),
        (
            Phase::Provisioning,
            grub_path("FORGED", UUID, "C7X9K2"),
            EventKind::Hold,
            "echo '  reason: the boot token is not valid for this machine'",
        ),
        (
            Phase::Provisioning,
            grub_path(&good, "-", "C7X9K2"),
            EventKind::Hold,
            "echo '  reason: the boot token is not valid for this machine'",
        ),
        (
            Phase::Installed,
            grub_path(&good, another, "C7X9K2"),
            EventKind::Hold,
            "echo '  uuid: 99999999-0051-3610-8043-c2c04f4b3135'",
        ),
        (
            Phase::Provisioning,
            grub_path(&good, UUID, "OTHER"),
            EventKind::Hold,
            "echo '  reason: the serial number is OTHER, expected C7X9K2'",
        ),
    ] {
        let answer = answer(&inventory, phase, &path);
        assert_eq!(answer.decision.unwrap().kind, kind, "{path}");
        let found = answer.script.lines().any(|found| found.trim() == line);
        assert!(found, "{line}\n{}", answer.script);
        assert_eq!(answer.fault, None);
    }
}

/// A loader that reported nothing about its machine gets a script that reports it. The decision about any
/// other loader uses everything that it reported.
#[test]
fn each_loader_is_answered_in_its_own_language() {
    let inventory = inventory("uefi-x64", "");
    let grub = "x86_64-efi/4c4c4544-0051-3610-8043-c2c04f4b3135/C7X9K2/A-1/grub.cfg";
    let pxelinux = format!("pxelinux.cfg/{UUID}");
    let uuid = ("uuid", UUID.to_owned());
    let arch = |name: &str| ("arch", name.to_owned());
    let of_grub = vec![
        uuid.clone(),
        ("serial", "C7X9K2".to_owned()),
        ("asset", "A-1".to_owned()),
        arch("uefi-x64"),
    ];
    for (rest, line, shown) in [
        ("grub.cfg", "configfile ", None),
        ("autoexec.ipxe", "chain ", None),
        (grub, "if linux ", Some(of_grub)),
        (&pxelinux, "SAY ", Some(vec![uuid, arch("bios")])),
        (
            "pxelinux.cfg/01-52-54-00-00-00-01",
            "SAY ",
            Some(vec![arch("bios")]),
        ),
    ] {
        let path = format!("m/52:54:00:00:00:01/{}/{rest}", token());
        let answer = answer(&inventory, Phase::Provisioning, &path);
        let mut lines = answer.script.lines();
        let found = lines.any(|found| found.trim_start().starts_with(line));
        assert!(found, "{rest}: {}", answer.script);
        assert_eq!(
            answer.decision.map(|decided| decided.shown),
            shown,
            "{rest}"
        );
    }
}

#[test]
fn kernel_arguments_reach_grub_and_pxelinux_unchanged() {
    let grub = answer(
        &inventory("uefi-x64", ""),
        Phase::Provisioning,
        &grub_path(&token(), UUID, "-"),
    );
    let links = SessionLinks::new(
        &inventory("bios", "").site.server,
        &key(),
        SessionId::new(1),
        1,
    );
    let files = links.seeds.expose().replace("http://10.20.0.10:8080/", "") + "files/";
    let linux = grub.script.lines().find(|line| line.contains("linux "));
    let linux = linux.unwrap().trim();
    assert!(
        linux.starts_with(&format!(
            "if linux (tftp,10.20.0.10)/{files}kernel 'auto=true' "
        )),
        "{linux}"
    );
    let end = r"'a;b' 'c='\''d'\''' BOOTIF=01-52-54-00-00-00-01; then";
    assert!(linux.ends_with(end), "{linux}");

    let path = format!("m/52:54:00:00:00:01/{}/pxelinux.cfg/{UUID}", token());
    let pxelinux = answer(&inventory("bios", ""), Phase::Provisioning, &path);
    let script = &pxelinux.script;
    assert!(script.contains(&format!("  LINUX ::{files}kernel\n")));
    assert!(script.contains(&format!("  INITRD ::{files}initrd\n")));
    let end = " a;b c='d' BOOTIF=01-52-54-00-00-00-01\n";
    assert!(script.ends_with(end), "{script}");
}

#[test]
fn pxelinux_without_a_uuid_is_held_and_an_installed_host_boots_its_disk() {
    let inventory = inventory("bios", "");
    let path = |name: &str| format!("m/52:54:00:00:00:01/{}/pxelinux.cfg/{name}", token());
    let held = answer(
        &inventory,
        Phase::Provisioning,
        &path("01-52-54-00-00-00-01"),
    );
    assert!(held.script.contains("SAY   reason: "), "{}", held.script);
    assert_eq!(held.decision.unwrap().kind, EventKind::Hold);
    let local = answer(&inventory, Phase::Installed, &path(UUID));
    assert_eq!(local.decision.unwrap().kind, EventKind::LocalDisk);
    assert!(local.script.contains("LABEL local"), "{}", local.script);
}

#[test]
fn a_menu_is_shown_only_for_a_boot_from_the_local_disk() {
    let menu =
        "menu: {groups: [{title: T, entries: [{label: Tool, loader: tool}]}]}\n---\n{kind: Profile";
    let text = INVENTORY.replacen("---\n{kind: Profile", menu, 1);
    let another = "99999999-0051-3610-8043-c2c04f4b3135";
    let stranger = "m/52:54:00:00:00:99/-/x86_64-efi/-/-/-/grub.cfg".to_owned();
    let pxelinux = |uuid: &str| format!("m/52:54:00:00:00:01/{}/pxelinux.cfg/{uuid}", token());
    let grub = |uuid: &str| grub_path(&token(), uuid, "C7X9K2");
    for (phase, path, shown) in [
        (Phase::New, grub(UUID), true),
        (Phase::Installed, grub(UUID), true),
        (Phase::Failed, grub(UUID), true),
        (Phase::Installed, grub(another), false),
        (Phase::Provisioning, grub(UUID), false),
        (Phase::Provisioning, grub(another), false),
        (Phase::Provisioning, grub_path("-", UUID, "C7X9K2"), false),
        (Phase::Quarantine, grub(UUID), false),
        (Phase::Retired, grub(UUID), false),
        (Phase::Installed, stranger, false),
        (Phase::Installed, pxelinux(UUID), true),
        (Phase::Installed, pxelinux(another), false),
        (Phase::Provisioning, pxelinux(UUID), false),
    ] {
        let arch = match path.contains("pxelinux") {
            true => "bios",
            false => "uefi-x64",
        };
        let inventory = inventory_with(&text, arch, "");
        let answer = answer(&inventory, phase, &path);
        assert_eq!(answer.fault, None);
        let found = answer.script.contains("Tool");
        assert_eq!(found, shown, "{phase:?} {path}\n{}", answer.script);
        let local = answer.decision.unwrap().kind == EventKind::LocalDisk;
        assert_eq!(local, shown, "{phase:?} {path}");
    }
}

#[test]
fn secure_boot_installs_only_through_grub() {
    let inventory = inventory("uefi-x64", "secure_boot: true,");
    let path = grub_path(&token(), UUID, "C7X9K2");
    let grub = answer(&inventory, Phase::Provisioning, &path);
    assert_eq!(grub.decision.unwrap().kind, EventKind::Install);
    let path = format!("m/52:54:00:00:00:01/{}/pxelinux.cfg/{UUID}", token());
    let decided = answer(&inventory, Phase::Provisioning, &path)
        .decision
        .unwrap();
    let expected = "the profile requires Secure Boot, but PXELINUX is not signed";
    assert_eq!(
        (decided.kind, &*decided.reason),
        (EventKind::Hold, expected)
    );
}

#[test]
fn only_a_held_ipxe_sends_another_request_by_itself() {
    let inventory = inventory("uefi-x64", "");
    let held = answer(
        &inventory,
        Phase::Quarantine,
        &grub_path(&token(), UUID, "-"),
    );
    assert!(
        held.script.ends_with("sleep 30\nreboot\n"),
        "{}",
        held.script
    );
}
