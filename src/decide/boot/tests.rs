use super::*;
use crate::inventory::site_builder::inventory_of;
use crate::loader::Dialect;
use crate::machine::Architecture;
use crate::machine::Session;

const SITE: &str = "kind: Site
name: s
server: {address: 10.0.0.1}
networks: [{name: n, subnet: 10.0.0.0/24}]
loaders: {uefi-x64: a.efi}
";
const REST: &str = "kind: Profile
name: p
installer: preseed
bundle: b
---
kind: Bundle
name: b
arch: x86_64
files:
  kernel: {path: k, sha256: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', size: 3}
  initrd: {path: i, sha256: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', size: 3}
---
kind: Host
name: a
profile: p
uuid: 4c4c4544-0046-3410-8037-b8c04f4d5931
serial: C7X9K2
arch: uefi-x64
nics:
  - {mac: '52:54:00:00:00:01', network: n, boot: true}
  - {mac: '52:54:00:00:00:02', network: n}
disk: {serial: D1}
---
kind: Host
name: b
profile: p
uuid: ffffffff-0046-3410-8037-b8c04f4d5931
arch: uefi-x64
nics: [{mac: '52:54:00:00:00:03', network: n, boot: true}]
disk: {serial: D2}
---
kind: Host
name: nameless
profile: p
arch: uefi-x64
nics: [{mac: '52:54:00:00:00:04', network: n, boot: true}]
disk: {serial: D3}
";

fn inventory(site_extra: &str) -> Inventory {
    inventory_of(format!("{SITE}{site_extra}---\n{REST}"))
}

/// Decides for a host that was armed as it stands in the inventory.
fn decided<'i>(
    inventory: &'i Inventory,
    record: Option<&HostRecord>,
    request: &BootRequest,
    now: Timestamp,
) -> BootDecision<'i> {
    let armed = inventory
        .host_by_mac(request.mac)
        .map(|host| armed(inventory, host));
    decide(inventory, record, armed, request, &Standing::at(now))
}

fn armed<'a>(inventory: &Inventory, host: &'a Host) -> ArmedHost<'a> {
    let (identity, provisioning) = (inventory.site.identity, inventory.site.provisioning);
    ArmedHost {
        host,
        identity,
        provisioning,
        secure_boot: false,
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn request(mac: u8) -> BootRequest {
    BootRequest {
        mac: crate::machine::MacAddress::new([0x52, 0x54, 0, 0, 0, mac]),
        uuid: Some("4c4c4544-0046-3410-8037-b8c04f4d5931".parse().unwrap()),
        serial: Some("C7X9K2".into()),
        asset: None,
        architecture: Some(Architecture::UefiX64),
        dialect: Dialect::Ipxe,
        token: TokenState::Good,
    }
}

fn record(phase: Phase, attempts: u32) -> HostRecord {
    let length = std::time::Duration::from_secs(1000);
    let opened = Session::open(SessionId::new(1), Standing::at(at(0)).clock(), length);
    let session = Session {
        attempts,
        ..opened.unwrap()
    };
    HostRecord {
        phase,
        session: Some(session),
        ..HostRecord::new("a", at(0))
    }
}

#[test]
fn every_phase_of_a_machine_that_matches_has_its_answer() {
    let inventory = inventory("");
    let install = Action::Install {
        session: SessionId::new(1),
        attempt: 1,
    };
    let rows = [
        (None, 10, Action::LocalDisk),
        (Some(record(Phase::New, 0)), 10, Action::LocalDisk),
        (Some(record(Phase::Installed, 1)), 10, Action::LocalDisk),
        (Some(record(Phase::Failed, 1)), 10, Action::LocalDisk),
        (Some(record(Phase::Provisioning, 0)), 999, install),
        (
            Some(record(Phase::Provisioning, 0)),
            1000,
            Action::LocalDisk,
        ),
        (Some(record(Phase::Provisioning, 1)), 10, Action::Hold),
        (
            Some(record(Phase::Provisioning, 1)),
            1000,
            Action::LocalDisk,
        ),
        (Some(record(Phase::Quarantine, 0)), 10, Action::Hold),
        (Some(record(Phase::Retired, 0)), 10, Action::Hold),
    ];
    for (record, now, expected) in rows {
        let decision = decided(&inventory, record.as_ref(), &request(1), at(now));
        assert_eq!(
            decision.action, expected,
            "{record:?} at {now}: {}",
            decision.reason
        );
    }
}

#[test]
fn any_signal_that_disagrees_holds_in_every_phase() {
    let inventory = inventory("");
    let other_uuid = Some("99999999-0046-3410-8037-b8c04f4d5931".parse().unwrap());
    let changes: [fn(&mut BootRequest, Option<SystemUuid>); 2] = [
        |request, uuid| request.uuid = uuid,
        |request, _| request.serial = Some("OTHER".into()),
    ];
    for phase in Phase::all() {
        for change in changes {
            let mut request = request(1);
            change(&mut request, other_uuid);
            let decision = decided(&inventory, Some(&record(phase, 0)), &request, at(10));
            assert_eq!(
                decision.action,
                Action::Hold,
                "{phase}: {}",
                decision.reason
            );
        }
    }
}

#[test]
fn machine_with_two_identities_is_held_and_both_are_named() {
    let inventory = inventory("");
    let mut request = request(1);
    request.uuid = Some("ffffffff-0046-3410-8037-b8c04f4d5931".parse().unwrap());
    let decision = decided(
        &inventory,
        Some(&record(Phase::Provisioning, 0)),
        &request,
        at(10),
    );
    assert_eq!(decision.action, Action::Hold);
    assert!(
        decision.reason.to_string().ends_with("belongs to host b"),
        "{}",
        decision.reason
    );
}

#[test]
fn a_swapped_uuid_and_placeholders_agree() {
    let inventory = inventory("");
    let mut request = request(1);
    request.uuid = request.uuid.map(SystemUuid::swapped);
    request.serial = Some("Default string".into());
    let decision = decided(
        &inventory,
        Some(&record(Phase::Provisioning, 0)),
        &request,
        at(10),
    );
    assert!(
        matches!(decision.action, Action::Install { .. }),
        "{}",
        decision.reason
    );
}

#[test]
fn an_armed_host_installs_only_with_every_proof() {
    let inventory = inventory("");
    type Change = fn(&mut BootRequest);
    let rows: [(Change, Action); 7] = [
        (|r| r.uuid = None, Action::Hold),
        (
            |r| r.uuid = Some("ffffffff-ffff-ffff-ffff-ffffffffffff".parse().unwrap()),
            Action::Hold,
        ),
        (|r| r.token = TokenState::Missing, Action::Hold),
        (
            |r| r.token = TokenState::Bad(TokenError::Expired),
            Action::Hold,
        ),
        (|r| r.architecture = Some(Architecture::Bios), Action::Hold),
        (
            |r| r.architecture = Some(Architecture::HttpX64),
            Action::Install {
                session: SessionId::new(1),
                attempt: 1,
            },
        ),
        (
            |r| r.mac = crate::machine::MacAddress::new([0x52, 0x54, 0, 0, 0, 2]),
            Action::LocalDisk,
        ),
    ];
    for (index, (change, expected)) in rows.into_iter().enumerate() {
        let mut request = request(1);
        change(&mut request);
        let decision = decided(
            &inventory,
            Some(&record(Phase::Provisioning, 0)),
            &request,
            at(10),
        );
        assert_eq!(
            decision.action, expected,
            "row {index}: {}",
            decision.reason
        );
    }
}

#[test]
fn without_a_recorded_uuid_only_a_weaker_site_installs() {
    for (extra, expected) in [("", false), ("identity: mac\n", true)] {
        let inventory = inventory(extra);
        let decision = decided(
            &inventory,
            Some(&record(Phase::Provisioning, 0)),
            &request(4),
            at(10),
        );
        assert_eq!(
            matches!(decision.action, Action::Install { .. }),
            expected,
            "{}",
            decision.reason
        );
    }
}

#[test]
fn attempts_are_repeated_only_where_the_site_says_retry() {
    let inventory = inventory("provisioning: {attempts: 2, retry: true}\n");
    for (attempts, expected) in [(0, true), (1, true), (2, false)] {
        let decision = decided(
            &inventory,
            Some(&record(Phase::Provisioning, attempts)),
            &request(1),
            at(10),
        );
        assert_eq!(
            matches!(decision.action, Action::Install { .. }),
            expected,
            "{attempts}"
        );
    }
}

#[test]
fn an_unknown_mac_is_held_and_a_known_uuid_is_named() {
    let inventory = inventory("");
    let decision = decided(&inventory, None, &request(99), at(10));
    assert_eq!(decision.action, Action::Hold);
    assert_eq!(
        decision.reason,
        Reason::Unknown {
            uuid_owner: Some("a".into())
        }
    );
}

#[test]
fn a_change_of_the_inventory_never_installs_another_machine_than_the_one_that_was_armed() {
    let inventory = inventory("");
    let record = record(Phase::Provisioning, 0);
    let same = armed(&inventory, &inventory.hosts["a"]);
    let changes: [fn(&mut Host); 4] = [
        |host| host.nics[0].mac = crate::machine::MacAddress::new([0x52, 0x54, 0, 0, 0, 9]),
        |host| host.uuid = Some("99999999-0046-3410-8037-b8c04f4d5931".parse().unwrap()),
        |host| host.serial = Some("OTHER".into()),
        |host| host.arch = Architecture::Bios,
    ];
    for change in changes {
        let mut other = inventory.hosts["a"].clone();
        change(&mut other);
        let armed = ArmedHost {
            host: &other,
            ..same
        };
        let decision = decide(
            &inventory,
            Some(&record),
            Some(armed),
            &request(1),
            &Standing::at(at(10)),
        );
        assert_eq!(decision.action, Action::Hold, "{}", decision.reason);
    }
    let decision = decide(
        &inventory,
        Some(&record),
        None,
        &request(1),
        &Standing::at(at(10)),
    );
    assert_eq!(
        (decision.action, decision.reason),
        (Action::Hold, Reason::NoSession)
    );
}

#[test]
fn a_screen_shows_the_whole_sentence_of_a_reason() {
    let owner = || Some("b".to_owned());
    for reason in [
        Reason::Unknown {
            uuid_owner: owner(),
        },
        Reason::Disagrees {
            signal: Signal::Uuid,
            seen: "4c4c4544-0046-3410-8037-b8c04f4d5931".to_owned(),
            recorded: "99999999-0046-3410-8037-b8c04f4d5931".to_owned(),
            owner: owner(),
        },
    ] {
        let text = reason.to_string();
        // What a script might take for a command is taken out.
        assert_eq!(cleaned(&text, 1000), text);
        assert!(text.contains(", and "), "{text}");
    }
}

#[test]
fn weaker_rules_of_today_do_not_reach_an_open_session() {
    let weak = inventory("identity: mac\nprovisioning: {attempts: 3, retry: true}\n");
    let strict = inventory("");
    let as_strict = armed(&strict, &strict.hosts["a"]);
    let mut silent = request(1);
    silent.uuid = None;
    let used = record(Phase::Provisioning, 1);
    for (record, request) in [(record(Phase::Provisioning, 0), silent), (used, request(1))] {
        let decision = decide(
            &weak,
            Some(&record),
            Some(as_strict),
            &request,
            &Standing::at(at(10)),
        );
        assert_eq!(decision.action, Action::Hold, "{}", decision.reason);
    }
}
