/// Why a frame holds no packet that can be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// The frame begins with something that we cannot read.
    #[error("frames of link type {0} are not read")]
    LinkType(u16),
    /// The frame carries something else than IPv4, by its Ethernet type.
    #[error("Ethernet type {0:#06x} is not IPv4")]
    NotIpv4(u16),
    /// The frame has more than two VLAN tags.
    #[error("more than two VLAN tags")]
    Tags,
    /// A header is not whole.
    #[error("{what} needs {need} bytes and has {have}")]
    Short {
        /// Which header.
        what: &'static str,
        /// How long it is.
        need: usize,
        /// How much of it there is.
        have: usize,
    },
    /// A length in a header contradicts the header.
    #[error("{what} says that it is {length} bytes long")]
    Length {
        /// Which header.
        what: &'static str,
        /// What it says.
        length: usize,
    },
    /// The header says IPv4 and another version.
    #[error("an IPv4 header of version {0}")]
    Version(u8),
    /// It is one fragment of a datagram.
    #[error("a fragment of a datagram")]
    Fragment,
    /// The datagram carries a protocol that is not followed.
    #[error("IP protocol {0} is not followed")]
    Protocol(u8),
    /// An ICMP message that reports no packet as lost.
    #[error("an ICMP message of type {0}")]
    Icmp(u8),
}

impl PacketError {
    /// Reports whether the frame is broken, and not only something that nobody asked for.
    pub fn is_malformed(self) -> bool {
        matches!(
            self,
            Self::Short { .. } | Self::Length { .. } | Self::Version(_)
        )
    }
}
