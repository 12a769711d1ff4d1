use clap::{Args, Subcommand};

use super::boot;
use super::options::ChangeOptions;
use super::rounds::Rounds;
use crate::bmc::BmcTask;
use crate::cli::error::{CommandError, CommandResult};
use crate::cli::output::Output;
use crate::cli::select::Select;
use crate::cli::{Exit, Global};
use crate::machine::cleaned;

#[derive(Debug, Subcommand)]
pub enum Media {
    /// Insert an image
    #[command(
        override_usage = "pxectl bmc media insert [OPTIONS] [HOST]... <URL>",
        after_help = "\
Examples:
  pxectl bmc media insert worker-01 http://10.20.0.10:8080/files/rescue.iso \\
      --boot
  pxectl bmc media insert --all http://10.20.0.10:8080/files/firmware.iso"
    )]
    Insert {
        #[command(flatten)]
        targets: InsertTargets,
        /// Boot the image once: start or reset the machine
        #[arg(long)]
        boot: bool,
        #[command(flatten)]
        change: ChangeOptions,
    },
    /// Eject the image
    #[command(after_help = "Examples:\n  pxectl bmc media eject worker-01")]
    Eject {
        #[command(flatten)]
        select: Select,
        #[command(flatten)]
        change: ChangeOptions,
    },
}

/// The hosts and the image of `media insert`. Clap cannot parse a list of hosts that a URL follows
/// if options stand between them.
#[derive(Debug, Args)]
pub struct InsertTargets {
    /// Host names, then the URL of the image, which the BMC fetches
    #[arg(value_name = "HOST|URL", required = true)]
    hosts_and_url: Vec<String>,

    /// Select the hosts that have a label
    #[arg(short = 'l', long, value_name = "KEY=VALUE", conflicts_with = "all")]
    selector: Vec<String>,

    /// Select all hosts
    #[arg(long)]
    all: bool,
}

impl Media {
    pub fn run(&self, global: &Global, output: &Output) -> CommandResult {
        match self {
            Self::Insert {
                targets,
                boot,
                change,
            } => {
                let (select, url) = targets.split(output)?;
                boot::check_url(url, output)?;
                let rounds = Rounds::open_to_change(global, output, &select, change)?;
                if *boot {
                    rounds.confirm_interruption("booted from this image")?;
                }
                rounds.run(|_| {
                    Ok(BmcTask::InsertMedia {
                        url: url.to_owned(),
                        boot: *boot,
                    })
                })
            }
            Self::Eject { select, change } => {
                let rounds = Rounds::open_to_change(global, output, select, change)?;
                rounds.run(|_| Ok(BmcTask::EjectMedia))
            }
        }
    }
}

impl InsertTargets {
    /// Separates the hosts from the URL after them.
    fn split(&self, output: &Output) -> CommandResult<(Select, &str)> {
        let (url, hosts) = match self.hosts_and_url.split_last() {
            Some((last, hosts)) => (last.as_str(), hosts),
            None => ("", &[][..]),
        };
        if let Some(early) = hosts.iter().find(|host| host.contains("://")) {
            let message = if url.contains("://") {
                "more than one image URL".to_owned()
            } else {
                boot::not_an_image_url(url)
            };
            let early = cleaned(early, 120);
            let help = format!("put the hosts first and `{early}` last");
            output.error(&message, &help);
            return Err(CommandError::reported(Exit::No));
        }
        if self.all && !hosts.is_empty() {
            let error = CommandError::usage("`--all` cannot be used with host names");
            return Err(error.hint("omit `--all` or the host names"));
        }
        let select = Select {
            hosts: hosts.to_vec(),
            selector: self.selector.clone(),
            all: self.all,
        };
        Ok((select, url))
    }
}
