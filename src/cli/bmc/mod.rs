mod boot;
mod certificate;
mod console;
mod hardware;
mod log;
mod media;
mod options;
mod progress;
mod report;
mod rounds;
mod status;

use clap::{Args, Subcommand, ValueEnum};

use super::Global;
use super::output::Output;
use super::select::Select;
use crate::bmc::{BmcTask, PowerAction};
use crate::cli::error::CommandResult;
use console::ConsoleOptions;
use log::LogOptions;
use media::Media;
use options::{ChangeOptions, ReachOptions};
use rounds::Rounds;

/// Control machines through their BMCs: power, next boot, virtual media, console, log
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub struct Bmc {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show power, next boot, Secure Boot, health, identity and boot order of machines
    #[command(after_help = "\
Examples:
  pxectl bmc status --all
  pxectl bmc status -l role=worker --format json")]
    Status {
        #[command(flatten)]
        select: Select,
        #[command(flatten)]
        reach: ReachOptions,
    },
    /// Turn machines on or off, or reset them
    #[command(after_help = "\
A machine that is already in the requested state is not changed. The command
asks before it interrupts hosts that are `installed` or installing; `--yes`
skips the prompt.

Examples:
  pxectl bmc power on worker-01
  pxectl bmc power graceful -l rack=a --yes --timeout 10m")]
    Power {
        /// The power action
        #[arg(value_name = "ACTION")]
        action: PowerArgument,
        #[command(flatten)]
        select: Select,
        #[command(flatten)]
        change: ChangeOptions,
    },
    /// Boot machines from the network (PXE) once, and start or reset them
    #[command(after_help = "\
The command reads the setting back before it changes the power. It asks about
hosts that are not armed for an install, because they would only be rebooted.

Examples:
  pxectl host provision --all --yes && pxectl bmc boot-pxe --all
  pxectl bmc boot-pxe worker-01 --dry-run")]
    BootPxe {
        #[command(flatten)]
        select: Select,
        #[command(flatten)]
        options: boot::BootOptions,
    },
    /// Boot machines from the network (UEFI HTTP boot) once, and start or reset them
    #[command(after_help = "\
Without `--url`, the command sets the URL that our DHCP server would send. If the
BMC has no property for a URL, the firmware gets the URL from DHCP.

Examples:
  pxectl bmc boot-http worker-01
  pxectl bmc boot-http worker-01 --url http://10.20.0.10:8080/files/rescue.iso")]
    BootHttp {
        #[command(flatten)]
        select: Select,
        /// URL of a loader or a disk image for the firmware
        #[arg(long, value_name = "URL")]
        url: Option<String>,
        /// Set a static address from the inventory in the firmware; it stays set (HPE only)
        ///
        /// Sets the address, gateway and name server of the boot NIC, and disables DHCP for network
        /// boot. Not tested on hardware: see pxectl-bmc(7).
        #[arg(long = "static")]
        is_static: bool,
        #[command(flatten)]
        options: boot::BootOptions,
    },
    /// Boot machines from their disk once, and start or reset them
    #[command(after_help = "Examples:\n  pxectl bmc boot-disk worker-01")]
    BootDisk {
        #[command(flatten)]
        select: Select,
        #[command(flatten)]
        options: boot::BootOptions,
    },
    /// Insert an image into the virtual CD drive of machines, or eject it
    #[command(arg_required_else_help = true)]
    Media {
        #[command(subcommand)]
        command: Media,
    },
    /// Open the serial console of a machine
    #[command(after_help = "\
Uses serial over LAN (IPMI). Type `~.` after a line break to close the console,
and `~?` for help. If the BMC offers its console only over SSH, the error shows
the command.

Examples:
  pxectl bmc console worker-01
  pxectl bmc console worker-01 --take-over")]
    Console {
        #[command(flatten)]
        options: ConsoleOptions,
    },
    /// Show the event logs of BMCs
    #[command(after_help = "\
The newest entry is the last. Times are those of the BMC's clock, in UTC.

Examples:
  pxectl bmc log worker-01 --since 2h
  pxectl bmc log -l rack=a --follow")]
    Log {
        #[command(flatten)]
        select: Select,
        #[command(flatten)]
        options: LogOptions,
        #[command(flatten)]
        reach: ReachOptions,
    },
    /// Show the hardware of machines, and the differences from the inventory
    #[command(
        name = "inventory",
        after_help = "\
Exit status: 1 if the inventory differs; with `--write`, if a difference remains
that no printed document corrects.

Examples:
  pxectl bmc inventory --all
  pxectl bmc inventory worker-01 --write > corrected.yaml"
    )]
    Hardware {
        #[command(flatten)]
        select: Select,
        #[command(flatten)]
        reach: ReachOptions,
        /// Print only the corrected documents of hosts that differ
        #[arg(long)]
        write: bool,
    },
    /// Accept the certificates of BMCs after a replacement or a renewal
    #[command(after_help = "\
Shows the trusted and the presented certificate, and asks. Also forgets the
identity of the machine behind the BMC, and the next command records it again; if
the certificate is unchanged, only `--yes` does this. Compare the fingerprint
with the web page or the console of the BMC: only that can tell a replacement
from an attack.

Examples:
  pxectl bmc pin worker-01
  pxectl bmc pin --all --dry-run")]
    Pin {
        #[command(flatten)]
        select: Select,
        #[command(flatten)]
        change: ChangeOptions,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PowerArgument {
    /// Power on
    On,
    /// Cut the power
    Off,
    /// Ask the operating system to shut down, and wait
    Graceful,
    /// Cut the power and restore it
    Cycle,
    /// Reset without cutting the power
    Reset,
}

impl From<PowerArgument> for PowerAction {
    fn from(argument: PowerArgument) -> Self {
        match argument {
            PowerArgument::On => Self::On,
            PowerArgument::Off => Self::Off,
            PowerArgument::Graceful => Self::Graceful,
            PowerArgument::Cycle => Self::Cycle,
            PowerArgument::Reset => Self::Reset,
        }
    }
}

impl Bmc {
    pub fn run(&self, global: &Global, output: &Output) -> CommandResult {
        self.command.run(global, output)
    }
}

impl Command {
    fn run(&self, global: &Global, output: &Output) -> CommandResult {
        match self {
            Self::Status { select, reach } => {
                status::run(&Rounds::open(global, output, select, reach)?)
            }
            Self::Power {
                action,
                select,
                change,
            } => {
                let rounds = Rounds::open_to_change(global, output, select, change)?;
                let action = PowerAction::from(*action);
                if action.interrupts() {
                    rounds.confirm_interruption(action.past_tense())?;
                }
                rounds.run(|_| Ok(BmcTask::Power(action)))
            }
            Self::BootPxe { select, options } => boot::pxe(global, output, select, options),
            Self::BootHttp {
                select,
                url,
                is_static,
                options,
            } => boot::http(global, output, select, options, url.as_deref(), *is_static),
            Self::BootDisk { select, options } => boot::disk(global, output, select, options),
            Self::Media { command } => command.run(global, output),
            Self::Console { options } => console::run(global, output, options),
            Self::Log {
                select,
                options,
                reach,
            } => log::run(global, output, select, reach, options),
            Self::Hardware {
                select,
                reach,
                write,
            } => hardware::run(&Rounds::open(global, output, select, reach)?, *write),
            Self::Pin { select, change } => {
                certificate::run(&Rounds::open_to_change(global, output, select, change)?)
            }
        }
    }
}
