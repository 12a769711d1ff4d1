/// Why a frame holds no supported packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// The link type of the frame is not supported.
    #[error("link type {0} is not supported")]
    LinkType(u16),
    /// The Ethernet type of the frame is not IPv4.
    #[error("Ethernet type {0:#06x} is not IPv4")]
    NotIpv4(u16),
    /// The frame has more than two VLAN tags.
    #[error("more than two VLAN tags")]
    Tags,
    /// A header is truncated.
    #[error("{what} needs {need} bytes, but has {have}")]
    Short {
        /// The header.
        what: &'static str,
        /// The length that it needs, in bytes.
        need: usize,
        /// The length that was captured, in bytes.
        have: usize,
    },
    /// The length in a header is too small.
    #[error("{what} has an invalid length of {length} bytes")]
    Length {
        /// The header.
        what: &'static str,
        /// The length in the header.
        length: usize,
    },
    /// The IP version is neither 4 nor 6.
    #[error("an IPv4 header has version {0}")]
    Version(u8),
    /// The datagram is a fragment.
    #[error("a fragment of a datagram")]
    Fragment,
    /// The protocol of the datagram is not supported.
    #[error("IP protocol {0} is not supported")]
    Protocol(u8),
    /// The ICMP message does not report an undelivered packet.
    #[error("an ICMP message of type {0}")]
    Icmp(u8),
}

impl PacketError {
    /// Reports whether the frame is damaged, not just of another kind.
    pub fn is_malformed(self) -> bool {
        matches!(
            self,
            Self::Short { .. } | Self::Length { .. } | Self::Version(_)
        )
    }
}
