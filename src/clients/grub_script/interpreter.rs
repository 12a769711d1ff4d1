//! Runs configurations step by step.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::context::{Context, MenuEntry};
use super::effect::GrubEffect;
use super::program::{Operation, Program};
use super::state::{Fetch, Interpreter, Kind, Loaded, State};
use super::words::SyntaxError;
use super::{GrubMachine, GrubStep, Lease, Purpose};

/// The most operations of a script; more count as an endless loop.
const MOST_OPERATIONS: usize = 20_000;
impl Interpreter {
    /// Starts a configuration, with the variables that GRUB itself sets and exports.
    ///
    /// # Errors
    /// When the text is not a valid script.
    pub fn new<'v>(
        file: &str,
        text: &str,
        machine: GrubMachine,
        variables: impl IntoIterator<Item = (&'v str, String)>,
    ) -> Result<Self, SyntaxError> {
        let program = Program::parse(text)?;
        let variables = variables.into_iter();
        let variables = variables.map(|(name, value)| (name.to_owned(), (value, true)));
        let context = Context {
            variables: variables.collect(),
            menu: Vec::new(),
        };
        let mut interpreter = Self {
            machine,
            contexts: vec![context],
            loaded: None,
            status: Ok(()),
            functions: BTreeMap::new(),
            frames: Vec::new(),
            state: State::Running,
            operations: 0,
        };
        interpreter.enter(file, Rc::new(program), Vec::new(), Kind::Configuration);
        Ok(interpreter)
    }

    /// Runs up to the next step that concerns the caller.
    #[allow(clippy::should_implement_trait)] // It has no `None`: the end repeats.
    pub fn next(&mut self) -> GrubStep {
        loop {
            match &self.state {
                State::Ended(step) => return step.clone(),
                State::AskingForAddress => return GrubStep::Dhcp,
                State::Fetching(Fetch { file, purpose, .. }) => {
                    return GrubStep::Fetch {
                        file: file.clone(),
                        purpose: *purpose,
                    };
                }
                State::Running => {}
            }
            self.operations += 1;
            if self.operations > MOST_OPERATIONS {
                self.fail(
                    "",
                    format!("the script did not end within {MOST_OPERATIONS} steps"),
                );
                continue;
            }
            if let Some(step) = self.advance() {
                return step;
            }
        }
    }

    /// Answers [`GrubStep::Fetch`] with the file (at least the first bytes of a kernel, an initrd or a
    /// program), or with the reason of a failure. Does nothing without such a step.
    ///
    /// Returns the message on the console.
    pub fn supply(&mut self, answer: Result<&[u8], String>) -> Option<String> {
        let fetch = match std::mem::replace(&mut self.state, State::Running) {
            State::Fetching(fetch) => fetch,
            other => {
                self.state = other;
                return None;
            }
        };
        match answer {
            // GRUB skips a missing configuration without a message.
            Err(_) if fetch.purpose == Purpose::Configuration => {
                self.status = Ok(());
                None
            }
            Err(_) if fetch.purpose == Purpose::Test => {
                self.status = Err(String::new());
                None
            }
            Err(reason) => {
                self.status = Err(reason);
                self.shown_error()
            }
            Ok(bytes) => {
                self.take(fetch, bytes);
                None
            }
        }
    }

    /// Answers [`GrubStep::Dhcp`]. Does nothing without such a step.
    ///
    /// Returns the message on the console.
    pub fn supply_lease(&mut self, answer: Result<Lease, String>) -> Option<String> {
        if !matches!(self.state, State::AskingForAddress) {
            return None;
        }
        self.state = State::Running;
        self.status = match answer {
            Ok(lease) => {
                // GRUB names the card's new interface after both.
                let name = |what: &str| format!("net_efinet0_dhcp_{what}");
                for (what, value) in [
                    ("ip", lease.address.to_string()),
                    ("mac", lease.mac.to_string()),
                    ("next_server", lease.next_server.to_string()),
                    ("boot_file", lease.boot_file),
                ] {
                    self.set_exported(&name(what), value);
                }
                Ok(())
            }
            Err(reason) => Err(reason),
        };
        self.shown_error()
    }

    fn take(&mut self, fetch: Fetch, bytes: &[u8]) {
        let Fetch {
            file,
            purpose,
            arguments,
            mut more,
        } = fetch;
        self.status = Ok(());
        match purpose {
            Purpose::Configuration | Purpose::Source => {
                let text = String::from_utf8_lossy(bytes);
                let kind = match purpose {
                    Purpose::Configuration => Kind::Configuration,
                    _ => Kind::Source,
                };
                match Program::parse(&text) {
                    Ok(program) => {
                        if kind == Kind::Configuration {
                            self.open_context();
                        }
                        self.enter(&file.url(), Rc::new(program), Vec::new(), kind);
                    }
                    Err(SyntaxError { line, reason }) => {
                        let lines = text.lines().nth(line.saturating_sub(1));
                        self.end(GrubStep::Failed {
                            script: file.url(),
                            line,
                            command: lines.unwrap_or_default().trim().to_owned(),
                            reason,
                        });
                    }
                }
            }
            Purpose::Kernel => {
                self.loaded = Some(Loaded::Kernel {
                    file,
                    arguments,
                    initrds: Vec::new(),
                });
            }
            Purpose::Initrd => {
                if let Some(Loaded::Kernel { initrds, .. }) = &mut self.loaded {
                    initrds.push(file);
                }
                if let Some(next) = more.pop_front() {
                    self.state = State::Fetching(Fetch {
                        file: next,
                        purpose,
                        arguments,
                        more,
                    });
                }
            }
            Purpose::Program => self.loaded = Some(Loaded::Program { file, arguments }),
            Purpose::Test => {
                if bytes.is_empty() {
                    self.status = Err(String::new());
                }
            }
        }
    }

    /// Runs one operation, or leaves a program at its end.
    fn advance(&mut self) -> Option<GrubStep> {
        let Some(frame) = self.frames.last_mut() else {
            // GRUB shows its prompt.
            self.end(GrubStep::NeedsOperator {
                command: "grub>".into(),
            });
            return None;
        };
        let program = Rc::clone(&frame.program);
        let Some(operation) = program.operations.get(frame.at) else {
            return self.leave();
        };
        frame.at += 1;
        match operation {
            Operation::Jump(to) => frame.at = *to,
            Operation::JumpIfFailed(to) if self.status.is_err() => frame.at = *to,
            Operation::JumpIfDone(to) if self.status.is_ok() => frame.at = *to,
            Operation::JumpIfFailed(_) | Operation::JumpIfDone(_) => {}
            Operation::Succeed => self.status = Ok(()),
            Operation::Define { name, body } => {
                self.functions.insert(name.clone(), Rc::clone(body));
            }
            Operation::For(words) => {
                let words = self.expand(words)?;
                if let Some(frame) = self.frames.last_mut() {
                    frame.loops.push(words.into());
                }
            }
            Operation::Next { name, end } => {
                let next = frame.loops.last_mut().and_then(VecDeque::pop_front);
                match next {
                    Some(value) => self.set(name, value),
                    None => {
                        frame.loops.pop();
                        frame.at = *end;
                    }
                }
            }
            Operation::Entry {
                words,
                body,
                is_submenu,
            } => {
                let words = self.expand(words)?;
                let entry = MenuEntry::new(&words, body, *is_submenu);
                if let Some(context) = self.contexts.last_mut() {
                    context.menu.push(entry);
                }
            }
            Operation::Run(words) => {
                if let (Some(frame), Some(word)) = (self.frames.last_mut(), words.first()) {
                    frame.line = word.line;
                }
                let words = self.expand(words)?;
                return self.command(&words);
            }
        }
        None
    }

    fn command(&mut self, words: &[String]) -> Option<GrubStep> {
        let name = words.first()?;
        if let Some(body) = self.functions.get(name) {
            let (body, file) = (Rc::clone(body), self.file());
            self.enter(&file, body, words[1..].to_vec(), Kind::Function);
            return None;
        }
        match self.run(name, &words[1..]) {
            GrubEffect::Done(status) => {
                self.status = status;
                return self.shown_error().map(GrubStep::Print);
            }
            GrubEffect::Show(step) => {
                self.status = Ok(());
                return Some(step);
            }
            GrubEffect::Fetch(fetch) => self.state = State::Fetching(fetch),
            GrubEffect::AskForAddress => self.state = State::AskingForAddress,
            GrubEffect::Return => {
                let innermost = self.frames.last().map(|frame| frame.kind);
                if innermost == Some(Kind::Function) {
                    self.frames.pop();
                } else {
                    self.status = Err("not in function body".into());
                    return self.shown_error().map(GrubStep::Print);
                }
            }
            GrubEffect::End(step) => self.end(step),
            GrubEffect::NotUnderstood(reason) => self.fail(&words.join(" "), reason),
        }
        None
    }

    /// Returns to the caller of the innermost program.
    fn leave(&mut self) -> Option<GrubStep> {
        let kind = self.frames.last().map(|frame| frame.kind);
        match kind {
            Some(Kind::Configuration) if self.has_menu() => return self.menu(),
            Some(Kind::Entry) => {
                if self.loaded.is_some() {
                    let _ = self.start();
                } else {
                    self.end(GrubStep::NeedsOperator {
                        command: "a menu whose entry loaded no kernel".into(),
                    });
                }
                return None;
            }
            Some(Kind::Configuration) if self.contexts.len() > 1 => {
                self.contexts.pop();
            }
            _ => {}
        }
        self.frames.pop();
        None
    }

    fn shown_error(&self) -> Option<String> {
        let reason = self.status.as_ref().err()?;
        (!reason.is_empty()).then(|| format!("error: {reason}."))
    }
}
