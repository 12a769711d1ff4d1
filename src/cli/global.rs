//! The options that every command accepts, and the exit codes.

use std::path::PathBuf;

use clap::ValueEnum;

/// The options of every command.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Directory of the inventory
    #[arg(
        short,
        long,
        global = true,
        value_name = "DIR",
        env = "PXECTL_INVENTORY",
        default_value = "."
    )]
    pub inventory: PathBuf,

    /// Directory of the store [default: /var/lib/pxectl/SITE for root, else the XDG state directory]
    #[arg(long, global = true, value_name = "DIR", env = "PXECTL_STATE")]
    pub state: Option<String>,

    /// Directory of the bundle store [default: `bundles` of the site]
    #[arg(long, global = true, value_name = "DIR", env = "PXECTL_BUNDLES")]
    pub bundles: Option<PathBuf>,

    /// Format of results
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub format: Format,

    /// Format of log lines
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub log_format: Format,

    /// Print errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Print more details
    #[arg(short, long, global = true)]
    pub verbose: bool,

    /// When to color
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
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
