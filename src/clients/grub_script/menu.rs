use std::time::Duration;

use super::GrubStep;
use super::context::MenuEntry;
use super::state::{Interpreter, Kind};

impl Interpreter {
    pub(super) fn has_menu(&self) -> bool {
        let context = self.contexts.last();
        context.is_some_and(|context| !context.menu.is_empty())
    }

    /// Shows the menu of the innermost context, and starts its default entry after the timeout.
    pub(super) fn menu(&mut self) -> Option<GrubStep> {
        let seconds = match self.variable("timeout").parse::<i64>() {
            Ok(seconds) if seconds >= 0 => seconds.unsigned_abs(),
            _ => {
                let command = "a menu without a timeout".into();
                self.end(GrubStep::NeedsOperator { command });
                return None;
            }
        };
        let default = self.variable("default").to_owned();
        let menu = self
            .contexts
            .last_mut()
            .map(|it| std::mem::take(&mut it.menu));
        let menu = menu.unwrap_or_default();
        let index = default.parse().unwrap_or(0);
        let mut entries = menu.iter();
        let is_named =
            |it: &&MenuEntry| !default.is_empty() && [&it.id, &it.title].contains(&&default);
        let named = entries.find(is_named);
        // GRUB falls back to the first entry.
        let entry = named.or(menu.get(index)).or(menu.first())?.clone();
        let file = self.file();
        let kind = if entry.is_submenu {
            Kind::Configuration
        } else {
            Kind::Entry
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
