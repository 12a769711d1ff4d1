use crate::wire::packet::Packet;

/// The ports of DHCP, and the port of boot servers.
pub(in crate::conversation) const SERVER_PORT: u16 = 67;
pub(in crate::conversation) const CLIENT_PORT: u16 = 68;
pub(in crate::conversation) const BOOT_SERVER_PORT: u16 = 4011;

/// Reports whether a datagram uses a DHCP port.
pub(in crate::conversation) fn is_dhcp(packet: &Packet<'_>) -> bool {
    let ours = [SERVER_PORT, CLIENT_PORT, BOOT_SERVER_PORT];
    ours.contains(&packet.source.port()) || ours.contains(&packet.destination.port())
}
