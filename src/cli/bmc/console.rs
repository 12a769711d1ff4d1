use std::io::{IsTerminal, stdin, stdout};
use std::time::Duration;

use clap::Args;

use super::options::ReachOptions;
use super::report::print_messages;
use super::rounds::{Rounds, exit_for};
use crate::bmc::{BmcTask, ConsoleRequest, open_sol_console};
use crate::cli::duration::parse_duration;
use crate::cli::error::{CommandError, CommandResult};
use crate::cli::output::Output;
use crate::cli::select::Select;
use crate::cli::{Exit, Global};

/// Options of `bmc console`.
#[derive(Clone, Debug, Args)]
pub struct ConsoleOptions {
    /// Host name
    #[arg(value_name = "HOST")]
    host: String,

    /// Character that starts a command to the console, after a line break
    #[arg(long, value_name = "CHARACTER", default_value = "~")]
    escape: char,

    /// End another session on the console first
    #[arg(long)]
    take_over: bool,

    /// Use IPMI even if Redfish does not offer it
    #[arg(long)]
    ipmi: bool,

    /// Time limit for finding the console
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = parse_duration)]
    timeout: Duration,
}

/// Opens the serial console of one machine.
pub fn run(global: &Global, output: &Output, options: &ConsoleOptions) -> CommandResult {
    let select = Select {
        hosts: vec![options.host.clone()],
        ..Select::default()
    };
    let reach = ReachOptions {
        jobs: 1,
        timeout: options.timeout,
    };
    let rounds = Rounds::open(global, output, &select, &reach)?;
    let request = ConsoleRequest {
        force_ipmi: options.ipmi,
        take_over: options.take_over,
    };
    let reports = rounds.visit(|_| Ok(BmcTask::Console(request)))?;
    print_messages(&reports, output);
    let results = reports.iter().flat_map(|report| &report.result);
    let Some(console) = results.filter_map(|it| it.console.as_ref()).next() else {
        return Ok(exit_for(&reports));
    };
    if !(stdin().is_terminal() && stdout().is_terminal()) {
        let error = CommandError::usage("a serial console needs a terminal");
        return Err(error.hint("run the command on a terminal, without pipes"));
    }
    let escape = options.escape;
    output.note(&format!(
        "opening the serial console of {}; `{escape}.` after a line break closes it",
        options.host
    ));
    let help = "another session may be open: try `--take-over`; serial over LAN must be enabled on \
                the BMC";
    match open_sol_console(console, escape) {
        Ok(status) if status.success() => Ok(Exit::Done),
        Ok(status) => {
            let message = format!("{}: `ipmitool sol activate` failed: {status}", options.host);
            output.error(&message, help);
            Err(CommandError::reported(Exit::Failed))
        }
        Err(error) => {
            let message = format!("{}: cannot run `ipmitool`: {error}", options.host);
            output.error(&message, "install the package `ipmitool`");
            Err(CommandError::reported(Exit::Failed))
        }
    }
}
