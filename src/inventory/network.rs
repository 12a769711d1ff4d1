use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::block::{AddressBlock, Trust, read_blocks};
use super::claims::{Claims, GATEWAY, UniqueValue};
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

/// One network that machines boot on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its name, which hosts refer to.
    pub name: String,
    /// Its addresses.
    pub subnet: Subnet,
    /// Our interface on it; none where requests come through a relay only.
    pub interface: Option<String>,
    /// The relays whose requests are accepted, by `giaddr`; see [`Network::accepts_relay`].
    #[serde(default)]
    pub relays: Vec<AddressBlock>,
    /// Who gives its addresses.
    #[serde(default)]
    pub mode: DhcpMode,
    /// The default router.
    pub gateway: Option<Ipv4Addr>,
    /// The name servers.
    pub dns: Vec<Ipv4Addr>,
    /// The time servers.
    pub ntp: Vec<Ipv4Addr>,
    /// The domain of the machines' names.
    pub domain: Option<String>,
    /// Where machines look for names that are not whole.
    #[serde(default)]
    pub search: Vec<String>,
    /// Routes besides the default one.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// The largest datagram that its links carry, which DHCP hands out and TFTP keeps to.
    #[serde(default)]
    pub mtu: Option<u16>,
    /// DHCP options that every machine on it gets besides; its profile's and its own go before them.
    #[serde(default)]
    pub options: ExtraOptions,
    /// Which clients DHCP does not answer here, besides those that the site's filter refuses.
    #[serde(default)]
    pub filter: Filter,
    /// How long an address is promised.
    #[serde(with = "seconds")]
    pub lease_time: Duration,
    /// Addresses for interfaces without a reserved one, those of unknown machines among them.
    pub pool: Option<AddressRange>,
}

impl Network {
    /// Reports whether its machines may be behind relays.
    pub fn takes_relayed(&self) -> bool {
        self.interface.is_none() || !self.relays.is_empty()
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

/// Reads a network; the place is that of its name.
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
        r.parsed::<Subnet>(n, "one such as `10.20.0.0/24`")
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
            format!("`{text}` cannot be an interface's name"),
            "see `ip link` for the names",
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
                format!("`{address}` is not a machine's address in `{subnet}`"),
                "correct the address or the `subnet`",
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
            let expected = "a block of addresses such as `10.40.0.0/16`, or `gateway:` instead";
            let to = fields.required(reader, "to", |r, n| r.parsed(n, expected));
            let via = fields.required(reader, "via", inside);
            fields.finish(reader);
            Some(Route { to: to?, via: via? })
        })
    });
    let mtu = fields.optional(reader, "mtu", |reader, node| {
        // Every IPv4 host takes 576 octets. Source: RFC 791 §3.1.
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
        let pool = reader.parsed::<AddressRange>(node, "one such as `10.20.0.200-10.20.0.250`")?;
        if let Some(subnet) = subnet.filter(|s| !s.is_host(pool.first()) || !s.is_host(pool.last()))
        {
            let message = format!("the pool reaches beyond `{subnet}`");
            return reader.refuse(
                "outside-network",
                node.span,
                message,
                "correct the pool or the `subnet`",
            );
        }
        if mode == DhcpMode::Authoritative {
            claims.pool(pool.clone(), node.span);
        }
        Some(pool)
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
    };
    Some((network, name.span))
}

/// Warns of a network whose machines are told to boot from where they cannot get.
pub(super) fn check_reach(reader: &mut Reader, server: &Server, network: &Network, span: Span) {
    let (name, address) = (&network.name, server.address);
    if network.mode == DhcpMode::Proxy {
        return;
    }
    if network.gateway.is_none() && !network.subnet.is_host(address) {
        let message = format!(
            "the machines of `{name}` have no way to the server: {address} is not in {}",
            network.subnet
        );
        let help = "write `gateway: …`: the router by which they reach it";
        reader.report(Diagnostic::warning("no-gateway", span, message).help(help));
    }
    let host = server.base_url.split("://").nth(1).unwrap_or_default();
    let host = host.split(['/', ':']).next().unwrap_or_default();
    let is_name = host.parse::<Ipv4Addr>().is_err() && !host.starts_with('[');
    if is_name && network.dns.is_empty() {
        let message = format!(
            "the machines of `{name}` have no name server, and `base_url` needs one for `{host}`"
        );
        let help = "write `dns: […]`, or an address in `base_url`";
        reader.report(Diagnostic::warning("no-dns", span, message).help(help));
    }
}

/// Says that a key about addresses means nothing where another server gives them.
fn expect_authoritative(reader: &mut Reader, node: &Node, key: &str, mode: DhcpMode) {
    if mode == DhcpMode::Proxy {
        let message = format!(
            "`{key}` has no effect: `mode: proxy` leaves addresses and the like to another server"
        );
        let help = "set it in that server and remove this line, or write `mode: authoritative`";
        reader.report(Diagnostic::warning("not-handed-out", node.span, message).help(help));
    }
}
