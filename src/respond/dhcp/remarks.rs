//! Remarks for the operator about a request, which the log shows with its answer.

use super::request_context::RequestContext;
use crate::inventory::ClassBootFile;

/// Returns a remark if firmware continued with another protocol instead of starting its loader.
pub fn skipped_loader(context: &RequestContext<'_>) -> Option<String> {
    let other = if context.boots_over_http() {
        "PXE"
    } else {
        "HTTP boot"
    };
    context.skipped_loader.then(|| {
        format!(
            "the firmware did not start the loader that it got by {other}: with Secure Boot on, \
             firmware starts only signed, unmodified loaders"
        )
    })
}

/// Returns the reason why a client that boots from the network gets no boot file.
pub fn no_loader(context: &RequestContext<'_>) -> Option<String> {
    if context.is_looping && context.is_ipxe {
        return Some(
            "the client's iPXE just got our loader, but still supports no HTTP or no Linux \
             kernel: it did not fetch the loader, or the loader is an iPXE with the same limits"
                .to_owned(),
        );
    }
    let class_has_none = context
        .class()
        .is_some_and(|class| class.boot_file == ClassBootFile::Nothing);
    if !context.boots_from_network() || class_has_none {
        return None;
    }
    Some(match context.architecture() {
        Ok(architecture) => format!(
            "the site has no loader for `{}`",
            architecture.without_http()
        ),
        Err(unknown) => format!("{unknown}: the client gets no boot file"),
    })
}

/// Returns a remark if the machine is on another network than in the inventory.
pub fn wrong_network(context: &RequestContext<'_>) -> Option<String> {
    let (_, nic) = context
        .known
        .filter(|(_, nic)| nic.network != context.network.name)?;
    Some(format!(
        "the machine is on network `{}`, but the inventory has it on `{}`",
        context.network.name, nic.network
    ))
}
