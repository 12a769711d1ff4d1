//! What a controller knows and remembers.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::profile::{Etag, Profile, Rule};

/// A machine behind a controller.
#[derive(Clone, Debug)]
pub struct Machine {
    pub id: String,
    pub uuid: String,
    pub serial: String,
    pub mac: String,
    pub power: &'static str,
    pub boot: Boot,
    /// What it shows of `boot` to the next read, where that is older.
    pub shown: Option<Boot>,
    /// Whether its boot options were read.
    pub options_read: bool,
    pub etag: u32,
    pub image: Option<String>,
    /// The resets that it took, in its words.
    pub resets: Vec<String>,
    /// What it booted, each time that it started: `Pxe`, or `Hdd` where nothing was asked for.
    pub boots: Vec<String>,
    /// How many reads show the power as it was, after it was switched.
    pub lag: usize,
    pub lagging: Option<(usize, &'static str)>,
    /// Whether it does nothing that an operating system would have to do.
    pub deaf: bool,
    /// The settings of its firmware, and those that the next start takes over.
    pub settings: BTreeMap<String, String>,
    pub pending: BTreeMap<String, String>,
}

/// What the next boot was told to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    pub enabled: String,
    pub target: String,
    pub mode: String,
    pub uri: Option<String>,
}

impl Machine {
    pub fn new(id: &str, number: usize, place: usize) -> Self {
        Self {
            id: id.to_owned(),
            uuid: format!("4c4c4544-0035-5a10-8054-{number:08x}{place:04x}"),
            serial: format!("SN{number:04}{place}"),
            mac: mac(number, place),
            power: "On",
            boot: Boot {
                enabled: "Disabled".to_owned(),
                target: "None".to_owned(),
                mode: "UEFI".to_owned(),
                uri: None,
            },
            shown: None,
            options_read: false,
            etag: 1,
            image: None,
            resets: Vec::new(),
            boots: Vec::new(),
            lag: 0,
            lagging: None,
            deaf: false,
            settings: BTreeMap::new(),
            pending: BTreeMap::new(),
        }
    }

    /// Takes a reset type, and starts or stops accordingly.
    pub fn reset(&mut self, kind: &str) {
        self.resets.push(kind.to_owned());
        let before = self.power;
        match kind {
            "GracefulShutdown" if self.deaf => {}
            "ForceOff" | "GracefulShutdown" => self.power = "Off",
            "On" | "ForceOn" if self.power == "On" => {}
            "ForceRestart" | "GracefulRestart" | "PowerCycle" | "On" | "ForceOn" => {
                self.power = "On";
                self.settings.append(&mut self.pending);
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

    /// The power as a read shows it.
    pub fn seen_power(&mut self) -> &'static str {
        match &mut self.lagging {
            Some((left, before)) if *left > 0 => {
                *left -= 1;
                before
            }
            _ => self.power,
        }
    }

    /// The next boot as a read shows it.
    pub fn seen_boot(&mut self) -> Boot {
        self.shown.take().unwrap_or_else(|| self.boot.clone())
    }

    /// Changes the next boot, or refuses to with a message.
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
        if has(Rule::SeenLate) {
            self.shown = Some(before);
        }
        self.etag += 1;
        if has(Rule::AppliesAndRefuses) {
            return Err("The request failed due to an internal service error.".to_owned());
        }
        Ok(())
    }

    /// Compares the version that a PATCH was made for; nothing where it may go on, else a status.
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

pub fn mac(number: usize, place: usize) -> String {
    let (high, low) = (number >> 8 & 0xff, number & 0xff);
    format!("52:54:00:{high:02x}:{low:02x}:{place:02x}")
}

/// A controller: its machines, its account and who is logged in.
#[derive(Debug)]
pub struct Controller {
    pub profile: Profile,
    pub machines: Vec<Machine>,
    pub password: String,
    pub sessions: HashMap<String, String>,
    pub opened: usize,
    /// How often a password was wrong; after three the account is locked.
    pub failures: usize,
    /// What it shows in place of its machines, by path: documents that can only be read.
    pub documents: Option<HashMap<String, Value>>,
    /// How many changes are still refused since its machines are at their self-test, and how.
    pub post: Option<(usize, u16)>,
}

impl Controller {
    pub fn new(profile: Profile, number: usize, password: &str) -> Self {
        let ids = profile.systems.iter().enumerate();
        Self {
            profile,
            machines: ids
                .map(|(place, id)| {
                    let mut machine = Machine::new(id, number, place);
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
        }
    }

    /// Counts a change that a machine at its self-test refuses; nothing where it is past that.
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

    /// Checks a name and a password, and counts the wrong ones.
    pub fn knows(&mut self, username: &str, password: &str) -> bool {
        if username == "admin" && password == self.password && !self.locked() {
            return true;
        }
        self.failures += 1;
        false
    }
}
