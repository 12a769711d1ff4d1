use std::time::Duration;

use super::IpxeStep;
use super::arguments::{Arguments, Flag, number};
use super::state::{Interpreter, IpxeEffect, Menu};

const MENU: [Flag; 2] = [("name", 'n', true), ("delete", 'd', false)];
const ITEM: [Flag; 4] = [
    ("menu", 'm', true),
    ("key", 'k', true),
    ("default", 'd', false),
    ("gap", 'g', false),
];
const CHOOSE: [Flag; 5] = [
    ("menu", 'm', true),
    ("default", 'd', true),
    ("timeout", 't', true),
    ("retimeout", 'r', true),
    ("keep", 'k', false),
];

/// The menu commands. Each item is printed when it is added.
///
/// Source: iPXE, `src/hci/commands/dynui_cmd.c` (`menu_cmd.c` until 2024), `src/hci/tui/menu_ui.c`.
impl Interpreter {
    /// `menu`: creates a menu, and replaces a menu of the same name.
    pub(super) fn menu(&mut self, arguments: &[String]) -> Result<IpxeEffect, String> {
        let arguments = Arguments::parse(arguments, &MENU)?;
        let name = arguments.option("name").unwrap_or_default().to_owned();
        if arguments.option("delete").is_some() {
            self.menus.remove(&name);
            return Ok(IpxeEffect::Done(Ok(())));
        }
        self.menus.insert(name, Menu::default());
        Ok(printed(arguments.rest.join(" ")))
    }

    /// `item`: adds a line, which can be chosen if it has a label.
    pub(super) fn item(&mut self, arguments: &[String]) -> Result<IpxeEffect, String> {
        let arguments = Arguments::parse(arguments, &ITEM)?;
        let menu = self.menu_named(&arguments)?;
        let mut words = arguments.rest.iter();
        if arguments.option("gap").is_none()
            && let Some(label) = words.next()
        {
            menu.labels.push(label.clone());
            if arguments.option("default").is_some() {
                menu.default = Some(label.clone());
            }
        }
        let text: Vec<&str> = words.map(String::as_str).collect();
        Ok(printed(text.join(" ")))
    }

    /// `choose`: there is no operator, so it takes the default after its timeout.
    pub(super) fn choose(
        &mut self,
        arguments: &[String],
        command: &str,
    ) -> Result<IpxeEffect, String> {
        let arguments = Arguments::parse(arguments, &CHOOSE)?;
        let setting = arguments.only()?;
        let milliseconds = number(arguments.option("timeout").unwrap_or("0"))?;
        number(arguments.option("retimeout").unwrap_or("0"))?;
        let menu = self.menu_named(&arguments)?;
        let marked = match arguments.option("default") {
            Some(label) => menu.labels.iter().find(|known| *known == label),
            None => menu.default.as_ref(),
        };
        let chosen = marked.or(menu.labels.first()).cloned();
        if arguments.option("keep").is_none() {
            self.menus.remove(name_of(&arguments));
        }
        let chosen = chosen.ok_or("the menu has no item to choose")?;
        if milliseconds == 0 {
            return Ok(IpxeEffect::End(IpxeStep::NeedsOperator {
                command: command.to_owned(),
            }));
        }
        self.settings.set(setting, chosen.clone());
        let timeout = Duration::from_millis(milliseconds.into());
        Ok(IpxeEffect::Show(
            IpxeStep::Choose { timeout, chosen },
            Ok(()),
        ))
    }

    fn menu_named(&mut self, arguments: &Arguments) -> Result<&mut Menu, String> {
        let name = name_of(arguments);
        self.menus.get_mut(name).ok_or_else(|| match name {
            "" => "there is no menu".to_owned(),
            name => format!("no menu is named `{name}`"),
        })
    }
}

fn name_of(arguments: &Arguments) -> &str {
    arguments.option("menu").unwrap_or_default()
}

fn printed(text: String) -> IpxeEffect {
    IpxeEffect::Show(IpxeStep::Print(text), Ok(()))
}
