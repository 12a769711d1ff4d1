use std::fmt;

use super::Asked;
use crate::inventory::Loader;
use crate::machine::Architecture;
use crate::wire::dhcp::{DhcpOptions, IPXE_ENCAPSULATED, IpxeFeature};

/// What a client is told to boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootFile {
    /// A loader, by TFTP.
    Loader(String),
    /// A loader, by UEFI HTTP boot.
    HttpLoader(String),
    /// The script for iPXE; the URL's token is kept out of logs.
    Script {
        /// The URL without its token.
        url: String,
        /// The token.
        token: String,
    },
}

impl BootFile {
    /// Returns the text that goes into `file` and option 67.
    pub fn text(&self) -> String {
        match self {
            Self::Loader(name) => name.clone(),
            Self::HttpLoader(url) => url.clone(),
            Self::Script { url, token } => format!("{url}?token={token}"),
        }
    }
}

impl fmt::Display for BootFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loader(text) | Self::HttpLoader(text) | Self::Script { url: text, .. } => {
                f.write_str(text)
            }
        }
    }
}

/// Chooses what a client boots next; `None` when it does not boot from the network, or when the
/// site has no loader for it.
pub fn boot_file(asked: &Asked<'_>) -> Option<BootFile> {
    let options = &asked.message.options;
    if runs_our_scripts(options) {
        let base = &asked.inventory.site.server.base_url;
        let token = asked.key.boot_token(asked.mac, asked.uuid(), asked.now);
        return Some(BootFile::Script {
            url: format!("{base}/boot.ipxe"),
            token,
        });
    }
    if !options.is_pxe_client() && !options.is_http_client() && !options.is_ipxe() {
        return None;
    }
    let architecture = options.architecture().unwrap_or(Architecture::Bios);
    let loader = loader(asked, architecture)?.first_name();
    if architecture.is_http() || options.is_http_client() {
        let base = &asked.inventory.site.server.base_url;
        return Some(BootFile::HttpLoader(format!("{base}/files/{loader}")));
    }
    Some(BootFile::Loader(loader.to_owned()))
}

/// Reports whether the client is an iPXE that can run our scripts: fetch over HTTP, and start a Linux
/// kernel. One in a card's ROM may be built without either; it says so in option 175, and is given
/// our own iPXE, which then comes back.
fn runs_our_scripts(options: &DhcpOptions) -> bool {
    let has = |feature| options.has_ipxe_feature(feature);
    let announces = options.contains(IPXE_ENCAPSULATED);
    let boots_linux = has(IpxeFeature::BzImage) || has(IpxeFeature::Efi);
    options.is_ipxe() && (!announces || has(IpxeFeature::Http) && boots_linux)
}

/// Finds the loader: the host's own, its profile's, or the site's for the architecture. HTTP boot
/// without a loader of its own is given that of the same firmware by TFTP.
fn loader<'a>(asked: &Asked<'a>, architecture: Architecture) -> Option<&'a Loader> {
    let host = asked.known.map(|(host, _)| host);
    let profile = host.and_then(|host| asked.inventory.profile_of(host));
    let own = host
        // An override is meant for the firmware on record; another kind gets what suits it.
        .filter(|host| host.arch == architecture.without_http())
        .and_then(|host| {
            host.loader
                .as_ref()
                .or_else(|| profile.and_then(|profile| profile.loader.as_ref()))
        });
    own.or_else(|| {
        let loaders = &asked.inventory.site.loaders;
        loaders
            .get(&architecture)
            .or_else(|| loaders.get(&architecture.without_http()))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::clients::dhcp::{Client, ClientKind};
    use crate::inventory::{SourceFile, parse};
    use crate::machine::Architecture;
    use crate::respond::dhcp::{DhcpResponder, Ingress};
    use crate::token::StoreKey;
    use crate::wire::dhcp::TransactionId;

    #[test]
    fn http_boot_gets_its_own_loader_before_that_of_tftp() {
        for (loaders, expected) in [
            ("{uefi-x64: a.efi}", "http://10.20.0.10:8080/files/a.efi"),
            (
                "{uefi-x64: a.efi, http-x64: b.efi}",
                "http://10.20.0.10:8080/files/b.efi",
            ),
        ] {
            let text = format!(
                "kind: Site\nname: s\nserver: {{address: 10.20.0.10}}\nloaders: {loaders}\nnetworks:\n  \
                 - {{name: n, subnet: 10.20.0.0/24, interface: e, pool: 10.20.0.200-10.20.0.201}}\n"
            );
            let name = "site.yaml".to_owned();
            let parsed = parse(&[SourceFile { name, text }], BTreeMap::new());
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
                &parsed.inventory.unwrap(),
                &StoreKey::new([7; 32]),
                ingress,
                &client.discover(TransactionId(1)),
                jiff::Timestamp::UNIX_EPOCH,
            );
            assert_eq!(response.exchange.boot_file.unwrap().to_string(), expected);
        }
    }
}
