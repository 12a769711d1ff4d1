use clap::Args;

use super::store;
use crate::bundle::NamedBundle;
use crate::cli::error::CommandResult;
use crate::cli::output::Output;
use crate::cli::{Exit, Global};

/// Mark a bundle as no longer to be used
#[derive(Debug, Args)]
#[command(after_help = "\
The bundle stays in the store, and is served to machines that are armed with
it. `pxectl host provision` refuses it unless `--allow-retired` is given,
`pxectl validate` warns about profiles that use it, and `pxectl bundle gc`
removes it when nothing uses it. The reason stays until you give another one.

Examples:
  pxectl bundle retire ubuntu-24.04-a --reason \"kernel hangs on the new NICs\"
  pxectl bundle retire ubuntu-24.04-a --undo")]
pub struct Retire {
    /// Bundle to retire
    name: String,
    /// Reason, for those who still use the bundle [default: a newer bundle is available]
    #[arg(long)]
    reason: Option<String>,
    /// Use the bundle again
    #[arg(long, conflicts_with = "reason")]
    undo: bool,
}

impl Retire {
    pub fn run(&self, global: &Global, output: &Output) -> CommandResult {
        let store = store::open(global, output)?;
        let known = store.bundles()?;
        let before = known.get(&self.name).and_then(NamedBundle::retired);
        if let (Some(before), None, false) = (before, &self.reason, self.undo) {
            output.note(&format!("{}: already retired: {before}", self.name));
            return Ok(Exit::Done);
        }
        let reason = self
            .reason
            .as_deref()
            .unwrap_or("a newer bundle is available");
        store.retire(&self.name, (!self.undo).then_some(reason))?;
        let state = if self.undo {
            "no longer retired"
        } else {
            "retired"
        };
        output.note(&format!("{}: {state}", self.name));
        Ok(Exit::Done)
    }
}
