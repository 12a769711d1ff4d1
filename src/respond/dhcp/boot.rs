use std::fmt;

use jiff::Timestamp;

use super::RequestContext;
use crate::inventory::{Host, Inventory, Loader, LoaderKind};
use crate::machine::{Architecture, Firmware, MacAddress, Secret};
use crate::respond::boot::{MachinePath, MachineQuery};
use crate::token::StoreKey;
use crate::wire::dhcp::{DhcpOptions, IPXE_ENCAPSULATED, IpxeFeature};

/// The file that a client boots next. Printed without its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootFile {
    /// A loader over TFTP under its own name: it runs DHCP again, or requests no other file.
    Loader(String),
    /// A loader over TFTP under the path of its machine, so that its later requests name the machine.
    MachineLoader(MachinePath),
    /// A loader for UEFI HTTP boot.
    HttpLoader {
        /// The root of our URLs.
        base: String,
        /// The path below that root.
        path: MachinePath,
    },
    /// The script for iPXE.
    Script {
        /// The URL without its token.
        url: String,
        /// The token.
        token: Secret,
    },
}

impl BootFile {
    /// Returns the text that goes into `file` and option 67.
    pub fn text(&self) -> String {
        match self {
            Self::Loader(name) => name.clone(),
            Self::MachineLoader(path) => path.to_string(),
            Self::HttpLoader { base, path } => format!("{base}/{path}"),
            Self::Script { url, token } => format!("{url}?token={}", token.expose()),
        }
    }

    /// Returns the name of the file that is fetched by TFTP.
    pub fn tftp_file(&self) -> Option<&str> {
        match self {
            Self::Loader(name) => Some(name),
            Self::MachineLoader(path) => match &path.query {
                MachineQuery::File(name) => Some(name),
                _ => None,
            },
            Self::HttpLoader { .. } | Self::Script { .. } => None,
        }
    }

    /// Reports whether the firmware itself fetches the file over HTTP.
    pub fn is_http_loader(&self) -> bool {
        matches!(self, Self::HttpLoader { .. })
    }
}

impl fmt::Display for BootFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loader(text) | Self::Script { url: text, .. } => f.write_str(text),
            Self::MachineLoader(path) => f.write_str(&path.without_token()),
            Self::HttpLoader { base, path } => write!(f, "{base}/{}", path.without_token()),
        }
    }
}

/// Chooses the file that a client boots next; `None` if the client does not boot from the network, or if
/// the site has no loader for it.
pub fn boot_file(context: &RequestContext<'_>) -> Option<BootFile> {
    let options = &context.message.options;
    let site = &context.inventory.site;
    let base = &site.server.base_url;
    let host = context.known.map(|(host, _)| host);
    let profile = host.and_then(|host| context.inventory.profile_of(host));
    let secure = profile.is_some_and(|profile| profile.secure_boot);
    let token = || match site.boot_token {
        true => context
            .key
            .boot_token(context.mac, context.uuid(), context.began),
        false => Secret::default(),
    };
    // iPXE cannot be signed: with Secure Boot, the client gets the signed chain instead.
    if runs_our_scripts(options) && !secure {
        let url = format!("{base}/boot.ipxe");
        let token = token();
        return Some(BootFile::Script { url, token });
    }
    if !options.is_pxe_client() && !options.is_http_client() && !options.is_ipxe() {
        return None;
    }
    let architecture = context.architecture();
    let loader = context.inventory.loader_of(host, architecture)?;
    if secure && !loader.can_be_signed() {
        return None;
    }
    if architecture.is_http() || options.is_http_client() {
        return Some(http_loader(
            base,
            loader,
            context.mac,
            token(),
            architecture,
        ));
    }
    let path = || MachinePath::file(context.mac, token(), loader.first_name());
    Some(match loader.kind {
        LoaderKind::Ipxe | LoaderKind::Image => BootFile::Loader(loader.first_name().to_owned()),
        LoaderKind::Grub | LoaderKind::Pxelinux => BootFile::MachineLoader(path()),
    })
}

fn http_loader(
    base: &str,
    loader: &Loader,
    mac: MacAddress,
    token: Secret,
    architecture: Architecture,
) -> BootFile {
    let path = match loader.kind {
        // Signed builds of GRUB do not support HTTP; in an image they find their configuration.
        LoaderKind::Grub if loader.second.is_some() => {
            MachinePath::image(mac, token, architecture.over_http())
        }
        _ => MachinePath::file(mac, token, loader.first_name()),
    };
    let base = base.to_owned();
    BootFile::HttpLoader { base, path }
}

/// Chooses the file that a host's firmware boots over HTTP when a management controller, not DHCP, sets
/// the URL; `None` if the site has no loader for the host, or the host has no UEFI.
pub fn http_boot_file(
    inventory: &Inventory,
    key: &StoreKey,
    host: &Host,
    now: Timestamp,
) -> Option<BootFile> {
    let architecture = host.arch.over_http();
    if host.arch.firmware() != Firmware::Uefi || !architecture.is_http() {
        return None;
    }
    let profile = inventory.profile_of(host);
    let loader = inventory.loader_of(Some(host), architecture)?;
    if profile.is_some_and(|profile| profile.secure_boot) && !loader.can_be_signed() {
        return None;
    }
    let mac = host.boot_nic()?.mac;
    let token = match inventory.site.boot_token {
        true => key.boot_token(mac, host.uuid, now),
        false => Secret::default(),
    };
    let base = &inventory.site.server.base_url;
    Some(http_loader(base, loader, mac, token, architecture))
}

/// Reports whether the client is an iPXE that can run our scripts: fetch over HTTP and start a Linux
/// kernel. An iPXE in a card's ROM may lack either. Option 175 shows that; the client then gets our
/// iPXE, which runs DHCP again.
fn runs_our_scripts(options: &DhcpOptions) -> bool {
    let has = |feature| options.has_ipxe_feature(feature);
    let announces = options.contains(IPXE_ENCAPSULATED);
    let boots_linux = has(IpxeFeature::BzImage) || has(IpxeFeature::Efi);
    options.is_ipxe() && (!announces || has(IpxeFeature::Http) && boots_linux)
}

#[cfg(test)]
mod tests {

    use crate::clients::dhcp::{Client, ClientKind};
    use crate::inventory::site_builder::SiteBuilder;
    use crate::machine::Architecture;
    use crate::respond::dhcp::{DhcpResponder, Ingress};
    use crate::token::StoreKey;
    use crate::wire::dhcp::TransactionId;

    #[test]
    fn http_boot_gets_its_own_loader_before_that_of_tftp() {
        for (loaders, expected) in [
            (
                "{uefi-x64: a.efi}",
                "http://10.20.0.10:8080/m/52-54-00-12-34-56/…/a.efi",
            ),
            (
                "{uefi-x64: a.efi, http-x64: b.efi}",
                "http://10.20.0.10:8080/m/52-54-00-12-34-56/…/b.efi",
            ),
        ] {
            let inventory = SiteBuilder::new(&format!(
                "loaders: {loaders}\nnetworks: [{{name: n, subnet: 10.20.0.0/24, interface: e, \
                 pool: 10.20.0.200-10.20.0.201}}]"
            ))
            .build();
            let ingress = Ingress {
                network: Some("n"),
                address: "10.20.0.10".parse().unwrap(),
            };
            let client = Client {
                kind: ClientKind::EdkHttp(Architecture::HttpX64),
                mac: "52:54:00:12:34:56".parse().unwrap(),
                uuid: None,
            };
            let response = DhcpResponder::new([]).respond(
                &inventory,
                &StoreKey::new([7; 32]),
                ingress,
                &client.discover(TransactionId(1)),
                jiff::Timestamp::UNIX_EPOCH,
            );
            assert_eq!(response.exchange.boot_file.unwrap().to_string(), expected);
        }
    }
}
