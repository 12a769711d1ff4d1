//! DHCP over InfiniBand, whose hardware addresses do not fit into `chaddr`.

use super::DhcpMessage;
use crate::machine::PortGuid;

/// The kind of network (`htype`) of IP over InfiniBand. Source: RFC 4390 §2.1.
const INFINIBAND: u8 = 32;

impl DhcpMessage {
    /// Reports whether the client is on an InfiniBand network.
    pub fn is_infiniband(&self) -> bool {
        self.hardware_type == INFINIBAND
    }

    /// Returns the GUID of an InfiniBand client's port: the one in its client identifier (61), else that in
    /// `chaddr`.
    ///
    /// Source: RFC 4390 §2.1; RFC 4361 §6.1.
    pub fn port_guid(&self) -> Option<PortGuid> {
        if !self.is_infiniband() {
            return None;
        }
        let identifier = self.options.client_identifier();
        let in_chaddr = || self.hardware_address.octets().try_into().ok();
        let bytes = identifier.and_then(guid_in_identifier);
        PortGuid::new(bytes.or_else(in_chaddr)?)
    }
}

/// Finds the GUID in a client identifier. A link-layer address of InfiniBand has 20 bytes and ends with the
/// GUID; some programs write the GUID alone.
fn guid_in_identifier(identifier: &[u8]) -> Option<[u8; 8]> {
    let link_layer_address = match identifier {
        // The hardware type and an address.
        [INFINIBAND, address @ ..] => address,
        // Type 255, an IAID, and a DUID with a link-layer address (DUID-LL), also with a time (DUID-LLT).
        [255, _, _, _, _, 0, 3, 0, INFINIBAND, address @ ..]
        | [
            255,
            _,
            _,
            _,
            _,
            0,
            1,
            0,
            INFINIBAND,
            _,
            _,
            _,
            _,
            address @ ..,
        ] => address,
        // A DUID of Mellanox. Source: NVIDIA, FlexBoot documentation, "InfiniBand Ports".
        [255, _, _, _, _, 0, 2, 0, 0, 2, 0xc9, 0, guid @ ..] if guid.len() == 8 => guid,
        _ => return None,
    };
    match link_layer_address.len() {
        8 | 20 => link_layer_address.last_chunk().copied(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{HardwareAddress, MacAddress};
    use crate::wire::dhcp::{Operation, OptionCode, TransactionId};

    const GUID: [u8; 8] = [0, 2, 0xc9, 3, 0, 0, 0x10, 0x39];

    fn seen(hardware_type: u8, chaddr: &[u8], identifier: &[u8]) -> Option<String> {
        let mac = MacAddress::new([0; 6]);
        let mut message = DhcpMessage::new(Operation::Request, mac, TransactionId(1));
        message.hardware_type = hardware_type;
        let mut field = [0; 16];
        field[..chaddr.len()].copy_from_slice(chaddr);
        message.hardware_address = HardwareAddress::new(chaddr.len() as u8, field);
        let code = OptionCode::ClientIdentifier;
        message.options.set_raw(code, identifier);
        message.port_guid().map(|guid| guid.to_string())
    }

    #[test]
    fn the_guid_is_found_in_every_form_of_the_client_identifier() {
        let expected = Some("00:02:c9:03:00:00:10:39".to_owned());
        let address = [&[0x80, 0, 0, 0x48, 0xfe, 0x80, 0, 0, 0, 0, 0, 0][..], &GUID].concat();
        let duid = |start: &[u8], end: &[u8]| [&[255, 1, 2, 3, 4], start, end].concat();
        for identifier in [
            [&[32][..], &GUID].concat(),
            [&[32][..], &address].concat(),
            duid(&[0, 3, 0, 32], &address),
            duid(&[0, 3, 0, 32], &GUID),
            duid(&[0, 1, 0, 32, 9, 9, 9, 9], &address),
            duid(&[0, 2, 0, 0, 2, 0xc9, 0], &GUID),
        ] {
            assert_eq!(seen(32, &[], &identifier), expected, "{identifier:?}");
            // Only InfiniBand has port GUIDs.
            assert_eq!(seen(1, &[], &identifier), None);
        }
        assert_eq!(seen(32, &GUID, b""), expected);
        for identifier in [
            &[][..],
            &[32],
            &[32, 0, 0, 0, 0, 0, 0, 0, 0],
            &[1, 2, 3, 4, 5, 6, 7],
            &[255, 1, 2, 3, 4, 0, 4, 1, 2, 3, 4, 5, 6, 7, 8],
        ] {
            assert_eq!(seen(32, &[], identifier), None, "{identifier:?}");
        }
    }
}
