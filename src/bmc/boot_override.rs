//! The one-time boot override: the requests that may set it, and whether a system reports it.

use serde_json::{Map, Value, json};

use super::boot::{BootRequest, BootTarget};
use super::quirks::Quirks;
use super::request::ChangeRequest;
use super::resource::System;
use super::status::BootOverride;

/// Whether a system will boot as requested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OverrideCheck {
    /// Yes, on its next boot.
    Active,
    /// Yes, on every boot, until the override is changed.
    ActiveEveryBoot,
    /// No.
    Mismatch {
        /// The property that differs.
        property: &'static str,
        /// The expected value.
        expected: String,
        /// The actual value.
        actual: String,
    },
}

impl BootTarget {
    /// Returns the Redfish names of the target, the usual one first.
    fn names(&self) -> &'static [&'static str] {
        match self {
            Self::Pxe => &["Pxe"],
            Self::Http { .. } => &["UefiHttp"],
            Self::Disk => &["Hdd"],
            Self::Cd => &["Cd", "UsbCd"],
        }
    }
}

impl BootRequest {
    /// Checks whether a system will boot as requested, by the override that it reports.
    pub fn check(&self, reported: &BootOverride, system: &System) -> OverrideCheck {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        let enabled = reported.enabled.as_deref().unwrap_or("Disabled");
        let is_target = |name: &str| contains(self.target.names(), name);
        if !reported.target.as_deref().is_some_and(is_target) {
            if self.boots_disk_by_default(reported, system) {
                return OverrideCheck::Active;
            }
            return OverrideCheck::Mismatch {
                property: "BootSourceOverrideTarget",
                expected: self.target_name(system).to_owned(),
                actual: text(&reported.target),
            };
        }
        if enabled.eq_ignore_ascii_case("Disabled") {
            return OverrideCheck::Mismatch {
                property: "BootSourceOverrideEnabled",
                expected: "Once".to_owned(),
                actual: text(&reported.enabled),
            };
        }
        if let Some(mode) = &reported.mode
            && !mode.eq_ignore_ascii_case(self.mode())
        {
            return OverrideCheck::Mismatch {
                property: "BootSourceOverrideMode",
                expected: self.mode().to_owned(),
                actual: mode.clone(),
            };
        }
        if let BootTarget::Http { uri } = &self.target
            && reported.uri.as_ref() != Some(uri)
            && (!self.uri_optional || system.has_http_uri)
        {
            // The URI may hold a token, so it is not shown.
            let actual = match reported.uri {
                Some(_) => "another URI",
                None => "nothing",
            };
            return OverrideCheck::Mismatch {
                property: "HttpBootUri",
                expected: "the URI that was sent".to_owned(),
                actual: actual.to_owned(),
            };
        }
        if enabled.eq_ignore_ascii_case("Once") {
            OverrideCheck::Active
        } else {
            OverrideCheck::ActiveEveryBoot
        }
    }

    /// Lists the requests that may set the override, the smallest first. `settings` is the path of
    /// the settings resource. An override that applies to every boot is the last resort.
    pub fn override_requests(
        &self,
        system: &System,
        settings: Option<&str>,
        quirks: &Quirks,
    ) -> Vec<ChangeRequest> {
        let everywhere = |bodies: Vec<Value>| {
            let to_system = |body: &Value| ChangeRequest::patch(&system.path, body.clone());
            let direct: Vec<_> = bodies.iter().map(to_system).collect();
            let Some(settings) = settings else {
                return direct;
            };
            let to_settings = |body| ChangeRequest::patch_settings(settings, body);
            let pending: Vec<_> = bodies.into_iter().map(to_settings).collect();
            if quirks.settings_first {
                [pending, direct].concat()
            } else {
                [direct, pending].concat()
            }
        };
        let mut requests = everywhere(self.bodies(system, quirks));
        if quirks.may_need_continuous {
            let continuous = self.body(system, Some("Continuous"), true);
            requests.extend(everywhere(vec![continuous]));
        }
        requests
    }

    /// Lists the bodies that may set the override for one boot, the smallest first.
    fn bodies(&self, system: &System, quirks: &Quirks) -> Vec<Value> {
        let mode = system.machine.boot.mode.as_deref();
        let is_other_mode = mode.is_some_and(|mode| !mode.eq_ignore_ascii_case(self.mode()));
        let mut bodies = Vec::new();
        if !(quirks.needs_mode || is_other_mode) {
            bodies.push(self.body(system, Some("Once"), false));
        }
        bodies.push(self.body(system, Some("Once"), true));
        // Some BMCs accept only the target and apply it once.
        bodies.push(self.body(system, None, false));
        if self.target == BootTarget::Disk {
            bodies.extend(disable_bodies(quirks));
        }
        bodies
    }

    fn body(&self, system: &System, enabled: Option<&str>, with_mode: bool) -> Value {
        let mut boot = Map::new();
        if let Some(enabled) = enabled {
            boot.insert("BootSourceOverrideEnabled".to_owned(), json!(enabled));
        }
        let target = json!(self.target_name(system));
        boot.insert("BootSourceOverrideTarget".to_owned(), target);
        if with_mode {
            boot.insert("BootSourceOverrideMode".to_owned(), json!(self.mode()));
        }
        if let BootTarget::Http { uri } = &self.target
            && (system.has_http_uri || !self.uri_optional)
        {
            boot.insert("HttpBootUri".to_owned(), json!(uri.expose()));
        }
        json!({ "Boot": boot })
    }

    /// Reports whether the system lists the target among its boot targets.
    pub fn is_listed(&self, system: &System) -> bool {
        let mut names = self.target.names().iter();
        names.any(|name| contains(&system.boot_targets, name))
    }

    /// Chooses the name of the target that this system supports.
    pub fn target_name(&self, system: &System) -> &'static str {
        let names = self.target.names();
        let is_supported = |name: &&&str| contains(&system.boot_targets, name);
        names.iter().find(is_supported).unwrap_or(&names[0])
    }

    fn mode(&self) -> &'static str {
        if self.uefi || matches!(self.target, BootTarget::Http { .. }) {
            "UEFI"
        } else {
            "Legacy"
        }
    }

    /// Reports whether the request is for a disk that the BMC cannot name, and no override is
    /// active: then the machine boots the first entry of its boot order, which is the disk.
    fn boots_disk_by_default(&self, reported: &BootOverride, system: &System) -> bool {
        let is_absent_or = |text: &Option<String>, word: &str| {
            text.as_deref()
                .is_none_or(|it| it.eq_ignore_ascii_case(word))
        };
        let targets = &system.boot_targets;
        self.target == BootTarget::Disk
            && !targets.is_empty()
            && !contains(targets, "Hdd")
            && (is_absent_or(&reported.enabled, "Disabled")
                || is_absent_or(&reported.target, "None"))
    }
}

fn contains(names: &[impl AsRef<str>], name: &str) -> bool {
    names
        .iter()
        .any(|it| it.as_ref().eq_ignore_ascii_case(name))
}

/// Lists the bodies that may remove an override. HPE rejects `Disabled` with the target `None`,
/// sushy-tools rejects it without a target.
fn disable_bodies(quirks: &Quirks) -> [Value; 2] {
    let alone = json!({ "Boot": { "BootSourceOverrideEnabled": "Disabled" } });
    let with_target = json!({ "Boot": {
        "BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": "None",
    } });
    if quirks.disable_without_target {
        [alone, with_target]
    } else {
        [with_target, alone]
    }
}

#[cfg(test)]
mod tests;
