use std::net::Ipv4Addr;

use super::{DhcpOptions, IPXE_ENCAPSULATED, OptionCode};

/// The options inside another option: code, length, value.
///
/// Ends at an END or at the first truncated option; skips PADs.
/// Source: RFC 2132 §8.4; RFC 3046 §2.0; PXE 2.1 §2.2.2.
#[derive(Clone, Debug)]
pub struct SubOptions<'a>(&'a [u8]);

impl<'a> Iterator for SubOptions<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (&code, rest) = self.0.split_first()?;
            match code {
                0 => self.0 = rest,
                255 => return None,
                _ => {
                    let (&length, rest) = rest.split_first()?;
                    let (value, rest) = rest.split_at_checked(length.into())?;
                    self.0 = rest;
                    return Some((code, value));
                }
            }
        }
    }
}

/// The sub-options of option 43, under the vendor class `PXEClient`, that determine a ROM's next step.
///
/// Source: PXE 2.1 §2.2.2, table 2-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PxeSubOption {
    /// How to discover a boot server (6); the value 8 means: load the named file at once.
    DiscoveryControl = 6,
    /// The multicast address for boot server discovery (7).
    DiscoveryMulticast = 7,
    /// Boot servers by type (8): the type in two bytes, a count, and the addresses.
    BootServers = 8,
    /// The lines of the boot menu (9).
    BootMenu = 9,
    /// The prompt before the boot menu, and its timeout (10).
    MenuPrompt = 10,
}

impl DhcpOptions {
    /// Lists the options inside an option; empty if it is absent.
    pub fn sub_options(&self, code: OptionCode) -> SubOptions<'_> {
        SubOptions(self.raw(code).unwrap_or(&[]))
    }

    /// Returns a PXE sub-option of the vendor's options (43).
    pub fn pxe_sub_option(&self, sub_option: PxeSubOption) -> Option<&[u8]> {
        self.sub_option(OptionCode::VendorExtensions, sub_option as u8)
    }

    /// Lists iPXE's own options (175).
    pub fn ipxe_features(&self) -> SubOptions<'_> {
        self.sub_options(IPXE_ENCAPSULATED)
    }

    /// Returns the relay's option (82), which a reply repeats byte for byte.
    pub fn relay_agent_information(&self) -> Option<&[u8]> {
        self.raw(OptionCode::RelayAgentInformation)
    }

    /// Returns the subnet of the client, according to the relay (82.5).
    ///
    /// Source: RFC 3527 §3.
    pub fn link_selection(&self) -> Option<Ipv4Addr> {
        self.relay_address(5)
    }

    /// Returns the address that the relay requests as the server identifier (82.11).
    ///
    /// Source: RFC 5107 §4.
    pub fn server_identifier_override(&self) -> Option<Ipv4Addr> {
        self.relay_address(11)
    }

    /// Sets an option to a list of options inside it, without an END. A value over 255 bytes is cut.
    pub fn set_sub_options(&mut self, code: OptionCode, sub_options: &[(u8, &[u8])]) {
        let mut bytes = Vec::new();
        for (sub_option, value) in sub_options {
            let value = &value[..value.len().min(255)];
            bytes.extend([*sub_option, value.len() as u8]);
            bytes.extend_from_slice(value);
        }
        self.set_raw(code, bytes);
    }

    fn relay_address(&self, sub_option: u8) -> Option<Ipv4Addr> {
        let bytes = self.sub_option(OptionCode::RelayAgentInformation, sub_option)?;
        bytes.try_into().ok().map(Ipv4Addr::from_octets)
    }

    fn sub_option(&self, code: OptionCode, sub_option: u8) -> Option<&[u8]> {
        self.sub_options(code)
            .find(|(other, _)| *other == sub_option)
            .map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sub_options_read_back_as_they_were_set() {
        let mut options = DhcpOptions::default();
        let set: [(u8, &[u8]); 3] = [(6, &[8]), (9, b""), (10, &[0; 255])];
        options.set_sub_options(OptionCode::VendorExtensions, &set);
        let seen: Vec<_> = options.sub_options(OptionCode::VendorExtensions).collect();
        assert_eq!(seen, set);
        assert_eq!(
            options.pxe_sub_option(PxeSubOption::DiscoveryControl),
            Some(&[8][..])
        );
    }

    #[test]
    fn pads_are_skipped_and_the_list_ends_at_an_end_or_a_truncated_option() {
        for (bytes, expected) in [
            (&[0, 6, 1, 8, 0, 255, 9, 0][..], 1),
            (&[6, 1, 8, 9, 4, 1, 2, 3], 1),
            (&[6, 1, 8, 9], 1),
            (&[], 0),
        ] {
            assert_eq!(SubOptions(bytes).count(), expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_relay_names_the_link_and_the_server() {
        let mut options = DhcpOptions::default();
        options.set_raw(
            OptionCode::RelayAgentInformation,
            [1, 2, 0, 7, 5, 4, 10, 20, 1, 0, 11, 4, 10, 20, 1, 1],
        );
        assert_eq!(options.link_selection(), Some([10, 20, 1, 0].into()));
        assert_eq!(
            options.server_identifier_override(),
            Some([10, 20, 1, 1].into())
        );
        options.set_raw(OptionCode::RelayAgentInformation, [5, 3, 10, 20, 1]);
        assert_eq!(options.link_selection(), None);
    }
}
