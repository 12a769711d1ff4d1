//! GRUB: the DHCP data that it uses, and the files that it requests.

use std::net::Ipv4Addr;

use super::loader_request::{IfMissing, LoaderRequest, Origin, address_digits, uuid_as_sent};
use super::url;
use crate::machine::MacAddress;
use crate::wire::dhcp::OptionCode;

/// One build of GRUB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grub {
    /// Its platform, such as `x86_64-efi`.
    pub platform: String,
    /// Where it looks for its files.
    pub prefix: GrubPrefix,
}

/// Where GRUB looks for its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrubPrefix {
    /// Debian's signed `grubnet*.efi`: below `/grub` of its server, for one configuration for all
    /// clients; over HTTP, first for a configuration of the platform.
    ///
    /// Source: the configuration in that file's memory disk, and the requests of 2.06.
    DebianSigned,
    /// A GRUB of `grub-mknetdir` or `grub-mkimage -p ''`: in its own directory; over TFTP, first for a
    /// configuration of the client.
    Own,
}

/// The network data that GRUB reads from the firmware's DHCPACK, or from its own URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrubNetwork {
    /// Its own directory, and the server.
    pub origin: Origin,
    /// The variable `net_…_boot_file`: under `HTTPClient`, the URL's path.
    pub boot_file: String,
    /// Its address: `net_default_ip`.
    pub address: Ipv4Addr,
    /// Its Ethernet address: `net_default_mac`.
    pub mac: MacAddress,
    /// Option 97 in the byte order of the option: `net_…_clientuuid`. `None` if the DHCPACK does not repeat it.
    pub uuid: Option<String>,
}

/// The length of the header before the options, with the magic cookie.
const OPTIONS: usize = 240;

impl GrubNetwork {
    /// Reads the bytes of the DHCPACK that firmware keeps, like GRUB.
    ///
    /// It finds the first option of each code, so it reads only the first part of a split option. It
    /// does not read the offer of a proxy. The boot file is option 67, else `file`; the server is
    /// `siaddr`, else option 66, else `sname`. The model does not resolve names. `None` if the bytes are
    /// not a DHCP message.
    ///
    /// Source: GRUB 2.06, `grub-core/net/bootp.c`, `grub_net_process_dhcp_ack`,
    /// `find_dhcp_option`.
    pub fn after_pxe(ack: &[u8]) -> Option<Self> {
        let (header, options) = ack.split_at_checked(OPTIONS)?;
        let address = |at: usize| {
            let bytes: [u8; 4] = header[at..at + 4].try_into().ok()?;
            Some(Ipv4Addr::from(bytes))
        };
        let (own, siaddr) = (address(16)?, address(20)?);
        let mac: [u8; 6] = header[28..34].try_into().ok()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(c_string(bytes)).into_owned();
        let boot_file = match find(options, OptionCode::BootfileName) {
            Some(at) => text(at.value),
            None => text(&header[108..236]),
        };
        let server_name = match find(options, OptionCode::TFTPServerName) {
            Some(at) => text(at.value),
            None => text(&header[44..108]),
        };
        let named = server_name.parse().ok();
        let server = Some(siaddr).filter(|it| !it.is_unspecified()).or(named);
        let end = boot_file.rfind('/').map_or(0, |slash| slash + 1);
        let origin = Origin::Tftp {
            server: server.unwrap_or(Ipv4Addr::UNSPECIFIED),
            prefix: boot_file[..end].to_owned(),
        };
        // GRUB reads up to a NUL, even past the end of the option.
        let is_http = find(options, OptionCode::ClassIdentifier)
            .is_some_and(|at| c_string(at.on) == b"HTTPClient");
        let boot_file = match url::path(&text(&header[108..236])) {
            Some(path) if is_http => path.to_owned(),
            _ => boot_file,
        };
        Some(Self {
            origin,
            boot_file,
            address: own,
            mac: MacAddress::new(mac),
            uuid: find(options, OptionCode::ClientMachineIdentifier)
                .and_then(|at| uuid_as_sent(at.value)),
        })
    }

    /// Reads GRUB's own URL after HTTP boot, which firmware keeps in the device path.
    ///
    /// Source: GRUB, `grub-core/net/drivers/efi/efinet.c`, `grub_efi_net_config_real`.
    pub fn after_http(own_url: &str, address: Ipv4Addr, mac: MacAddress) -> Option<Self> {
        Some(Self {
            origin: Origin::of_url(own_url),
            boot_file: url::path(own_url)?.to_owned(),
            address,
            mac,
            uuid: None,
        })
    }
}

impl Grub {
    /// Lists the files that GRUB requests, in its order; the last ones are its configuration.
    ///
    /// Source: GRUB, `grub-core/normal/main.c`, `read_lists`, `grub_cmd_normal`;
    /// `grub-core/net/net.c`, `grub_net_search_config_file`.
    pub fn requests(&self, network: &GrubNetwork) -> Vec<LoaderRequest> {
        let prefix = self.prefix(&network.origin);
        let lists = ["command", "fs", "crypto", "terminal"].into_iter();
        let lists = lists.map(|list| format!("{}/{list}.lst", self.platform));
        let mut wanted: Vec<LoaderRequest> = lists
            .map(|name| prefix.request(&name, IfMissing::GoesOn))
            .collect();
        let mut names = match self.prefix {
            // Its built-in configuration first checks for a file of the platform with `[ -e … ]`. Over
            // TFTP that is always false, without a request.
            GrubPrefix::DebianSigned if matches!(prefix, Origin::Tftp { .. }) => Vec::new(),
            GrubPrefix::DebianSigned => vec![format!("{}/grub.cfg", self.platform)],
            GrubPrefix::Own if matches!(prefix, Origin::Tftp { .. }) => by_client(network),
            GrubPrefix::Own => Vec::new(),
        };
        names.push("grub.cfg".to_owned());
        let last = names.len() - 1;
        for (index, name) in names.iter().enumerate() {
            let missing = if index == last {
                IfMissing::Stops
            } else {
                IfMissing::AsksForNext
            };
            wanted.push(prefix.request(name, missing));
        }
        wanted
    }

    fn prefix(&self, origin: &Origin) -> Origin {
        match (self.prefix, origin) {
            (GrubPrefix::Own, origin) => origin.clone(),
            (GrubPrefix::DebianSigned, Origin::Tftp { server, .. }) => Origin::Tftp {
                server: *server,
                prefix: "/grub/".to_owned(),
            },
            (GrubPrefix::DebianSigned, Origin::Http { prefix }) => {
                let path = url::path(prefix).unwrap_or_default();
                let server = &prefix[..prefix.len() - path.len()];
                let prefix = format!("{server}/grub/");
                Origin::Http { prefix }
            }
        }
    }
}

/// Lists the names of configurations for one client.
fn by_client(network: &GrubNetwork) -> Vec<String> {
    let uuid = network.uuid.iter().cloned();
    let mac = format!("01-{}", network.mac.hyphenated());
    let names = uuid.chain([mac]).chain(address_digits(network.address));
    names.map(|name| format!("grub.cfg-{name}")).collect()
}

/// An option in the bytes of a message.
struct RawOption<'a> {
    value: &'a [u8],
    /// The value, and the bytes after it.
    on: &'a [u8],
}

fn find(mut rest: &[u8], wanted: OptionCode) -> Option<RawOption<'_>> {
    let wanted = u8::from(wanted);
    loop {
        rest = match rest {
            [0, rest @ ..] => rest,
            [255, ..] | [] | [_] => return None,
            [code, length, on @ ..] => {
                let (value, rest) = on.split_at_checked(usize::from(*length))?;
                if *code == wanted && !value.is_empty() {
                    return Some(RawOption { value, on });
                }
                rest
            }
        }
    }
}

/// Returns the bytes before the first NUL.
fn c_string(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
