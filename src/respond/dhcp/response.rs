use super::request_context::RequestContext;
use super::{BootFile, Delivery, Ignored, reply};
use crate::machine::{Architecture, LeaseChange, MacAddress};
use crate::wire::dhcp::{DhcpMessage, MessageType, OptionCode, TransactionId};

/// The response to one DHCP message.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// The lease change that must be durable before the reply is sent.
    pub commit: Option<LeaseChange>,
    /// The reply, or the reason for sending no reply.
    pub reply: Result<Reply, Ignored>,
    /// A summary of the exchange for the log.
    pub exchange: Exchange,
}

/// A message to send, with its destination.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The message.
    pub message: DhcpMessage,
    /// The longest datagram that the client accepts.
    pub limit: usize,
    /// Where it goes.
    pub delivery: Delivery,
    /// The served file whose size the client requests. The shell has the files, and adds the size with
    /// [`Reply::set_boot_file_size`].
    pub measured: Option<String>,
}

/// A summary of an exchange, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The type of the client's message.
    pub request: Option<MessageType>,
    /// The network that it came from.
    pub network: Option<String>,
    /// Its transaction.
    pub transaction_id: TransactionId,
    /// Its Ethernet address; where it put its GUID there, that of its host's boot interface.
    pub mac: Option<MacAddress>,
    /// The host that owns the Ethernet address.
    pub host: Option<String>,
    /// The client architecture.
    pub architecture: Option<Architecture>,
    /// The boot file that the client got; printed without its token.
    pub boot_file: Option<BootFile>,
    /// A remark for the operator.
    pub remark: Option<String>,
}

impl Reply {
    /// Sets the size of the boot file (option 13) from a number of bytes, so that firmware need not request
    /// the size first. A file of more than 65,535 blocks of 512 bytes gets no size.
    ///
    /// Source: RFC 2132 §3.15; edk2, `PxeBcDhcp4BootInfo`.
    pub fn set_boot_file_size(&mut self, bytes: u64) {
        let blocks = u16::try_from(bytes.div_ceil(512)).ok();
        if let Some(blocks) = blocks.filter(|blocks| *blocks > 0) {
            let options = &mut self.message.options;
            options.set_number(OptionCode::BootFileSize, blocks);
        }
    }
}

impl Response {
    pub(super) fn ignored(why: Ignored, exchange: Exchange) -> Self {
        Self {
            commit: None,
            reply: Err(why),
            exchange,
        }
    }
}

/// The decision of a handler; the caller adds the summary of the exchange.
pub(super) struct Verdict {
    pub(super) commit: Option<LeaseChange>,
    pub(super) reply: Result<(DhcpMessage, Option<BootFile>), Ignored>,
    pub(super) remark: Option<String>,
}

impl Verdict {
    pub(super) fn ignored(why: Ignored) -> Self {
        Self {
            commit: None,
            reply: Err(why),
            remark: None,
        }
    }

    pub(super) fn answered(reply: DhcpMessage, boot_file: BootFile) -> Self {
        Self {
            commit: None,
            reply: Ok((reply, Some(boot_file))),
            remark: None,
        }
    }

    pub(super) fn refused(context: &RequestContext<'_>, why: &str) -> Self {
        Self {
            commit: None,
            reply: Ok((reply::nak(context, why), None)),
            remark: Some(why.to_owned()),
        }
    }

    /// Adds the destination of the reply and the summary of the exchange.
    pub(super) fn into_response(
        self,
        context: &RequestContext<'_>,
        mut exchange: Exchange,
        delivery: impl FnOnce(&DhcpMessage) -> Delivery,
    ) -> Response {
        let reply = self.reply.map(|(message, boot_file)| {
            let measured = boot_file.as_ref().and_then(|it| context.measured(it));
            let has_size = message.options.contains(OptionCode::BootFileSize);
            exchange.boot_file = boot_file;
            Reply {
                measured: measured.filter(|_| !has_size),
                limit: context.message.options.datagram_limit(),
                delivery: delivery(&message),
                message,
            }
        });
        let remark = self.remark.or_else(|| context.wrong_network());
        exchange.remark = remark.or_else(|| context.refused_loader()).or_else(|| {
            context
                .no_loader()
                .filter(|_| reply.is_ok() && exchange.boot_file.is_none())
        });
        Response {
            commit: self.commit,
            reply,
            exchange,
        }
    }
}
