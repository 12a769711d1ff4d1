//! Why a command ends without its result: the one error type of the command line.

use std::error::Error;
use std::fmt::Display;

use super::global::Exit;
use super::output::Output;
use crate::bmc::FleetError;
use crate::bundle::builder::BuildError;
use crate::bundle::transfer::TransferError;
use crate::bundle::{BundleStoreError, KeyError};
use crate::capture::CaptureError;
use crate::inventory::SignatureError;
use crate::render::PlanError;
use crate::store::StoreError;
use crate::workspace::{NoPlaceForStore, NoPlaceForWitness, SnapshotError};

/// What a command returns.
pub type CommandResult<T = Exit> = Result<T, CommandError>;

/// Why a command ends without its result: how to exit, and what to print. Where everything is printed
/// already, such as the diagnostics of an inventory, there is no message.
#[derive(Debug)]
pub struct CommandError {
    exit: Exit,
    messages: Vec<Message>,
}

/// One error as it is printed.
#[derive(Debug)]
struct Message {
    text: String,
    /// The next command or edit; empty if the text is enough.
    hint: String,
}

impl CommandError {
    /// Makes the error of a command that could not do its work: network, permission, disk.
    pub fn failed(text: impl Into<String>) -> Self {
        Self::new(Exit::Failed, text)
    }

    /// Makes the error of a command whose input is invalid, or whose answer is no.
    pub fn no(text: impl Into<String>) -> Self {
        Self::new(Exit::No, text)
    }

    /// Makes the error of an invalid command line.
    pub fn usage(text: impl Into<String>) -> Self {
        Self::new(Exit::Usage, text)
    }

    /// Makes the error of a command that has printed everything.
    pub fn reported(exit: Exit) -> Self {
        Self {
            exit,
            messages: Vec::new(),
        }
    }

    /// Makes an error with an exit status of its own.
    pub fn new(exit: Exit, text: impl Into<String>) -> Self {
        let message = Message {
            text: text.into(),
            hint: String::new(),
        };
        Self {
            exit,
            messages: vec![message],
        }
    }

    /// Adds the next command or edit to the last message.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Some(message) = self.messages.last_mut() {
            message.hint = hint.into();
        }
        self
    }

    /// Adds the messages of another error, which happened too; the first one decides how to exit.
    pub fn and(mut self, other: Self) -> Self {
        self.messages.extend(other.messages);
        self
    }

    /// Prints the messages, and returns how to exit.
    pub fn print(&self, output: &Output) -> Exit {
        for message in &self.messages {
            output.error(&message.text, &message.hint);
        }
        self.exit
    }

    fn of(error: &dyn Error, hint: String, is_no: bool) -> Self {
        let exit = if is_no { Exit::No } else { Exit::Failed };
        Self::new(exit, chain_text(error)).hint(hint)
    }
}

/// Says what a command was doing when an error happened.
pub trait WhileDoing<T> {
    /// Puts `what` before the error's text: `cannot write the backup: no space left on device`.
    ///
    /// # Errors
    /// If the result is an error.
    fn while_doing(self, what: impl Display) -> CommandResult<T>;
}

impl<T, E: Into<CommandError>> WhileDoing<T> for Result<T, E> {
    fn while_doing(self, what: impl Display) -> CommandResult<T> {
        self.map_err(|error| {
            let mut error = error.into();
            for message in &mut error.messages {
                message.text = format!("{what}: {}", message.text);
            }
            error
        })
    }
}

impl From<anyhow::Error> for CommandError {
    fn from(error: anyhow::Error) -> Self {
        Self::of(error.as_ref(), String::new(), false)
    }
}

impl From<std::io::Error> for CommandError {
    fn from(error: std::io::Error) -> Self {
        Self::of(&error, String::new(), false)
    }
}

/// Errors that carry their hint, and those that also know whether the input is the cause.
macro_rules! from_errors {
    ($($error:ty => |$it:ident| ($hint:expr, $is_no:expr);)+) => {
        $(impl From<$error> for CommandError {
            fn from($it: $error) -> Self {
                let (hint, is_no): (Option<String>, bool) = ($hint, $is_no);
                Self::of(&$it, hint.unwrap_or_default(), is_no)
            }
        })+
    };
}

from_errors! {
    StoreError => |it| (Some(it.help()), false);
    BundleStoreError => |it| (it.help(), it.answer_is_no());
    TransferError => |it| (it.help(), it.answer_is_no());
    BuildError => |it| (it.help(), it.answer_is_no());
    KeyError => |it| (it.help(), false);
    FleetError => |it| (Some(it.help()), false);
    NoPlaceForStore => |it| (Some(it.help()), false);
    NoPlaceForWitness => |it| (None, false);
    SignatureError => |it| (None, false);
    PlanError => |it| (None, false);
}

impl From<CaptureError> for CommandError {
    fn from(error: CaptureError) -> Self {
        let hint = error.help().unwrap_or_default();
        if error.is_usage() {
            return Self::usage(chain_text(&error)).hint(hint);
        }
        Self::of(&error, hint, error.answer_is_no())
    }
}

impl From<SnapshotError> for CommandError {
    fn from(error: SnapshotError) -> Self {
        let hint = match &error {
            SnapshotError::Absent(_) => {
                "use `-i DIR` to name it, or create an example with `pxectl init DIR`"
            }
            SnapshotError::GitAtWork(_) => {
                "try again when git has finished; remove the lock if a crash left it behind"
            }
            SnapshotError::Unsettled(_) => "try again when the files no longer change",
            SnapshotError::Io { .. } => "",
        };
        Self::of(&error, hint.to_owned(), false)
    }
}

/// Writes an error with its causes, each once: many texts contain those of their causes.
pub fn chain_text(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let cause_text = error.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn text(error: impl Into<CommandError>) -> String {
        let error = error.into();
        let texts: Vec<String> = error.messages.into_iter().map(|it| it.text).collect();
        texts.join("; ")
    }

    #[test]
    fn a_cause_is_not_repeated_and_the_hint_survives_a_context() {
        let disk = || BundleStoreError::Io {
            path: "b".into(),
            source: io::Error::other("no"),
        };
        assert_eq!(text(disk()), "`b`: no");
        let result: Result<(), _> = Err(disk());
        let error = result.while_doing("cannot write").unwrap_err();
        assert_eq!(text(error), "cannot write: `b`: no");
        let closed: Result<(), _> = Err(CommandError::no("closed").hint("open it"));
        let error = closed.while_doing("cannot enter").unwrap_err();
        assert_eq!(error.messages[0].hint, "open it");
        assert_eq!(error.exit, Exit::No);
    }
}
