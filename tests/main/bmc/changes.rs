//! Changes that a BMC refuses, replaces, delays or redirects: each ends as the operator expects, or
//! fails with the reason of the BMC.

use serde_json::json;

use crate::bmc::emulator::profile::{CONTOSO, Profile, SUPERMICRO_X10};
use crate::bmc::emulator::{Emulator, Fault, Operations, SettingsResource};
use crate::bmc::rack::SingleBmc;
use crate::support::run_output::RunOutput;

const HOST: &str = "host-001-0";

impl SingleBmc {
    fn change(&self, words: &[&str]) -> RunOutput {
        self.rack.bmc(&[words, &[HOST]].concat())
    }

    /// Returns the reset types that the BMC accepted.
    fn resets(&self) -> Vec<String> {
        self.bmc.machine(|machine| machine.resets.clone())
    }

    fn boots(&self) -> Vec<String> {
        self.bmc.machine(|machine| machine.boots.clone())
    }
}

#[test]
fn refused_reset_is_replaced_by_one_of_equal_effect() {
    for (action, refused, sent) in [
        ("reset", &["ForceRestart"][..], &["PowerCycle"][..]),
        (
            "reset",
            &["ForceRestart", "PowerCycle"],
            &["ForceOff", "On"],
        ),
        ("cycle", &["PowerCycle"], &["ForceOff", "On"]),
    ] {
        let single = SingleBmc::new(CONTOSO);
        single
            .bmc
            .machine(|machine| machine.refused_resets = refused.to_vec());
        let output = single.change(&["power", action, "--yes"]);
        // The report names the effect of the requests that were sent.
        output.assert_success().assert_contains(&["power cycled"]);
        assert_eq!(single.resets(), sent, "{action}");
    }
}

#[test]
fn weaker_reset_never_replaces_a_reset() {
    let single = SingleBmc::new(Profile {
        resets: &["On", "GracefulShutdown", "GracefulRestart"],
        ..CONTOSO
    });
    for action in ["reset", "cycle", "off"] {
        let output = single.change(&["power", action, "--yes"]);
        output.assert_exit(3).assert_contains(&[
            "no suitable reset type",
            "GracefulShutdown, GracefulRestart",
        ]);
    }
    assert_eq!(single.bmc.changes(), []);
}

#[test]
fn no_override_is_left_behind_if_no_reset_is_possible() {
    let single = SingleBmc::new(Profile {
        resets: &["On", "GracefulRestart"],
        ..CONTOSO
    });
    for command in [&["boot-pxe", "--yes"][..], &["boot-disk", "--yes"]] {
        single
            .change(command)
            .assert_exit(3)
            .assert_contains(&["no suitable reset type"]);
    }
    let image = "http://10.20.0.10:8080/files/a.iso";
    let insert = ["media", "insert", HOST, "--boot", "--yes", image];
    single
        .rack
        .bmc(&insert)
        .assert_exit(3)
        .assert_contains(&["no suitable reset type"]);
    assert_eq!(single.bmc.changes(), []);
    // Without a reset, the override is set.
    single
        .change(&["boot-pxe", "--yes", "--no-power"])
        .assert_success();
}

#[test]
fn half_of_a_replaced_reset_is_recorded() {
    let single = SingleBmc::new(CONTOSO);
    single
        .bmc
        .machine(|machine| machine.refused_resets = vec!["ForceRestart", "PowerCycle", "On"]);
    single
        .change(&["power", "reset", "--yes"])
        .assert_exit(3)
        .assert_contains(&["not supported by the chassis"]);
    assert_eq!(single.resets(), ["ForceOff"]);
    single
        .rack
        .run(&["host", "show", HOST])
        .assert_success()
        .assert_contains(&["powered off"]);
}

#[test]
fn override_that_stays_after_a_refused_reset_is_reported() {
    let single = SingleBmc::new(CONTOSO);
    let refused = ["ForceRestart", "PowerCycle", "ForceOff"];
    single
        .bmc
        .machine(|machine| machine.refused_resets = refused.to_vec());
    single
        .change(&["boot-pxe", "--yes"])
        .assert_exit(3)
        .assert_contains(&[
            "set to boot from the network (PXE) once, and not rebooted",
            "not supported by the chassis",
        ]);
}

#[test]
fn accepted_operation_is_followed_to_its_end() {
    let single = SingleBmc::new(CONTOSO);
    let operations = Operations {
        reads: 2,
        failure: None,
    };
    single
        .bmc
        .controller(|controller| controller.operations = Some(operations));
    single.change(&["boot-pxe", "--yes"]).assert_success();
    assert_eq!(single.boots(), ["Pxe"]);
    // The override was not read back before its task had ended.
    let requests = single.bmc.requests();
    let polls = requests
        .iter()
        .filter(|it| it.request.path.contains("TaskMonitors"));
    let statuses: Vec<u16> = polls.map(|it| it.status).collect();
    assert_eq!(statuses, [202, 202, 204, 202, 202, 204]);
}

#[test]
fn failed_operation_is_reported_with_its_message() {
    for command in [&["power", "reset"][..], &["boot-pxe"]] {
        let single = SingleBmc::new(CONTOSO);
        let operations = Operations {
            reads: 1,
            failure: Some("The BMC updates its firmware."),
        };
        single
            .bmc
            .controller(|controller| controller.operations = Some(operations));
        let output = single.change(&[command, &["--yes"]].concat());
        output.assert_exit(3).assert_contains(&[
            "was accepted, but its task ended with `Exception`: The BMC updates its firmware.",
        ]);
        assert_eq!(single.boots(), [""; 0]);
    }
}

#[test]
fn settings_resource_comes_before_an_override_for_every_boot() {
    let single = SingleBmc::new(SUPERMICRO_X10);
    single
        .bmc
        .machine(|machine| machine.settings_resource = Some(SettingsResource::Listed));
    let output = single.change(&["boot-pxe", "--yes"]);
    output.assert_success();
    assert!(!output.stdout.contains("every boot"), "{}", output.all());
    let (boots, enabled) = single
        .bmc
        .machine(|machine| (machine.boots.clone(), machine.boot.enabled.clone()));
    // The override applied once, and nothing is left of it.
    assert_eq!(
        (boots, enabled.as_str()),
        (vec!["Pxe".to_owned()], "Disabled")
    );
    let sent = single.bmc.patches();
    let has_continuous = sent
        .iter()
        .any(|body| body["Boot"]["BootSourceOverrideEnabled"] == "Continuous");
    assert!(!has_continuous, "{sent:?}");
}

#[test]
fn settings_resource_that_a_refusal_names_is_used() {
    let single = SingleBmc::new(CONTOSO);
    single
        .bmc
        .machine(|machine| machine.settings_resource = Some(SettingsResource::Named));
    single.change(&["boot-pxe", "--yes"]).assert_success();
    assert_eq!(single.boots(), ["Pxe"]);
    let changes = single.bmc.changes();
    let patches = changes.iter().filter(|(method, ..)| method == "PATCH");
    let paths: Vec<&str> = patches.map(|(_, path, _)| path.as_str()).collect();
    let system = "/redfish/v1/Systems/437XR1138R2";
    assert_eq!(paths, [system, &format!("{system}/SD")]);
}

#[test]
fn causes_of_a_denial_are_distinguished() {
    for (id, message, error, help) in [
        (
            "Base.1.8.PasswordChangeRequired",
            "The password must be changed.",
            "user `admin` must change its password",
            "change the password on the web page of the BMC",
        ),
        (
            "SMC.1.0.OemLicenseNotPassed",
            "Not licensed to perform this request.",
            "the BMC has no license to send `GET /redfish/v1/Systems/437XR1138R2`",
            "install the license on the BMC",
        ),
        (
            "Base.1.8.InsufficientPrivilege",
            "There are insufficient privileges for the account.",
            "user `admin` is not allowed to send `GET /redfish/v1/Systems/437XR1138R2`",
            "give the account the Operator or Administrator role",
        ),
    ] {
        let single = SingleBmc::new(CONTOSO);
        single
            .bmc
            .set_fault("/redfish/v1/Systems/", Fault::Denied(id, message));
        let output = single.change(&["status"]);
        output.assert_exit(3).assert_contains(&[error, help]);
    }
}

#[test]
fn redirected_change_is_sent_again_to_the_same_bmc() {
    for status in [301, 302, 307, 308] {
        let single = SingleBmc::new(CONTOSO);
        single
            .bmc
            .set_fault("/redfish/v1/Systems/", Fault::RedirectChange(status));
        single.change(&["boot-pxe", "--yes"]).assert_success();
        assert_eq!(single.boots(), ["Pxe"], "{status}");
        let changes = single.bmc.changes();
        let sent: Vec<_> = changes
            .iter()
            .map(|(method, path, _)| format!("{method} {path}"))
            .collect();
        let system = "/redfish/v1/Systems/437XR1138R2";
        let reset = format!("{system}/Actions/ComputerSystem.Reset");
        // Each change keeps its method, and its body.
        assert_eq!(
            sent,
            [
                format!("PATCH {system}"),
                format!("PATCH {system}/"),
                format!("POST {reset}"),
                format!("POST {reset}/"),
            ],
            "{status}"
        );
        assert_eq!(changes[0].2, changes[1].2, "{status}");
        assert_eq!(changes[3].2, json!({"ResetType": "ForceRestart"}));
    }
}

#[test]
fn change_is_not_redirected_to_another_server() {
    let single = SingleBmc::new(CONTOSO);
    let mut others = Emulator::start();
    let elsewhere = others.add(CONTOSO);
    let reset = "/redfish/v1/Systems/437XR1138R2/Actions/";
    single
        .bmc
        .set_fault(reset, Fault::RedirectElsewhere(elsewhere.url()));
    single
        .change(&["power", "reset", "--yes"])
        .assert_exit(3)
        .assert_contains(&["another server"]);
    assert_eq!(elsewhere.requests().len(), 0);
}

#[test]
fn refused_boot_target_lists_the_supported_ones() {
    let single = SingleBmc::new(Profile {
        targets: &["None", "Cd", "Hdd", "UefiHttp"],
        ..CONTOSO
    });
    single
        .change(&["boot-pxe", "--yes"])
        .assert_exit(3)
        .assert_contains(&[
            "The value Pxe is not in the list of acceptable values.",
            "supported boot targets: None, Cd, Hdd, UefiHttp",
            "use `pxectl bmc boot-http`",
        ]);
    assert_eq!(single.boots(), [""; 0]);
}

#[test]
fn hosts_come_before_the_image() {
    let single = SingleBmc::new(CONTOSO);
    let image = "http://10.20.0.10:8080/files/a.iso";
    for words in [
        &[HOST, image, "--dry-run"][..],
        &[HOST, "--dry-run", image],
        &["--dry-run", "--all", image],
        &["--selector", "role=worker", image, "--dry-run"],
    ] {
        let output = single.rack.bmc(&[&["media", "insert"], words].concat());
        output
            .assert_success()
            .assert_contains(&["would be inserted"]);
    }
    let insert = |words: &[&str]| single.rack.bmc(&[&["media", "insert"], words].concat());
    insert(&[image, HOST]).assert_exit(1).assert_contains(&[
        "`host-001-0` is not the URL of an image",
        "put the hosts first",
    ]);
    insert(&[image])
        .assert_exit(2)
        .assert_contains(&["no hosts selected"]);
    insert(&["--all", HOST, image])
        .assert_exit(2)
        .assert_contains(&["`--all` cannot be used with host names"]);
    assert_eq!(single.bmc.changes(), []);
}
