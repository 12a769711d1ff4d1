use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::Exit;
use super::output::Output;
use crate::cli::error::CommandResult;

/// The files of the example inventory.
const EXAMPLE: [(&str, &str); 4] = [
    ("site.yaml", include_str!("example/site.yaml")),
    ("profiles.yaml", include_str!("example/profiles.yaml")),
    ("bundles.yaml", include_str!("example/bundles.yaml")),
    ("hosts.yaml", include_str!("example/hosts.yaml")),
];

/// Write a commented example inventory to start from
#[derive(Debug, Args)]
#[command(after_help = "\
The example validates without changes. The digests in its bundles.yaml are
examples that no store has: replace that file with the output of
`pxectl bundle build` before you rehearse or serve.

Examples:
  pxectl init rack-a
  pxectl validate -i rack-a")]
pub struct Init {
    /// Directory to write the files to
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
}

impl Init {
    pub fn run(&self, output: &Output) -> CommandResult {
        let shown = self.directory.display();
        let taken: Vec<&str> = EXAMPLE
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| self.directory.join(name).exists())
            .collect();
        if !taken.is_empty() {
            let what = format!(
                "`{shown}` already contains {}; nothing was written",
                taken.join(", ")
            );
            output.error(&what, "use another directory: `pxectl init DIR`");
            return Ok(Exit::No);
        }
        fs::create_dir_all(&self.directory).with_context(|| format!("cannot create `{shown}`"))?;
        for (name, text) in EXAMPLE {
            let path = self.directory.join(name);
            fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
        }
        let names: Vec<&str> = EXAMPLE.iter().map(|(name, _)| *name).collect();
        output.result(&format!("wrote {} to `{shown}`\n", names.join(", ")));
        output.note(&format!(
            "next: run `pxectl validate -i {shown}`. Then edit site.yaml, profiles.yaml and \
             hosts.yaml for your site,\nand replace bundles.yaml, whose digests are examples: \
             see `pxectl bundle build --help`"
        ));
        Ok(Exit::Done)
    }
}
