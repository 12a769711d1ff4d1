use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::output::Output;
use super::{Exit, command};

/// Print the manual page of a command, or write all of them
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pxectl man serve | man -l -
  pxectl man --out /usr/local/share/man/man1")]
pub struct Man {
    /// The command, such as `serve` or `host provision`; without one, pxectl itself
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,

    /// Write every page into a directory
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    out: Option<PathBuf>,
}

impl Man {
    pub fn run(&self, output: &Output) -> anyhow::Result<Exit> {
        let pages = man_pages().context("cannot make the manual pages")?;
        if let Some(directory) = &self.out {
            for (name, page) in pages {
                let path = directory.join(name);
                std::fs::write(&path, page)
                    .with_context(|| format!("cannot write `{}`", path.display()))?;
            }
            return Ok(Exit::Done);
        }
        let wanted = std::iter::once("pxectl").chain(self.command.iter().map(String::as_str));
        let name = format!("{}.1", wanted.collect::<Vec<_>>().join("-"));
        match pages.into_iter().find(|(known, _)| *known == name) {
            Some((_, page)) => {
                output.result(&page);
                Ok(Exit::Done)
            }
            None => {
                let text = format!("no command `{}`", self.command.join(" "));
                output.error(&text, "`pxectl help` lists the commands");
                Ok(Exit::No)
            }
        }
    }
}

/// Generates the manual page of every command: file name and roff.
///
/// # Errors
/// Never in practice: they are written to memory.
pub fn man_pages() -> std::io::Result<Vec<(String, String)>> {
    let mut pages = Vec::new();
    let mut root = command();
    root.build();
    add(&root, "pxectl".to_owned(), &mut pages)?;
    Ok(pages)
}

/// Lists the file names of the manual pages.
pub fn man_page_names() -> Vec<String> {
    man_pages()
        .unwrap_or_default()
        .into_iter()
        .map(|(name, _)| name)
        .collect()
}

fn add(
    command: &clap::Command,
    name: String,
    pages: &mut Vec<(String, String)>,
) -> std::io::Result<()> {
    for sub in command
        .get_subcommands()
        .filter(|sub| sub.get_name() != "help" && !sub.is_hide_set())
    {
        add(sub, format!("{name}-{}", sub.get_name()), pages)?;
    }
    let mut page = Vec::new();
    // The date would change the page without a reason.
    clap_mangen::Man::new(
        command
            .clone()
            .name(name.clone())
            .display_name(name.clone()),
    )
    .title(name.to_uppercase())
    .date("")
    .manual("pxectl")
    .render(&mut page)?;
    pages.push((
        format!("{name}.1"),
        String::from_utf8_lossy(&page).into_owned(),
    ));
    Ok(())
}
