//! The command line: one file for each command, which turns arguments into one call and prints the
//! result.

mod bmc;
mod bundle;
mod capture;
mod completions;
mod confirm;
mod duration;
mod error;
mod global;
mod host;
mod init;
mod inventory;
mod man;
mod output;
mod rehearse;
mod render;
mod select;
mod serve;
mod store;
mod temporary;
mod validate;
mod witness;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

pub use completions::completion_script;
pub use man::{man_page_names, man_pages};

pub(in crate::cli) use global::{Exit, Global};
use output::Output;

/// Network-boots racks of bare machines into installed hosts, from a flat directory of YAML files
#[derive(Debug, Parser)]
#[command(
    name = "pxectl",
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
#[command(after_help = "\
Examples:
  pxectl init rack-a                 write a commented example inventory
  pxectl validate -i rack-a          check it, as CI does
  pxectl rehearse -i rack-a --all    play every host's boot chain, no hardware
  pxectl serve all -i rack-a         answer the machines of the rack
  pxectl host provision worker-01    arm one host: its next boot installs
  pxectl bmc boot-pxe worker-01      boot it from the network, by its BMC

Exit status:
  0  done
  1  the answer is no: the input is invalid, or a check found an error
  2  the command line is invalid
  3  failed: network, permission, disk
  4  done for some hosts only")]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Init),
    Validate(validate::Validate),
    Render(render::Render),
    Serve(serve::Serve),
    Host(host::Host),
    Store(store::StoreCommand),
    Bmc(bmc::Bmc),
    Bundle(bundle::Bundle),
    Capture(capture::Capture),
    Rehearse(rehearse::Rehearse),
    Completions(completions::Completions),
    Man(man::Man),
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| refused(error));
    let output = Output::new(&cli.global);
    let ended = match &cli.command {
        Command::Init(command) => command.run(&output),
        Command::Validate(command) => command.run(&cli.global, &output),
        Command::Render(command) => command.run(&cli.global, &output),
        Command::Serve(command) => command.run(&cli.global, &output),
        Command::Host(command) => command.run(&cli.global, &output),
        Command::Store(command) => command.run(&cli.global, &output),
        Command::Bmc(command) => command.run(&cli.global, &output),
        Command::Bundle(command) => command.run(&cli.global, &output),
        Command::Capture(command) => command.run(&cli.global, &output),
        Command::Rehearse(command) => command.run(&cli.global, &output),
        Command::Completions(command) => command.run(&output),
        Command::Man(command) => command.run(&output),
    };
    let exit = ended.unwrap_or_else(|error| error.print(&output));
    ExitCode::from(exit as u8)
}

/// Prints what is wrong with the command line, and exits. The usage leaves out options that come from
/// the environment.
fn refused(error: clap::Error) -> ! {
    let written = ENVIRONMENT_OPTIONS
        .iter()
        .fold(Cli::command(), |command, name| {
            command.mut_arg(name, |argument| argument.env(None))
        })
        .try_get_matches();
    match written {
        Err(of_written) if of_written.kind() == error.kind() => exit_with(&of_written),
        _ => exit_with(&error),
    }
}

/// Prints an error or help of clap, and exits. An error repeats arguments, which may contain a password.
fn exit_with(error: &clap::Error) -> ! {
    if error.use_stderr() {
        Output::refusal(&error.render().ansi().to_string());
        std::process::exit(error.exit_code());
    }
    error.exit()
}

/// The options that the environment can set.
const ENVIRONMENT_OPTIONS: [&str; 3] = ["inventory", "state", "bundles"];

/// Returns the command line's definition, from which completions and man pages are made.
pub fn command() -> clap::Command {
    Cli::command()
}
