use super::assigned_boot_file::AssignedBootFile;
use super::boot::file_of_requested_size;
use super::delivery::Delivery;
use super::ignore_reason::IgnoreReason;
use super::request_context::RequestContext;
use super::response::{DhcpReply, Exchange, Response};
use super::{remarks, reply};
use crate::machine::LeaseChange;
use crate::wire::dhcp::{DhcpMessage, OptionCode};

/// The decision about one request; [`DhcpVerdict::into_response`] adds the destination of the reply and the
/// summary of the exchange.
pub struct DhcpVerdict {
    /// The lease change that must be durable before the reply is sent.
    pub commit: Option<LeaseChange>,
    /// The reply with its boot file, or the reason for sending no reply.
    pub reply: Result<(DhcpMessage, Option<AssignedBootFile>), IgnoreReason>,
    /// A remark for the operator.
    pub remark: Option<String>,
}

impl DhcpVerdict {
    /// Sends no reply.
    pub fn ignored(why: IgnoreReason) -> Self {
        Self {
            commit: None,
            reply: Err(why),
            remark: None,
        }
    }

    /// Names a boot file, without a lease.
    pub fn answered(reply: DhcpMessage, boot_file: AssignedBootFile) -> Self {
        Self {
            commit: None,
            reply: Ok((reply, Some(boot_file))),
            remark: None,
        }
    }

    /// Refuses an address.
    pub fn refused(context: &RequestContext<'_>, why: &str) -> Self {
        Self {
            commit: None,
            reply: Ok((reply::nak(context, why), None)),
            remark: Some(why.to_owned()),
        }
    }

    /// Adds the destination of the reply and the summary of the exchange.
    pub fn into_response(
        self,
        context: &RequestContext<'_>,
        mut exchange: Exchange,
        delivery: impl FnOnce(&DhcpMessage) -> Delivery,
    ) -> Response {
        let reply = self.reply.map(|(message, boot_file)| {
            let has_size = message.options.contains(OptionCode::BootFileSize);
            let needs_size_of = boot_file
                .as_ref()
                .filter(|_| !has_size)
                .and_then(|it| file_of_requested_size(context, it));
            exchange.boot_file = boot_file;
            DhcpReply {
                needs_size_of,
                limit: context.message.options.datagram_limit(),
                delivery: delivery(&message),
                message,
            }
        });
        exchange.class = context.class().map(|class| class.name.clone());
        exchange.architecture = context.client.announced_architecture();
        exchange.remark = self
            .remark
            .or_else(|| remarks::wrong_network(context))
            .or_else(|| remarks::skipped_loader(context))
            .or_else(|| {
                let gets_no_file = reply.is_ok() && exchange.boot_file.is_none();
                gets_no_file.then(|| remarks::no_loader(context)).flatten()
            });
        Response {
            commit: self.commit,
            reply,
            exchange,
        }
    }
}
