use super::*;
use crate::bmc::quirks::quirks;
use crate::bmc::resource::ServiceRoot;
use crate::bmc::status::MachineStatus;

fn request(target: BootTarget) -> BootRequest {
    BootRequest {
        target,
        uefi: true,
        uri_optional: true,
    }
}

fn http() -> BootTarget {
    BootTarget::Http {
        uri: "http://10.0.0.1/x".into(),
    }
}

fn system(vendor: &str, boot: BootOverride) -> System {
    System {
        path: "/s".to_owned(),
        machine: MachineStatus {
            manufacturer: Some(vendor.to_owned()),
            boot,
            ..MachineStatus::default()
        },
        ..System::default()
    }
}

fn over(enabled: &str, target: &str, mode: &str) -> BootOverride {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    BootOverride {
        enabled: some(enabled),
        target: some(target),
        mode: some(mode),
        uri: None,
    }
}

/// Formats a request as `path: Enabled Target Mode uri`, with `-` for missing properties.
fn formatted(request: &ChangeRequest) -> String {
    let boot = &request.body["Boot"];
    let word = |name: &str| {
        boot[format!("BootSourceOverride{name}")]
            .as_str()
            .unwrap_or("-")
    };
    let uri = if boot["HttpBootUri"].is_null() {
        ""
    } else {
        " uri"
    };
    format!(
        "{}: {} {} {}{uri}",
        request.path,
        word("Enabled"),
        word("Target"),
        word("Mode")
    )
}

#[test]
fn smallest_request_comes_first_and_vendors_differ() {
    let uefi = || over("Disabled", "None", "UEFI");
    let with = |vendor: &str, change: &dyn Fn(&mut System)| {
        let mut system = system(vendor, uefi());
        change(&mut system);
        system
    };
    let none: &dyn Fn(&mut System) = &|_| {};
    let settings: &dyn Fn(&mut System) = &|it| it.settings = Some("/s/SD".to_owned());
    for (target, system, expected) in [
        (
            BootTarget::Pxe,
            with("X", none),
            "/s: Once Pxe -, /s: Once Pxe UEFI, /s: - Pxe -",
        ),
        (
            BootTarget::Pxe,
            system("X", over("", "", "Legacy")),
            "/s: Once Pxe UEFI, /s: - Pxe -",
        ),
        (
            BootTarget::Pxe,
            with("Supermicro", none),
            "/s: Once Pxe UEFI, /s: - Pxe -, /s: Continuous Pxe UEFI",
        ),
        // A settings resource comes before an override for every boot.
        (
            BootTarget::Pxe,
            with("Supermicro", settings),
            "/s: Once Pxe UEFI, /s: - Pxe -, /s/SD: Once Pxe UEFI, /s/SD: - Pxe -, \
             /s: Continuous Pxe UEFI, /s/SD: Continuous Pxe UEFI",
        ),
        (
            BootTarget::Pxe,
            with("AMI", settings),
            "/s/SD: Once Pxe -, /s/SD: Once Pxe UEFI, /s/SD: - Pxe -, \
             /s: Once Pxe -, /s: Once Pxe UEFI, /s: - Pxe -",
        ),
        (
            http(),
            with("X", &|it| it.has_http_uri = true),
            "/s: Once UefiHttp - uri, /s: Once UefiHttp UEFI uri, /s: - UefiHttp - uri",
        ),
        (
            http(),
            with("X", none),
            "/s: Once UefiHttp -, /s: Once UefiHttp UEFI, /s: - UefiHttp -",
        ),
        (
            BootTarget::Disk,
            with("HPE", none),
            "/s: Once Hdd -, /s: Once Hdd UEFI, /s: - Hdd -, /s: Disabled - -, /s: Disabled None -",
        ),
        (
            BootTarget::Disk,
            with("X", none),
            "/s: Once Hdd -, /s: Once Hdd UEFI, /s: - Hdd -, /s: Disabled None -, /s: Disabled - -",
        ),
        (
            BootTarget::Cd,
            with("X", &|it| it.boot_targets = vec!["UsbCd".to_owned()]),
            "/s: Once UsbCd -, /s: Once UsbCd UEFI, /s: - UsbCd -",
        ),
    ] {
        let quirks = quirks(&ServiceRoot::default(), &system);
        let settings = system.settings.as_deref();
        let requests = request(target.clone()).override_requests(&system, settings, &quirks);
        let requests: Vec<_> = requests.iter().map(formatted).collect();
        assert_eq!(requests.join(", "), expected, "{target:?}");
    }
}

#[test]
fn reported_override_is_checked() {
    let plain = system("X", BootOverride::default());
    for (target, reported, expected) in [
        (BootTarget::Pxe, over("Once", "Pxe", "UEFI"), "yes"),
        (BootTarget::Pxe, over("once", "PXE", ""), "yes"),
        // sushy-tools makes every override permanent.
        (
            BootTarget::Pxe,
            over("Continuous", "Pxe", "UEFI"),
            "each time",
        ),
        (
            BootTarget::Pxe,
            over("Once", "Hdd", "UEFI"),
            "BootSourceOverrideTarget",
        ),
        (
            BootTarget::Pxe,
            over("", "", ""),
            "BootSourceOverrideTarget",
        ),
        (
            BootTarget::Pxe,
            over("Disabled", "Pxe", "UEFI"),
            "BootSourceOverrideEnabled",
        ),
        (
            BootTarget::Pxe,
            over("Once", "Pxe", "Legacy"),
            "BootSourceOverrideMode",
        ),
        (BootTarget::Disk, over("Once", "Hdd", "UEFI"), "yes"),
        (
            BootTarget::Disk,
            over("Disabled", "None", "UEFI"),
            "BootSourceOverrideTarget",
        ),
        (BootTarget::Cd, over("Once", "UsbCd", "UEFI"), "yes"),
        (http(), over("Once", "UefiHttp", "UEFI"), "yes"),
    ] {
        let result = match request(target.clone()).check(&reported, &plain) {
            OverrideCheck::Active => "yes",
            OverrideCheck::ActiveEveryBoot => "each time",
            OverrideCheck::Mismatch { property, .. } => property,
        };
        assert_eq!(result, expected, "{target:?} {reported:?}");
    }
}

#[test]
fn missing_uri_is_detected_and_never_shown() {
    let mut reported = over("Once", "UefiHttp", "UEFI");
    let mut system = system("X", reported.clone());
    system.has_http_uri = true;
    let result = request(http()).check(&reported, &system);
    assert!(
        matches!(
            &result,
            OverrideCheck::Mismatch {
                property: "HttpBootUri",
                ..
            }
        ),
        "{result:?}"
    );
    assert!(!format!("{result:?}").contains("10.0.0.1"));
    reported.uri = Some("http://10.0.0.1/x".into());
    assert_eq!(
        request(http()).check(&reported, &system),
        OverrideCheck::Active
    );
    let strict = BootRequest {
        uri_optional: false,
        ..request(http())
    };
    system.has_http_uri = false;
    reported.uri = None;
    assert!(matches!(
        strict.check(&reported, &system),
        OverrideCheck::Mismatch { .. }
    ));
}

#[test]
fn disk_without_a_name_is_booted_without_an_override() {
    let mut system = system("X", BootOverride::default());
    system.boot_targets = vec!["None".to_owned(), "Pxe".to_owned()];
    let disk = request(BootTarget::Disk);
    assert_eq!(
        disk.check(&over("Disabled", "None", ""), &system),
        OverrideCheck::Active
    );
    assert!(matches!(
        disk.check(&over("Once", "Pxe", ""), &system),
        OverrideCheck::Mismatch { .. }
    ));
}
