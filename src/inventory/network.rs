use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::block::{AddressBlock, Trust, read_blocks};
use super::claims::{Claims, GATEWAY, UniqueValue};
use super::client_class::{ClientClass, read_classes};
use super::dhcp_mode::DhcpMode;
use super::diagnostic::Diagnostic;
use super::filter::{Filter, read_filter};
use super::hostname::read_hostname;
use super::options::{ExtraOptions, read_options};
use super::reader::Reader;
use super::route::Route;
use super::seconds;
use super::server::Server;
use super::source::Span;
use super::subnet::{AddressRange, Subnet};
use super::tree::Node;

/// A network that machines boot from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its name, which hosts refer to.
    pub name: String,
    /// Its addresses.
    pub subnet: Subnet,
    /// The server's interface on it. Without one, requests come through a relay.
    pub interface: Option<String>,
    /// The relays whose requests are accepted, by `giaddr`; see [`Network::accepts_relay`].
    #[serde(default)]
    pub relays: Vec<AddressBlock>,
    /// Who owns its addresses.
    #[serde(default)]
    pub mode: DhcpMode,
    /// The default router.
    pub gateway: Option<Ipv4Addr>,
    /// The name servers.
    pub dns: Vec<Ipv4Addr>,
    /// The time servers.
    pub ntp: Vec<Ipv4Addr>,
    /// The DNS domain of its machines.
    pub domain: Option<String>,
    /// The DNS search list of its machines.
    #[serde(default)]
    pub search: Vec<String>,
    /// Routes in addition to the default route.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// The MTU of its links, in bytes. DHCP hands it out, and TFTP sends no larger datagram.
    #[serde(default)]
    pub mtu: Option<u16>,
    /// Additional DHCP options for its machines; those of a profile and a host take precedence.
    #[serde(default)]
    pub options: ExtraOptions,
    /// The clients that DHCP ignores on this network, in addition to the site's filter.
    #[serde(default)]
    pub filter: Filter,
    /// The lease time of its addresses.
    #[serde(with = "seconds")]
    pub lease_time: Duration,
    /// Addresses for interfaces without a reserved address, including those of unknown machines.
    pub pool: Option<AddressRange>,
    /// Classes of clients with their own rules; the first one that matches a client applies.
    #[serde(default)]
    pub classes: Vec<ClientClass>,
}

impl Network {
    /// Reports whether its machines may be behind a relay.
    pub fn takes_relayed(&self) -> bool {
        self.interface.is_none() || !self.relays.is_empty()
    }

    /// Lists its pools: its own, and those of its classes.
    pub fn pools(&self) -> impl Iterator<Item = &AddressRange> {
        let of_classes = self.classes.iter().filter_map(|class| class.pool.as_ref());
        self.pool.iter().chain(of_classes)
    }

    /// Reports whether its `relays` list the relay with this `giaddr`.
    pub fn lists_relay(&self, giaddr: Ipv4Addr) -> bool {
        self.relays.iter().any(|block| block.contains(giaddr))
    }

    /// Reports whether requests of the relay with this `giaddr` may be for this network: its `relays`
    /// list it. A network without `relays` accepts relays inside its own subnet if it has no
    /// interface, and no relay if it has one.
    pub fn accepts_relay(&self, giaddr: Ipv4Addr) -> bool {
        match (&self.interface, self.relays.as_slice()) {
            (Some(_), []) => false,
            (None, []) => self.subnet.is_host(giaddr),
            _ => self.lists_relay(giaddr),
        }
    }
}

/// Reads a network, and returns the span of its name.
pub(super) fn read_network(
    reader: &mut Reader,
    claims: &mut Claims,
    node: &Node,
) -> Option<(Network, Span)> {
    let mut fields = reader.fields(node, "this network")?;
    let name = fields.required(reader, "name", |reader, node| {
        let name = reader.name(node)?;
        claims.unique(UniqueValue::Network, name.value.clone(), name.span, "");
        Some(name)
    });
    let subnet = fields.required(reader, "subnet", |r, n| {
        r.parsed::<Subnet>(n, "a subnet such as `10.20.0.0/24`")
    });
    let interface = fields.optional(reader, "interface", |reader, node| {
        let text = reader.text(node)?;
        if text.len() <= 15 && !text.contains(['/', ' ']) {
            claims.unique(UniqueValue::Interface, text.clone(), node.span, "");
            return Some(text);
        }
        reader.refuse(
            "wrong-value",
            node.span,
            format!("`{text}` is not an interface name"),
            "write a name that `ip link` prints",
        )
    });
    let relays = fields.optional(reader, "relays", |reader, node| {
        read_blocks(reader, node, Trust::Relay)
    });
    let mode = fields.optional(reader, "mode", |reader, node| {
        reader.choice(
            node,
            &[
                ("authoritative", DhcpMode::Authoritative),
                ("proxy", DhcpMode::Proxy),
            ],
        )
    });
    let mode = mode.unwrap_or_default();
    let inside = |reader: &mut Reader, node: &Node| {
        let address = reader.address(node)?;
        match subnet {
            Some(subnet) if !subnet.is_host(address) => reader.refuse(
                "outside-network",
                node.span,
                format!("`{address}` is not a host address in `{subnet}`"),
                "change the address or `subnet`",
            ),
            _ => Some(address),
        }
    };
    let gateway = fields.optional(reader, "gateway", |reader, node| {
        let address = inside(reader, node)?;
        claims.unique(UniqueValue::Ip, address.to_string(), node.span, GATEWAY);
        Some(address)
    });
    let dns = fields.optional(reader, "dns", |reader, node| {
        reader.items(node, Reader::address)
    });
    let ntp = fields.optional(reader, "ntp", |reader, node| {
        reader.items(node, Reader::address)
    });
    let domain = fields.optional(reader, "domain", Reader::name);
    let search = fields.optional(reader, "search", |reader, node| {
        expect_authoritative(reader, node, "search", mode);
        let names = reader.items(node, read_hostname)?;
        Some(names.into_iter().map(|name| name.value).collect())
    });
    let routes = fields.optional(reader, "routes", |reader, node| {
        expect_authoritative(reader, node, "routes", mode);
        reader.items(node, |reader, node| {
            let mut fields = reader.fields(node, "this route")?;
            let expected =
                "a destination such as `10.40.0.0/16`, or use `gateway` for the default route";
            let to = fields.required(reader, "to", |r, n| r.parsed(n, expected));
            let via = fields.required(reader, "via", inside);
            fields.finish(reader);
            Some(Route { to: to?, via: via? })
        })
    });
    let mtu = fields.optional(reader, "mtu", |reader, node| {
        // Every IPv4 host accepts 576 bytes. Source: RFC 791 §3.1.
        reader.number(node, 576..=65535)
    });
    let options = fields.optional(reader, "options", |reader, node| {
        expect_authoritative(reader, node, "options", mode);
        read_options(reader, node)
    });
    let filter = fields.optional(reader, "filter", read_filter);
    let lease_time = fields.optional(reader, "lease_time", |reader, node| {
        expect_authoritative(reader, node, "lease_time", mode);
        reader.duration(node)
    });
    let pool = fields.optional(reader, "pool", |reader, node| {
        expect_authoritative(reader, node, "pool", mode);
        let pool =
            reader.parsed::<AddressRange>(node, "a range such as `10.20.0.200-10.20.0.250`")?;
        if let Some(subnet) = subnet.filter(|s| !s.is_host(pool.first()) || !s.is_host(pool.last()))
        {
            let message = format!("the pool is not inside `{subnet}`");
            return reader.refuse(
                "outside-network",
                node.span,
                message,
                "change the pool or `subnet`",
            );
        }
        if mode == DhcpMode::Authoritative {
            claims.pool(pool.clone(), node.span);
        }
        Some(pool)
    });
    let classes = fields.optional(reader, "classes", |reader, node| {
        expect_authoritative(reader, node, "classes", mode);
        read_classes(reader, claims, node, subnet, mode, pool.as_ref())
    });
    fields.finish(reader);
    let (name, subnet) = (name?, subnet?);
    claims.network(name.value.clone(), subnet, mode, name.span);
    let network = Network {
        name: name.value,
        subnet,
        interface,
        relays: relays.unwrap_or_default(),
        mode,
        gateway,
        dns: dns.unwrap_or_default(),
        ntp: ntp.unwrap_or_default(),
        domain: domain.map(|domain| domain.value),
        search: search.unwrap_or_default(),
        routes: routes.unwrap_or_default(),
        mtu: mtu.map(|mtu| mtu as u16),
        options: options.unwrap_or_default(),
        filter: filter.unwrap_or_default(),
        lease_time: lease_time.unwrap_or(Duration::from_secs(30 * 60)),
        pool,
        classes: classes.unwrap_or_default(),
    };
    Some((network, name.span))
}

/// Warns about a network whose machines cannot reach the server.
pub(super) fn check_reach(reader: &mut Reader, server: &Server, network: &Network, span: Span) {
    let (name, address) = (&network.name, server.address);
    if network.mode == DhcpMode::Proxy {
        return;
    }
    if network.gateway.is_none() && !network.subnet.is_host(address) {
        let message = format!(
            "machines on network `{name}` have no route to the server: `{address}` is not in `{}`",
            network.subnet
        );
        let help = "add `gateway: …`, the router that forwards to the server";
        reader.report(Diagnostic::warning("no-gateway", span, message).help(help));
    }
    let host = server.base_url.split("://").nth(1).unwrap_or_default();
    let host = host.split(['/', ':']).next().unwrap_or_default();
    let is_name = host.parse::<Ipv4Addr>().is_err() && !host.starts_with('[');
    if is_name && network.dns.is_empty() {
        let message = format!(
            "machines on network `{name}` have no DNS server, but `base_url` contains the name `{host}`"
        );
        let help = "add `dns: […]`, or use an address in `base_url`";
        reader.report(Diagnostic::warning("no-dns", span, message).help(help));
    }
}

/// Warns that a key has no effect if another server owns the addresses.
fn expect_authoritative(reader: &mut Reader, node: &Node, key: &str, mode: DhcpMode) {
    if mode == DhcpMode::Proxy {
        let message = format!(
            "`{key}` has no effect with `mode: proxy`: another DHCP server owns the addresses"
        );
        let help = "set it in that server and remove this line, or use `mode: authoritative`";
        reader.report(Diagnostic::warning("not-handed-out", node.span, message).help(help));
    }
}
