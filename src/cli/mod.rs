//! The command line: one file a command, each turning arguments into one call and printing its
//! result.

mod bmc;
mod bundle;
mod capture;
mod completions;
mod confirm;
mod error;
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

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};

pub use completions::completion_script;
pub use man::{man_page_names, man_pages};
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

/// The options of every command.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// Directory of the inventory
    #[arg(
        short,
        long,
        global = true,
        value_name = "DIR",
        env = "PXECTL_INVENTORY",
        default_value = "."
    )]
    inventory: PathBuf,

    /// Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]
    #[arg(long, global = true, value_name = "DIR", env = "PXECTL_STATE")]
    state: Option<String>,

    /// Directory of the bundle store [default: `bundles` of the site]
    #[arg(long, global = true, value_name = "DIR", env = "PXECTL_BUNDLES")]
    bundles: Option<PathBuf>,

    /// Format of results
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    format: Format,

    /// Format of log lines
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    log_format: Format,

    /// Print errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,

    /// Print more details
    #[arg(short, long, global = true)]
    verbose: bool,

    /// When to color
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: Color,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
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

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    /// It is done.
    Done = 0,
    /// The answer is no.
    No = 1,
    /// The command line is invalid.
    Usage = 2,
    /// The command failed.
    Failed = 3,
    /// It is done for some hosts only.
    Partly = 4,
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

/// Prints what is wrong with the command line, and exits. What the environment gives was not written,
/// and so is left out of the usage.
fn refused(error: clap::Error) -> ! {
    let written = GIVEN_BY_ENVIRONMENT
        .iter()
        .fold(Cli::command(), |it, name| {
            it.mut_arg(name, |argument| argument.env(None))
        })
        .try_get_matches();
    match written {
        Err(of_written) if of_written.kind() == error.kind() => exit_with(&of_written),
        _ => exit_with(&error),
    }
}

/// Prints what clap has to say, and exits. An error repeats what was written, which may hold a password.
fn exit_with(error: &clap::Error) -> ! {
    if error.use_stderr() {
        Output::refusal(&error.render().ansi().to_string());
        std::process::exit(error.exit_code());
    }
    error.exit()
}

/// The options that the environment can give.
const GIVEN_BY_ENVIRONMENT: [&str; 3] = ["inventory", "state", "bundles"];

/// Returns the command line's definition, from which completions and man pages are made.
pub fn command() -> clap::Command {
    Cli::command()
}
