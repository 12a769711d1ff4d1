use super::assigned_boot_file::AssignedBootFile;
use super::delivery::Delivery;
use super::ignore_reason::IgnoreReason;
use super::origin::mac_of;
use crate::inventory::{Host, Nic};
use crate::machine::{Architecture, LeaseChange, MacAddress, PortGuid};
use crate::wire::dhcp::{DhcpMessage, MessageType, OptionCode, TransactionId};

/// The response to one DHCP message.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// The lease change that must be durable before the reply is sent.
    pub commit: Option<LeaseChange>,
    /// The reply, or the reason for sending no reply.
    pub reply: Result<DhcpReply, IgnoreReason>,
    /// A summary of the exchange for the log.
    pub exchange: Exchange,
}

/// A message to send, with its destination.
#[derive(Clone, Debug, PartialEq)]
pub struct DhcpReply {
    /// The message.
    pub message: DhcpMessage,
    /// The longest datagram that the client accepts.
    pub limit: usize,
    /// Where it goes.
    pub delivery: Delivery,
    /// The served file whose size the reply needs. The shell has the files, and adds the size with
    /// [`DhcpReply::set_boot_file_size`].
    pub needs_size_of: Option<String>,
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
    /// The client's Ethernet address; where `chaddr` holds a GUID, that of the host's boot interface.
    pub mac: Option<MacAddress>,
    /// The GUID of the client's InfiniBand port.
    pub guid: Option<PortGuid>,
    /// The host that owns the Ethernet address.
    pub host: Option<String>,
    /// The client architecture.
    pub architecture: Option<Architecture>,
    /// The client's class on its network.
    pub class: Option<String>,
    /// The boot file that the client got; printed without its token.
    pub boot_file: Option<AssignedBootFile>,
    /// A remark for the operator.
    pub remark: Option<String>,
}

impl DhcpReply {
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

impl Exchange {
    /// Starts the summary of a message from a known host and interface, or from another machine.
    pub(super) fn new(message: &DhcpMessage, known: Option<(&Host, &Nic)>) -> Self {
        Self {
            request: message.options.message_type(),
            network: None,
            transaction_id: message.transaction_id,
            mac: mac_of(message, known),
            guid: message.port_guid(),
            host: known.map(|(host, _)| host.name.clone()),
            architecture: message.architecture().ok().flatten(),
            class: None,
            boot_file: None,
            remark: None,
        }
    }
}

impl Response {
    /// Creates the response to a message that is not answered.
    pub(super) fn ignored(why: IgnoreReason, exchange: Exchange) -> Self {
        Self {
            commit: None,
            reply: Err(why),
            exchange,
        }
    }
}
