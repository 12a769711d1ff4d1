//! An iPXE script interpreter that asks its caller for files and time, and iPXE's settings.

mod arguments;
mod commands;
mod interpreter;
mod menus;
mod script;
mod settings;
mod state;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use script::NotAScript;
pub use settings::{EndlessExpansion, Settings, Value};
pub use state::Interpreter;

/// The next action of iPXE, or its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IpxeStep {
    /// Prints a text on the console; the next call continues.
    Print(String),
    /// Waits; the next call continues.
    Wait(Duration),
    /// Prints a text and waits for a key. There is no operator: the next call continues after a failed
    /// command.
    Prompt {
        /// The text.
        text: String,
        /// The timeout.
        timeout: Duration,
    },
    /// Waits for a choice from the printed menu. There is no operator: the next call continues with the
    /// default.
    Choose {
        /// The timeout.
        timeout: Duration,
        /// The label of the default.
        chosen: String,
    },
    /// Needs a file; [`Interpreter::supply`] answers, and until then this step repeats.
    Fetch {
        /// The whole URL.
        url: String,
        /// The purpose of the file.
        purpose: Purpose,
    },
    /// The end: starts a kernel.
    Boot {
        /// Where the kernel came from.
        kernel_url: String,
        /// The kernel's command line.
        arguments: String,
        /// The other loaded files, in order.
        initrds: Vec<Initrd>,
    },
    /// The end: starts another program, such as a second loader.
    Chain {
        /// Where the program came from.
        url: String,
        /// Its arguments.
        arguments: String,
    },
    /// The end: boots a disk with `sanboot`.
    LocalDisk {
        /// The command.
        how: String,
    },
    /// The end: exits iPXE, and the firmware continues with its next boot option.
    Exit(u32),
    /// The end: restarts the machine.
    Reboot,
    /// The end: switches the machine off.
    PowerOff,
    /// The end: waits for an operator, in a shell or at a prompt without a timeout.
    NeedsOperator {
        /// The command.
        command: String,
    },
    /// The end: a command failed, and the script did not handle it.
    Failed {
        /// The URL of the script.
        script: String,
        /// The number of the line, from 1.
        line: usize,
        /// The line.
        command: String,
        /// The reason.
        reason: String,
    },
}

/// The purpose of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A script or program to run at once.
    Chain,
    /// The kernel.
    Kernel,
    /// An initrd.
    Initrd {
        /// Its name for the kernel.
        name: String,
    },
}

/// An initrd of a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Initrd {
    /// Its name for a UEFI kernel: `initrd=` on the command line.
    pub name: String,
    /// Where it came from.
    pub url: String,
    /// The arguments after the URL, such as the path at which the kernel unpacks a plain file.
    pub arguments: String,
}
