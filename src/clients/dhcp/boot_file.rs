use std::net::Ipv4Addr;

use super::{Client, ClientKind};
use crate::clients::ipxe::{EndlessExpansion, Settings};
use crate::clients::url;
use crate::wire::dhcp::{DhcpMessage, OptionCode, PxeSubOption};

/// The file that a client loads first, and its server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootFile {
    /// The server; unspecified if the name is a URL.
    pub server: Ipv4Addr,
    /// The name on the server, or a whole URL.
    pub name: String,
}

impl BootFile {
    /// Returns the URL: the name itself, or a TFTP URL of the name and the server.
    pub fn url(&self) -> String {
        if url::is_absolute(&self.name) {
            return self.name.clone();
        }
        format!(
            "tftp://{}/{}",
            self.server,
            self.name.trim_start_matches('/')
        )
    }
}

/// The reply does not name a file that the client can load.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoBootFile {
    /// There is no name.
    #[error("neither option 67 nor the field `file` names a boot file")]
    NoName,
    /// There is a name, but no server.
    #[error("boot file `{name}` has no server: `siaddr` is 0.0.0.0")]
    NoServer {
        /// The name.
        name: String,
    },
    /// A URL for a client that would request it by TFTP as a file name.
    #[error("`{name}` is a URL, but a PXE client requests it by TFTP as a file name")]
    UrlForPxe {
        /// The URL.
        name: String,
    },
    /// A name without a URL for a client that loads only URLs.
    #[error("`{name}` is not a URL, but HTTP boot loads only URLs")]
    NoUrl {
        /// The name.
        name: String,
    },
    /// The settings in the name expand without end.
    #[error(transparent)]
    EndlessExpansion(#[from] EndlessExpansion),
}

impl Client {
    /// Returns the file that the client loads after a DHCPACK, or after a proxy's offer.
    ///
    /// # Errors
    /// When the reply names no file that this client can load.
    ///
    /// Source: edk2, `PxeBcParseDhcp4Packet`, `PxeBcDhcp4BootInfo`; iPXE, `src/usr/autoboot.c`,
    /// `fetch_next_server_and_filename`, and `src/net/dhcppkt.c`, `dhcppkt_fetch`.
    pub fn boot_file(&self, answer: &DhcpMessage) -> Result<BootFile, NoBootFile> {
        let mut name = self.boot_name(answer).ok_or(NoBootFile::NoName)?;
        match self.kind {
            ClientKind::Ipxe { .. } => name = self.settings(answer).expand(&name)?,
            ClientKind::EdkHttp(_) if !url::is_absolute(&name) => {
                return Err(NoBootFile::NoUrl { name });
            }
            ClientKind::EdkPxe(_) | ClientKind::BiosPxe if url::is_absolute(&name) => {
                return Err(NoBootFile::UrlForPxe { name });
            }
            _ => {}
        }
        if url::is_absolute(&name) {
            let server = Ipv4Addr::UNSPECIFIED;
            return Ok(BootFile { server, name });
        }
        match self.boot_server(answer) {
            Some(server) => Ok(BootFile { server, name }),
            None => Err(NoBootFile::NoServer { name }),
        }
    }

    /// Returns iPXE's settings after it has received its address.
    pub fn settings(&self, answer: &DhcpMessage) -> Settings {
        let mut settings = Settings::default();
        if let Some((platform, build)) = self.kind.architecture().ipxe() {
            settings.set("platform", platform);
            settings.set("buildarch", build);
        }
        settings.set("net0/mac", self.mac);
        if let Some(uuid) = self.uuid {
            settings.set("uuid", uuid);
        }
        let options = &answer.options;
        for (name, address) in [
            ("net0/ip", Some(answer.your_address)),
            ("net0/next-server", Some(answer.server_address)),
            ("net0/dhcp-server", options.server_identifier()),
            ("net0/netmask", options.address(OptionCode::SubnetMask)),
            (
                "net0/gateway",
                options.addresses(OptionCode::Router).first().copied(),
            ),
            (
                "net0/dns",
                options
                    .addresses(OptionCode::DomainNameServer)
                    .first()
                    .copied(),
            ),
        ] {
            if let Some(address) = address.filter(|address| !address.is_unspecified()) {
                settings.set(name, address);
            }
        }
        for (name, text) in [
            ("net0/hostname", options.host_name()),
            ("net0/domain", options.text(OptionCode::DomainName)),
            ("net0/filename", self.boot_name(answer)),
        ] {
            if let Some(text) = text {
                settings.set(name, text);
            }
        }
        settings
    }

    /// Returns the boot file's name: edk2 and GRUB prefer option 67, BIOS ROMs and iPXE the
    /// field `file`.
    pub(super) fn boot_name(&self, answer: &DhcpMessage) -> Option<String> {
        let field = String::from_utf8_lossy(&answer.boot_file).into_owned();
        let field = Some(field).filter(|name| !name.is_empty());
        let option = answer.options.text(OptionCode::BootfileName);
        let option = option.filter(|name| !name.is_empty());
        match self.kind {
            ClientKind::EdkPxe(_) | ClientKind::EdkHttp(_) | ClientKind::Grub(_) => {
                option.or(field)
            }
            ClientKind::BiosPxe | ClientKind::Ipxe { .. } => field.or(option),
            // It ignores option 67.
            ClientKind::RaspberryPi => field,
        }
    }

    /// Returns the server of the boot file.
    pub fn boot_server(&self, answer: &DhcpMessage) -> Option<Ipv4Addr> {
        let header = Some(answer.server_address).filter(|address| !address.is_unspecified());
        match self.kind {
            ClientKind::Ipxe { .. } => header,
            ClientKind::EdkPxe(_) => listed_server(answer)
                .or(header)
                .or(answer.options.server_identifier()),
            _ => header.or(answer.options.server_identifier()),
        }
    }
}

/// Returns the first address of the first boot server in 43.8.
fn listed_server(answer: &DhcpMessage) -> Option<Ipv4Addr> {
    if !answer.options.is_pxe_client() {
        return None;
    }
    match answer.options.pxe_sub_option(PxeSubOption::BootServers)? {
        [_, _, count, a, b, c, d, ..] if *count > 0 => Some(Ipv4Addr::new(*a, *b, *c, *d)),
        _ => None,
    }
}
