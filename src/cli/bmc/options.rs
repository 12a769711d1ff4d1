use std::time::Duration;

use clap::Args;

use crate::cli::duration::parse_duration;

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub struct ReachOptions {
    /// Number of BMCs to contact in parallel
    #[arg(short, long, value_name = "COUNT", default_value = "256",
        value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub jobs: u16,

    /// Time limit for each host, including its self-test
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = parse_duration)]
    pub timeout: Duration,
}

/// Options of every command that changes something.
#[derive(Clone, Debug, Args)]
pub struct ChangeOptions {
    #[command(flatten)]
    pub reach: ReachOptions,

    /// Only read from the BMCs, and print the requests that would change something
    #[arg(long)]
    pub dry_run: bool,

    /// Continue without a prompt
    #[arg(short, long)]
    pub yes: bool,
}
