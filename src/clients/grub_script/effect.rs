//! The results of commands.

use super::GrubStep;
use super::state::{Fetch, Status};

/// The effect of a command.
pub(super) enum GrubEffect {
    /// The command has ended, with or without an error.
    Done(Status),
    /// The caller receives a step, and the command has ended.
    Show(GrubStep),
    /// A file is needed.
    Fetch(Fetch),
    /// An address is needed.
    AskForAddress,
    /// The innermost function returns.
    Return,
    /// The interpreter ends.
    End(GrubStep),
    /// The command is not supported.
    NotUnderstood(String),
}

/// The error of a command: GRUB's own error, or a command line that this model does not support.
pub(super) enum CommandError {
    Failed(String),
    NotUnderstood(String),
}

impl From<String> for CommandError {
    fn from(reason: String) -> Self {
        Self::Failed(reason)
    }
}

pub(super) type CommandResult = Result<GrubEffect, CommandError>;

pub(super) const DONE: CommandResult = Ok(GrubEffect::Done(Ok(())));

pub(super) fn not_understood(reason: String) -> CommandError {
    CommandError::NotUnderstood(reason)
}
