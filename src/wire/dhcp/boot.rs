use std::str;

use super::{DhcpMessage, DhcpOptions, IPXE_ENCAPSULATED, OptionCode};
use crate::machine::{Architecture, SystemUuid, UnknownArchitecture};

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
    /// firmware announces a BIOS or nothing, so its machine identifier (97) identifies it, or its vendor
    /// class and its Ethernet address.
    ///
    /// UEFI, U-Boot and iPXE on such a machine announce their own architecture.
    ///
    /// # Errors
    /// When the client announces only unknown architectures.
    pub fn architecture(&self) -> Result<Option<Architecture>, UnknownArchitecture> {
        let bytes = self.hardware_address.octets();
        let has_address = RASPBERRY_PI.iter().any(|oui| bytes.starts_with(oui));
        let is_pi = self.options.is_raspberry_pi() || has_address && self.options.is_pxe_client();
        match self.options.architecture() {
            Ok(None | Some(Architecture::Bios)) if is_pi && !self.options.is_ipxe() => {
                Ok(Some(Architecture::RaspberryPi))
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

    /// Reports whether option 60 is U-Boot's own class, such as `U-Boot.armv8`.
    ///
    /// Source: U-Boot, `cmd/Kconfig`, `BOOTP_VCI_STRING`.
    pub fn is_uboot_client(&self) -> bool {
        self.vendor_class()
            .is_some_and(|class| class == b"U-Boot" || class.starts_with(b"U-Boot."))
    }

    /// Returns the client's architecture: the first known one in option 93; without that option, the
    /// digits of `Arch:00007` or the processor of `U-Boot.armv8` in option 60; `None` if the client
    /// announces nothing.
    ///
    /// # Errors
    /// When the client announces only unknown architectures; the error is about the first one.
    pub fn architecture(&self) -> Result<Option<Architecture>, UnknownArchitecture> {
        let mut codes = self.client_architectures();
        if codes.is_empty() {
            codes.extend(self.architecture_of_vendor_class());
        }
        let mut read = codes.into_iter().map(Architecture::from_code);
        match read.next() {
            None => Ok(self.architecture_of_uboot()),
            Some(Ok(first)) => Ok(Some(first)),
            Some(Err(first)) => read.find_map(Result::ok).map(Some).ok_or(first),
        }
    }

    /// Reports whether the machine identifier (97) is that of a Raspberry Pi's boot ROM: it starts with
    /// type 0 and `RPi` with the digit of the model, such as `RPi4`.
    ///
    /// Source: Raspberry Pi documentation, "Network booting", and captures of a Raspberry Pi 4.
    fn is_raspberry_pi(&self) -> bool {
        let identifier = self.raw(OptionCode::ClientMachineIdentifier);
        matches!(identifier, Some([0, b'R', b'P', b'i', b'0'..=b'9', ..]))
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

    /// Lists the client's user classes (77): the list of RFC 3004, or else the whole option as one class.
    pub fn user_classes(&self) -> Vec<String> {
        let Some(option) = self.raw(OptionCode::UserClass) else {
            return Vec::new();
        };
        let listed: Vec<&[u8]> = listed_classes(option).collect();
        let is_list = listed.iter().map(|class| class.len() + 1).sum::<usize>() == option.len();
        let classes = if is_list { listed } else { vec![option] };
        let texts = classes.into_iter().map(String::from_utf8_lossy);
        texts.map(String::from).collect()
    }

    fn vendor_class_starts_with(&self, prefix: &[u8]) -> bool {
        self.vendor_class()
            .is_some_and(|class| class.starts_with(prefix))
    }

    /// Reads the processor in U-Boot's vendor class; a build without PXE sends no option 93.
    fn architecture_of_uboot(&self) -> Option<Architecture> {
        match self.vendor_class()? {
            b"U-Boot.armv8" => Some(Architecture::UbootArm64),
            b"U-Boot.armv7" | b"U-Boot.arm" => Some(Architecture::UbootArm32),
            _ => None,
        }
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
            (&[(93, &[7]), (60, x64)], Some(Architecture::UefiX64)),
            (&[(60, http)], Some(Architecture::HttpX64)),
            (&[(60, b"U-Boot.armv8")], Some(Architecture::UbootArm64)),
            (&[(60, b"U-Boot.armv7")], Some(Architecture::UbootArm32)),
            (
                &[(60, b"U-Boot.armv8"), (93, &[0, 0x16])],
                Some(Architecture::UbootArm64),
            ),
            (&[(60, b"U-Boot")], None),
            (&[(60, b"PXEClient:Arch:")], None),
            (&[(60, b"PXEClient")], None),
            (&[], None),
        ] {
            assert_eq!(options(values).architecture(), Ok(expected), "{values:?}");
        }
    }

    #[test]
    fn an_unknown_architecture_is_an_error_that_names_its_number_whatever_the_vendor_class_says() {
        let bios: &[u8] = b"PXEClient:Arch:00000:UNDI:002001";
        for (values, expected) in [
            (
                &[(93, &[0, 5][..]), (60, bios)][..],
                "client architecture 5 (Intel Lean Client) is not supported",
            ),
            (
                &[(93, &[0, 99, 0, 1])],
                "client architecture 99 is not supported",
            ),
            (
                &[(60, b"PXEClient:Arch:00034")],
                "client architecture 34 (MIPS 64-bit UEFI) is not supported",
            ),
        ] {
            let error = options(values).architecture().unwrap_err();
            assert_eq!(error.to_string(), expected, "{values:?}");
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
    fn user_classes_are_a_list_or_one_text() {
        for (value, expected) in [
            (&b"\x03foo\x04iPXE"[..], &["foo", "iPXE"][..]),
            (b"onie_dhcp_user_class", &["onie_dhcp_user_class"]),
            (b"\x09iPXE", &["\u{9}iPXE"]),
        ] {
            assert_eq!(options(&[(77, value)]).user_classes(), expected);
        }
        assert!(options(&[]).user_classes().is_empty());
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
