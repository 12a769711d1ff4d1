use clap::Args;

use super::build::refused;
use super::build_progress::Shown;
use super::store_directory;
use crate::bundle::BundleStore;
use crate::bundle::builder::{FetchFrom, Web, fetch};
use crate::cli::output::Output;
use crate::cli::{Exit, Global, inventory};
use crate::inventory::{nearest, plural};

/// Bring the files that the inventory's bundles pin and the store lacks
#[derive(Debug, Args)]
#[command(after_help = "\
Each file is verified by the digest that its bundle says. It is had where it
was had when the bundle was built, or below a URL or directory: another store,
or files under their paths in the bundle.

Examples:
  pxectl bundle fetch
  pxectl bundle fetch debian-12 --from https://builder.example/bundles

Exit status:
  0  the store has every file
  1  the inventory is at fault, or a file is not what the bundle pins
  3  a file cannot be had, or the disk refuses")]
pub struct Fetch {
    /// The bundles [default: all of the inventory]
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    /// Where to look, in place of where each file was had
    #[arg(long, value_name = "URL-OR-DIR")]
    from: Option<String>,

    /// How many files are worked on at once
    #[arg(short, long, value_name = "NUMBER", default_value = "4", value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,

    /// How often a download that brings nothing is tried again
    #[arg(long, value_name = "NUMBER", default_value = "5")]
    retries: u32,
}

impl Fetch {
    pub fn run(&self, global: &Global, output: &Output) -> anyhow::Result<Exit> {
        let good = match inventory::load(global, output) {
            Ok(good) => good,
            Err(exit) => return Ok(exit),
        };
        let known = &good.inventory.bundles;
        let mut names = self.names.iter();
        if let Some(name) = names.find(|name| !known.contains_key(*name)) {
            let help = nearest(name, known.keys().map(String::as_str));
            let help = help.map(|near| format!("did you mean `{near}`?"));
            let what = format!("the inventory has no bundle `{name}`");
            output.error(&what, &help.unwrap_or_default());
            return Ok(Exit::No);
        }
        let wanted = known
            .values()
            .filter(|it| self.names.is_empty() || self.names.contains(&it.name));
        let wanted: Vec<_> = wanted.collect();
        let store = BundleStore::open_or_create(&store_directory(global)?)?;
        let from = match &self.from {
            Some(base) => FetchFrom::Base(base.clone()),
            None => FetchFrom::Sources,
        };
        let progress = Shown::new(output);
        let jobs = usize::from(self.jobs);
        let fetched = Web::new(self.retries)
            .and_then(|web| fetch(&store, &web, &wanted, &from, jobs, &progress));
        drop(progress);
        match fetched {
            Ok(count) => {
                let (files, bundles) = (plural(count, "file"), plural(wanted.len(), "bundle"));
                output.note(&format!("{files} fetched; the store has all of {bundles}"));
                Ok(Exit::Done)
            }
            Err(error) => refused(error, output),
        }
    }
}
