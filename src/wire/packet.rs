//! The IPv4 packet in a captured frame, decoded down to its transport.

mod error;
mod link;

#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::machine::MacAddress;
pub use error::PacketError;
pub use link::{LinkType, VlanTags};

/// The IPv4 protocol numbers that are decoded.
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
/// The types of an Ethernet header. Source: IEEE 802 numbers.
const IPV4: u16 = 0x0800;
const VLAN: [u16; 3] = [0x8100, 0x88a8, 0x9100];
/// The ICMP type "destination unreachable".
const UNREACHABLE: u8 = 3;

/// One captured IPv4 packet, decoded down to its transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The sender of the frame; all zeros if the capture has no Ethernet header.
    pub source_mac: MacAddress,
    /// The receiver of the frame; all zeros if the capture does not hold it.
    pub destination_mac: MacAddress,
    /// The VLAN tags.
    pub vlans: VlanTags,
    /// Address and port of the sender; port 0 if the transport has none.
    pub source: SocketAddrV4,
    /// Address and port of the receiver; port 0 if the transport has none.
    pub destination: SocketAddrV4,
    /// The transport and its payload.
    pub transport: Transport<'a>,
    /// The length of the payload on the network, in bytes; a capture may hold less.
    pub length: usize,
    /// Whether the datagram was reassembled from fragments.
    pub fragmented: bool,
    /// Whether the capture holds less than was sent.
    pub cut: bool,
}

/// The transport of an IPv4 packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport<'a> {
    /// The payload of a UDP datagram.
    Udp(&'a [u8]),
    /// A TCP segment.
    Tcp(TcpSegment<'a>),
    /// An ICMP message that a packet was not delivered.
    Unreachable {
        /// The reason; 3 is a closed port.
        code: u8,
        /// The protocol of the undelivered packet.
        protocol: u8,
        /// The sender of the undelivered packet.
        source: SocketAddrV4,
        /// The receiver of the undelivered packet.
        destination: SocketAddrV4,
    },
}

/// A TCP segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpSegment<'a> {
    /// The sequence number of the first byte.
    pub sequence: u32,
    /// The sequence number that its sender expects next.
    pub acknowledgement: u32,
    /// The flags.
    pub flags: TcpFlags,
    /// The receive window of its sender, not scaled.
    pub window: u16,
    /// The payload.
    pub payload: &'a [u8],
}

/// The flags of a segment. Source: RFC 9293 §3.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// Reports whether the sender has finished.
    pub fn is_fin(self) -> bool {
        self.0 & 1 != 0
    }

    /// Reports whether the segment opens a connection.
    pub fn is_syn(self) -> bool {
        self.0 & 2 != 0
    }

    /// Reports whether the segment resets the connection.
    pub fn is_rst(self) -> bool {
        self.0 & 4 != 0
    }

    /// Reports whether the acknowledgement number is valid.
    pub fn is_ack(self) -> bool {
        self.0 & 16 != 0
    }
}

/// An IPv4 datagram, or a fragment of one, and the frame that it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4Datagram<'a> {
    /// The sender of the frame.
    pub source_mac: MacAddress,
    /// The receiver of the frame.
    pub destination_mac: MacAddress,
    /// The VLAN tags.
    pub vlans: VlanTags,
    /// The sender of the datagram.
    pub source: Ipv4Addr,
    /// The receiver of the datagram.
    pub destination: Ipv4Addr,
    /// The protocol of the payload.
    pub protocol: u8,
    /// The identification, which its fragments share.
    pub identification: u16,
    /// The offset of the payload in the whole datagram, in bytes.
    pub offset: usize,
    /// Whether more fragments follow.
    pub more: bool,
    /// The payload, as far as it was captured.
    pub payload: &'a [u8],
    /// The length of the payload on the network, in bytes.
    pub length: usize,
    /// Whether the capture holds less than was sent.
    pub cut: bool,
}

impl<'a> Ipv4Datagram<'a> {
    /// Reads the headers of a frame down to IPv4, without Ethernet padding.
    ///
    /// # Errors
    /// When the frame does not hold an IPv4 datagram.
    pub fn parse(link: LinkType, frame: &'a [u8]) -> Result<Self, PacketError> {
        let mut macs = [MacAddress::new([0; 6]); 2];
        let mut vlans = VlanTags::NONE;
        let network = match link {
            LinkType::Ethernet => {
                let header = head::<14>(frame, "an Ethernet header")?;
                macs = [mac(&header[6..12]), mac(&header[..6])];
                let ether_type = u16::from_be_bytes([header[12], header[13]]);
                untagged(ether_type, &frame[14..], &mut vlans)?
            }
            LinkType::RawIp => frame,
            LinkType::LinuxCooked => {
                let header = head::<16>(frame, "a Linux cooked header")?;
                macs[0] = cooked_mac(u16::from_be_bytes([header[4], header[5]]), &header[6..12]);
                let ether_type = u16::from_be_bytes([header[14], header[15]]);
                untagged(ether_type, &frame[16..], &mut vlans)?
            }
            LinkType::LinuxCooked2 => {
                let header = head::<20>(frame, "a Linux cooked header")?;
                macs[0] = cooked_mac(header[11].into(), &header[12..18]);
                let ether_type = u16::from_be_bytes([header[0], header[1]]);
                untagged(ether_type, &frame[20..], &mut vlans)?
            }
            LinkType::Unknown(number) => return Err(PacketError::LinkType(number)),
        };
        let datagram = Self::parse_network(network)?;
        Ok(Self {
            source_mac: macs[0],
            destination_mac: macs[1],
            vlans,
            ..datagram
        })
    }

    /// Reads an IPv4 header. Source: RFC 791 §3.1.
    fn parse_network(bytes: &'a [u8]) -> Result<Self, PacketError> {
        const WHAT: &str = "an IPv4 header";
        let header = head::<20>(bytes, WHAT)?;
        if header[0] >> 4 != 4 {
            return Err(match header[0] >> 4 {
                // Raw IP has no Ethernet type.
                6 => PacketError::NotIpv4(0x86dd),
                version => PacketError::Version(version),
            });
        }
        let header_length = usize::from(header[0] & 15) * 4;
        let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
        // With segmentation offload, the captured length may be 0.
        let total = if total == 0 { bytes.len() } else { total };
        if header_length < 20 || total < header_length {
            let length = header_length.min(total);
            return Err(PacketError::Length { what: WHAT, length });
        }
        let end = total.min(bytes.len());
        let payload = bytes.get(header_length..end).ok_or(PacketError::Short {
            what: WHAT,
            need: header_length,
            have: bytes.len(),
        })?;
        let fragment = u16::from_be_bytes([header[6], header[7]]);
        Ok(Self {
            source_mac: MacAddress::new([0; 6]),
            destination_mac: MacAddress::new([0; 6]),
            vlans: VlanTags::NONE,
            source: address(&header[12..16]),
            destination: address(&header[16..20]),
            protocol: header[9],
            identification: u16::from_be_bytes([header[4], header[5]]),
            offset: usize::from(fragment & 0x1fff) * 8,
            more: fragment & 0x2000 != 0,
            payload,
            length: total - header_length,
            cut: total > bytes.len(),
        })
    }

    /// Reports whether it is a fragment.
    pub fn is_fragment(&self) -> bool {
        self.more || self.offset > 0
    }

    /// Reads the header of the transport.
    ///
    /// # Errors
    /// When it is a fragment, or its transport is not supported.
    pub fn packet(&self) -> Result<Packet<'a>, PacketError> {
        if self.is_fragment() {
            return Err(PacketError::Fragment);
        }
        let mut cut = self.cut;
        let (ports, transport, length) = match self.protocol {
            UDP => {
                let (ports, payload, length) = udp(self.payload)?;
                cut |= length > payload.len();
                (ports, Transport::Udp(payload), length)
            }
            TCP => {
                let (ports, segment) = tcp(self.payload)?;
                let header = self.payload.len() - segment.payload.len();
                let length = self.length.saturating_sub(header);
                (ports, Transport::Tcp(segment), length)
            }
            ICMP => ((0, 0), unreachable(self.payload)?, 0),
            other => return Err(PacketError::Protocol(other)),
        };
        Ok(Packet {
            source_mac: self.source_mac,
            destination_mac: self.destination_mac,
            vlans: self.vlans,
            source: SocketAddrV4::new(self.source, ports.0),
            destination: SocketAddrV4::new(self.destination, ports.1),
            transport,
            length,
            fragmented: false,
            cut,
        })
    }
}

impl<'a> Packet<'a> {
    /// Reads a frame that holds a whole datagram.
    ///
    /// # Errors
    /// When it holds a fragment, or no supported transport.
    pub fn parse(link: LinkType, frame: &'a [u8]) -> Result<Self, PacketError> {
        Ipv4Datagram::parse(link, frame)?.packet()
    }
}

/// Removes the VLAN tags. A tag with VLAN 0 holds only a priority.
///
/// Source: IEEE 802.1Q.
fn untagged<'a>(
    mut ether_type: u16,
    mut rest: &'a [u8],
    vlans: &mut VlanTags,
) -> Result<&'a [u8], PacketError> {
    let mut tags = 0;
    let mut level = 0;
    while VLAN.contains(&ether_type) {
        let tag = head::<4>(rest, "a VLAN tag")?;
        tags += 1;
        if tags > vlans.0.len() {
            return Err(PacketError::Tags);
        }
        let number = u16::from_be_bytes([tag[0], tag[1]]) & 0x0fff;
        if number != 0 {
            vlans.0[level] = Some(number);
            level += 1;
        }
        ether_type = u16::from_be_bytes([tag[2], tag[3]]);
        rest = &rest[4..];
    }
    match ether_type {
        IPV4 => Ok(rest),
        other => Err(PacketError::NotIpv4(other)),
    }
}

type Ports = (u16, u16);

/// Reads a UDP header. Also returns the length of the payload on the network. Source: RFC 768.
fn udp(bytes: &[u8]) -> Result<(Ports, &[u8], usize), PacketError> {
    const WHAT: &str = "a UDP header";
    let header = head::<8>(bytes, WHAT)?;
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let length = match length {
        0 => bytes.len(),
        1..8 => return Err(PacketError::Length { what: WHAT, length }),
        length => length,
    };
    let end = length.min(bytes.len());
    Ok((ports(header), &bytes[8..end], length - 8))
}

/// Reads a TCP header. Source: RFC 9293 §3.1.
fn tcp(bytes: &[u8]) -> Result<(Ports, TcpSegment<'_>), PacketError> {
    const WHAT: &str = "a TCP header";
    let header = head::<20>(bytes, WHAT)?;
    let length = usize::from(header[12] >> 4) * 4;
    if length < 20 {
        return Err(PacketError::Length { what: WHAT, length });
    }
    let payload = bytes.get(length..).ok_or(PacketError::Short {
        what: WHAT,
        need: length,
        have: bytes.len(),
    })?;
    let segment = TcpSegment {
        sequence: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
        acknowledgement: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
        flags: TcpFlags(header[13]),
        window: u16::from_be_bytes([header[14], header[15]]),
        payload,
    };
    Ok((ports(header), segment))
}

/// Reads an ICMP message that a packet was not delivered. Source: RFC 792.
fn unreachable(bytes: &[u8]) -> Result<Transport<'_>, PacketError> {
    let header = head::<8>(bytes, "an ICMP header")?;
    if header[0] != UNREACHABLE {
        return Err(PacketError::Icmp(header[0]));
    }
    let about = Ipv4Datagram::parse_network(&bytes[8..])?;
    // The message holds at least the first eight bytes of that packet: the ports.
    let ports = match (about.protocol, about.offset, about.payload.first_chunk()) {
        (UDP | TCP, 0, Some([a, b, c, d])) => {
            (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]))
        }
        _ => (0, 0),
    };
    Ok(Transport::Unreachable {
        code: header[1],
        protocol: about.protocol,
        source: SocketAddrV4::new(about.source, ports.0),
        destination: SocketAddrV4::new(about.destination, ports.1),
    })
}

fn ports(header: &[u8]) -> Ports {
    let port = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    (port(0), port(2))
}

fn head<'a, const N: usize>(
    bytes: &'a [u8],
    what: &'static str,
) -> Result<&'a [u8; N], PacketError> {
    bytes.first_chunk().ok_or(PacketError::Short {
        what,
        need: N,
        have: bytes.len(),
    })
}

fn mac(bytes: &[u8]) -> MacAddress {
    MacAddress::new(bytes.first_chunk().copied().unwrap_or_default())
}

fn cooked_mac(length: u16, bytes: &[u8]) -> MacAddress {
    if length == 6 {
        mac(bytes)
    } else {
        MacAddress::new([0; 6])
    }
}

fn address(bytes: &[u8]) -> Ipv4Addr {
    Ipv4Addr::from(bytes.first_chunk().copied().unwrap_or_default())
}
