//! Runs scripts step by step.

use super::script::{NotAScript, Script, When};
use super::state::{Frame, Image, Interpreter, IpxeEffect, MOST_NESTED, Menus, State, Status};
use super::{Initrd, IpxeStep, Purpose, Settings};

/// The most commands of a script; more count as an endless loop.
const MOST_COMMANDS: usize = 10_000;
impl Interpreter {
    /// Starts the script from `url`, against which its relative URLs are resolved.
    ///
    /// # Errors
    /// When the bytes are not a script.
    pub fn new(url: &str, script: &[u8], settings: Settings) -> Result<Self, NotAScript> {
        Ok(Self {
            settings,
            images: Vec::new(),
            menus: Menus::new(),
            frames: vec![Frame::new(url.to_owned(), Script::parse(script)?)],
            state: State::Running,
            commands: 0,
        })
    }

    /// Returns the current settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Runs up to the next step that concerns the caller.
    #[allow(clippy::should_implement_trait)] // It has no `None`: the end repeats.
    pub fn next(&mut self) -> IpxeStep {
        loop {
            match &self.state {
                State::Ended(step) => return step.clone(),
                State::Fetching(fetch) => {
                    return IpxeStep::Fetch {
                        url: fetch.image.url.clone(),
                        purpose: fetch.purpose.clone(),
                    };
                }
                State::Running => {}
            }
            if let Some(step) = self.advance() {
                return step;
            }
        }
    }

    /// Answers [`IpxeStep::Fetch`] with the file (at least the first bytes of a kernel or an initrd), or
    /// with the reason of a failure. Does nothing without such a step.
    pub fn supply(&mut self, answer: Result<&[u8], String>) {
        let mut fetch = match std::mem::replace(&mut self.state, State::Running) {
            State::Fetching(fetch) => fetch,
            other => {
                self.state = other;
                return;
            }
        };
        let status = match answer {
            Err(reason) => Err(format!("`{}`: {reason}", fetch.image.url)),
            Ok([]) if !matches!(fetch.purpose, Purpose::Initrd { .. }) => {
                Err(format!("`{}` is empty", fetch.image.url))
            }
            Ok(bytes) => {
                fetch.image.script = Script::parse(bytes).ok();
                match fetch.purpose {
                    Purpose::Chain => return self.execute(fetch.image, fetch.replace),
                    Purpose::Kernel => self.select(fetch.image),
                    Purpose::Initrd { .. } => self.images.push(fetch.image),
                }
                Ok(())
            }
        };
        self.set_status(status);
    }

    /// Runs an image: a script continues here, anything else is the end.
    pub(super) fn execute(&mut self, image: Image, replace: bool) {
        let Some(script) = image.script else {
            return self.end(self.start(image));
        };
        if replace {
            self.frames.pop();
        } else if self.frames.len() >= MOST_NESTED {
            return self.set_status(Err(format!(
                "scripts are nested more than {MOST_NESTED} deep"
            )));
        }
        self.frames.push(Frame::new(image.url, script));
    }

    /// Selects the image for `boot` without arguments.
    pub(super) fn select(&mut self, image: Image) {
        for other in &mut self.images {
            other.is_selected = false;
        }
        self.images.push(Image {
            is_selected: true,
            ..image
        });
    }

    /// Returns the URL of the current script.
    pub(super) fn base(&self) -> &str {
        self.frames.last().map_or("", |frame| &frame.url)
    }

    /// Runs one command, or leaves a line or a script at its end.
    fn advance(&mut self) -> Option<IpxeStep> {
        let Some(frame) = self.frames.last_mut() else {
            self.end(IpxeStep::Exit(0));
            return None;
        };
        let Some(line) = frame.script.lines.get(frame.line) else {
            self.leave(Ok(0));
            return None;
        };
        let Some(command) = line.commands.get(frame.command) else {
            match &frame.status {
                Ok(()) => frame.go_to(frame.line + 1),
                Err(reason) => {
                    let reason = reason.clone();
                    self.leave(Err(reason));
                }
            }
            return None;
        };
        frame.command += 1;
        let runs = match command.when {
            When::Always => true,
            When::AfterSuccess => frame.status.is_ok(),
            When::AfterFailure => frame.status.is_err(),
        };
        if !runs {
            return None;
        }
        let words = command.words.clone();
        self.commands += 1;
        if self.commands > MOST_COMMANDS {
            let failed = self.failed(format!(
                "the script did not end within {MOST_COMMANDS} commands"
            ));
            self.end(failed);
            return None;
        }

        let mut expanded = Vec::with_capacity(words.len());
        for word in &words {
            match self.settings.expand(word) {
                Ok(word) => expanded.push(word),
                Err(error) => {
                    self.set_status(Err(error.to_string()));
                    return None;
                }
            }
        }
        match self.run(&expanded) {
            IpxeEffect::Done(status) => self.set_status(status),
            IpxeEffect::Show(step, status) => {
                self.set_status(status);
                return Some(step);
            }
            IpxeEffect::Goto(label) => self.go_to(&label),
            IpxeEffect::Fetch(fetch) => self.state = State::Fetching(fetch),
            IpxeEffect::Execute(image, replace) => self.execute(image, replace),
            IpxeEffect::Leave(code) => self.leave(Ok(code)),
            IpxeEffect::End(step) => self.end(step),
        }
        None
    }

    fn go_to(&mut self, label: &str) {
        let Some(frame) = self.frames.last_mut() else {
            return;
        };
        match frame.script.label(label) {
            Some(line) => frame.go_to(line),
            None => frame.status = Err(format!("no label `:{label}`")),
        }
    }

    /// Ends the innermost script, with an exit code or with an unhandled failure.
    fn leave(&mut self, result: Result<u32, String>) {
        let failed = match &result {
            Ok(_) => None,
            Err(reason) => Some(self.failed(reason.clone())),
        };
        let script = self.frames.pop();
        let Some(caller) = self.frames.last_mut() else {
            self.end(failed.unwrap_or(IpxeStep::Exit(result.unwrap_or_default())));
            return;
        };
        let url = script.map(|frame| frame.url).unwrap_or_default();
        caller.status = match (result, failed) {
            (Ok(0), _) => Ok(()),
            (Ok(code), _) => Err(format!("`{url}` exited with `{code}`")),
            (Err(_), Some(IpxeStep::Failed { line, reason, .. })) => {
                Err(format!("`{url}`, line {line}: {reason}"))
            }
            (Err(reason), _) => Err(reason),
        };
    }

    fn failed(&self, reason: String) -> IpxeStep {
        let frame = self.frames.last();
        let line = frame.and_then(|frame| frame.script.lines.get(frame.line));
        IpxeStep::Failed {
            script: self.base().to_owned(),
            line: line.map_or(0, |line| line.number),
            command: line.map(|line| line.text.clone()).unwrap_or_default(),
            reason,
        }
    }

    /// Returns the end that starts a program; with other loaded files, it is a kernel.
    fn start(&self, program: Image) -> IpxeStep {
        let others = self.images.iter();
        let initrds: Vec<_> = others
            .filter(|image| {
                !image.is_selected && image.script.is_none() && image.url != program.url
            })
            .map(|image| Initrd {
                name: image.name.clone(),
                url: image.url.clone(),
                arguments: image.arguments.clone(),
            })
            .collect();
        if initrds.is_empty() && !program.is_selected {
            IpxeStep::Chain {
                url: program.url,
                arguments: program.arguments,
            }
        } else {
            IpxeStep::Boot {
                kernel_url: program.url,
                arguments: program.arguments,
                initrds,
            }
        }
    }

    fn set_status(&mut self, status: Status) {
        if let Some(frame) = self.frames.last_mut() {
            frame.status = status;
        }
    }

    fn end(&mut self, step: IpxeStep) {
        self.state = State::Ended(step);
    }
}
