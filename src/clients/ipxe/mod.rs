//! iPXE as a script sees it: settings, and an interpreter that asks its caller for files and time.

mod arguments;
mod commands;
mod interpreter;
mod menus;
mod script;
mod settings;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use interpreter::Interpreter;
pub use script::NotAScript;
pub use settings::{EndlessExpansion, Settings, Value};

/// What an iPXE does next, or what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IpxeStep {
    /// Shows a text on the console; the next call goes on.
    Print(String),
    /// Lets time pass; the next call goes on.
    Wait(Duration),
    /// Shows a text and waits for a key, which nobody presses here: the next call goes on with a
    /// command that has failed.
    Prompt {
        /// The text.
        text: String,
        /// How long a key is waited for.
        timeout: Duration,
    },
    /// Waits for a choice from the menu that was printed, which nobody makes here: the next call goes
    /// on with the one that is taken then.
    Choose {
        /// How long a key is waited for.
        timeout: Duration,
        /// The label of what is taken.
        chosen: String,
    },
    /// Needs a file; [`Interpreter::supply`] answers, and until then this step repeats.
    Fetch {
        /// The whole URL.
        url: String,
        /// What the file is for.
        purpose: Purpose,
    },
    /// The end: starts a kernel.
    Boot {
        /// Where the kernel came from.
        kernel_url: String,
        /// The kernel's command line.
        arguments: String,
        /// The other files that were loaded, in order.
        initrds: Vec<Initrd>,
    },
    /// The end: hands the machine to another program, such as a second loader.
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
    /// The end: leaves iPXE, and the firmware goes on with its next boot option.
    Exit(u32),
    /// The end: restarts the machine.
    Reboot,
    /// The end: switches the machine off.
    PowerOff,
    /// The end: waits for a person, in a shell or at a prompt without a time-out.
    NeedsOperator {
        /// The command.
        command: String,
    },
    /// The end: a command failed and the script did not say what to do then.
    Failed {
        /// The URL of the script.
        script: String,
        /// The number of the line, from 1.
        line: usize,
        /// The line.
        command: String,
        /// Why.
        reason: String,
    },
}

/// What a file is fetched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be run at once: a script or a program.
    Chain,
    /// To be the kernel.
    Kernel,
    /// To be handed to the kernel.
    Initrd {
        /// The name under which the kernel finds it.
        name: String,
    },
}

/// A file that is handed to a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Initrd {
    /// The name under which a UEFI kernel finds it: `initrd=` on its command line.
    pub name: String,
    /// Where it came from.
    pub url: String,
    /// What followed the URL, such as the path at which the kernel unpacks a plain file.
    pub arguments: String,
}
