//! The state of a running GRUB.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::context::Context;
use super::program::Program;
use super::{GrubMachine, GrubStep, Purpose};
use crate::clients::dhcp::BootFile;

/// The deepest nesting of configurations, functions and menus.
const MOST_NESTED: usize = 32;
/// The status of a command: success, or an error. An empty error is not printed.
pub(super) type Status = Result<(), String>;

/// Runs GRUB scripts, and asks its caller for every file, address and pause.
///
/// Call [`Interpreter::next`] until it returns an end; every later call returns the same end. A failed
/// command prints its error and the script continues, like in GRUB. There is no operator: a menu with a
/// timeout starts its default entry. Programs and kernels always start.
/// Source: GRUB 2.06, `grub-core/script/execute.c`, `grub-core/normal/main.c`, `menu.c`.
#[derive(Clone, Debug)]
pub struct Interpreter {
    pub(super) machine: GrubMachine,
    pub(super) contexts: Vec<Context>,
    pub(super) loaded: Option<Loaded>,
    pub(super) status: Status,
    pub(super) functions: BTreeMap<String, Rc<Program>>,
    pub(super) frames: Vec<Frame>,
    pub(super) state: State,
    pub(super) operations: usize,
}

/// The target of `boot`.
#[derive(Clone, Debug)]
pub(super) enum Loaded {
    Kernel {
        file: BootFile,
        arguments: String,
        initrds: Vec<BootFile>,
    },
    Program {
        file: BootFile,
        arguments: String,
    },
    Disk {
        how: String,
    },
}

/// A running program.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// The file that contains it.
    pub file: String,
    pub program: Rc<Program>,
    pub at: usize,
    /// The number of the last line that ran.
    pub line: usize,
    pub loops: Vec<VecDeque<String>>,
    pub arguments: Vec<String>,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A configuration with its own context; its menu is shown at its end.
    Configuration,
    /// A part of another configuration.
    Source,
    Function,
    /// A menu entry; its loaded program starts at its end.
    Entry,
}

#[derive(Clone, Debug)]
pub(super) enum State {
    Running,
    Fetching(Fetch),
    AskingForAddress,
    Ended(GrubStep),
}

/// A requested file and its use.
#[derive(Clone, Debug)]
pub(super) struct Fetch {
    pub file: BootFile,
    pub purpose: Purpose,
    /// The arguments of the loaded file, and the initrds to request after it.
    pub arguments: String,
    pub more: VecDeque<BootFile>,
}

impl Interpreter {
    /// Starts the loaded program.
    pub(super) fn start(&mut self) -> Status {
        let step = match self.loaded.take() {
            None => return Err("you need to load the kernel first".into()),
            Some(Loaded::Disk { how }) => GrubStep::LocalDisk { how },
            Some(Loaded::Program { file, arguments }) => GrubStep::Chain { file, arguments },
            Some(Loaded::Kernel {
                file,
                arguments,
                initrds,
            }) => GrubStep::Boot {
                kernel: file,
                arguments,
                initrds,
            },
        };
        self.end(step);
        Ok(())
    }

    pub(super) fn enter(
        &mut self,
        file: &str,
        program: Rc<Program>,
        arguments: Vec<String>,
        kind: Kind,
    ) {
        if self.frames.len() >= MOST_NESTED {
            return self.fail(
                "",
                format!("blocks are nested more than {MOST_NESTED} deep"),
            );
        }
        self.frames.push(Frame {
            file: file.to_owned(),
            program,
            at: 0,
            line: 1,
            loops: Vec::new(),
            arguments,
            kind,
        });
    }

    pub(super) fn file(&self) -> String {
        let frame = self.frames.last();
        frame.map(|frame| frame.file.clone()).unwrap_or_default()
    }

    pub(super) fn fail(&mut self, command: &str, reason: String) {
        let frame = self.frames.last();
        let (script, line) = frame.map_or((String::new(), 0), |it| (it.file.clone(), it.line));
        self.end(GrubStep::Failed {
            script,
            line,
            command: command.to_owned(),
            reason,
        });
    }

    pub(super) fn end(&mut self, step: GrubStep) {
        if !matches!(self.state, State::Ended(_)) {
            self.state = State::Ended(step);
        }
    }
}
