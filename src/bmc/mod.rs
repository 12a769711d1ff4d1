//! Management controllers (BMCs): power, the next boot, virtual media and hardware of a machine
//! that does not run, by Redfish or, for machines that have nothing better, by IPMI.
//!
//! Many controllers are asked at once, each by a task of its own with one deadline. What a
//! controller is sent is decided in the pure files as tables; the shells send it and read back.
//!
//! | file | what it holds |
//! |---|---|
//! | `fields`, `resource`, `refusal` | JSON as controllers send it, read leniently; what it says |
//! | `echo` | what controllers repeat of secrets, in every encoding |
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

pub mod boot;
mod controller;
mod discover;
mod echo;
mod error;
pub mod fields;
mod fleet;
pub mod hardware;
mod identity;
mod ipmi;
mod legacy;
pub mod media;
pub mod power;
pub mod quirks;
mod redfish;
pub mod refusal;
pub mod resource;
mod session;
#[cfg(test)]
mod tests;
mod tools;
mod transport;
mod trust;
mod work;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

use crate::machine::{Secret, SystemUuid};

pub use controller::Controller;
use echo::Echoes;
pub use error::BmcError;
pub use fleet::{Fleet, run};
pub use hardware::{Difference, Hardware, SeenDisk, SeenNic, compare};
pub use identity::is_another;
pub use ipmi::{Ipmi, IpmiText};
pub use redfish::StaticAddress;
pub use tools::{Target, Tools, event};
pub use trust::{SeenCertificate, described};
pub use work::{Boot, Done, Job, Report, Task};

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
    /// The URI of HTTP boot. It may hold a boot token: it is not shown.
    #[serde(skip)]
    pub uri: Option<Secret>,
}

/// What a machine shall boot the next time, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootTarget {
    /// The network, by PXE.
    Pxe,
    /// The network, by UEFI HTTP boot.
    Http {
        /// What it fetches.
        uri: Secret,
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

/// What came of telling a machine what to boot next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootDone {
    /// It was told so before.
    Already {
        /// Whether it does so each time, and not once.
        each_time: bool,
    },
    /// It was told so now, and says so when it is asked.
    Set {
        /// Whether it does so each time, and not once.
        each_time: bool,
    },
    /// `--dry-run`: it would be told so.
    Planned,
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
    pub body: Option<Value>,
}

/// What the task of one machine shares with whoever watches it.
pub struct Context {
    /// The host's name.
    pub host: String,
    /// The moment when the task gives up.
    pub deadline: Instant,
    /// How long it has from its start.
    pub time: Duration,
    /// Whether nothing may be changed: what would be sent is noted instead.
    pub dry_run: bool,
    watch: Watch,
    doing: Mutex<String>,
    planned: Mutex<Vec<Planned>>,
    notes: Mutex<Vec<String>>,
    changes: Mutex<Vec<String>>,
    /// What must not be shown, however the controller repeats it.
    echoes: Mutex<Echoes>,
    /// Held while a log-in is under way.
    login: AsyncMutex<()>,
}

/// Is told what a task does now: the host, and a few words such as `waiting for its self-test`.
pub type Watch = Arc<dyn Fn(&str, &str) + Send + Sync>;

impl Context {
    /// Starts the task of a host, which has `time`.
    pub fn new(host: &str, time: Duration, dry_run: bool, watch: Watch) -> Self {
        Self {
            host: host.to_owned(),
            deadline: Instant::now() + time,
            time,
            dry_run,
            watch,
            doing: Mutex::default(),
            planned: Mutex::default(),
            notes: Mutex::default(),
            changes: Mutex::default(),
            echoes: Mutex::default(),
            login: AsyncMutex::default(),
        }
    }

    /// Tells what the task does now.
    pub fn says(&self, what: &str) {
        what.clone_into(&mut locked(&self.doing));
        (self.watch)(&self.host, what);
    }

    /// Makes the error of a task whose time is over.
    pub fn late(&self) -> BmcError {
        BmcError::Deadline {
            doing: locked(&self.doing).clone(),
            after: self.time,
        }
    }

    /// Waits, but not beyond the deadline.
    ///
    /// # Errors
    /// [`BmcError::Deadline`] when the time is over.
    pub async fn pause(&self, time: Duration) -> Result<(), BmcError> {
        let left = self.left().ok_or_else(|| self.late())?;
        tokio::time::sleep(time.min(left)).await;
        match time < left {
            true => Ok(()),
            false => Err(self.late()),
        }
    }

    /// Has a password masked wherever the controller repeats it.
    pub fn cover_password(&self, password: &Secret) {
        locked(&self.echoes).password(password);
    }

    /// Has another secret masked wherever the controller repeats it.
    pub fn cover(&self, secret: &str, shown: &str) {
        locked(&self.echoes).secret(secret, shown);
    }

    /// Returns what the controller says, as it may be shown.
    pub fn repeated(&self, text: &str) -> String {
        locked(&self.echoes).repeated(text)
    }

    /// Returns what an error body says, as it may be shown.
    pub fn refusal(&self, body: &Value) -> String {
        let mut body = body.clone();
        let echoes = locked(&self.echoes);
        echoes.mask_in(&mut body);
        echoes.repeated(&refusal::error_text(&body))
    }

    /// Masks whatever an error holds of what the controller was sent.
    pub fn masked(&self, error: BmcError) -> BmcError {
        let echoes = locked(&self.echoes);
        error.with_texts(|text| echoes.masked(&text))
    }

    /// Begins a log-in; who stops the task waits until it has ended, since else nobody would end its
    /// session.
    pub async fn begin_login(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.login.lock().await
    }

    /// Notes a request that `--dry-run` keeps back.
    pub fn plan(&self, mut request: Planned) {
        if let Some(body) = &mut request.body {
            locked(&self.echoes).mask_in(body);
        }
        locked(&self.planned).push(request);
    }

    /// Takes the requests that were kept back, in order.
    pub fn take_planned(&self) -> Vec<Planned> {
        std::mem::take(&mut *locked(&self.planned))
    }

    /// Adds what the operator should know besides the result.
    pub fn note(&self, text: &str) {
        let text = locked(&self.echoes).masked(text);
        locked(&self.notes).push(text);
    }

    /// Takes what the operator should know besides the result.
    pub fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut *locked(&self.notes))
    }

    /// Notes what was changed: it is told in the events, also when a later step fails. Under
    /// `--dry-run` nothing was.
    pub fn changed(&self, what: String) {
        if !self.dry_run {
            locked(&self.changes).push(what);
        }
    }

    /// Takes what was changed.
    pub fn take_changes(&self) -> Vec<String> {
        std::mem::take(&mut *locked(&self.changes))
    }

    /// Returns how much time is left; none when it is over.
    pub fn left(&self) -> Option<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
