use clap::Args;

use super::{Stop, fails, store};
use crate::bundle::Named;
use crate::cli::output::Output;
use crate::cli::{Exit, Global};

/// Say that a bundle should not be used any more
#[derive(Debug, Args)]
#[command(after_help = "\
It stays in the store, and is served to machines that are armed with it. `host
provision` arms no more with it, unless `--allow-retired` is given; `validate`
warns of profiles that use it, and `bundle gc` removes it once nothing needs
it. The reason stays until another one is given.

Examples:
  pxectl bundle retire ubuntu-24.04-a --reason \"kernel hangs on the new NICs\"
  pxectl bundle retire ubuntu-24.04-a --undo")]
pub struct Retire {
    /// The bundle
    name: String,
    /// Why, for those who still use it [default: a newer one is there]
    #[arg(long)]
    reason: Option<String>,
    /// Take it back
    #[arg(long, conflicts_with = "reason")]
    undo: bool,
}

impl Retire {
    pub fn run(&self, global: &Global, output: &Output) -> Result<Exit, Stop> {
        let store = store::open(global, output)?;
        let known = store.bundles().map_err(fails)?;
        let before = known.get(&self.name).and_then(Named::retired);
        if let (Some(before), None, false) = (before, &self.reason, self.undo) {
            output.note(&format!("{}: retired already: {before}", self.name));
            return Ok(Exit::Done);
        }
        let reason = self.reason.as_deref().unwrap_or("a newer one is there");
        let why = (!self.undo).then_some(reason);
        store.retire(&self.name, why).map_err(fails)?;
        let what = if self.undo { "in use again" } else { "retired" };
        output.note(&format!("{}: {what}", self.name));
        Ok(Exit::Done)
    }
}
