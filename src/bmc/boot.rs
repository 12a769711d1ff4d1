//! The ladder of the one-time boot: what a system is sent, the smallest first, and what its answer
//! means.

use serde_json::{Map, Value, json};

use super::quirks::Quirks;
use super::resource::System;
use super::{BootOverride, BootTarget};

/// One request that may do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rung {
    /// Where it is sent.
    pub path: String,
    /// The body.
    pub body: Value,
}

/// Whether a system will do what was wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It will.
    Yes,
    /// It will, each time it boots, until it is told otherwise.
    EachTime,
    /// It will not: what differs, what was wanted, what is there.
    No {
        /// The property.
        what: &'static str,
        /// What it should be.
        wanted: String,
        /// What it is.
        seen: String,
    },
}

/// What is wanted of the next boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What is booted.
    pub target: BootTarget,
    /// Whether the firmware is UEFI.
    pub uefi: bool,
    /// Whether the URI may be left to DHCP where the controller has no place for it.
    pub uri_may_be_left_out: bool,
}

impl BootTarget {
    /// Returns the names that mean it, the usual one first.
    fn names(&self) -> &'static [&'static str] {
        match self {
            Self::Pxe => &["Pxe"],
            Self::Http { .. } => &["UefiHttp"],
            Self::Disk => &["Hdd"],
            Self::Cd => &["Cd", "UsbCd"],
        }
    }
}

impl Wanted {
    /// Chooses the name that this system knows.
    fn name(&self, system: &System) -> &'static str {
        let names = self.target.names();
        let known = |name: &&&str| {
            system
                .targets
                .iter()
                .any(|it| it.eq_ignore_ascii_case(name))
        };
        names.iter().find(known).unwrap_or(&names[0])
    }

    fn mode(&self) -> &'static str {
        match self.uefi || matches!(self.target, BootTarget::Http { .. }) {
            true => "UEFI",
            false => "Legacy",
        }
    }

    /// Says whether the system, as it reads back, will do it.
    pub fn verify(&self, seen: &BootOverride, system: &System) -> Taken {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        let enabled = seen.enabled.as_deref().unwrap_or("Disabled");
        let names = self.target.names();
        let known = |name: &str| names.iter().any(|it| it.eq_ignore_ascii_case(name));
        if !seen.target.as_deref().is_some_and(known) {
            // Without any override, a machine boots what stands first in its order: its disk.
            if self.boots_anyway(seen, system) {
                return Taken::Yes;
            }
            return Taken::No {
                what: "BootSourceOverrideTarget",
                wanted: self.name(system).to_owned(),
                seen: text(&seen.target),
            };
        }
        if enabled.eq_ignore_ascii_case("Disabled") {
            return Taken::No {
                what: "BootSourceOverrideEnabled",
                wanted: "Once".to_owned(),
                seen: text(&seen.enabled),
            };
        }
        if let Some(mode) = &seen.mode
            && !mode.eq_ignore_ascii_case(self.mode())
        {
            return Taken::No {
                what: "BootSourceOverrideMode",
                wanted: self.mode().to_owned(),
                seen: mode.clone(),
            };
        }
        if let BootTarget::Http { uri } = &self.target
            && seen.uri.as_ref() != Some(uri)
            && (!self.uri_may_be_left_out || system.has_http_uri)
        {
            // The URI may hold a token: it is not shown.
            return Taken::No {
                what: "HttpBootUri",
                wanted: "what was sent".to_owned(),
                seen: match seen.uri {
                    Some(_) => "another".to_owned(),
                    None => "nothing".to_owned(),
                },
            };
        }
        match enabled.eq_ignore_ascii_case("Once") {
            true => Taken::Yes,
            false => Taken::EachTime,
        }
    }

    /// A disk that cannot be named is booted where nothing else is asked for.
    fn boots_anyway(&self, seen: &BootOverride, system: &System) -> bool {
        let off = |text: &Option<String>, word: &str| {
            text.as_deref()
                .is_none_or(|it| it.eq_ignore_ascii_case(word))
        };
        let nameable = system.targets.is_empty()
            || system
                .targets
                .iter()
                .any(|it| it.eq_ignore_ascii_case("Hdd"));
        self.target == BootTarget::Disk
            && !nameable
            && (off(&seen.enabled, "Disabled") || off(&seen.target, "None"))
    }

    /// Lists what to send, the smallest that can work first.
    pub fn ladder(&self, system: &System, quirks: &Quirks) -> Vec<Rung> {
        let name = self.name(system);
        let uri = match &self.target {
            BootTarget::Http { uri } if system.has_http_uri || !self.uri_may_be_left_out => {
                Some(uri)
            }
            _ => None,
        };
        let body = |enabled: Option<&str>, mode: bool| {
            let mut boot = Map::new();
            if let Some(enabled) = enabled {
                boot.insert("BootSourceOverrideEnabled".to_owned(), json!(enabled));
            }
            boot.insert("BootSourceOverrideTarget".to_owned(), json!(name));
            if mode {
                boot.insert("BootSourceOverrideMode".to_owned(), json!(self.mode()));
            }
            if let Some(uri) = uri {
                boot.insert("HttpBootUri".to_owned(), json!(uri.expose()));
            }
            json!({ "Boot": boot })
        };
        let other_mode = system.machine.boot.mode.as_deref();
        let other_mode = other_mode.is_some_and(|mode| !mode.eq_ignore_ascii_case(self.mode()));
        let mut bodies = Vec::new();
        if !(quirks.sends_mode || other_mode) {
            bodies.push(body(Some("Once"), false));
        }
        bodies.push(body(Some("Once"), true));
        // Some take the target alone, and mean once.
        bodies.push(body(None, false));
        if quirks.may_need_continuous {
            bodies.push(body(Some("Continuous"), true));
        }
        if self.target == BootTarget::Disk {
            bodies.extend(disabling(quirks));
        }
        let at = |path: &str| {
            let rung = |body: &Value| Rung {
                path: path.to_owned(),
                body: body.clone(),
            };
            bodies.iter().map(rung).collect::<Vec<_>>()
        };
        let direct = at(&system.path);
        let settings = system.settings.as_deref().map(at).unwrap_or_default();
        match quirks.settings_first {
            true => [settings, direct].concat(),
            false => [direct, settings].concat(),
        }
    }
}

/// Lists what takes an override back: HPE rejects the target `None` with it, sushy a missing one.
fn disabling(quirks: &Quirks) -> Vec<Value> {
    let alone = json!({ "Boot": { "BootSourceOverrideEnabled": "Disabled" } });
    let both = json!({ "Boot": {
        "BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": "None",
    } });
    match quirks.disables_without_target {
        true => vec![alone, both],
        false => vec![both, alone],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bmc::Machine;
    use crate::bmc::quirks::quirks;
    use crate::bmc::resource::ServiceRoot;

    fn wanted(target: BootTarget) -> Wanted {
        Wanted {
            target,
            uefi: true,
            uri_may_be_left_out: true,
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
            machine: Machine {
                manufacturer: Some(vendor.to_owned()),
                boot,
                ..Machine::default()
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

    /// Writes a rung as `path: Enabled Target Mode uri`, with `-` for what is left out.
    fn written(rung: &Rung) -> String {
        let boot = &rung.body["Boot"];
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
            rung.path,
            word("Enabled"),
            word("Target"),
            word("Mode")
        )
    }

    #[test]
    fn the_smallest_request_comes_first_and_each_vendor_has_its_way() {
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
                with("X", &|it| it.targets = vec!["UsbCd".to_owned()]),
                "/s: Once UsbCd -, /s: Once UsbCd UEFI, /s: - UsbCd -",
            ),
        ] {
            let quirks = quirks(&ServiceRoot::default(), &system);
            let rungs = wanted(target.clone()).ladder(&system, &quirks);
            let rungs: Vec<_> = rungs.iter().map(written).collect();
            assert_eq!(rungs.join(", "), expected, "{target:?}");
        }
    }

    #[test]
    fn what_is_read_back_is_judged() {
        let plain = system("X", BootOverride::default());
        for (target, seen, taken) in [
            (BootTarget::Pxe, over("Once", "Pxe", "UEFI"), "yes"),
            (BootTarget::Pxe, over("once", "PXE", ""), "yes"),
            // sushy-tools makes every override last.
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
            let judged = match wanted(target.clone()).verify(&seen, &plain) {
                Taken::Yes => "yes",
                Taken::EachTime => "each time",
                Taken::No { what, .. } => what,
            };
            assert_eq!(judged, taken, "{target:?} {seen:?}");
        }
    }

    #[test]
    fn a_uri_that_was_not_taken_is_found_and_never_shown() {
        let mut seen = over("Once", "UefiHttp", "UEFI");
        let mut system = system("X", seen.clone());
        system.has_http_uri = true;
        let judged = wanted(http()).verify(&seen, &system);
        assert!(
            matches!(
                &judged,
                Taken::No {
                    what: "HttpBootUri",
                    ..
                }
            ),
            "{judged:?}"
        );
        assert!(!format!("{judged:?}").contains("10.0.0.1"));
        seen.uri = Some("http://10.0.0.1/x".into());
        assert_eq!(wanted(http()).verify(&seen, &system), Taken::Yes);
        let strict = Wanted {
            uri_may_be_left_out: false,
            ..wanted(http())
        };
        system.has_http_uri = false;
        seen.uri = None;
        assert!(matches!(strict.verify(&seen, &system), Taken::No { .. }));
    }

    #[test]
    fn a_disk_that_cannot_be_named_is_booted_when_nothing_else_is_asked_for() {
        let mut system = system("X", BootOverride::default());
        system.targets = vec!["None".to_owned(), "Pxe".to_owned()];
        let disk = wanted(BootTarget::Disk);
        assert_eq!(
            disk.verify(&over("Disabled", "None", ""), &system),
            Taken::Yes
        );
        assert!(matches!(
            disk.verify(&over("Once", "Pxe", ""), &system),
            Taken::No { .. }
        ));
    }
}
