use std::str;

use super::{DhcpMessage, DhcpOptions, IPXE_ENCAPSULATED, OptionCode};
use crate::machine::{Architecture, SystemUuid};

/// The features that iPXE announces in option 175.
///
/// Source: iPXE, `src/include/ipxe/features.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum IpxeFeature {
    /// Can load over HTTP.
    Http = 0x13,
    /// Can load over HTTPS.
    Https = 0x14,
    /// Can load over TFTP.
    Tftp = 0x15,
    /// Can resolve names.
    Dns = 0x17,
    /// Can boot Linux kernels on a BIOS machine.
    BzImage = 0x18,
    /// Can boot UEFI programs.
    Efi = 0x24,
    /// Supports VLANs.
    Vlan = 0x26,
    /// Supports menus.
    Menu = 0x27,
    /// Sent by a server: iPXE must not wait for a proxyDHCP offer.
    NoProxyDhcp = 0xb0,
}

/// The prefixes of Raspberry Pi's Ethernet addresses. Source: IEEE's registry of OUIs.
const RASPBERRY_PI: [[u8; 3]; 7] = [
    [0x28, 0xcd, 0xc1],
    [0x2c, 0xcf, 0x67],
    [0x88, 0xa2, 0x9e],
    [0xb8, 0x27, 0xeb],
    [0xd8, 0x3a, 0xdd],
    [0xdc, 0xa6, 0x32],
    [0xe4, 0x5f, 0x01],
];

impl DhcpMessage {
    /// Returns the client's architecture, as [`DhcpOptions::architecture`] reads it. A Raspberry Pi's own
    /// firmware announces a BIOS, so its Ethernet address identifies it.
    ///
    /// UEFI and iPXE on such a machine announce their own architecture.
    pub fn architecture(&self) -> Option<Architecture> {
        let announced = self.options.architecture();
        let bytes = self.hardware_address.octets();
        let is_pi = RASPBERRY_PI.iter().any(|oui| bytes.starts_with(oui));
        let is_firmware = self.options.is_pxe_client() && !self.options.is_ipxe();
        match announced {
            None | Some(Architecture::Bios) if is_pi && is_firmware => {
                Some(Architecture::RaspberryPi)
            }
            announced => announced,
        }
    }
}

impl DhcpOptions {
    /// Reports whether option 60 starts with `PXEClient`, in a request or a reply.
    pub fn is_pxe_client(&self) -> bool {
        self.vendor_class_starts_with(b"PXEClient")
    }

    /// Reports whether option 60 starts with `HTTPClient`, in a request or a reply.
    pub fn is_http_client(&self) -> bool {
        self.vendor_class_starts_with(b"HTTPClient")
    }

    /// Lists the client's architectures (93), the preferred one first, as IANA's codes.
    ///
    /// Source: RFC 4578 §2.1.
    pub fn client_architectures(&self) -> Vec<u16> {
        let list = self.raw(OptionCode::ClientSystemArchitecture);
        let (whole, _) = list.unwrap_or(&[]).as_chunks();
        whole.iter().copied().map(u16::from_be_bytes).collect()
    }

    /// Returns the client's architecture: the first known one in option 93, else the digits of
    /// `Arch:00007` in option 60.
    pub fn architecture(&self) -> Option<Architecture> {
        self.client_architectures()
            .into_iter()
            .chain(self.architecture_of_vendor_class())
            .find_map(Architecture::from_code)
    }

    /// Returns the machine's UUID (97), if the option has the one known type, 0, and its length.
    ///
    /// Source: RFC 4578 §2.3.
    pub fn system_uuid(&self) -> Option<SystemUuid> {
        match self.raw(OptionCode::ClientMachineIdentifier)? {
            [0, bytes @ ..] => bytes.try_into().ok().map(SystemUuid::from_wire),
            _ => None,
        }
    }

    /// Reports whether the client is iPXE: user class `iPXE` (77), raw as iPXE sends it or in the list of
    /// RFC 3004, or iPXE's own option (175) alone, as FlexBoot sends it.
    pub fn is_ipxe(&self) -> bool {
        let user_class = self.raw(OptionCode::UserClass).unwrap_or(&[]);
        user_class == b"iPXE"
            || listed_classes(user_class).any(|class| class == b"iPXE")
            || self.contains(IPXE_ENCAPSULATED)
    }

    /// Reports whether iPXE announces a feature (175).
    pub fn has_ipxe_feature(&self, feature: IpxeFeature) -> bool {
        self.ipxe_features()
            .any(|(code, value)| code == feature as u8 && value.iter().any(|&byte| byte != 0))
    }

    fn vendor_class_starts_with(&self, prefix: &[u8]) -> bool {
        self.vendor_class()
            .is_some_and(|class| class.starts_with(prefix))
    }

    fn architecture_of_vendor_class(&self) -> Option<u16> {
        let mut parts = self.vendor_class()?.split(|&byte| byte == b':');
        parts.find(|part| part == b"Arch")?;
        str::from_utf8(parts.next()?).ok()?.parse().ok()
    }
}

/// Splits option 77 into its classes, each after a byte with its length.
///
/// Source: RFC 3004 §4.
fn listed_classes(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (&length, after_length) = rest.split_first()?;
        let (class, after_class) = after_length.split_at_checked(length.into())?;
        rest = after_class;
        Some(class)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(values: &[(u8, &[u8])]) -> DhcpOptions {
        let mut options = DhcpOptions::default();
        for (code, value) in values {
            options.set_raw(OptionCode::from(*code), *value);
        }
        options
    }

    #[test]
    fn the_architecture_is_the_first_known_code_or_else_in_the_vendor_class() {
        let x64: &[u8] = b"PXEClient:Arch:00007:UNDI:003016";
        let http: &[u8] = b"HTTPClient:Arch:00016:UNDI:003001";
        for (values, expected) in [
            (&[(93, &[0, 7][..])][..], Some(Architecture::UefiX64)),
            (&[(93, &[0, 9])], Some(Architecture::UefiX64)),
            (&[(93, &[0xff, 0, 0, 11])], Some(Architecture::UefiArm64)),
            (&[(93, &[0, 0]), (60, x64)], Some(Architecture::Bios)),
            (&[(93, &[0xff, 0]), (60, x64)], Some(Architecture::UefiX64)),
            (&[(93, &[7]), (60, x64)], Some(Architecture::UefiX64)),
            (&[(60, http)], Some(Architecture::HttpX64)),
            (&[(60, b"PXEClient:Arch:")], None),
            (&[(60, b"PXEClient")], None),
            (&[], None),
        ] {
            assert_eq!(options(values).architecture(), expected, "{values:?}");
        }
    }

    #[test]
    fn a_uuid_has_type_zero_and_sixteen_bytes() {
        let bytes: [u8; 17] = std::array::from_fn(|index| index as u8);
        let uuid = "04030201-0605-0807-090a-0b0c0d0e0f10".parse().ok();
        assert_eq!(options(&[(97, &bytes)]).system_uuid(), uuid);
        for value in [&bytes[..16], &[1; 17], &[0; 18], &[]] {
            assert_eq!(options(&[(97, value)]).system_uuid(), None, "{value:?}");
        }
    }

    #[test]
    fn ipxe_is_recognized_in_three_ways() {
        for (values, expected) in [
            (&[(77, &b"iPXE"[..])][..], true),
            (&[(77, b"\x04iPXE")], true),
            (&[(77, b"\x03foo\x04iPXE")], true),
            (&[(175, b"\x13\x01\x01")], true),
            (&[(175, b"")], true),
            (&[(77, b"gPXE")], false),
            (&[(77, b"\x09iPXE")], false),
            (&[(60, b"PXEClient")], false),
        ] {
            assert_eq!(options(values).is_ipxe(), expected, "{values:?}");
        }
    }

    #[test]
    fn a_feature_of_ipxe_counts_when_its_value_is_not_zero() {
        let options = options(&[(175, &[0x13, 1, 1, 0x14, 1, 0, 0x26, 1, 1])]);
        assert!(options.has_ipxe_feature(IpxeFeature::Http));
        assert!(options.has_ipxe_feature(IpxeFeature::Vlan));
        assert!(!options.has_ipxe_feature(IpxeFeature::Https));
        assert!(!options.has_ipxe_feature(IpxeFeature::BzImage));
    }
}
