use std::rc::Rc;
use std::time::Duration;

use super::GrubStep;
use super::interpreter::{Interpreter, Kind};
use super::program::Program;

/// One entry of a menu.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    title: String,
    id: String,
    body: Rc<Program>,
    is_submenu: bool,
}

impl Interpreter {
    pub(super) fn has_menu(&self) -> bool {
        let context = self.contexts.last();
        context.is_some_and(|context| !context.menu.is_empty())
    }

    /// Shows the menu of the innermost context, and starts its default once time is over.
    pub(super) fn menu(&mut self) -> Option<GrubStep> {
        let seconds = match self.variable("timeout").parse::<i64>() {
            Ok(seconds) if seconds >= 0 => seconds.unsigned_abs(),
            _ => {
                let command = "a menu without a time-out".into();
                self.end(GrubStep::NeedsOperator { command });
                return None;
            }
        };
        let wanted = self.variable("default").to_owned();
        let menu = self
            .contexts
            .last_mut()
            .map(|it| std::mem::take(&mut it.menu));
        let menu = menu.unwrap_or_default();
        let index = wanted.parse().unwrap_or(0);
        let mut entries = menu.iter();
        let is_named = |it: &&Entry| !wanted.is_empty() && [&it.id, &it.title].contains(&&wanted);
        let named = entries.find(is_named);
        // GRUB falls back on the first one.
        let entry = named.or(menu.get(index)).or(menu.first())?.clone();
        let file = self.file();
        let kind = match entry.is_submenu {
            true => Kind::Configuration,
            false => Kind::Entry,
        };
        if entry.is_submenu {
            self.open_context();
        }
        self.enter(&file, entry.body, Vec::new(), kind);
        Some(GrubStep::Choose {
            timeout: Duration::from_secs(seconds),
            chosen: entry.title,
        })
    }
}

impl Entry {
    /// Reads a title and its options: `--id NAME`, and others that only the screen shows.
    pub fn new(words: &[String], body: &Rc<Program>, is_submenu: bool) -> Self {
        let mut entry = Self {
            title: String::new(),
            id: String::new(),
            body: Rc::clone(body),
            is_submenu,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--id" => entry.id = words.next().cloned().unwrap_or_default(),
                "--class" | "--users" | "--hotkey" | "--source" => {
                    words.next();
                }
                word if word.starts_with("--id=") => entry.id = word[5..].to_owned(),
                word if word.starts_with("--") => {}
                word if entry.title.is_empty() => entry.title = word.to_owned(),
                _ => {}
            }
        }
        entry
    }
}
