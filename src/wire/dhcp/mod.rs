//! DHCP messages: the layout of RFC 2131 around an ordered list of options.
//!
//! The option codes and message types come from dhcproto; the layout is our own, since firmware depends
//! on the order, the padding and the length of a reply.

mod boot;
mod infiniband;
mod layout;
mod lists;
mod option_table;
mod options;
mod parse;
mod sub_options;
#[cfg(test)]
mod tests;
mod write;

use std::fmt;
use std::net::Ipv4Addr;

pub use dhcproto::v4::{MessageType, OptionCode};

use crate::machine::HardwareAddress;

pub use boot::IpxeFeature;
pub use layout::DhcpLayout;
pub use lists::RouteEntry;
pub use option_table::{
    FirmwareReading, IPXE_ENCAPSULATED, OptionRow, OptionShape, PXELINUX_CONFIG_FILE,
    PXELINUX_PATH_PREFIX, PXELINUX_REBOOT_TIME, Reservation, Retention, describe, option_named,
    option_row, option_rows,
};
pub use options::DhcpOptions;
pub use parse::DhcpParseError;
pub use sub_options::{PxeSubOption, SubOptions};
pub use write::DhcpWriteError;

/// The length of a message up to its first option: the fixed fields and the magic cookie.
const HEADER_LENGTH: usize = 240;
const MAGIC_COOKIE: [u8; 4] = [99, 130, 83, 99];
/// The length of an IPv4 and a UDP header, which option 57 counts.
const DATAGRAM_HEADERS: usize = 28;

/// One DHCP message of a client or a server.
///
/// [`DhcpMessage::parse`] reads the output of [`DhcpMessage::write`] back as an equal value.
/// Source: RFC 2131 §2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DhcpMessage {
    /// Whether a client or a server sends it (`op`).
    pub operation: Operation,
    /// The kind of network (`htype`), 1 for Ethernet.
    pub hardware_type: u8,
    /// The client's link-layer address (`chaddr`).
    pub hardware_address: HardwareAddress,
    /// The number of relays that the message passed (`hops`).
    pub hops: u8,
    /// The number by which a client recognizes its replies (`xid`).
    pub transaction_id: TransactionId,
    /// The seconds since the client started (`secs`).
    pub seconds: u16,
    /// Whether the client can receive only broadcast replies (the one flag of `flags`).
    pub broadcast: bool,
    /// The client's current address, for which it answers ARP (`ciaddr`), else unspecified.
    pub client_address: Ipv4Addr,
    /// The address that the server assigns (`yiaddr`), else unspecified.
    pub your_address: Ipv4Addr,
    /// The server of the next step of the boot (`siaddr`), else unspecified.
    pub server_address: Ipv4Addr,
    /// The relay that forwards the message (`giaddr`), else unspecified.
    pub relay_address: Ipv4Addr,
    /// The server's name (`sname`) up to its NUL: at most 63 bytes.
    pub server_name: Vec<u8>,
    /// The boot file (`file`) up to its NUL: at most 127 bytes.
    pub boot_file: Vec<u8>,
    /// The options.
    pub options: DhcpOptions,
    /// Whether a PAD follows each option of a reply that firmware reads past its end. Some firmware rejects
    /// PADs between options. It is not part of the layout: a parsed message always has `true`.
    pub pads_options: bool,
}

impl DhcpMessage {
    /// Creates a message over Ethernet in which every other field is zero or empty.
    pub fn new(
        operation: Operation,
        hardware_address: impl Into<HardwareAddress>,
        transaction_id: TransactionId,
    ) -> Self {
        Self {
            operation,
            hardware_type: 1,
            hardware_address: hardware_address.into(),
            hops: 0,
            transaction_id,
            seconds: 0,
            broadcast: false,
            client_address: Ipv4Addr::UNSPECIFIED,
            your_address: Ipv4Addr::UNSPECIFIED,
            server_address: Ipv4Addr::UNSPECIFIED,
            relay_address: Ipv4Addr::UNSPECIFIED,
            server_name: Vec::new(),
            boot_file: Vec::new(),
            options: DhcpOptions::default(),
            pads_options: true,
        }
    }
}

/// The sender of a message (`op`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A client (BOOTREQUEST, 1).
    Request,
    /// A server (BOOTREPLY, 2).
    Reply,
}

/// The number that a client puts into a message and that its replies repeat (`xid`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(pub u32);

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl fmt::Debug for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
