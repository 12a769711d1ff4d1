mod boot;
mod certificate;
mod inventory;
mod options;
mod progress;
mod report;
mod rounds;
mod status;

use clap::{Args, Subcommand, ValueEnum};

use super::output::Output;
use super::select::Select;
use super::{Exit, Global};
use crate::bmc::{PowerVerb, Task};
use crate::machine::cleaned;
use options::{Change, Reach};
use rounds::Rounds;

/// Control machines through their BMCs: power, the next boot, virtual media
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub struct Bmc {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what machines are, whether they run, and what they boot next
    #[command(after_help = "\
Examples:
  pxectl bmc status --all
  pxectl bmc status -l role=worker --format json")]
    Status {
        #[command(flatten)]
        select: Select,
        #[command(flatten)]
        reach: Reach,
    },
    /// Turn machines on and off
    #[command(after_help = "\
A machine that is as wanted already is left alone. Hosts that are `installed`
or installing are interrupted only after a question, or with `--yes`.

Examples:
  pxectl bmc power on worker-01
  pxectl bmc power graceful -l rack=a --yes --timeout 10m")]
    Power {
        /// What to do
        #[arg(value_name = "VERB")]
        verb: Verb,
        #[command(flatten)]
        select: Select,
        #[command(flatten)]
        change: Change,
    },
    /// Boot machines from the network by PXE, once, and start or reset them
    #[command(after_help = "\
What was set is read back before the power is touched. Hosts that are not armed
for an install are asked about, since they would only be rebooted.

Examples:
  pxectl host provision --all --yes && pxectl bmc boot-pxe --all
  pxectl bmc boot-pxe worker-01 --dry-run")]
    BootPxe {
        #[command(flatten)]
        select: Select,
        #[command(flatten)]
        start: boot::Start,
    },
    /// Boot machines by UEFI HTTP boot, once, and start or reset them
    #[command(after_help = "\
Without `--url`, a machine is given the URL that our DHCP would give it; where
its BMC has no place for a URL, it is left to DHCP.

Examples:
  pxectl bmc boot-http worker-01
  pxectl bmc boot-http worker-01 --url http://10.20.0.10:8080/files/rescue.iso")]
    BootHttp {
        #[command(flatten)]
        select: Select,
        /// What the firmware fetches: a loader, or the image of a disk
        #[arg(long, value_name = "URL")]
        url: Option<String>,
        /// Give the firmware the address, gateway and name server of the inventory, where the BMC
        /// can; they stay in its settings (HPE only, untried on hardware: see pxectl-bmc(7))
        #[arg(long = "static")]
        is_static: bool,
        #[command(flatten)]
        start: boot::Start,
    },
    /// Boot machines from their disk, once, and start or reset them
    #[command(after_help = "Examples:\n  pxectl bmc boot-disk worker-01")]
    BootDisk {
        #[command(flatten)]
        select: Select,
        #[command(flatten)]
        start: boot::Start,
    },
    /// Insert an image into the virtual CD drive of machines, or eject it
    #[command(arg_required_else_help = true)]
    Media {
        #[command(subcommand)]
        command: Media,
    },
    /// Show what is in machines, and where the inventory disagrees
    #[command(after_help = "\
Exit status: 1 where the inventory disagrees; with `--write`, where no document corrects it.

Examples:
  pxectl bmc inventory --all
  pxectl bmc inventory worker-01 --write > corrected.yaml")]
    Inventory {
        #[command(flatten)]
        select: Select,
        #[command(flatten)]
        reach: Reach,
        /// Print the corrected documents of hosts that disagree, and nothing else
        #[arg(long)]
        write: bool,
    },
    /// Accept the certificates of BMCs, after an exchange or a renewal
    #[command(after_help = "\
Shows the certificate that is trusted and the one that is seen, and asks. Also
forgets which machine was seen behind a BMC: the next command remembers it
anew; where the certificate is unchanged, only with `--yes`. Compare a
fingerprint with the BMC's own page or console; nothing else tells an exchange
from an attack.

Examples:
  pxectl bmc pin worker-01
  pxectl bmc pin --all --dry-run")]
    Pin {
        #[command(flatten)]
        select: Select,
        #[command(flatten)]
        change: Change,
    },
}

#[derive(Debug, Subcommand)]
enum Media {
    /// Insert an image
    #[command(after_help = "\
Examples:
  pxectl bmc media insert http://10.20.0.10:8080/files/rescue.iso worker-01 \\
      --boot")]
    Insert {
        /// The image, where the BMC fetches it
        #[arg(value_name = "URL")]
        url: String,
        #[command(flatten)]
        select: Select,
        /// Boot it, once: start or reset the machine
        #[arg(long)]
        boot: bool,
        #[command(flatten)]
        change: Change,
    },
    /// Eject what is in the drive
    #[command(after_help = "Examples:\n  pxectl bmc media eject worker-01")]
    Eject {
        #[command(flatten)]
        select: Select,
        #[command(flatten)]
        change: Change,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Verb {
    /// Start
    On,
    /// Cut the power
    Off,
    /// Ask the system to shut down, and wait
    Graceful,
    /// Cut the power and give it back
    Cycle,
    /// Reset without cutting the power
    Reset,
}

impl From<Verb> for PowerVerb {
    fn from(verb: Verb) -> Self {
        match verb {
            Verb::On => Self::On,
            Verb::Off => Self::Off,
            Verb::Graceful => Self::Graceful,
            Verb::Cycle => Self::Cycle,
            Verb::Reset => Self::Reset,
        }
    }
}

impl Bmc {
    pub fn run(&self, global: &Global, output: &Output) -> anyhow::Result<Exit> {
        let look = |select, reach| Rounds::open(global, output, select, reach);
        let change = |select, change| Rounds::open_to_change(global, output, select, change);
        let ended = match &self.command {
            Command::Status { select, reach } => {
                look(select, reach).and_then(|it| status::run(&it))
            }
            Command::Power {
                verb,
                select,
                change: how,
            } => change(select, how).and_then(|it| {
                let verb = PowerVerb::from(*verb);
                if verb.interrupts() {
                    it.confirm_interruption(verb.done())?;
                }
                it.carry_out(|_| Ok(Task::Power(verb)))
            }),
            Command::BootPxe { select, start } => boot::pxe(global, output, select, start),
            Command::BootHttp {
                select,
                url,
                is_static,
                start,
            } => boot::http(global, output, select, start, url.as_deref(), *is_static),
            Command::BootDisk { select, start } => boot::disk(global, output, select, start),
            Command::Media { command } => command.run(global, output),
            Command::Inventory {
                select,
                reach,
                write,
            } => look(select, reach).and_then(|it| inventory::run(&it, *write)),
            Command::Pin {
                select,
                change: how,
            } => change(select, how).and_then(|it| certificate::run(&it)),
        };
        // What stops a command has said so.
        ended.or_else(|stop| stop)
    }
}

impl Media {
    fn run(&self, global: &Global, output: &Output) -> Result<Exit, Stop> {
        match self {
            Self::Insert {
                url,
                select,
                boot,
                change,
            } => {
                let is_url = |text: &String| text.contains("://");
                if !is_url(url) && select.hosts.iter().any(is_url) {
                    let what = format!("`{}` is no URL of an image", cleaned(url, 120));
                    output.error(&what, "the URL comes first, and then the hosts");
                    return Err(said(Exit::No));
                }
                boot::check_url(url, output)?;
                let rounds = Rounds::open_to_change(global, output, select, change)?;
                if *boot {
                    rounds.confirm_interruption("booted from this image")?;
                }
                rounds.carry_out(|_| {
                    Ok(Task::Insert {
                        url: url.clone(),
                        boot: *boot,
                    })
                })
            }
            Self::Eject { select, change } => {
                Rounds::open_to_change(global, output, select, change)?
                    .carry_out(|_| Ok(Task::Eject))
            }
        }
    }
}

/// Why a command stops: what it has said already (`Ok`), or an error to print (`Err`).
type Stop = Result<Exit, anyhow::Error>;

fn said(exit: Exit) -> Stop {
    Ok(exit)
}

fn fails(error: impl Into<anyhow::Error>) -> Stop {
    Err(error.into())
}
