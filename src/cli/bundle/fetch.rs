use clap::Args;

use super::build_progress::BuildBars;
use super::store::{directory_for_new_files, pinned_bundles};
use crate::bundle::BundleStore;
use crate::bundle::builder::{FetchFrom, WebClient, fetch};
use crate::cli::error::CommandResult;
use crate::cli::output::Output;
use crate::cli::{Exit, Global, inventory};
use crate::inventory::plural;

/// Fetch the files that the inventory's bundles pin and the store lacks
#[derive(Debug, Args)]
#[command(after_help = "\
Each file is verified by the digest in its bundle. It comes from the source
that the bundle records, or with --from from a URL or directory: another store,
or files under their paths in the bundle.

Examples:
  pxectl bundle fetch
  pxectl bundle fetch debian-12 --from https://builder.example/bundles

Exit status:
  0  the store has every file
  1  the inventory has errors, or a file does not match its digest
  3  a file cannot be fetched, or the disk fails")]
pub struct Fetch {
    /// Bundles to fetch [default: all of the inventory]
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    /// Fetch from here, not from the recorded sources
    #[arg(long, value_name = "URL-OR-DIR")]
    from: Option<String>,

    /// Number of files to process at the same time
    #[arg(short, long, value_name = "NUMBER", default_value = "4", value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,

    /// Number of retries for a download that makes no progress
    #[arg(long, value_name = "NUMBER", default_value = "5")]
    retries: u32,
}

impl Fetch {
    pub fn run(&self, global: &Global, output: &Output) -> CommandResult {
        let good = inventory::load(global, output)?;
        let bundles = pinned_bundles(&good.inventory, &self.names)?;
        let store = BundleStore::open_or_create(&directory_for_new_files(global)?)?;
        let from = match &self.from {
            Some(base) => FetchFrom::Base(base.clone()),
            None => FetchFrom::Sources,
        };
        let progress = BuildBars::new(output);
        let jobs = usize::from(self.jobs);
        let fetched = WebClient::new(self.retries)
            .and_then(|web| fetch(&store, &web, &bundles, &from, jobs, &progress));
        drop(progress);
        let (files, bundles) = (plural(fetched?, "file"), plural(bundles.len(), "bundle"));
        output.note(&format!("fetched {files}; {bundles} complete in the store"));
        Ok(Exit::Done)
    }
}
