//! GRUB as a configuration sees it: variables, and an interpreter that asks its caller for files,
//! addresses and time.
//!
//! It knows the part of the language that boots machines: `if`, `for`, `while`, functions and menus,
//! and the commands of the network, of kernels and of local disks. What it does not know ends the
//! script with its line: a rehearsal that passes over it would prove nothing.

mod commands;
mod conditions;
mod interpreter;
mod menu;
mod pattern;
mod program;
#[cfg(test)]
mod tests;
mod variables;
mod words;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use super::dhcp::BootFile;
use crate::machine::{MacAddress, SystemUuid};

pub use interpreter::Interpreter;
pub use words::SyntaxError;

/// What a GRUB does next, or what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrubStep {
    /// Shows a text on the console; the next call goes on.
    Print(String),
    /// Lets time pass; the next call goes on.
    Wait(Duration),
    /// Shows a menu at which nobody chooses; the next call goes on with its default.
    Choose {
        /// How long a choice is waited for.
        timeout: Duration,
        /// The title of what is taken then.
        chosen: String,
    },
    /// Needs a file; [`Interpreter::supply`] answers, and until then this step repeats.
    Fetch {
        /// The file.
        file: BootFile,
        /// What it is for.
        purpose: Purpose,
    },
    /// Needs an address, as a DHCP client that says nothing of its firmware;
    /// [`Interpreter::supply_lease`] answers, and until then this step repeats.
    Dhcp,
    /// The end: starts a kernel.
    Boot {
        /// The kernel.
        kernel: BootFile,
        /// Its command line.
        arguments: String,
        /// What is handed to it, in order.
        initrds: Vec<BootFile>,
    },
    /// The end: starts what lies on a local disk.
    LocalDisk {
        /// The command.
        how: String,
    },
    /// The end: hands the machine to another program.
    Chain {
        /// The program.
        file: BootFile,
        /// Its arguments.
        arguments: String,
    },
    /// The end: leaves GRUB, for whatever started it.
    Exit,
    /// The end: restarts the machine.
    Reboot,
    /// The end: switches the machine off.
    PowerOff,
    /// The end: waits for a person, at a prompt or a menu without a time-out.
    NeedsOperator {
        /// At what.
        command: String,
    },
    /// The end: a line that is not understood, or that does not come to an end.
    Failed {
        /// The file.
        script: String,
        /// The number of the line, from 1.
        line: usize,
        /// The command.
        command: String,
        /// Why.
        reason: String,
    },
}

/// What a file is fetched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be run as a configuration of its own: `configfile`.
    Configuration,
    /// To be run as a part of this one: `source`.
    Source,
    /// To be the kernel.
    Kernel,
    /// To be handed to the kernel.
    Initrd,
    /// To be started in place of GRUB.
    Program,
    /// To see whether it has content: `test -s`.
    Test,
}

/// The machine on which a GRUB runs, as far as configurations ask for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrubMachine {
    /// The SMBIOS UUID.
    pub uuid: Option<SystemUuid>,
    /// The SMBIOS serial number.
    pub serial: Option<String>,
    /// The SMBIOS asset tag.
    pub asset: Option<String>,
    /// The files of its local disk that `search` finds, with a leading slash.
    pub disk_files: BTreeSet<String>,
    /// Whether this GRUB speaks HTTP; Debian's signed ones do not.
    pub has_http: bool,
}

/// What `net_bootp` learns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The address.
    pub address: Ipv4Addr,
    /// The address of the network card.
    pub mac: MacAddress,
    /// The next server; unspecified where none is named.
    pub next_server: Ipv4Addr,
    /// The boot file.
    pub boot_file: String,
}
