//! Each command against each kind of controller: what the machine then does, and what went over
//! the wire.

use serde_json::{Value, json};

use crate::emulator::profile::{
    CONTOSO, DELL_14G, HPE, LENOVO, Media, PROFILES, Profile, SUSHY, Sessions, TWINS,
};
use crate::emulator::{Bmc, Emulator};
use crate::rack::Rack;

/// One controller, and a host for each of its machines.
struct Case {
    _emulator: Emulator,
    bmc: Bmc,
    rack: Rack,
}

impl Case {
    fn new(profile: Profile) -> Self {
        let mut emulator = Emulator::start();
        let bmc = emulator.add(profile);
        let rack = Rack::of(&[&bmc]);
        Self {
            _emulator: emulator,
            bmc,
            rack,
        }
    }

    /// The host of its first machine.
    fn host(&self) -> String {
        format!("host-{:03}-0", self.bmc.number)
    }

    /// Runs a command on that host, which must end well, and leave no session behind.
    #[track_caller]
    fn run(&self, words: &[&str]) -> String {
        let host = self.host();
        let said = self.rack.bmc(&[words, &[&host]].concat());
        let name = self.bmc.profile.name;
        assert_eq!(said.status, Some(0), "{name} {words:?}: {}", said.all());
        self.is_logged_out();
        said.done().stdout.clone()
    }

    #[track_caller]
    fn is_logged_out(&self) {
        let name = self.bmc.profile.name;
        let open = self.bmc.controller(|controller| controller.sessions.len());
        assert_eq!(open, 0, "{name}: a session was left open");
    }

    fn power(&self) -> &'static str {
        self.bmc.machine(|machine| machine.power)
    }
}

fn pxe(with: Value) -> Value {
    let mut boot = json!({
        "BootSourceOverrideEnabled": "Once",
        "BootSourceOverrideTarget": "Pxe",
    });
    for (name, value) in with.as_object().expect("an object") {
        boot[name] = value.clone();
    }
    json!({ "Boot": boot })
}

#[test]
fn status_reads_each_vendor_and_changes_nothing() {
    for profile in PROFILES {
        let case = Case::new(*profile);
        let said = case.run(&["status"]);
        for text in [profile.model, "on"] {
            assert!(said.contains(text), "{}: `{text}` in {said}", profile.name);
        }
        assert_eq!(case.bmc.changes(), [], "{}", profile.name);
        // Where there are sessions, the password is sent once and each request has the token.
        let asked = case.bmc.asked();
        let basic = asked.iter().filter(|it| it.ask.authorization.is_some());
        let has_sessions = matches!(profile.sessions, Sessions::At(_) | Sessions::NoLocation(_));
        assert_eq!(basic.count() == 0, has_sessions, "{}", profile.name);
        // All of it goes over one connection: old controllers take seconds for a handshake.
        let connections = asked.iter().map(|it| it.connection).max();
        assert_eq!(connections, Some(1), "{}", profile.name);
    }
}

#[test]
fn each_vendor_boots_once_from_the_network_by_the_smallest_request() {
    let uefi = json!({"BootSourceOverrideMode": "UEFI"});
    for profile in PROFILES {
        let case = Case::new(*profile);
        let said = case.run(&["boot-pxe", "--yes"]);
        let boots = case.bmc.machine(|machine| machine.boots.clone());
        assert_eq!(boots, ["Pxe"], "{}: {said}", profile.name);
        let sent = match profile.name {
            // It forgets the mode that is not sent along; the other is of the same house.
            "supermicro" | "supermicro-x10" | "dell-13g" => pxe(uefi.clone()),
            _ => pxe(json!({})),
        };
        assert_eq!(case.bmc.patches(), [sent], "{}", profile.name);
        let resets = case.bmc.machine(|machine| machine.resets.clone());
        assert_eq!(resets, ["ForceRestart"], "{}", profile.name);
    }
}

#[test]
fn a_machine_that_is_off_is_started_and_not_reset() {
    for profile in PROFILES {
        let case = Case::new(*profile);
        case.bmc.machine(|machine| machine.power = "Off");
        case.run(&["boot-pxe", "--yes"]);
        let (boots, resets) = case
            .bmc
            .machine(|machine| (machine.boots.clone(), machine.resets.clone()));
        assert_eq!(boots, ["Pxe"], "{}", profile.name);
        assert_eq!(resets, ["On"], "{}", profile.name);
    }
}

#[test]
fn power_is_as_it_was_told_to_be_and_told_once() {
    for profile in PROFILES {
        let case = Case::new(*profile);
        for (verb, before, after, resets) in [
            ("off", "On", "Off", &["ForceOff"][..]),
            ("off", "Off", "Off", &[]),
            ("on", "Off", "On", &["On"]),
            ("on", "On", "On", &[]),
            ("graceful", "On", "Off", &["GracefulShutdown"]),
            ("cycle", "Off", "On", &["On"]),
            ("reset", "On", "On", &["ForceRestart"]),
        ] {
            case.bmc.machine(|machine| {
                machine.power = before;
                machine.resets.clear();
            });
            case.run(&["power", verb, "--yes"]);
            assert_eq!(case.power(), after, "{} {verb}", profile.name);
            let sent = case.bmc.machine(|machine| machine.resets.clone());
            assert_eq!(sent, resets, "{} {verb}", profile.name);
        }
        // Where the power cannot be cut and given back at once, it is done in two.
        case.bmc.machine(|machine| machine.resets.clear());
        case.run(&["power", "cycle", "--yes"]);
        let sent = case.bmc.machine(|machine| machine.resets.clone());
        match profile.resets.contains(&"PowerCycle") {
            true => assert_eq!(sent, ["PowerCycle"], "{}", profile.name),
            false => assert_eq!(sent, ["ForceOff", "On"], "{}", profile.name),
        }
    }
}

#[test]
fn power_that_changes_late_is_waited_for() {
    let case = Case::new(CONTOSO);
    case.bmc.machine(|machine| machine.lag = 2);
    case.run(&["power", "off", "--yes"]);
    let looks = case.bmc.asked();
    let looks = looks
        .iter()
        .filter(|it| it.ask.path.contains("/Systems/437"));
    assert!(looks.count() >= 4, "{:?}", case.bmc.asked());
}

#[test]
fn each_vendor_boots_its_disk_by_http_and_from_virtual_media() {
    const IMAGE: &str = "http://10.20.0.10:8080/files/live.iso";
    for profile in PROFILES {
        let case = Case::new(*profile);
        case.run(&["boot-disk", "--yes"]);
        let boots = case.bmc.machine(|machine| machine.boots.clone());
        assert_eq!(boots, ["Hdd"], "{}", profile.name);

        if profile.targets.contains(&"UefiHttp") {
            case.run(&["boot-http", "--yes"]);
            let (boots, uri) = case
                .bmc
                .machine(|machine| (machine.boots.clone(), machine.boot.uri.clone()));
            assert_eq!(boots, ["Hdd", "UefiHttp"], "{}", profile.name);
            let uri = uri.unwrap_or_default();
            assert!(uri.starts_with("http://10.20.0.10:8080/"), "{uri}");
        }
        if profile.media == Media::None {
            continue;
        }
        let host = case.host();
        let insert = ["media", "insert", "--yes", IMAGE, &host];
        let said = case.rack.bmc(&insert);
        assert_eq!(said.status, Some(0), "{}: {}", profile.name, said.all());
        let image = case.bmc.machine(|machine| machine.image.clone());
        assert_eq!(image.as_deref(), Some(IMAGE), "{}", profile.name);
        // Another run changes nothing, since it is there.
        case.bmc.forget();
        case.rack.bmc(&insert).done();
        let inserted = case.bmc.changes();
        let again = inserted
            .iter()
            .any(|(_, path, _)| path.contains("VirtualMedia"));
        assert!(!again, "{}: {inserted:?}", profile.name);
        case.run(&["media", "eject", "--yes"]);
        let image = case.bmc.machine(|machine| machine.image.clone());
        assert_eq!(image, None, "{}", profile.name);
    }
}

#[test]
fn http_boot_gets_a_static_address_where_it_is_known_how_and_else_nothing_is_rebooted() {
    let with_address = |profile| {
        let case = Case::new(profile);
        let nic = "network: prov0, boot: true";
        let address = "network: prov0, ip: 10.20.0.58, boot: true";
        case.rack.edit("hosts.yaml", nic, address);
        case
    };
    let case = with_address(HPE);
    let said = case.run(&["boot-http", "--static", "--dry-run"]);
    assert!(
        said.contains("/Bios/Settings") && said.contains("10.20.0.58"),
        "{said}"
    );
    assert_eq!(case.bmc.changes(), []);
    case.run(&["boot-http", "--static", "--yes"]);
    let (settings, boots) = case
        .bmc
        .machine(|machine| (machine.settings.clone(), machine.boots.clone()));
    let shown: Vec<_> = settings
        .iter()
        .filter(|(name, _)| *name != "UrlBootFile")
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(
        shown,
        [
            "BootMode=Uefi",
            "Dhcpv4=Disabled",
            "Ipv4Address=10.20.0.58",
            "Ipv4Gateway=10.20.0.1",
            "Ipv4PrimaryDNS=0.0.0.0",
            "Ipv4SubnetMask=255.255.0.0",
        ]
    );
    let url = &settings["UrlBootFile"];
    assert!(url.starts_with("http://10.20.0.10:8080/"), "{url}");
    assert_eq!(boots, ["UefiHttp"]);

    let case = with_address(CONTOSO);
    let said = case
        .rack
        .bmc(&["boot-http", "--static", "--yes", &case.host()]);
    said.ended(3).says(&["static address", "help"]);
    assert_eq!(case.bmc.changes(), []);
    case.is_logged_out();
}

#[test]
fn where_the_disk_cannot_be_named_the_override_is_taken_back_as_the_vendor_wants_it() {
    let alone = json!({"Boot": {"BootSourceOverrideEnabled": "Disabled"}});
    let both = json!({"Boot": {
        "BootSourceOverrideEnabled": "Disabled",
        "BootSourceOverrideTarget": "None",
    }});
    for (vendor, taken) in [(HPE, alone), (SUSHY, both)] {
        let case = Case::new(Profile {
            targets: &["None", "Pxe", "Cd"],
            ..vendor
        });
        case.bmc.machine(|machine| {
            machine.boot.enabled = "Once".to_owned();
            machine.boot.target = "Pxe".to_owned();
        });
        case.run(&["boot-disk", "--yes"]);
        let boots = case.bmc.machine(|machine| machine.boots.clone());
        assert_eq!(boots, ["Hdd"], "{}", vendor.name);
        let patches = case.bmc.patches();
        assert_eq!(patches.last(), Some(&taken), "{}", vendor.name);
    }
}

#[test]
fn a_dry_run_prints_what_would_be_sent_and_sends_nothing() {
    for profile in PROFILES {
        let case = Case::new(*profile);
        for command in [
            &["boot-pxe", "--dry-run"][..],
            &["power", "reset", "--dry-run"],
            &["boot-disk", "--dry-run"],
        ] {
            let said = case.run(command);
            assert!(said.contains("POST"), "{}: {said}", profile.name);
            assert!(said.contains("ResetType"), "{}: {said}", profile.name);
        }
        let said = case.run(&["boot-pxe", "--dry-run"]);
        for text in ["PATCH", "BootSourceOverrideTarget", "Pxe"] {
            assert!(said.contains(text), "{}: `{text}` in {said}", profile.name);
        }
        // Not even a session is opened: nothing but GET was sent.
        let asked = case.bmc.asked();
        let others = asked.iter().filter(|it| it.ask.method != "GET");
        assert_eq!(others.count(), 0, "{}: {asked:?}", profile.name);
        let untouched = case
            .bmc
            .machine(|it| (it.resets.len(), it.boot.enabled.clone()));
        assert_eq!(untouched, (0, "Disabled".to_owned()), "{}", profile.name);
    }
}

#[test]
fn a_machine_at_its_self_test_is_waited_for() {
    // Each waits some seconds: at once, they take as long as one.
    let waits = |profile: Profile, status: u16| {
        let case = Case::new(profile);
        case.bmc
            .controller(|controller| controller.post = Some((1, status)));
        case.run(&["boot-pxe", "--yes"]);
        let boots = case.bmc.machine(|machine| machine.boots.clone());
        assert_eq!(boots, ["Pxe"], "{} {status}", profile.name);
    };
    std::thread::scope(|scope| {
        for status in [400, 404, 405, 410, 501, 503] {
            for profile in [CONTOSO, HPE, DELL_14G] {
                scope.spawn(move || waits(profile, status));
            }
        }
    });
}

#[test]
fn of_two_machines_behind_one_address_the_named_one_is_booted() {
    let case = Case::new(TWINS);
    let second = format!("host-{:03}-1", case.bmc.number);
    case.rack.bmc(&["boot-pxe", "--yes", &second]).done();
    let boots = case.bmc.controller(|controller| {
        let boots = controller.machines.iter().map(|it| it.boots.clone());
        boots.collect::<Vec<_>>()
    });
    assert_eq!(boots, [vec![], vec!["Pxe".to_owned()]]);
    // Without a name it is found by what it says of itself.
    let rack = Rack::of(&[&case.bmc]);
    rack.edit("hosts.yaml", ", system: \"node-b\"", "");
    rack.bmc(&["boot-pxe", "--yes", &case.host()]).done();
    let first = case.bmc.machine(|machine| machine.boots.clone());
    assert_eq!(first, ["Pxe"]);
    // Both at once do not disturb each other.
    case.rack.bmc(&["status", "--all"]).done();
}

#[test]
fn a_changed_version_is_read_again_before_it_is_overwritten() {
    let case = Case::new(LENOVO);
    case.run(&["boot-pxe", "--yes"]);
    let asked = case.bmc.asked();
    let patch = asked.iter().find(|it| it.ask.method == "PATCH");
    let patch = patch.expect("a PATCH");
    assert!(patch.ask.if_match.is_some(), "{patch:?}");
    assert_eq!(patch.status, 204);
}

#[test]
fn inventory_shows_what_differs_and_writes_it() {
    for profile in PROFILES {
        let case = Case::new(*profile);
        let same = case.run(&["inventory"]);
        let serial = case.bmc.machine(|machine| machine.serial.clone());
        assert!(same.contains(profile.model), "{}: {same}", profile.name);
        assert!(same.contains(&serial), "{}: {same}", profile.name);
        assert_eq!(case.bmc.changes(), [], "{}", profile.name);
    }
    let case = Case::new(CONTOSO);
    let mac = case.bmc.machine(|machine| machine.mac.clone());
    case.rack.edit("hosts.yaml", &mac, "52:54:00:99:99:99");
    let differs = case.rack.bmc(&["inventory", &case.host()]);
    differs.ended(1).says(&["52:54:00:99:99:99", &mac]);
    let listed = differs.stdout.matches("  nic ").count();
    assert_eq!(listed, 1, "an interface that is listed twice is one");
    let before = case.rack.read("hosts.yaml");
    let written = case.rack.bmc(&["inventory", "--write", &case.host()]);
    written.done();
    assert!(written.stdout.contains("kind: Host"), "{}", written.all());
    assert!(written.stdout.contains(&mac), "{}", written.all());
    // It is printed, for a commit; no file is changed behind git's back.
    assert_eq!(case.rack.read("hosts.yaml"), before);
    assert_eq!(case.bmc.changes(), []);
}
