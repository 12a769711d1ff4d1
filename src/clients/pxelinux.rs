//! PXELINUX: the DHCP data that it uses, and the files that it requests.

use std::net::Ipv4Addr;

use super::dhcp::BootFile;
use super::loader_request::{IfMissing, LoaderRequest, address_digits, uuid_as_sent};
use super::url;
use crate::machine::{Firmware, MacAddress};
use crate::wire::dhcp::{
    DhcpMessage, OptionCode, PXELINUX_CONFIG_FILE, PXELINUX_PATH_PREFIX, PXELINUX_REBOOT_TIME,
};

/// The data that PXELINUX reads from the ROM's DHCPACK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pxelinux {
    /// The server: `siaddr`, else option 54; unspecified without both.
    pub server: Ipv4Addr,
    /// The prefix of each name: option 210, else the directory of its own file.
    pub prefix: String,
    /// The configuration file (option 209).
    pub configuration: Option<String>,
    /// Its IP address.
    pub address: Ipv4Addr,
    /// The address of its network card.
    pub mac: MacAddress,
    /// Option 97 in the byte order of the option.
    pub uuid: Option<String>,
    /// The seconds until it restarts a machine that cannot boot (option 211).
    pub reboot_time: Option<u64>,
}

impl Pxelinux {
    /// Reads a DHCPACK like PXELINUX.
    ///
    /// Its own file is the header's `file`, else option 67. It reads options 209 to 211 directly, and
    /// inside option 43, with any vendor class.
    ///
    /// Source: syslinux, `core/fs/pxe/dhcp_option.c`, `parse_dhcp`; `core/fs/pxe/pxe.c`,
    /// `get_prefix`.
    pub fn after_pxe(ack: &DhcpMessage, mac: MacAddress) -> Self {
        let options = &ack.options;
        let file = match ack.boot_file.as_slice() {
            [] => options.text(OptionCode::BootfileName).unwrap_or_default(),
            file => String::from_utf8_lossy(file).into_owned(),
        };
        let prefix = text(ack, PXELINUX_PATH_PREFIX).unwrap_or_else(|| directory(&file).to_owned());
        let siaddr = Some(ack.server_address).filter(|it| is_usable(*it));
        let server = siaddr.or(options.server_identifier().filter(|it| is_usable(*it)));
        let machine = options.raw(OptionCode::ClientMachineIdentifier);
        let seconds = own(ack, PXELINUX_REBOOT_TIME).and_then(|it| <[u8; 4]>::try_from(it).ok());
        Self {
            server: server.unwrap_or(Ipv4Addr::UNSPECIFIED),
            prefix,
            configuration: text(ack, PXELINUX_CONFIG_FILE),
            address: ack.your_address,
            mac,
            uuid: machine
                .filter(|it| it.first() == Some(&0))
                .and_then(uuid_as_sent),
            reboot_time: seconds.map(|it| u32::from_be_bytes(it).into()),
        }
    }

    /// Lists the files that PXELINUX 6 requests, in its order: its core module, then its configuration.
    ///
    /// Source: syslinux, `core/elflink/load_env32.c`; `core/fs/pxe/pxe.c`, `pxe_load_config`.
    pub fn requests(&self, firmware: Firmware) -> Vec<LoaderRequest> {
        let module = match firmware {
            Firmware::Bios => "ldlinux.c32",
            _ => "ldlinux.e64",
        };
        let mut wanted = vec![self.wanted(module, IfMissing::Stops)];
        let named = self.configuration.iter();
        wanted.extend(named.map(|name| self.wanted(name, IfMissing::AsksForNext)));
        let mac = format!("01-{}", self.mac.hyphenated());
        let uuid = self.uuid.iter().cloned();
        let names = uuid.chain([mac]).chain(address_digits(self.address));
        wanted.extend(names.map(|name| {
            let name = format!("pxelinux.cfg/{name}");
            self.wanted(&name, IfMissing::AsksForNext)
        }));
        wanted.push(self.wanted("pxelinux.cfg/default", IfMissing::Stops));
        wanted
    }

    fn wanted(&self, name: &str, missing: IfMissing) -> LoaderRequest {
        let name = if url::is_absolute(name) {
            name.to_owned()
        } else {
            format!("{}{name}", self.prefix)
        };
        let server = if url::is_absolute(&name) {
            Ipv4Addr::UNSPECIFIED
        } else {
            self.server
        };
        let file = BootFile { server, name };
        LoaderRequest { file, missing }
    }
}

/// Returns one of PXELINUX's own options.
fn own(ack: &DhcpMessage, code: OptionCode) -> Option<&[u8]> {
    let mut inside = ack.options.sub_options(OptionCode::VendorExtensions);
    let inside = inside.find(|(other, _)| *other == u8::from(code));
    let value = ack.options.raw(code);
    value.or(inside.map(|(_, value)| value))
}

fn text(ack: &DhcpMessage, code: OptionCode) -> Option<String> {
    own(ack, code).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

/// Cuts a name after the last character that is not a letter, digit, dot or hyphen, even a `_`.
fn directory(file: &str) -> &str {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    let end = file
        .char_indices()
        .rev()
        .find(|(_, c)| !is_name(*c))
        .map_or(0, |(at, c)| at + c.len_utf8());
    &file[..end]
}

/// Source: syslinux, `core/fs/pxe/pxe.c`, `ip_ok`.
fn is_usable(address: Ipv4Addr) -> bool {
    let first = address.octets()[0];
    first != 0 && first != 127 && !address.is_multicast() && !address.is_broadcast()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::dhcp::{Operation, TransactionId};

    const MAC: MacAddress = MacAddress::new([0x52, 0x54, 0, 0x12, 0x34, 0x56]);

    fn ack(file: &str, values: &[(u8, &[u8])]) -> DhcpMessage {
        let mut message = DhcpMessage::new(Operation::Reply, MAC, TransactionId(7));
        message.your_address = Ipv4Addr::new(10, 20, 0, 58);
        message.server_address = Ipv4Addr::new(10, 20, 0, 10);
        message.boot_file = file.into();
        for (code, value) in values {
            message.options.set_raw((*code).into(), *value);
        }
        message
    }

    fn names(ack: &DhcpMessage) -> Vec<String> {
        let wanted = Pxelinux::after_pxe(ack, MAC).requests(Firmware::Bios);
        wanted.iter().map(|wanted| wanted.file.url()).collect()
    }

    #[test]
    fn it_searches_for_the_configuration_of_the_client_beside_its_own_file() {
        let uuid: [u8; 17] = std::array::from_fn(|index| index as u8);
        let expected = [
            "ldlinux.c32",
            "pxelinux.cfg/01020304-0506-0708-090a-0b0c0d0e0f10",
            "pxelinux.cfg/01-52-54-00-12-34-56",
            "pxelinux.cfg/0A14003A",
            "pxelinux.cfg/0A14003",
            "pxelinux.cfg/0A1400",
            "pxelinux.cfg/0A140",
            "pxelinux.cfg/0A14",
            "pxelinux.cfg/0A1",
            "pxelinux.cfg/0A",
            "pxelinux.cfg/0",
            "pxelinux.cfg/default",
        ];
        let expected = expected.map(|name| format!("tftp://10.20.0.10/bios/{name}"));
        assert_eq!(names(&ack("bios/pxelinux.0", &[(97, &uuid)])), expected);
        let in_option = ack("", &[(97, &uuid), (67, b"bios/pxelinux.0")]);
        assert_eq!(names(&in_option), expected);
    }

    #[test]
    fn options_209_and_210_take_precedence_also_inside_43() {
        let prefix: &[u8] = b"http://10.20.0.10:8080/files/";
        let values: &[(u8, &[u8])] = &[(209, b"conf/one"), (210, prefix)];
        let mut inside = ack("pxelinux.0", &[]);
        inside
            .options
            .set_sub_options(OptionCode::VendorExtensions, values);
        for ack in [ack("pxelinux.0", values), inside] {
            let names = names(&ack);
            assert_eq!(names[0], "http://10.20.0.10:8080/files/ldlinux.c32");
            assert_eq!(names[1], "http://10.20.0.10:8080/files/conf/one");
            let next = "http://10.20.0.10:8080/files/pxelinux.cfg/01-52-54-00-12-34-56";
            assert_eq!(names[2], next);
        }
    }

    #[test]
    fn the_prefix_ends_at_the_last_separator() {
        for (file, expected) in [
            ("pxelinux.0", ""),
            ("/bios/pxelinux.0", "/bios/"),
            ("a_b-c.0", "a_"),
            (r"C:\boot\pxelinux.0", r"C:\boot\"),
            ("", ""),
        ] {
            assert_eq!(directory(file), expected, "{file}");
        }
    }

    #[test]
    fn the_server_is_siaddr_or_else_option_54() {
        let other = [10, 20, 0, 11];
        let mut ack = ack("pxelinux.0", &[(54, &other), (211, &[0, 0, 0, 9])]);
        let taken = Pxelinux::after_pxe(&ack, MAC);
        assert_eq!(taken.server, Ipv4Addr::new(10, 20, 0, 10));
        assert_eq!(taken.reboot_time, Some(9));
        ack.server_address = Ipv4Addr::UNSPECIFIED;
        let taken = Pxelinux::after_pxe(&ack, MAC);
        assert_eq!(taken.server, Ipv4Addr::from(other));
    }
}
