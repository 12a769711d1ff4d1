//! A filter by source address, which decides which requests the servers answer. It does not identify machines.
//!
//! Tokens and capabilities authorize a request. This filter only withholds resources of
//! the site's machines from everyone else.

use std::net::{IpAddr, SocketAddr};

use crate::inventory::{AddressBlock, Inventory, Site};
use crate::respond::http::{Route, SessionPath};

/// The purpose of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Resources that only the site's machines need: TFTP, boot scripts, `/m/`, the files and seeds of a session.
    Machine,
    /// DHCP on a port that answers the sender, which may have no address yet.
    Dhcp,
    /// `/files/` and `/b/`, from which BMCs load virtual media too.
    Media,
    /// Resources that a capability alone authorizes: callbacks. An installed machine may have any address.
    Capability,
    /// Health, for everyone who reaches the listener.
    Status,
}

impl Resource {
    /// Reports whether every source address is served.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Capability | Self::Status)
    }

    /// Returns the resource of a URL.
    pub fn of(route: &Route) -> Self {
        match route {
            Route::Boot(_) | Route::Machine(_) => Self::Machine,
            Route::File(_) | Route::BundleFile { .. } => Self::Media,
            Route::Session { path, .. } => match path {
                SessionPath::Callback(_) => Self::Capability,
                SessionPath::File(_) | SessionPath::Seed(_) => Self::Machine,
            },
            Route::Health | Route::Ready => Self::Status,
        }
    }
}

/// Why a request is refused by its source address. The text is for the peer as well as for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessRefusal {
    /// The address is not allowed to use the resource.
    #[error(
        "the source address {source_address} is outside the site's networks{}; \
         add it to `server.allow` if it needs access",
        and_no_controller(*media)
    )]
    Outside {
        /// The address.
        source_address: IpAddr,
        /// Whether BMCs are served too.
        media: bool,
    },
    /// A trusted proxy sent no readable source address.
    #[error("the proxy {proxy} sent an unreadable `X-Forwarded-For`")]
    Unreadable {
        /// The proxy's address.
        proxy: IpAddr,
    },
}

/// Decides whether a source address is served a resource.
///
/// # Errors
/// Refuses an address outside the site's networks that is neither loopback nor in `server.allow`,
/// unless the resource is open to BMCs and a BMC has the address, or it is open to all.
pub fn admit(
    source: IpAddr,
    resource: Resource,
    inventory: &Inventory,
) -> Result<(), AccessRefusal> {
    let source = source.to_canonical();
    let is_served = match resource {
        Resource::Capability | Resource::Status => true,
        Resource::Machine => is_of_site(source, &inventory.site),
        Resource::Dhcp => source.is_unspecified() || is_of_site(source, &inventory.site),
        Resource::Media => is_of_site(source, &inventory.site) || inventory.is_controller(source),
    };
    if is_served {
        return Ok(());
    }
    Err(AccessRefusal::Outside {
        source_address: source,
        media: resource == Resource::Media,
    })
}

/// Finds the client of an HTTP request: the peer, or, where the peer is a trusted proxy, the client
/// that it names. `forwarded` holds the values of `X-Forwarded-For` in
/// order; each proxy appends the address that it saw, so the rightmost one that is not a trusted
/// proxy's counts. Without the header, the proxy itself is the client.
///
/// The client of a proxy has port 0.
///
/// # Errors
/// When a trusted proxy sent something that is not an address.
pub fn client<'v>(
    peer: SocketAddr,
    forwarded: impl DoubleEndedIterator<Item = &'v [u8]>,
    proxies: &[AddressBlock],
) -> Result<SocketAddr, AccessRefusal> {
    if !holds(proxies, peer.ip().to_canonical()) {
        return Ok(peer);
    }
    let mut client = peer;
    for value in forwarded.rev().flat_map(|it| it.rsplit(|b| *b == b',')) {
        let named = std::str::from_utf8(value).ok().and_then(read_address);
        let proxy = client.ip();
        let address = named.ok_or(AccessRefusal::Unreadable { proxy })?;
        client = SocketAddr::new(address, 0);
        if !holds(proxies, address) {
            break;
        }
    }
    Ok(client)
}

/// Reads an address, which some proxies send with a port.
fn read_address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let with_port = || text.parse::<SocketAddr>().ok().map(|it| it.ip());
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let address: IpAddr = text.parse().ok().or_else(with_port).or_else(bracketed)?;
    Some(address.to_canonical())
}

fn and_no_controller(media: bool) -> &'static str {
    if media {
        " and is not the address of a BMC"
    } else {
        ""
    }
}

fn is_of_site(source: IpAddr, site: &Site) -> bool {
    let in_network = match source {
        IpAddr::V4(address) => site.network_of(address).is_some(),
        IpAddr::V6(_) => false,
    };
    in_network || source.is_loopback() || holds(&site.server.allow, source)
}

fn holds(blocks: &[AddressBlock], address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => blocks.iter().any(|block| block.contains(address)),
        IpAddr::V6(_) => false,
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::inventory::site_builder::inventory_of;
    use crate::respond::http::route;

    const INVENTORY: &str = r#"
kind: Site
name: test
server: {address: 10.20.0.10, allow: [192.0.2.7, 198.51.100.0/24]}
networks:
  - {name: prov0, subnet: 10.20.0.0/24, interface: eth1}
  - {name: office, subnet: 10.21.0.0/24, interface: eth2, mode: proxy}
  - {name: far0, subnet: 10.22.0.0/24, gateway: 10.22.0.1}
loaders: {uefi-x64: snponly.efi}
---
kind: Host
name: worker-01
profile: worker
uuid: 11111111-2222-3333-4444-555555555555
arch: uefi-x64
nics: [{mac: "52:54:00:12:34:56", network: prov0, ip: 10.20.0.58, boot: true}]
disk: {serial: A}
bmc: {url: "https://10.30.0.58", username: admin, password: {env: BMC}}
---
kind: Host
name: worker-02
profile: worker
uuid: 11111111-2222-3333-4444-666666666666
arch: uefi-x64
nics: [{mac: "52:54:00:12:34:57", network: prov0, ip: 10.20.0.59, boot: true}]
disk: {serial: B}
bmc: {url: "ipmi://bmc-02.example:623", username: admin, password: {env: BMC}}
---
{kind: Profile, name: worker, installer: preseed, bundle: debian}
---
kind: Bundle
name: debian
arch: x86_64
files:
  kernel: {path: linux, sha256: "65d525282e5464f7b2388ac8395675aed00076628c1cd6c19e5d2f55b3f74a23", size: 4096}
  initrd: {path: initrd.gz, sha256: "ed2da5548a8b0cec845bf330863a12a8f0eeb075d706ec1ad85fd0fef3aa42cd", size: 65536}
"#;

    fn inventory(change: impl FnOnce(String) -> String) -> Inventory {
        let text = change(INVENTORY.to_owned());
        inventory_of(text)
    }

    #[test]
    fn each_source_is_served_the_resources_of_its_kind() {
        let inventory = inventory(|text| text);
        let (machine, media) = (Resource::Machine, Resource::Media);
        for (source, expected) in [
            ("10.20.0.58", &[machine, media][..]),
            ("10.21.0.7", &[machine, media]),
            ("10.22.0.7", &[machine, media]),
            ("127.0.0.1", &[machine, media]),
            ("127.8.0.1", &[machine, media]),
            ("::1", &[machine, media]),
            ("::ffff:10.20.0.58", &[machine, media]),
            ("192.0.2.7", &[machine, media]),
            ("198.51.100.200", &[machine, media]),
            ("10.30.0.58", &[media]),
            ("::ffff:10.30.0.58", &[media]),
            ("192.0.2.8", &[]),
            ("0.0.0.0", &[]),
            ("fd00::1", &[]),
        ] {
            let source: IpAddr = source.parse().unwrap();
            for resource in [machine, media] {
                let is_served = admit(source, resource, &inventory).is_ok();
                assert_eq!(
                    is_served,
                    expected.contains(&resource),
                    "{source} {resource:?}"
                );
            }
            let is_unset = source.is_unspecified();
            let dhcp = admit(source, Resource::Dhcp, &inventory).is_ok();
            assert_eq!(dhcp, is_unset || expected.contains(&machine), "{source}");
            for open in [Resource::Capability, Resource::Status] {
                assert_eq!(admit(source, open, &inventory), Ok(()), "{source} {open:?}");
            }
        }
    }

    #[test]
    fn a_site_without_networks_serves_loopback_and_allowed_addresses() {
        let inventory = inventory(|text| {
            let site = text.split("---").next().unwrap();
            let (head, rest) = site.split_once("networks:").unwrap();
            let loaders = rest.split_once("loaders:").unwrap().1;
            format!("{head}networks: []\nloaders:{loaders}")
        });
        for (source, expected) in [
            ("127.0.0.1", true),
            ("192.0.2.7", true),
            ("10.20.0.58", false),
        ] {
            let source = source.parse().unwrap();
            let served = admit(source, Resource::Machine, &inventory);
            assert_eq!(served.is_ok(), expected, "{source}");
        }
    }

    #[test]
    fn a_refusal_names_the_address_and_the_key_that_admits_it() {
        let inventory = inventory(|text| text);
        let source = "192.0.2.8".parse().unwrap();
        let why = |resource| admit(source, resource, &inventory).unwrap_err().to_string();
        assert_eq!(
            why(Resource::Machine),
            "the source address 192.0.2.8 is outside the site's networks; add it to `server.allow` \
             if it needs access"
        );
        assert_eq!(
            why(Resource::Media),
            "the source address 192.0.2.8 is outside the site's networks and is not the address of \
             a BMC; add it to `server.allow` if it needs access"
        );
    }

    #[test]
    fn each_url_has_its_resource() {
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        for (method, target, expected) in [
            ("GET", "/boot.ipxe", Resource::Machine),
            ("GET", "/m/52-54-00-12-34-56/-/x", Resource::Machine),
            ("GET", "/s/CAP/user-data", Resource::Machine),
            ("GET", "/s/CAP/files/kernel", Resource::Machine),
            ("GET", "/files/snponly.efi", Resource::Media),
            ("HEAD", &format!("/b/{digest}/iso"), Resource::Media),
            ("POST", "/s/CAP/installed", Resource::Capability),
            ("GET", "/healthz", Resource::Status),
            ("GET", "/readyz", Resource::Status),
        ] {
            let route = route(method, target).unwrap();
            assert_eq!(Resource::of(&route), expected, "{method} {target}");
        }
    }

    #[test]
    fn only_a_trusted_proxy_names_its_client() {
        let proxies: Vec<AddressBlock> = ["10.9.0.0/30", "127.0.0.1"]
            .iter()
            .map(|it| it.parse().unwrap())
            .collect();
        for (peer, headers, expected) in [
            // The header of any other client is ignored.
            ("10.20.0.58", &["192.0.2.8"][..], Some("10.20.0.58:7")),
            ("192.0.2.8", &["10.20.0.58"], Some("192.0.2.8:7")),
            // The header of a proxy counts; the proxy itself added the rightmost address.
            ("10.9.0.1", &["192.0.2.8"], Some("192.0.2.8:0")),
            ("10.9.0.1", &["10.20.0.58, 192.0.2.8"], Some("192.0.2.8:0")),
            (
                "10.9.0.1",
                &["10.20.0.58", "192.0.2.8"],
                Some("192.0.2.8:0"),
            ),
            ("127.0.0.1", &["127.0.0.1,192.0.2.8"], Some("192.0.2.8:0")),
            // Through a chain of proxies.
            ("10.9.0.1", &["192.0.2.8, 10.9.0.2"], Some("192.0.2.8:0")),
            (
                "10.9.0.1",
                &["192.0.2.8,10.9.0.2", "10.9.0.3"],
                Some("192.0.2.8:0"),
            ),
            ("10.9.0.1", &["10.9.0.2"], Some("10.9.0.2:0")),
            // With a port, and as IPv6.
            ("10.9.0.1", &["192.0.2.8:4711"], Some("192.0.2.8:0")),
            ("10.9.0.1", &["[fd00::1]:4711"], Some("[fd00::1]:0")),
            ("10.9.0.1", &["[fd00::1]"], Some("[fd00::1]:0")),
            ("10.9.0.1", &["::ffff:192.0.2.8"], Some("192.0.2.8:0")),
            // The proxy's own request, such as a health check.
            ("10.9.0.1", &[], Some("10.9.0.1:7")),
            // Values that are not addresses.
            ("10.9.0.1", &["10.20.0.58, unknown"], None),
            ("10.9.0.1", &[""], None),
            ("10.9.0.1", &["\u{e4}"], None),
            // Addresses left of the client are claims of the client.
            ("10.9.0.1", &["unknown, 192.0.2.8"], Some("192.0.2.8:0")),
        ] {
            let peer = SocketAddr::new(peer.parse().unwrap(), 7);
            let values = headers.iter().map(|it| it.as_bytes());
            let found = client(peer, values, &proxies);
            let expected = expected.map(|it| it.parse().unwrap());
            assert_eq!(found.ok(), expected, "{peer} {headers:?}");
        }
    }
}
