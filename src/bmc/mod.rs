//! Management controllers (BMCs): power, the next boot, virtual media and hardware of machines,
//! through Redfish, or through IPMI for machines that have nothing better.
//!
//! Each machine has its own task with one deadline, and many tasks run in parallel. The pure files
//! decide as tables which requests to send and what the responses mean. The other files send the
//! requests and read the values back.
//!
//! | file | subject |
//! |---|---|
//! | `status`, `boot`, `power`, `request` | the vocabulary: machine state, next boot, power actions, changes |
//! | `fields`, `resource`, `error_body` | JSON of BMCs, parsed leniently |
//! | `mask` | secrets that BMCs repeat, in every encoding |
//! | `quirks` | the one table of vendor differences |
//! | `boot_override`, `media`, `hardware`, `comparison`, `identity`, `discover`, `operation`, `firmware`, `log`, `console` | which requests to send, and what a response means |
//! | — | — |
//! | `trust`, `legacy` | certificates: authorities, pins, trust on first use |
//! | `services`, `context` | what tasks share: secrets and store; deadline and progress |
//! | `transport`, `session` | requests with limits, retries, login and logout |
//! | `redfish`, `ipmi` | one machine through Redfish, or through `ipmitool` |
//! | `controller` | one interface to both |
//! | `task`, `task_runner`, `log_task` | the tasks of the commands, and how one runs |
//! | `fleet` | many tasks in parallel |

pub mod boot;
pub mod boot_override;
mod comparison;
pub mod console;
mod context;
mod controller;
mod discover;
mod error;
pub mod error_body;
pub mod fields;
pub mod firmware;
mod fleet;
pub mod hardware;
mod identity;
mod ipmi;
mod legacy;
pub mod log;
mod log_task;
mod mask;
pub mod media;
pub mod operation;
pub mod power;
pub mod quirks;
mod redfish;
pub mod request;
pub mod resource;
mod services;
mod session;
mod status;
mod target;
mod task;
mod task_runner;
#[cfg(test)]
mod tests;
mod transport;
mod trust;

pub use boot::{BootRequest, BootTarget, StaticAddress};
pub use comparison::{HardwareDifference, compare};
pub use console::{ConsoleRequest, SolConsole};
pub use context::{ProgressCallback, TaskContext};
pub use error::BmcError;
pub use fleet::{FleetError, FleetOptions, run};
pub use hardware::{Hardware, HardwareDisk, HardwareNic};
pub use ipmi::{IpmiClient, IpmiText, open_sol_console, parse_sel};
pub use log::{LogEntry, LogQuery, LogSink};
pub use power::PowerAction;
pub use request::PlannedRequest;
pub use services::Services;
pub use status::{BootOption, BootOverride, MachineStatus, PowerState, SecureBoot};
pub use target::{BmcTarget, controller_event};
pub use task::{BmcTask, BootTask, HostJob, HostReport, TaskResult};
pub use trust::{PresentedCertificate, describe_certificate};
