//! Management controllers (BMCs): power, the next boot, virtual media and hardware of a machine
//! that does not run, by Redfish or, for machines that have nothing better, by IPMI.
//!
//! Many controllers are asked at once, each by a task of its own with one deadline. What a
//! controller is sent is decided in the pure files as tables; the shells send it and read back.
//!
//! | file | what it holds |
//! |---|---|
//! | `resource` | JSON as controllers send it, read leniently |
//! | `quirks` | the one table of what differs between vendors |
//! | `boot`, `power`, `media`, `hardware`, `identity` | what is sent, and what an answer means |
//! | — | — |
//! | `secret` of [`crate::workspace`] | where passwords come from |
//! | `trust` | certificates: authorities, pins, trust on first use |
//! | `transport`, `session` | requests with limits, retries and a log-out |
//! | `discover`, `redfish` | the resources of one machine behind one address |
//! | `ipmi` | the same through `ipmitool` |
//! | `controller` | one interface to both |
//! | `work` | what each command does to one machine |
//! | `fleet` | many machines at once |

mod boot;
mod error;
mod hardware;
mod identity;
mod ipmi;
mod legacy;
mod media;
mod power;
mod quirks;
mod resource;
#[cfg(test)]
mod tests;
mod trust;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::machine::SystemUuid;

pub use error::BmcError;
pub use ipmi::{Ipmi, IpmiText};

/// What a controller says of its machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// Whether it runs.
    pub power: PowerState,
    /// Who made it.
    pub manufacturer: Option<String>,
    /// Its model.
    pub model: Option<String>,
    /// Its serial number; placeholders are left out.
    pub serial: Option<String>,
    /// Its SMBIOS UUID; placeholders are left out.
    pub uuid: Option<SystemUuid>,
    /// What the next boot was told to do.
    pub boot: BootOverride,
    /// Its health, in the controller's word: `OK`, `Warning`, `Critical`.
    pub health: Option<String>,
    /// Whether its firmware is still at its self-test, as far as the controller says.
    pub in_post: bool,
}

/// Whether a machine runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PowerState {
    /// It runs.
    On,
    /// It does not run.
    Off,
    /// It is about to run.
    PoweringOn,
    /// It is about to stop.
    PoweringOff,
    /// The controller does not say.
    #[default]
    Unknown,
}

/// What a machine was told to boot next, in the controller's words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BootOverride {
    /// `Disabled`, `Once` or `Continuous`.
    pub enabled: Option<String>,
    /// `None`, `Pxe`, `UefiHttp`, `Hdd`, `Cd`, …
    pub target: Option<String>,
    /// `UEFI` or `Legacy`.
    pub mode: Option<String>,
    /// The URI of HTTP boot.
    pub uri: Option<String>,
}

/// What a machine shall boot the next time, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootTarget {
    /// The network, by PXE.
    Pxe,
    /// The network, by UEFI HTTP boot.
    Http {
        /// What it fetches.
        uri: String,
    },
    /// Its disk.
    Disk,
    /// A CD, which may be a virtual one.
    Cd,
}

/// What shall be done to the power of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PowerVerb {
    /// Starts it.
    On,
    /// Cuts its power.
    Off,
    /// Asks its system to shut down.
    Graceful,
    /// Cuts its power and gives it back.
    Cycle,
    /// Resets it, without cutting the power.
    Reset,
}

/// One request that would change something, as `--dry-run` prints it; it never holds a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// `PATCH`, `POST`, `DELETE`; `ipmitool` for a command of that program.
    pub method: String,
    /// The path; the arguments of `ipmitool`, without address and credentials.
    pub path: String,
    /// The JSON body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<serde_json::Value>,
}

/// What the task of one machine shares with whoever watches it.
pub struct Context {
    /// The host's name.
    pub host: String,
    /// The moment when the task gives up.
    pub deadline: Instant,
    /// Whether nothing may be changed: what would be sent is noted instead.
    pub dry_run: bool,
    watch: Watch,
    planned: Mutex<Vec<Planned>>,
}

/// Is told what a task does now: the host, and a few words such as `waiting for its self-test`.
pub type Watch = Arc<dyn Fn(&str, &str) + Send + Sync>;

impl Context {
    /// Starts the task of a host, which has `time`.
    pub fn new(host: &str, time: Duration, dry_run: bool, watch: Watch) -> Self {
        Self {
            host: host.to_owned(),
            deadline: Instant::now() + time,
            dry_run,
            watch,
            planned: Mutex::default(),
        }
    }

    /// Tells what the task does now.
    pub fn says(&self, what: &str) {
        (self.watch)(&self.host, what);
    }

    /// Notes a request that `--dry-run` keeps back.
    pub fn plan(&self, request: Planned) {
        self.planned().push(request);
    }

    /// Takes the requests that were kept back, in order.
    pub fn take_planned(&self) -> Vec<Planned> {
        std::mem::take(&mut *self.planned())
    }

    /// Returns how much time is left; none when it is over.
    pub fn left(&self) -> Option<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    fn planned(&self) -> std::sync::MutexGuard<'_, Vec<Planned>> {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
