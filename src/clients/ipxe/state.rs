//! The state of a running iPXE.

use std::collections::BTreeMap;

use super::script::Script;
use super::{IpxeStep, Purpose, Settings};

/// The deepest nesting of scripts.
pub(super) const MOST_NESTED: usize = 16;

/// The status of a command: success, or an error.
pub(super) type Status = Result<(), String>;

/// Runs iPXE scripts, and asks its caller for every file and every pause.
///
/// Call [`Interpreter::next`] until it returns an end; every later call returns the same end. Commands fail
/// like in iPXE: the script stops at a failed line unless `||` follows, and a chained script passes its
/// failure to the line that chained it. Programs and kernels always start, and disks always boot.
/// Source: iPXE, `src/image/script.c`, `src/core/exec.c`, `src/hci/commands/image_cmd.c`.
#[derive(Clone, Debug)]
pub struct Interpreter {
    pub(super) settings: Settings,
    pub(super) images: Vec<Image>,
    pub(super) menus: Menus,
    pub(super) frames: Vec<Frame>,
    pub(super) state: State,
    pub(super) commands: usize,
}

/// A running script.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub url: String,
    pub script: Script,
    pub line: usize,
    pub command: usize,
    pub status: Status,
}

#[derive(Clone, Debug)]
pub(super) enum State {
    Running,
    Fetching(Fetch),
    Ended(IpxeStep),
}

/// A requested file and its use.
#[derive(Clone, Debug)]
pub(super) struct Fetch {
    pub image: Image,
    pub purpose: Purpose,
    /// Whether a script replaces the script that requested it.
    pub replace: bool,
}

/// A loaded file.
#[derive(Clone, Debug)]
pub(super) struct Image {
    pub name: String,
    pub url: String,
    pub arguments: String,
    /// Whether `boot` without arguments starts it.
    pub is_selected: bool,
    pub script: Option<Script>,
}

/// The menus of a script, by their names; the unnamed menu has an empty name.
pub(super) type Menus = BTreeMap<String, Menu>;

/// A menu.
#[derive(Clone, Debug, Default)]
pub(super) struct Menu {
    /// The labels of its items, in order.
    pub labels: Vec<String>,
    /// The default label, unless `choose` names another one.
    pub default: Option<String>,
}

/// The effect of a command.
pub(super) enum IpxeEffect {
    /// The command has ended, with or without an error.
    Done(Status),
    /// The caller receives a step, and the command has ended, with or without an error.
    Show(IpxeStep, Status),
    /// The script continues at a label.
    Goto(String),
    /// A file is needed.
    Fetch(Fetch),
    /// A loaded image runs, instead of this script or nested in it.
    Execute(Image, bool),
    /// The script ends.
    Leave(u32),
    /// The interpreter ends.
    End(IpxeStep),
}

impl Frame {
    pub fn new(url: String, script: Script) -> Self {
        Self {
            url,
            script,
            line: 0,
            command: 0,
            status: Ok(()),
        }
    }

    pub fn go_to(&mut self, line: usize) {
        self.line = line;
        self.command = 0;
        self.status = Ok(());
    }
}
