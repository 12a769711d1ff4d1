//! ARP over Ethernet, as far as needed to check whether an address is in use.

use std::array;
use std::net::Ipv4Addr;

use crate::machine::MacAddress;

/// The type of ARP in an Ethernet header.
pub const ETHER_TYPE: u16 = 0x0806;
/// The Ethernet header, and ARP for Ethernet and IPv4.
const FRAME_LENGTH: usize = 14 + 28;
/// Ethernet, IPv4, and the lengths of their addresses.
const KIND: [u8; 6] = [0, 1, 8, 0, 6, 4];

/// Builds a broadcast probe for `address` that claims no address for us.
///
/// Source: RFC 5227 §2.1.1.
pub fn probe(source: MacAddress, address: Ipv4Addr) -> Vec<u8> {
    let mut frame = Vec::with_capacity(FRAME_LENGTH);
    frame.extend([0xff; 6]);
    frame.extend(source.octets());
    frame.extend(ETHER_TYPE.to_be_bytes());
    frame.extend(KIND);
    frame.extend([0, 1]);
    frame.extend(source.octets());
    frame.extend([0; 4]);
    frame.extend([0; 6]);
    frame.extend(address.octets());
    frame
}

/// Returns the sender of an ARP frame, request or reply: that machine has the address. `None` for other
/// frames, and for probes.
pub fn sender(frame: &[u8]) -> Option<(MacAddress, Ipv4Addr)> {
    let frame: &[u8; FRAME_LENGTH] = frame.first_chunk()?;
    let is_arp = frame[12..14] == ETHER_TYPE.to_be_bytes() && frame[14..20] == KIND;
    let address = Ipv4Addr::from_octets(array::from_fn(|index| frame[28 + index]));
    let mac = MacAddress::new(array::from_fn(|index| frame[22 + index]));
    (is_arp && !address.is_unspecified()).then_some((mac, address))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const US: MacAddress = MacAddress::new([0x52, 0x54, 0, 0, 0, 1]);
    const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 200);

    #[test]
    fn a_probe_requests_an_address_without_claiming_one() {
        let frame = probe(US, ADDRESS);
        let expected = "ffffffffffff52540000000108060001080006040001\
                        52540000000100000000\
                        0000000000000a1400c8";
        assert_eq!(data_encoding::HEXLOWER.encode(&frame), expected);
        assert_eq!(sender(&frame), None);
    }

    #[test]
    fn a_reply_and_a_request_both_show_who_has_the_address() {
        for operation in [1, 2] {
            let mut frame = probe(US, ADDRESS);
            frame[21] = operation;
            frame[28..32].copy_from_slice(&ADDRESS.octets());
            // Ethernet fills short frames up.
            frame.resize(60, 0);
            assert_eq!(sender(&frame), Some((US, ADDRESS)));
            frame[13] = 0;
            assert_eq!(sender(&frame), None);
        }
    }

    proptest! {
        #[test]
        fn arbitrary_frames_never_panic(frame in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = sender(&frame);
        }
    }
}
