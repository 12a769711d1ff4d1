use std::time::Duration;

use clap::Args;

use crate::cli::host::parse_duration;

/// How BMCs are reached.
#[derive(Clone, Debug, Args)]
pub struct Reach {
    /// How many BMCs are spoken to at a time
    #[arg(short, long, value_name = "COUNT", default_value = "256",
        value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub jobs: u16,

    /// How long each host may take, its self-test included
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = parse_duration)]
    pub timeout: Duration,
}

/// How machines are changed.
#[derive(Clone, Debug, Args)]
pub struct Change {
    #[command(flatten)]
    pub reach: Reach,

    /// Send what only reads, and print the other requests instead of sending them
    #[arg(long)]
    pub dry_run: bool,

    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}
