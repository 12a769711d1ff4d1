//! A GRUB script interpreter that asks its caller for files, addresses and time.
//!
//! It supports the part of the language that boots machines: `if`, `for`, `while`, functions and menus,
//! and the commands for the network, kernels and local disks. Anything else ends the script with an error
//! at its line: a rehearsal that skips it would prove nothing.

mod commands;
mod conditions;
mod context;
mod effect;
mod interpreter;
mod loading;
mod menu;
mod pattern;
mod program;
mod state;
#[cfg(test)]
mod tests;
mod variables;
mod words;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use super::dhcp::BootFile;
use crate::machine::{MacAddress, SystemUuid};

pub use state::Interpreter;
pub use words::SyntaxError;

/// The next action of GRUB, or its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrubStep {
    /// Prints a text on the console; the next call continues.
    Print(String),
    /// Waits; the next call continues.
    Wait(Duration),
    /// Shows a menu without an operator; the next call continues with its default.
    Choose {
        /// The menu's timeout.
        timeout: Duration,
        /// The title of the default entry.
        chosen: String,
    },
    /// Needs a file; [`Interpreter::supply`] answers, and until then this step repeats.
    Fetch {
        /// The file.
        file: BootFile,
        /// Its purpose.
        purpose: Purpose,
    },
    /// Needs an address, as a DHCP client that does not name its firmware;
    /// [`Interpreter::supply_lease`] answers, and until then this step repeats.
    Dhcp,
    /// The end: starts a kernel.
    Boot {
        /// The kernel.
        kernel: BootFile,
        /// Its command line.
        arguments: String,
        /// Its initrds, in order.
        initrds: Vec<BootFile>,
    },
    /// The end: starts a loader on a local disk.
    LocalDisk {
        /// The command.
        how: String,
    },
    /// The end: starts another program.
    Chain {
        /// The program.
        file: BootFile,
        /// Its arguments.
        arguments: String,
    },
    /// The end: exits to the program that started GRUB.
    Exit,
    /// The end: restarts the machine.
    Reboot,
    /// The end: switches the machine off.
    PowerOff,
    /// The end: waits for an operator, at a prompt or a menu without a timeout.
    NeedsOperator {
        /// The prompt or menu.
        command: String,
    },
    /// The end: a line that is not supported, or that does not end.
    Failed {
        /// The file.
        script: String,
        /// The number of the line, from 1.
        line: usize,
        /// The command.
        command: String,
        /// The reason.
        reason: String,
    },
}

/// The purpose of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A configuration of its own: `configfile`.
    Configuration,
    /// A part of this configuration: `source`.
    Source,
    /// The kernel.
    Kernel,
    /// An initrd.
    Initrd,
    /// A program that replaces GRUB.
    Program,
    /// A check for content: `test -s`.
    Test,
}

/// The properties of the machine that configurations can read.
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
    /// Whether this GRUB supports HTTP; Debian's signed builds do not.
    pub has_http: bool,
}

/// The result of `net_bootp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The address.
    pub address: Ipv4Addr,
    /// The address of the network card.
    pub mac: MacAddress,
    /// The next server; unspecified if there is none.
    pub next_server: Ipv4Addr,
    /// The boot file.
    pub boot_file: String,
}
