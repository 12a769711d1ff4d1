use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::argument::read_argument;
use super::bundle::Bundle;
use super::claims::{Claims, MenuUse, ReferenceKind};
use super::loader_syntax::read_file_name;
use super::reader::{Reader, Spanned};
use super::tree::{Node, Value};
use crate::machine::{Architecture, CpuArchitecture, cleaned};

/// The key of a bundle's kernel.
pub const KERNEL: &str = "kernel";
/// The key of a bundle's initrd.
pub const INITRD: &str = "initrd";

/// The default timeout.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest timeout in seconds: a rack boots unattended.
const LONGEST_TIMEOUT: u64 = 300;
/// The maximum length of a title or a label, so that it fits on one line of a screen.
const LABEL_LIMIT: usize = 60;

/// The boot menu: what an operator at a known machine can start instead of the local disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Menu {
    /// The timeout in whole seconds, after which the local disk boots.
    #[serde(with = "super::seconds")]
    pub timeout: Duration,
    /// The groups of entries. No group is empty.
    pub groups: Vec<MenuGroup>,
}

/// A group of menu entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MenuGroup {
    /// The title: at most 60 printable ASCII characters that have no meaning in scripts.
    pub title: String,
    /// The entries, in order.
    pub entries: Vec<MenuEntry>,
}

/// A menu entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MenuEntry {
    /// The label: at most 60 printable ASCII characters that have no meaning in scripts.
    pub label: String,
    /// What it starts.
    #[serde(flatten)]
    pub target: MenuTarget,
    /// The arguments of the kernel or the loader, one in each item.
    pub args: Vec<String>,
    /// The architectures that it is limited to. If empty, it is offered to every machine that can run it.
    pub arch: Vec<Architecture>,
}

/// What a menu entry starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MenuTarget {
    /// The kernel of the bundle with this name, and its initrd if it has one.
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
    /// Reports whether the entry is offered to a machine. `bundle` is the bundle that it starts, if any.
    pub fn fits(&self, architecture: Architecture, bundle: Option<&Bundle>) -> bool {
        let cpu = bundle.map(|bundle| CpuArchitecture::from_name(&bundle.arch));
        let runs = cpu.is_none_or(|cpu| cpu == Some(architecture.cpu()));
        runs && (self.arch.is_empty() || self.arch.contains(&architecture.without_http()))
    }
}

/// Reads `menu`.
pub(super) fn read_menu(reader: &mut Reader, claims: &mut Claims, node: &Node) -> Option<Menu> {
    let mut fields = reader.fields(node, "`menu`")?;
    let timeout = fields.optional(reader, "timeout", read_timeout);
    let groups = fields.required(reader, "groups", |reader, node| {
        let groups = reader.items(node, |reader, item| read_group(reader, claims, item))?;
        non_empty(reader, node, groups, "the menu has no groups")
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
    let message = "the menu timeout must be 1 second to 5 minutes, in whole seconds";
    let help = "write a timeout such as `10s`; nothing boots before it ends";
    reader.refuse("wrong-value", node.span, message, help)
}

fn read_group(reader: &mut Reader, claims: &mut Claims, node: &Node) -> Option<MenuGroup> {
    let mut fields = reader.fields(node, "this group")?;
    let title = fields.required(reader, "title", read_label);
    let entries = fields.required(reader, "entries", |reader, node| {
        let entries = reader.items(node, |reader, item| read_entry(reader, claims, item))?;
        non_empty(reader, node, entries, "the group has no entries")
    });
    fields.finish(reader);
    Some(MenuGroup {
        title: title?,
        entries: entries?,
    })
}

/// Reports an empty list. If all items are invalid, they are already reported.
fn non_empty<T>(reader: &mut Reader, node: &Node, items: Vec<T>, message: &str) -> Option<Vec<T>> {
    if !matches!(&node.value, Value::Sequence(items) if items.is_empty()) {
        return Some(items);
    }
    let help = "add an item, or remove the empty list";
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
        non_empty(reader, node, arch, "the entry fits no machine")
    });
    let arch = arch.unwrap_or_default();
    let has_targets = [fields.has("bundle"), fields.has("loader")];
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
        // A loader may use this name for another file.
        claims.loader_name(loader.clone(), loader.value.clone());
        claims.spans.menu.push(loader.span);
        Some(loader.value)
    });
    let args = fields.optional(reader, "args", |reader, node| {
        reader.items(node, read_argument)
    });
    fields.finish(reader);
    let problem = match has_targets {
        [true, true] => Some("the entry has both `bundle` and `loader`"),
        [false, false] => Some("the entry has neither `bundle` nor `loader`"),
        _ => None,
    };
    if let Some(message) = problem {
        let help = "write either `bundle: …` to start its kernel, or `loader: …` to start a file of `server.files`";
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

/// Reads a text that appears on screens and inside scripts.
fn read_label(reader: &mut Reader, node: &Node) -> Option<String> {
    let text = reader.text(node)?;
    if !text.is_empty() && cleaned(&text, LABEL_LIMIT) == text {
        return Some(text);
    }
    let message = format!("`{text}` is not a valid menu text");
    let help =
        "use up to 60 ASCII characters, without blanks at the ends and without ${}|&;#\\`\"'<>";
    reader.refuse("wrong-value", node.span, message, help)
}

/// Reads the name of a file that appears in scripts and URLs.
fn read_loader_name(reader: &mut Reader, node: &Node) -> Option<Spanned<String>> {
    let name = read_file_name(reader, node)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+-/".contains(c);
    if name.value.chars().all(plain) && !name.value.starts_with('-') {
        return Some(name);
    }
    let message = format!("`{}` is not a valid file name in a boot menu", name.value);
    let help =
        "rename the file: use letters, digits, `.`, `_`, `+` and `-`, and do not start with `-`";
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
        let messages = reader.diagnostics.into_iter().map(|found| found.message);
        (menu, messages.collect())
    }

    fn with_entry(entry: &str) -> (Option<Menu>, Vec<String>) {
        read(&format!("groups: [{{title: T, entries: [{entry}]}}]"))
    }

    #[test]
    fn a_menu_times_out_after_ten_seconds_and_starts_bundles_or_files() {
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
    fn an_entry_is_offered_to_machines_that_can_run_it() {
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
    fn text_that_would_break_a_script_or_a_screen_is_refused() {
        for (entry, message) in [
            (
                "{label: 'a || shell', loader: f}",
                "`a || shell` is not a valid menu text",
            ),
            (
                "{label: '${x}', loader: f}",
                "`${x}` is not a valid menu text",
            ),
            (
                "{label: \"it's\", loader: f}",
                "`it's` is not a valid menu text",
            ),
            ("{label: ' a', loader: f}", "` a` is not a valid menu text"),
            ("{label: '', loader: f}", "`` is not a valid menu text"),
            ("{label: é, loader: f}", "`é` is not a valid menu text"),
            (
                "{label: L, loader: a b}",
                "`a b` is not a file name that firmware can request",
            ),
            (
                "{label: L, loader: '${x}'}",
                "`${x}` is not a file name that firmware can request",
            ),
            (
                "{label: L, loader: -x}",
                "`-x` is not a valid file name in a boot menu",
            ),
            (
                "{label: L, loader: ../x}",
                "`../x` is not a file name that firmware can request",
            ),
            (
                "{label: L, loader: f, args: [a b]}",
                "`a b` is not one kernel argument",
            ),
            (
                "{label: L, loader: f, arch: []}",
                "the entry fits no machine",
            ),
            (
                "{label: L, loader: f, arch: [http-x64]}",
                "unknown value `http-x64`",
            ),
            ("{label: L}", "the entry has neither `bundle` nor `loader`"),
            (
                "{label: L, bundle: b, loader: f}",
                "the entry has both `bundle` and `loader`",
            ),
            ("{loader: f}", "this entry has no `label`"),
        ] {
            assert_eq!(with_entry(entry).1, [message], "{entry}");
        }
        let long = format!("{{label: {}, loader: f}}", "x".repeat(61));
        assert_eq!(with_entry(&long).1.len(), 1);
    }

    #[test]
    fn an_empty_group_an_empty_menu_and_a_long_timeout_are_refused() {
        for (menu, message) in [
            ("groups: []", "the menu has no groups"),
            (
                "groups: [{title: T, entries: []}]",
                "the group has no entries",
            ),
            ("timeout: 3s", "`menu` has no `groups`"),
        ] {
            assert_eq!(read(menu).1, [message], "{menu}");
        }
        for timeout in ["500ms", "1500ms", "301s", "1h"] {
            let menu = format!(
                "{{timeout: {timeout}, groups: [{{title: T, entries: [{{label: L, loader: f}}]}}]}}"
            );
            let message = "the menu timeout must be 1 second to 5 minutes, in whole seconds";
            assert_eq!(read(&menu).1, [message], "{timeout}");
        }
    }
}
