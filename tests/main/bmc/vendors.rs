//! Each command against each kind of BMC: what the machine does, and which requests were sent.

use serde_json::{Value, json};

use crate::bmc::emulator::profile::{
    CONTOSO, DELL_14G, HPE, LENOVO, Media, PROFILES, Profile, SUSHY, Sessions, TWINS,
};
use crate::bmc::rack::SingleBmc;
use crate::support::rack::Rack;

impl SingleBmc {
    /// Runs a command on that host, which must succeed and leave no session open.
    #[track_caller]
    fn run(&self, words: &[&str]) -> String {
        let host = self.host();
        let output = self.rack.bmc(&[words, &[&host]].concat());
        let name = self.bmc.profile.name;
        assert_eq!(output.status, Some(0), "{name} {words:?}: {}", output.all());
        self.assert_logged_out();
        output.assert_success().stdout.clone()
    }

    #[track_caller]
    fn assert_logged_out(&self) {
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
        let case = SingleBmc::new(*profile);
        let output = case.run(&["status"]);
        for text in [profile.model, "on"] {
            assert!(
                output.contains(text),
                "{}: `{text}` in {output}",
                profile.name
            );
        }
        assert_eq!(case.bmc.changes(), [], "{}", profile.name);
        // If there are sessions, the password is sent once, and each other request has the token.
        let requests = case.bmc.requests();
        let basic = requests
            .iter()
            .filter(|it| it.request.authorization.is_some());
        let has_sessions = matches!(profile.sessions, Sessions::At(_) | Sessions::NoLocation(_));
        assert_eq!(basic.count() == 0, has_sessions, "{}", profile.name);
        // All requests use one connection: a handshake takes seconds on old BMCs.
        let connections = requests.iter().map(|it| it.connection).max();
        assert_eq!(connections, Some(1), "{}", profile.name);
    }
}

#[test]
fn each_vendor_boots_from_the_network_once_with_the_smallest_request() {
    let uefi = json!({"BootSourceOverrideMode": "UEFI"});
    for profile in PROFILES {
        let case = SingleBmc::new(*profile);
        let output = case.run(&["boot-pxe", "--yes"]);
        let boots = case.bmc.machine(|machine| machine.boots.clone());
        assert_eq!(boots, ["Pxe"], "{}: {output}", profile.name);
        let sent = match profile.name {
            // These BMCs forget the mode unless it is sent, or are of the same kind.
            "supermicro" | "supermicro-x10" | "dell-13g" => pxe(uefi.clone()),
            _ => pxe(json!({})),
        };
        assert_eq!(case.bmc.patches(), [sent], "{}", profile.name);
        let resets = case.bmc.machine(|machine| machine.resets.clone());
        assert_eq!(resets, ["ForceRestart"], "{}", profile.name);
    }
}

#[test]
fn machine_that_is_off_is_started_and_not_reset() {
    for profile in PROFILES {
        let case = SingleBmc::new(*profile);
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
fn power_reaches_the_requested_state_with_one_request() {
    for profile in PROFILES {
        let case = SingleBmc::new(*profile);
        for (action, before, after, resets) in [
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
            case.run(&["power", action, "--yes"]);
            assert_eq!(case.power(), after, "{} {action}", profile.name);
            let sent = case.bmc.machine(|machine| machine.resets.clone());
            assert_eq!(sent, resets, "{} {action}", profile.name);
        }
        // If the BMC cannot cycle the power in one request, it takes two.
        case.bmc.machine(|machine| machine.resets.clear());
        case.run(&["power", "cycle", "--yes"]);
        let sent = case.bmc.machine(|machine| machine.resets.clone());
        if profile.resets.contains(&"PowerCycle") {
            assert_eq!(sent, ["PowerCycle"], "{}", profile.name);
        } else {
            assert_eq!(sent, ["ForceOff", "On"], "{}", profile.name);
        }
    }
}

#[test]
fn command_waits_for_a_late_power_change() {
    let case = SingleBmc::new(CONTOSO);
    case.bmc.machine(|machine| machine.lag = 2);
    case.run(&["power", "off", "--yes"]);
    let reads = case.bmc.requests();
    let reads = reads
        .iter()
        .filter(|it| it.request.path.contains("/Systems/437"));
    assert!(reads.count() >= 4, "{:?}", case.bmc.requests());
}

#[test]
fn each_vendor_boots_from_disk_http_and_virtual_media() {
    const IMAGE: &str = "http://10.20.0.10:8080/files/live.iso";
    for profile in PROFILES {
        let case = SingleBmc::new(*profile);
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
        let insert = ["media", "insert", "--yes", &host, IMAGE];
        let output = case.rack.bmc(&insert);
        assert_eq!(output.status, Some(0), "{}: {}", profile.name, output.all());
        let image = case.bmc.machine(|machine| machine.image.clone());
        assert_eq!(image.as_deref(), Some(IMAGE), "{}", profile.name);
        // Another run changes nothing, because the image is already inserted.
        case.bmc.clear_requests();
        case.rack.bmc(&insert).assert_success();
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
fn unsupported_static_address_reboots_nothing() {
    let with_address = |profile| {
        let case = SingleBmc::new(profile);
        let nic = "network: prov0, boot: true";
        let address = "network: prov0, ip: 10.20.0.58, boot: true";
        case.rack.edit("hosts.yaml", nic, address);
        case
    };
    let case = with_address(HPE);
    let output = case.run(&["boot-http", "--static", "--dry-run"]);
    assert!(
        output.contains("/Bios/Settings") && output.contains("10.20.0.58"),
        "{output}"
    );
    assert_eq!(case.bmc.changes(), []);
    case.run(&["boot-http", "--static", "--yes"]);
    let (settings, boots) = case
        .bmc
        .machine(|machine| (machine.settings.clone(), machine.boots.clone()));
    let static_settings: Vec<_> = settings
        .iter()
        .filter(|(name, _)| *name != "UrlBootFile")
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(
        static_settings,
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
    let output = case
        .rack
        .bmc(&["boot-http", "--static", "--yes", &case.host()]);
    output
        .assert_exit(3)
        .assert_contains(&["static address", "help"]);
    assert_eq!(case.bmc.changes(), []);
    case.assert_logged_out();
}

#[test]
fn override_is_removed_if_the_disk_has_no_name() {
    let alone = json!({"Boot": {"BootSourceOverrideEnabled": "Disabled"}});
    let both = json!({"Boot": {
        "BootSourceOverrideEnabled": "Disabled",
        "BootSourceOverrideTarget": "None",
    }});
    for (vendor, accepted) in [(HPE, alone), (SUSHY, both)] {
        let case = SingleBmc::new(Profile {
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
        assert_eq!(patches.last(), Some(&accepted), "{}", vendor.name);
    }
}

#[test]
fn dry_run_prints_requests_and_sends_nothing() {
    for profile in PROFILES {
        let case = SingleBmc::new(*profile);
        for command in [
            &["boot-pxe", "--dry-run"][..],
            &["power", "reset", "--dry-run"],
            &["boot-disk", "--dry-run"],
        ] {
            let output = case.run(command);
            assert!(output.contains("POST"), "{}: {output}", profile.name);
            assert!(output.contains("ResetType"), "{}: {output}", profile.name);
        }
        let output = case.run(&["boot-pxe", "--dry-run"]);
        for text in ["PATCH", "BootSourceOverrideTarget", "Pxe"] {
            assert!(
                output.contains(text),
                "{}: `{text}` in {output}",
                profile.name
            );
        }
        // No session is opened either: only GET requests are sent.
        let requests = case.bmc.requests();
        let others = requests.iter().filter(|it| it.request.method != "GET");
        assert_eq!(others.count(), 0, "{}: {requests:?}", profile.name);
        let untouched = case
            .bmc
            .machine(|it| (it.resets.len(), it.boot.enabled.clone()));
        assert_eq!(untouched, (0, "Disabled".to_owned()), "{}", profile.name);
    }
}

#[test]
fn command_waits_for_a_self_test() {
    // Each case waits for seconds. In parallel, all of them take as long as one.
    let waits = |profile: Profile, status: u16| {
        let case = SingleBmc::new(profile);
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
fn named_machine_behind_a_shared_address_is_booted() {
    let case = SingleBmc::new(TWINS);
    let second = format!("host-{:03}-1", case.bmc.number);
    case.rack
        .bmc(&["boot-pxe", "--yes", &second])
        .assert_success();
    let boots = case.bmc.controller(|controller| {
        let boots = controller.machines.iter().map(|it| it.boots.clone());
        boots.collect::<Vec<_>>()
    });
    assert_eq!(boots, [vec![], vec!["Pxe".to_owned()]]);
    // Without a name, the system is found by its identity.
    let rack = Rack::of_bmcs(&[&case.bmc]);
    rack.edit("hosts.yaml", ", system: \"node-b\"", "");
    rack.bmc(&["boot-pxe", "--yes", &case.host()])
        .assert_success();
    let first = case.bmc.machine(|machine| machine.boots.clone());
    assert_eq!(first, ["Pxe"]);
    // Both hosts in parallel do not interfere.
    case.rack.bmc(&["status", "--all"]).assert_success();
}

#[test]
fn changed_etag_is_read_again_before_a_patch() {
    let case = SingleBmc::new(LENOVO);
    case.run(&["boot-pxe", "--yes"]);
    let requests = case.bmc.requests();
    let patch = requests.iter().find(|it| it.request.method == "PATCH");
    let patch = patch.expect("a PATCH");
    assert!(patch.request.if_match.is_some(), "{patch:?}");
    assert_eq!(patch.status, 204);
}

#[test]
fn inventory_shows_differences_and_writes_them() {
    for profile in PROFILES {
        let case = SingleBmc::new(*profile);
        let same = case.run(&["inventory"]);
        let serial = case.bmc.machine(|machine| machine.serial.clone());
        assert!(same.contains(profile.model), "{}: {same}", profile.name);
        assert!(same.contains(&serial), "{}: {same}", profile.name);
        assert_eq!(case.bmc.changes(), [], "{}", profile.name);
    }
    let case = SingleBmc::new(CONTOSO);
    let mac = case.bmc.machine(|machine| machine.mac.clone());
    case.rack.edit("hosts.yaml", &mac, "52:54:00:99:99:99");
    let differs = case.rack.bmc(&["inventory", &case.host()]);
    differs
        .assert_exit(1)
        .assert_contains(&["52:54:00:99:99:99", &mac]);
    let listed = differs.stdout.matches("  nic ").count();
    assert_eq!(listed, 1, "an interface that is listed twice is one");
    let before = case.rack.read("hosts.yaml");
    let written = case.rack.bmc(&["inventory", "--write", &case.host()]);
    written.assert_success();
    assert!(written.stdout.contains("kind: Host"), "{}", written.all());
    assert!(written.stdout.contains(&mac), "{}", written.all());
    // The documents are only printed. No file changes.
    assert_eq!(case.rack.read("hosts.yaml"), before);
    assert_eq!(case.bmc.changes(), []);
}
