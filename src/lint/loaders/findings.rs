use crate::inventory::{Diagnostic, Span};
use crate::lint::boot_file::PeMachine;
use crate::machine::Architecture;

/// Warns about a loader that cannot be served.
pub fn refused(name: &str, span: Span, reason: &str) -> Diagnostic {
    let message = format!("loader `{name}` cannot be served: {reason}");
    let help = "put the file into a directory of `server.files` with read permission for others; if it is a link, add its target to `server.files`";
    Diagnostic::warning("missing-loader", span, message).help(help)
}

/// Reports whether UEFI firmware runs programs for a machine.
pub fn runs(architecture: Architecture, machine: PeMachine) -> bool {
    machine == PeMachine::Cpu(architecture.cpu())
        || architecture == Architecture::HttpEbc && machine == PeMachine::ByteCode
}
