use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::output::Output;
use super::{Exit, command};
use crate::cli::error::CommandResult;

/// Print the manual page of a command, or write all pages
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pxectl man serve | man -l -
  pxectl man --out /usr/local/share/man/man1")]
pub struct Man {
    /// Command such as `serve` or `host provision` [default: pxectl itself]
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,

    /// Write all pages to a directory
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    out: Option<PathBuf>,
}

impl Man {
    pub fn run(&self, output: &Output) -> CommandResult {
        let pages = man_pages().context("cannot generate the manual pages")?;
        if let Some(directory) = &self.out {
            std::fs::create_dir_all(directory)
                .with_context(|| format!("cannot create `{}`", directory.display()))?;
            for (name, page) in pages {
                let path = directory.join(name);
                std::fs::write(&path, page)
                    .with_context(|| format!("cannot write `{}`", path.display()))?;
            }
            return Ok(Exit::Done);
        }
        let words = std::iter::once("pxectl").chain(self.command.iter().map(String::as_str));
        let name = format!("{}.1", words.collect::<Vec<_>>().join("-"));
        match pages.into_iter().find(|(known, _)| *known == name) {
            Some((_, page)) => {
                output.data(&page);
                Ok(Exit::Done)
            }
            None => {
                let text = format!("unknown command `{}`", self.command.join(" "));
                output.error(&text, "run `pxectl help` to list the commands");
                Ok(Exit::No)
            }
        }
    }
}

/// Generates the manual page of every command: file name and roff.
///
/// # Errors
/// Never in practice, because the pages are written to memory.
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
    // A date would change the page in every build.
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
    let page = String::from_utf8_lossy(&page);
    pages.push((format!("{name}.1"), tidied(&name, &page)));
    Ok(())
}

/// The headings that the help of a command may have after its options, each with a colon. Other lines that
/// end with a colon are text.
const HEADINGS: [&str; 2] = ["Examples", "Exit status"];

/// What stands before a line of the text that follows the options.
#[derive(Clone, Copy)]
enum ExtraPart {
    /// Nothing: text gets the heading NOTES.
    Start,
    /// A heading, or the end of a paragraph.
    Break,
    Paragraph,
    /// Indented lines, which are printed as they are.
    Indented,
}

impl ExtraPart {
    /// Returns what ends the part.
    fn end(self) -> &'static str {
        match self {
            Self::Indented => ".fi\n",
            Self::Start | Self::Break | Self::Paragraph => "",
        }
    }

    /// Writes a line, and returns the part to which it belongs.
    fn write(self, line: &str, text: &mut String) -> Self {
        let heading = line.strip_suffix(':').filter(|it| HEADINGS.contains(it));
        if let Some(heading) = heading {
            text.push_str(self.end());
            text.push_str(&format!(".SH \"{}\"\n", heading.to_uppercase()));
            return Self::Break;
        }
        if line.is_empty() {
            return match self {
                Self::Paragraph => Self::Break,
                Self::Start | Self::Break | Self::Indented => self,
            };
        }
        let (before, part) = if line.starts_with(' ') {
            let before = match self {
                Self::Start => ".SH NOTES\n.nf\n",
                Self::Break => ".nf\n",
                Self::Paragraph => ".PP\n.nf\n",
                Self::Indented => "",
            };
            (before, Self::Indented)
        } else {
            let before = match self {
                Self::Start => ".SH NOTES\n",
                Self::Break => ".PP\n",
                Self::Paragraph => "",
                Self::Indented => ".fi\n.PP\n",
            };
            (before, Self::Paragraph)
        };
        text.push_str(before);
        text.push_str(line);
        text.push('\n');
        part
    }
}

/// Fixes the output of the generator: the title has an empty date, lists of values mix blank lines and
/// breaks, `help` has no page, and the examples run together under the heading EXTRA.
fn tidied(name: &str, page: &str) -> String {
    let help = format!(
        ".TP\n{}\\-help(1)\nPrint this message or the help of the given subcommand(s)\n",
        name.replace('-', "\\-")
    );
    let page = page.replace("\n.br\n\n.br\n", "\n.sp\n").replace(&help, "");
    let mut text = String::with_capacity(page.len());
    let mut extra: Option<ExtraPart> = None;
    for line in page.lines() {
        if line.starts_with(".SH") {
            if let Some(part) = extra.take() {
                text.push_str(part.end());
            }
            if line == ".SH EXTRA" {
                extra = Some(ExtraPart::Start);
                continue;
            }
        }
        if line.starts_with(".TH") {
            let (title, version) = (name.to_uppercase(), env!("CARGO_PKG_VERSION"));
            text.push_str(&format!(
                ".TH {title} 1 \"\" \"pxectl {version}\" \"pxectl manual\"\n"
            ));
        } else if let Some(part) = extra {
            extra = Some(part.write(line, &mut text));
        } else {
            text.push_str(line);
            text.push('\n');
        }
    }
    if let Some(part) = extra {
        text.push_str(part.end());
    }
    text
}
