use clap::Args;

use super::{Stop, fails, store};
use crate::cli::output::Output;
use crate::cli::{Exit, Global};

/// Say that a bundle should not be used any more
#[derive(Debug, Args)]
#[command(after_help = "\
It stays in the store and can be installed; `validate` warns of profiles that use it, and
`bundle gc` removes it once nothing needs it.

Examples:
  pxectl bundle retire ubuntu-24.04-a --reason \"kernel hangs on the new NICs\"
  pxectl bundle retire ubuntu-24.04-a --undo")]
pub struct Retire {
    /// The bundle
    name: String,
    /// Why, for those who still use it
    #[arg(long, default_value = "a newer one is there")]
    reason: String,
    /// Take it back
    #[arg(long, conflicts_with = "reason")]
    undo: bool,
}

impl Retire {
    pub fn run(&self, global: &Global, output: &Output) -> Result<Exit, Stop> {
        let store = store::open(global, output)?;
        let why = (!self.undo).then_some(self.reason.as_str());
        store.retire(&self.name, why).map_err(fails)?;
        let what = if self.undo { "in use again" } else { "retired" };
        output.note(&format!("{}: {what}", self.name));
        Ok(Exit::Done)
    }
}
