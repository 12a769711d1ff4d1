use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::argument::read_argument;
use super::bundle::Bundle;
use super::claims::{Claims, MenuUse, ReferenceKind};
use super::loader_syntax::read_file_name;
use super::reader::{Reader, Spanned};
use super::tree::{Node, Value};
use crate::machine::{Architecture, CpuArchitecture, cleaned};

/// The key of the file of a bundle that is its kernel.
pub const KERNEL: &str = "kernel";
/// The key of the file of a bundle that is its initrd.
pub const INITRD: &str = "initrd";

/// How long a choice is waited for, where the inventory does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest that a choice may be waited for, in seconds: a rack boots unattended.
const LONGEST_TIMEOUT: u64 = 300;
/// The most characters of a title or a label, so that they fit on one line of a screen.
const LABEL_LIMIT: usize = 60;

/// What a known machine may start in place of its local disk, when somebody stands before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Menu {
    /// How long a choice is waited for, in whole seconds; then the local disk is booted.
    #[serde(with = "super::seconds")]
    pub timeout: Duration,
    /// Its entries, by what they are for; none is empty.
    pub groups: Vec<MenuGroup>,
}

/// Entries of a menu that belong together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MenuGroup {
    /// What they are for: printable ASCII that means nothing to a script, at most 60 characters.
    pub title: String,
    /// The entries, in order.
    pub entries: Vec<MenuEntry>,
}

/// One thing that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MenuEntry {
    /// What it is called: printable ASCII that means nothing to a script, at most 60 characters.
    pub label: String,
    /// What it starts.
    #[serde(flatten)]
    pub target: MenuTarget,
    /// The arguments of the kernel or the loader, one in each item.
    pub args: Vec<String>,
    /// The architectures that it is limited to; empty: it is for all that can run it.
    pub arch: Vec<Architecture>,
}

/// What an entry of a menu starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MenuTarget {
    /// The kernel and, where there is one, the initrd of the bundle with this name.
    Bundle(String),
    /// The file of `server.files` with this name.
    Loader(String),
}

impl Menu {
    /// Lists the files of `server.files` that its entries start.
    pub fn loaders(&self) -> impl Iterator<Item = &str> {
        let entries = self.groups.iter().flat_map(|group| &group.entries);
        entries.filter_map(|entry| match &entry.target {
            MenuTarget::Loader(name) => Some(name.as_str()),
            MenuTarget::Bundle(_) => None,
        })
    }
}

impl MenuEntry {
    /// Reports whether a machine can be offered the entry; `bundle` is the one that it starts, if
    /// it starts one.
    pub fn fits(&self, architecture: Architecture, bundle: Option<&Bundle>) -> bool {
        let cpu = bundle.map(|bundle| CpuArchitecture::from_name(&bundle.arch));
        let runs = cpu.is_none_or(|cpu| cpu == Some(architecture.cpu()));
        runs && (self.arch.is_empty() || self.arch.contains(&architecture.without_http()))
    }
}

/// Reads `menu:`.
pub(super) fn read_menu(reader: &mut Reader, claims: &mut Claims, node: &Node) -> Option<Menu> {
    let mut fields = reader.fields(node, "`menu`")?;
    let timeout = fields.optional(reader, "timeout", read_timeout);
    let groups = fields.required(reader, "groups", |reader, node| {
        let groups = reader.items(node, |reader, item| read_group(reader, claims, item))?;
        filled(reader, node, groups, "this menu has no groups")
    });
    fields.finish(reader);
    Some(Menu {
        timeout: timeout.unwrap_or(DEFAULT_TIMEOUT),
        groups: groups?,
    })
}

fn read_timeout(reader: &mut Reader, node: &Node) -> Option<Duration> {
    let timeout = reader.duration(node)?;
    let whole = timeout.subsec_nanos() == 0;
    if whole && (1..=LONGEST_TIMEOUT).contains(&timeout.as_secs()) {
        return Some(timeout);
    }
    let message = "a menu waits from 1 second to 5 minutes, in whole seconds";
    let help = "write one such as `10s`: until then, nothing boots";
    reader.refuse("wrong-value", node.span, message, help)
}

fn read_group(reader: &mut Reader, claims: &mut Claims, node: &Node) -> Option<MenuGroup> {
    let mut fields = reader.fields(node, "this group")?;
    let title = fields.required(reader, "title", read_label);
    let entries = fields.required(reader, "entries", |reader, node| {
        let entries = reader.items(node, |reader, item| read_entry(reader, claims, item))?;
        filled(reader, node, entries, "this group has no entries")
    });
    fields.finish(reader);
    Some(MenuGroup {
        title: title?,
        entries: entries?,
    })
}

/// Refuses a list that was written empty; one whose items are all at fault has been reported.
fn filled<T>(reader: &mut Reader, node: &Node, items: Vec<T>, message: &str) -> Option<Vec<T>> {
    if !matches!(&node.value, Value::Sequence(items) if items.is_empty()) {
        return Some(items);
    }
    let help = "add an item, or remove what is empty";
    reader.refuse("wrong-value", node.span, message, help)
}

fn read_entry(reader: &mut Reader, claims: &mut Claims, node: &Node) -> Option<MenuEntry> {
    let mut fields = reader.fields(node, "this entry")?;
    let label = fields.required(reader, "label", read_label);
    let arch = fields.optional(reader, "arch", |reader, node| {
        let architectures: Vec<_> = Architecture::all()
            .filter(|arch| !arch.is_http())
            .map(|arch| (arch.name(), arch))
            .collect();
        let arch = reader.items(node, |reader, item| reader.choice(item, &architectures))?;
        filled(reader, node, arch, "this entry would fit no machine")
    });
    let arch = arch.unwrap_or_default();
    let both = [fields.has("bundle"), fields.has("loader")];
    let bundle = fields.optional(reader, "bundle", |reader, node| {
        let bundle = reader.name(node)?;
        claims.reference(ReferenceKind::Bundle, bundle.clone());
        claims.menu_use(MenuUse {
            bundle: bundle.clone(),
            arch: arch.clone(),
        });
        Some(bundle.value)
    });
    let loader = fields.optional(reader, "loader", |reader, node| {
        let loader = read_loader_name(reader, node)?;
        // A name that stands for another file would start that one.
        claims.loader_name(loader.clone(), loader.value.clone());
        claims.spans.menu.push(loader.span);
        Some(loader.value)
    });
    let args = fields.optional(reader, "args", |reader, node| {
        reader.items(node, read_argument)
    });
    fields.finish(reader);
    let fault = match both {
        [true, true] => Some("this entry starts two things, a bundle and a loader"),
        [false, false] => Some("this entry starts nothing: it has neither `bundle` nor `loader`"),
        _ => None,
    };
    if let Some(message) = fault {
        let help = "write either `bundle: …`, whose kernel is started, or `loader: …`, a file of `server.files`";
        return reader.refuse("menu-entry", node.span, message, help);
    }
    Some(MenuEntry {
        label: label?,
        target: bundle
            .map(MenuTarget::Bundle)
            .or(loader.map(MenuTarget::Loader))?,
        args: args.unwrap_or_default(),
        arch,
    })
}

/// Reads what stands on a screen, and inside the scripts of three loaders.
fn read_label(reader: &mut Reader, node: &Node) -> Option<String> {
    let text = reader.text(node)?;
    if !text.is_empty() && cleaned(&text, LABEL_LIMIT) == text {
        return Some(text);
    }
    let message = format!("`{text}` cannot stand in a boot menu");
    let help = "write up to 60 characters of ASCII, without blanks at the ends and none of ${}|&;#\\`\"'<>";
    reader.refuse("wrong-value", node.span, message, help)
}

/// Reads the name of a file that stands inside scripts and URLs.
fn read_loader_name(reader: &mut Reader, node: &Node) -> Option<Spanned<String>> {
    let name = read_file_name(reader, node)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+-/".contains(c);
    if name.value.chars().all(plain) && !name.value.starts_with('-') {
        return Some(name);
    }
    let message = format!("`{}` cannot be named in a boot menu", name.value);
    let help = "give the file a name of letters, digits, `.`, `_`, `+` and `-`";
    reader.refuse("wrong-value", name.span, message, help)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::tree;

    /// Reads a menu; returns it and every message.
    fn read(text: &str) -> (Option<Menu>, Vec<String>) {
        let mut diagnostics = Vec::new();
        let node = tree::parse(0, text, &mut diagnostics).remove(0);
        let mut reader = Reader { diagnostics };
        let menu = read_menu(&mut reader, &mut Claims::default(), &node);
        let messages = reader.diagnostics.into_iter().map(|fault| fault.message);
        (menu, messages.collect())
    }

    fn with_entry(entry: &str) -> (Option<Menu>, Vec<String>) {
        read(&format!("groups: [{{title: T, entries: [{entry}]}}]"))
    }

    #[test]
    fn a_menu_waits_ten_seconds_and_its_entries_start_a_bundle_or_a_file() {
        let (menu, messages) = read(
            "groups:\n- title: Diagnostics\n  entries:\n  - {label: Memtest86+, loader: a/memtest86+x64.efi, arch: [uefi-x64]}\n  - {label: Rescue (shell), bundle: b, args: [console=ttyS0, single]}\n",
        );
        assert_eq!(messages, [""; 0]);
        let menu = menu.unwrap();
        assert_eq!(menu.timeout, Duration::from_secs(10));
        let entries = &menu.groups[0].entries;
        let loader = MenuTarget::Loader("a/memtest86+x64.efi".into());
        assert_eq!((&entries[0].target, entries[0].args.len()), (&loader, 0));
        assert_eq!(menu.loaders().collect::<Vec<_>>(), ["a/memtest86+x64.efi"]);
        assert_eq!(entries[1].target, MenuTarget::Bundle("b".into()));
        assert_eq!(entries[1].args, ["console=ttyS0", "single"]);
        let (menu, _) =
            read("{timeout: 5m, groups: [{title: T, entries: [{label: L, loader: f}]}]}");
        assert_eq!(menu.unwrap().timeout, Duration::from_secs(300));
    }

    #[test]
    fn an_entry_is_for_the_machines_that_can_run_it() {
        let bundle = |arch: &str| Bundle {
            name: "b".into(),
            arch: arch.into(),
            expires: None,
            signatures: Vec::new(),
            files: Default::default(),
        };
        use Architecture::*;
        for (arch, bundle, architecture, fits) in [
            (vec![], None, Bios, true),
            (vec![], None, UefiArm64, true),
            (vec![UefiX64], None, UefiX64, true),
            (vec![UefiX64], None, HttpX64, true),
            (vec![UefiX64], None, Bios, false),
            (vec![], Some(bundle("x86_64")), UefiX64, true),
            (vec![], Some(bundle("x86_64")), Bios, true),
            (vec![], Some(bundle("aarch64")), UefiX64, false),
            (vec![UefiX64], Some(bundle("x86_64")), Bios, false),
        ] {
            let entry = MenuEntry {
                label: "L".into(),
                target: MenuTarget::Loader("f".into()),
                args: Vec::new(),
                arch,
            };
            let found = entry.fits(architecture, bundle.as_ref());
            assert_eq!(found, fits, "{entry:?} on {architecture}");
        }
    }

    #[test]
    fn what_would_break_a_script_or_a_screen_is_refused() {
        for (entry, message) in [
            (
                "{label: 'a || shell', loader: f}",
                "`a || shell` cannot stand in a boot menu",
            ),
            (
                "{label: '${x}', loader: f}",
                "`${x}` cannot stand in a boot menu",
            ),
            (
                "{label: \"it's\", loader: f}",
                "`it's` cannot stand in a boot menu",
            ),
            (
                "{label: ' a', loader: f}",
                "` a` cannot stand in a boot menu",
            ),
            ("{label: '', loader: f}", "`` cannot stand in a boot menu"),
            ("{label: é, loader: f}", "`é` cannot stand in a boot menu"),
            (
                "{label: L, loader: a b}",
                "`a b` cannot be the name of a file that firmware fetches",
            ),
            (
                "{label: L, loader: '${x}'}",
                "`${x}` cannot be the name of a file that firmware fetches",
            ),
            (
                "{label: L, loader: -x}",
                "`-x` cannot be named in a boot menu",
            ),
            (
                "{label: L, loader: ../x}",
                "`../x` cannot be the name of a file that firmware fetches",
            ),
            (
                "{label: L, loader: f, args: [a b]}",
                "`a b` is not one kernel argument",
            ),
            (
                "{label: L, loader: f, arch: []}",
                "this entry would fit no machine",
            ),
            (
                "{label: L, loader: f, arch: [http-x64]}",
                "`http-x64` is not known here",
            ),
            (
                "{label: L}",
                "this entry starts nothing: it has neither `bundle` nor `loader`",
            ),
            (
                "{label: L, bundle: b, loader: f}",
                "this entry starts two things, a bundle and a loader",
            ),
            ("{loader: f}", "this entry has no `label`"),
        ] {
            assert_eq!(with_entry(entry).1, [message], "{entry}");
        }
        let long = format!("{{label: {}, loader: f}}", "x".repeat(61));
        assert_eq!(with_entry(&long).1.len(), 1);
    }

    #[test]
    fn an_empty_group_an_empty_menu_and_an_endless_wait_are_refused() {
        for (menu, message) in [
            ("groups: []", "this menu has no groups"),
            (
                "groups: [{title: T, entries: []}]",
                "this group has no entries",
            ),
            ("timeout: 3s", "`menu` has no `groups`"),
        ] {
            assert_eq!(read(menu).1, [message], "{menu}");
        }
        for timeout in ["500ms", "1500ms", "301s", "1h"] {
            let menu = format!(
                "{{timeout: {timeout}, groups: [{{title: T, entries: [{{label: L, loader: f}}]}}]}}"
            );
            let message = "a menu waits from 1 second to 5 minutes, in whole seconds";
            assert_eq!(read(&menu).1, [message], "{timeout}");
        }
    }
}
