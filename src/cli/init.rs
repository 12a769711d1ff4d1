use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::Exit;
use super::output::Output;

/// The files of the example inventory.
const EXAMPLE: [(&str, &str); 4] = [
    ("site.yaml", include_str!("example/site.yaml")),
    ("profiles.yaml", include_str!("example/profiles.yaml")),
    ("bundles.yaml", include_str!("example/bundles.yaml")),
    ("hosts.yaml", include_str!("example/hosts.yaml")),
];

/// Write a commented example inventory, ready to be edited
#[derive(Debug, Args)]
#[command(after_help = "\
The example validates as it is. The digests in its bundles.yaml are examples,
which no store has: so replace that file by what `pxectl bundle build` writes
before you rehearse or serve.

Examples:
  pxectl init rack-a
  pxectl validate -i rack-a")]
pub struct Init {
    /// Where to write it
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
}

impl Init {
    pub fn run(&self, output: &Output) -> anyhow::Result<Exit> {
        let shown = self.directory.display();
        let taken: Vec<&str> = EXAMPLE
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| self.directory.join(name).exists())
            .collect();
        if !taken.is_empty() {
            let what = format!(
                "`{shown}` has {} already; nothing was written",
                taken.join(", ")
            );
            output.error(&what, "name another directory: `pxectl init DIR`");
            return Ok(Exit::No);
        }
        fs::create_dir_all(&self.directory).with_context(|| format!("cannot make `{shown}`"))?;
        for (name, text) in EXAMPLE {
            let path = self.directory.join(name);
            fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
        }
        let names: Vec<&str> = EXAMPLE.iter().map(|(name, _)| *name).collect();
        output.result(&format!("wrote {} to `{shown}`\n", names.join(", ")));
        output.note(&format!(
            "next: `pxectl validate -i {shown}` checks it. Then make site.yaml, profiles.yaml and \
             hosts.yaml yours,\nand remove bundles.yaml, whose digests are examples: \
             `pxectl bundle build --help` says how to make bundles"
        ));
        Ok(Exit::Done)
    }
}
