//! The tasks that commands run on machines, and their reports.

use super::boot::{BootTarget, StaticAddress};
use super::console::{ConsoleRequest, SolConsole};
use super::error::BmcError;
use super::hardware::Hardware;
use super::identity;
use super::log::{LogEntry, LogQuery};
use super::power::PowerAction;
use super::request::PlannedRequest;
use super::status::MachineStatus;
use super::target::BmcTarget;
use super::trust::PresentedCertificate;

/// A task for one machine.
#[derive(Clone, Debug)]
pub struct HostJob {
    /// The machine.
    pub target: BmcTarget,
    /// The task.
    pub task: BmcTask,
}

/// A task on a machine.
#[derive(Clone, Debug)]
pub enum BmcTask {
    /// Reads the status of the machine.
    Status,
    /// Changes the power.
    Power(PowerAction),
    /// Sets a boot override and, on request, reboots.
    Boot(BootTask),
    /// Inserts an image into a virtual drive and, on request, boots it once.
    InsertMedia {
        /// The URL of the image.
        url: String,
        /// Whether to boot the image.
        boot: bool,
    },
    /// Ejects the images in the virtual drives.
    EjectMedia,
    /// Reads the hardware of the machine.
    Hardware,
    /// Reads the event logs, and follows them on request.
    Log(LogQuery),
    /// Prepares a serial console.
    Console(ConsoleRequest),
    /// Reads the certificate of the BMC.
    Certificate,
}

/// A boot override to set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootTask {
    /// The device to boot.
    pub target: BootTarget,
    /// Whether DHCP may supply the URI of HTTP boot.
    pub uri_optional: bool,
    /// The static address for HTTP boot.
    pub address: Option<StaticAddress>,
    /// Whether to start or reset the machine afterwards.
    pub reboot: bool,
    /// The printable form of an HTTP boot URI that holds a token.
    pub printable_uri: Option<String>,
}

impl BootTask {
    /// Makes a task that boots a device with the defaults for everything else.
    pub fn new(target: BootTarget, reboot: bool) -> Self {
        Self {
            target,
            uri_optional: false,
            address: None,
            reboot,
            printable_uri: None,
        }
    }
}

/// The report on one machine's task.
#[derive(Clone, Debug)]
pub struct HostReport {
    /// The host name.
    pub host: String,
    /// The address of the BMC.
    pub url: String,
    /// The result, or the reason for the failure.
    pub result: Result<TaskResult, BmcError>,
    /// The last status of the machine; `None` if it could not be read.
    pub machine: Option<MachineStatus>,
    /// The certificate that the BMC presented.
    pub certificate: Option<PresentedCertificate>,
    /// Notes for the operator.
    pub notes: Vec<String>,
    /// The requests that `--dry-run` did not send.
    pub planned: Vec<PlannedRequest>,
}

impl HostReport {
    /// Starts the report of a task that has done nothing yet.
    pub fn interrupted(target: &BmcTarget) -> Self {
        Self {
            host: target.host.name.clone(),
            url: target.bmc.url.to_string(),
            result: Err(BmcError::Interrupted),
            machine: None,
            certificate: None,
            notes: Vec::new(),
            planned: Vec::new(),
        }
    }

    /// Reports whether another machine than the expected one is behind the BMC.
    pub fn is_other_machine(&self, target: &BmcTarget) -> bool {
        self.machine.as_ref().is_some_and(|machine| {
            identity::check(&target.host, target.record.as_ref(), machine).is_err()
        })
    }
}

/// The result of a task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskResult {
    /// Whether anything changed, or would change under `--dry-run`.
    pub changed: bool,
    /// The result in a few words.
    pub summary: String,
    /// The hardware of the machine.
    pub hardware: Option<Hardware>,
    /// The entries of the event logs, the newest last.
    pub log: Vec<LogEntry>,
    /// The prepared console.
    pub console: Option<SolConsole>,
}

impl TaskResult {
    /// Makes a result of a change.
    pub fn new(changed: bool, summary: impl Into<String>) -> Self {
        Self {
            changed,
            summary: summary.into(),
            ..Self::default()
        }
    }
}
