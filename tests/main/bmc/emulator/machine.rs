//! The state of an emulated BMC.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::logs::EmulatedLog;
use super::profile::{Etag, Profile, Rule};

/// A machine behind a BMC.
#[derive(Clone, Debug)]
pub struct EmulatedMachine {
    pub id: String,
    pub uuid: String,
    pub serial: String,
    pub mac: String,
    pub power: &'static str,
    pub boot: BootState,
    /// The outdated value of `boot` that the next read shows.
    pub outdated_boot: Option<BootState>,
    /// Whether the boot options were read.
    pub options_read: bool,
    pub etag: u32,
    pub image: Option<String>,
    /// The reset types that were accepted.
    pub resets: Vec<String>,
    /// The devices that were booted: `Pxe`, or `Hdd` without an override.
    pub boots: Vec<String>,
    /// How many reads show the old power state after a change.
    pub lag: usize,
    pub lagging: Option<(usize, &'static str)>,
    /// Whether the operating system ignores requests.
    pub ignores_shutdown: bool,
    /// The reset types that are listed but refused.
    pub refused_resets: Vec<&'static str>,
    /// How boot overrides reach the settings resource, if there is one.
    pub settings_resource: Option<SettingsResource>,
    /// The boot override of the settings resource, which the next start applies.
    pub pending_boot: Option<BootState>,
    /// Whether Secure Boot is on for the next boot, and for the current one.
    pub secure_boot: Option<(bool, bool)>,
    /// The identifiers and names of the boot options, in order.
    pub boot_order: Vec<(&'static str, &'static str)>,
    /// The property `Status`.
    pub status: Value,
    /// The property `SerialConsole`.
    pub serial_console: Value,
    /// The firmware settings, and the changes that the next start applies.
    pub settings: BTreeMap<String, String>,
    pub pending: BTreeMap<String, String>,
}

/// How a BMC shows its settings resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingsResource {
    /// The system lists it.
    Listed,
    /// Only the refusal of a change names it.
    Named,
}

/// The boot override.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootState {
    pub enabled: String,
    pub target: String,
    pub mode: String,
    pub uri: Option<String>,
}

impl EmulatedMachine {
    pub fn new(id: &str, number: usize, index: usize) -> Self {
        Self {
            id: id.to_owned(),
            uuid: format!("4c4c4544-0035-5a10-8054-{number:08x}{index:04x}"),
            serial: format!("SN{number:04}{index}"),
            mac: mac(number, index),
            power: "On",
            boot: BootState {
                enabled: "Disabled".to_owned(),
                target: "None".to_owned(),
                mode: "UEFI".to_owned(),
                uri: None,
            },
            outdated_boot: None,
            options_read: false,
            etag: 1,
            image: None,
            resets: Vec::new(),
            boots: Vec::new(),
            lag: 0,
            lagging: None,
            ignores_shutdown: false,
            refused_resets: Vec::new(),
            settings_resource: None,
            pending_boot: None,
            secure_boot: None,
            boot_order: Vec::new(),
            status: json!({"State": "Enabled", "Health": "OK"}),
            serial_console: Value::Null,
            settings: BTreeMap::new(),
            pending: BTreeMap::new(),
        }
    }

    /// Accepts a reset type, and starts or stops the machine.
    pub fn reset(&mut self, kind: &str) {
        self.resets.push(kind.to_owned());
        let before = self.power;
        match kind {
            "GracefulShutdown" if self.ignores_shutdown => {}
            "ForceOff" | "GracefulShutdown" => self.power = "Off",
            "On" | "ForceOn" if self.power == "On" => {}
            "ForceRestart" | "GracefulRestart" | "PowerCycle" | "On" | "ForceOn" => {
                self.power = "On";
                self.settings.append(&mut self.pending);
                if let Some(pending) = self.pending_boot.take() {
                    self.boot = pending;
                }
                self.boots.push(match self.boot.enabled.as_str() {
                    "Disabled" => "Hdd".to_owned(),
                    _ => self.boot.target.clone(),
                });
                if self.boot.enabled == "Once" {
                    self.boot.enabled = "Disabled".to_owned();
                    self.boot.target = "None".to_owned();
                }
            }
            _ => {}
        }
        if before != self.power && self.lag > 0 {
            self.lagging = Some((self.lag, before));
        }
    }

    /// Returns the power state that a read shows.
    pub fn reported_power(&mut self) -> &'static str {
        match &mut self.lagging {
            Some((left, before)) if *left > 0 => {
                *left -= 1;
                before
            }
            _ => self.power,
        }
    }

    /// Returns the boot override that a read shows.
    pub fn reported_boot(&mut self) -> BootState {
        self.outdated_boot
            .take()
            .unwrap_or_else(|| self.boot.clone())
    }

    /// Changes the boot override of the settings resource.
    pub fn patch_settings(&mut self, change: &Value) {
        let mut pending = self.pending_boot.clone().unwrap_or(self.boot.clone());
        let text = |name: &str| change[name].as_str().map(str::to_owned);
        pending.enabled = text("BootSourceOverrideEnabled").unwrap_or(pending.enabled);
        pending.target = text("BootSourceOverrideTarget").unwrap_or(pending.target);
        pending.mode = text("BootSourceOverrideMode").unwrap_or(pending.mode);
        self.pending_boot = Some(pending);
    }

    /// Changes the boot override, or refuses with a message.
    pub fn patch(&mut self, profile: &Profile, change: &Value) -> Result<(), String> {
        let has = |rule| profile.rules.contains(&rule);
        let text = |name: &str| change[name].as_str().map(str::to_owned);
        let known = [
            "BootSourceOverrideEnabled",
            "BootSourceOverrideTarget",
            "BootSourceOverrideMode",
            "HttpBootUri",
        ];
        let unknown = change.as_object().into_iter().flat_map(|it| it.keys());
        for name in unknown {
            if !known.contains(&name.as_str()) {
                return Err(format!(
                    "The property {name} is not in the list of valid properties."
                ));
            }
        }
        let (enabled, target) = (
            text("BootSourceOverrideEnabled"),
            text("BootSourceOverrideTarget"),
        );
        let mode = text("BootSourceOverrideMode");
        if has(Rule::RefusesDisabledWithNone)
            && enabled.as_deref() == Some("Disabled")
            && target.as_deref() == Some("None")
        {
            return Err("Disabled and None are not allowed together.".to_owned());
        }
        if has(Rule::NeedsTarget) && target.is_none() {
            return Err("Missing the BootSourceOverrideTarget element".to_owned());
        }
        if has(Rule::RefusesMode) && mode.is_some() {
            return Err("The property BootSourceOverrideMode is a read only property.".to_owned());
        }
        if let Some(target) = &target
            && !profile.targets.contains(&target.as_str())
            && target != "None"
        {
            return Err(format!(
                "The value {target} is not in the list of acceptable values."
            ));
        }
        let before = self.boot.clone();
        if let Some(enabled) = enabled {
            let stays = has(Rule::OnceBecomesContinuous) && enabled == "Once";
            self.boot.enabled = if stays {
                "Continuous".to_owned()
            } else {
                enabled
            };
        }
        match mode {
            Some(mode) => self.boot.mode = mode,
            None if has(Rule::ForgetsMode) => self.boot.mode = "Legacy".to_owned(),
            None => {}
        }
        self.boot.target = target.unwrap_or_else(|| self.boot.target.clone());
        self.boot.uri = text("HttpBootUri").or_else(|| self.boot.uri.clone());
        if has(Rule::ReportedLate) {
            self.outdated_boot = Some(before);
        }
        self.etag += 1;
        if has(Rule::AppliesAndRefuses) {
            return Err("The request failed due to an internal service error.".to_owned());
        }
        Ok(())
    }

    /// Compares the version that a PATCH is for. Returns the status of a refusal.
    pub fn wrong_version(&self, profile: &Profile, if_match: Option<&str>) -> Option<u16> {
        let own = format!("W/\"{}\"", self.etag);
        match (profile.etag, if_match) {
            (Etag::Missing, _) | (_, Some("*")) => None,
            (Etag::Optional, None) => None,
            (Etag::Required, None) => Some(428),
            (Etag::Failed, None) => Some(412),
            (_, Some(sent)) => (sent != own).then_some(412),
        }
    }
}

pub fn mac(number: usize, index: usize) -> String {
    let (high, low) = (number >> 8 & 0xff, number & 0xff);
    format!("52:54:00:{high:02x}:{low:02x}:{index:02x}")
}

/// A BMC: its machines, its account and its sessions.
#[derive(Debug)]
pub struct EmulatedController {
    pub profile: Profile,
    pub machines: Vec<EmulatedMachine>,
    pub password: String,
    pub sessions: HashMap<String, String>,
    pub opened: usize,
    /// The number of wrong passwords. Three lock the account.
    pub failures: usize,
    /// The read-only documents that replace the machines, by path.
    pub documents: Option<HashMap<String, Value>>,
    /// How many more changes are refused because of the self-test, and with which status.
    pub post: Option<(usize, u16)>,
    /// How changes are carried out later, if they are not carried out at once.
    pub operations: Option<Operations>,
    /// The change that waits.
    pub waiting: Option<WaitingChange>,
    /// The event logs.
    pub logs: Vec<EmulatedLog>,
    /// The properties of the manager's network protocols.
    pub protocols: Value,
}

/// A change that was accepted with 202.
#[derive(Clone, Debug)]
pub struct WaitingChange {
    pub method: String,
    pub path: String,
    pub body: Value,
    /// How many more reads find it unfinished.
    pub reads: usize,
}

/// Changes that are accepted with 202 and carried out later.
#[derive(Clone, Debug)]
pub struct Operations {
    /// How many reads find an operation unfinished.
    pub reads: usize,
    /// The message of each operation that fails.
    pub failure: Option<&'static str>,
}

impl EmulatedController {
    pub fn new(profile: Profile, number: usize, password: &str) -> Self {
        let ids = profile.systems.iter().enumerate();
        Self {
            profile,
            machines: ids
                .map(|(index, id)| {
                    let mut machine = EmulatedMachine::new(id, number, index);
                    let settings = profile.settings.iter();
                    machine.settings = settings
                        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                        .collect();
                    machine
                })
                .collect(),
            password: password.to_owned(),
            sessions: HashMap::new(),
            opened: 0,
            failures: 0,
            documents: None,
            post: None,
            operations: None,
            waiting: None,
            logs: Vec::new(),
            protocols: Value::Null,
        }
    }

    /// Counts a change that the self-test refuses. Returns `None` after the self-test.
    pub fn refuses_in_post(&mut self) -> Option<u16> {
        let (left, status) = self.post.as_mut()?;
        *left = left.checked_sub(1)?;
        Some(*status)
    }

    pub fn is_in_post(&self) -> bool {
        self.post.is_some_and(|(left, _)| left > 0)
    }

    pub fn locked(&self) -> bool {
        self.failures >= 3
    }

    /// Checks a username and a password, and counts wrong ones.
    pub fn check_login(&mut self, username: &str, password: &str) -> bool {
        if username == "admin" && password == self.password && !self.locked() {
            return true;
        }
        self.failures += 1;
        false
    }
}
