//! The variables and the menu of a configuration.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::program::Program;

/// The variables and the menu of a configuration.
#[derive(Clone, Debug, Default)]
pub(super) struct Context {
    /// The value of each variable, and whether it is exported to further configurations.
    pub variables: BTreeMap<String, (String, bool)>,
    pub menu: Vec<MenuEntry>,
}

/// A menu entry.
#[derive(Clone, Debug)]
pub(super) struct MenuEntry {
    pub title: String,
    pub id: String,
    pub body: Rc<Program>,
    pub is_submenu: bool,
}

impl MenuEntry {
    /// Creates an entry from its title and options: `--id NAME`, and options that affect only the display.
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
