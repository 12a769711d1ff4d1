use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::claims::{Claims, GATEWAY, SERVER, Unique};
use super::diagnostic::{Diagnostic, nearest};
use super::filter::{Filter, read_filter};
use super::loader::{Loader, read_loader};
use super::menu::{Menu, read_menu};
use super::network::{AddressRange, Subnet};
use super::options::{ExtraOptions, read_options};
use super::reader::{Reader, list};
use super::route::Route;
use super::source::Span;
use super::tree::{Key, Node};
use crate::machine::Architecture;

/// The `Site` document: where we serve, which networks, and by which rules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Site {
    /// The site's name; the default store is named after it.
    pub name: String,
    /// How machines reach us.
    pub server: Server,
    /// The networks that machines boot on.
    pub networks: Vec<Network>,
    /// The bundle store, relative to the inventory.
    pub bundles: Option<String>,
    /// The loader of each client architecture.
    pub loaders: BTreeMap<Architecture, Loader>,
    /// What a machine that would boot its local disk may start instead.
    #[serde(default)]
    pub menu: Option<Menu>,
    /// What a machine that is not in the inventory gets.
    pub unknown: UnknownPolicy,
    /// Which clients DHCP does not answer on any network.
    #[serde(default)]
    pub filter: Filter,
    /// What a machine must show before it is given a destructive script.
    pub identity: IdentityPolicy,
    /// Whether a boot request needs the token that our DHCP handed out.
    pub boot_token: bool,
    /// The rules of arming.
    pub provisioning: Provisioning,
    /// Values for templates; a profile's and a host's go before them.
    pub vars: BTreeMap<String, serde_json::Value>,
}

/// How machines reach us.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// The address that DHCP hands out as the next server.
    pub address: Ipv4Addr,
    /// The port of `serve http`.
    pub http_port: u16,
    /// The root of every URL that machines are given; no slash at its end.
    pub base_url: String,
    /// Directories that are served read-only.
    pub files: Vec<String>,
    /// Whether `serve tftp` sends from the port that it is asked on, and from no other.
    #[serde(default)]
    pub tftp_single_port: bool,
}

/// One network that machines boot on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its name, which hosts refer to.
    pub name: String,
    /// Its addresses.
    pub subnet: Subnet,
    /// Our interface on it; none where requests come through a relay only.
    pub interface: Option<String>,
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

/// Who gives the addresses of a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DhcpMode {
    /// We do, and nobody else.
    #[default]
    Authoritative,
    /// Another server; we only say what to boot (proxyDHCP).
    Proxy,
}

/// What a machine that is not in the inventory gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownPolicy {
    /// An address from the pool, and the quarantine screen.
    Quarantine,
    /// No answer to DHCP; over HTTP, the quarantine screen.
    Ignore,
}

/// What a machine must show before it is given a destructive script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdentityPolicy {
    /// Its boot MAC and its recorded UUID.
    Uuid,
    /// Its boot MAC alone, for machines without a usable UUID.
    Mac,
}

/// The rules of arming.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provisioning {
    /// How long after its arming a host is served its script, kernel and seeds; callbacks count a
    /// little longer.
    #[serde(with = "seconds")]
    pub deadline: Duration,
    /// How many attempts one arming allows, where `retry` is on.
    pub attempts: u32,
    /// Whether a second attempt needs no new arming.
    pub retry: bool,
}

impl Default for Provisioning {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(45 * 60),
            attempts: 1,
            retry: false,
        }
    }
}

impl Server {
    /// Reports whether machines are given the URL of the address and the port themselves.
    pub fn is_at_default_url(&self) -> bool {
        self.base_url == default_url(self.address, self.http_port)
    }
}

impl Site {
    /// Finds a network by its name.
    pub fn network(&self, name: &str) -> Option<&Network> {
        self.networks.iter().find(|network| network.name == name)
    }

    /// Finds the network that an address lies in.
    pub fn network_of(&self, address: Ipv4Addr) -> Option<&Network> {
        self.networks
            .iter()
            .find(|network| network.subnet.contains(address))
    }
}

pub(super) fn read(reader: &mut Reader, claims: &mut Claims, node: &Node) -> Option<Site> {
    let mut fields = reader.fields(node, "this Site")?;
    fields.node("kind");
    let name = fields.required(reader, "name", Reader::name);
    let server = fields.required(reader, "server", |reader, node| {
        read_server(reader, claims, node)
    });
    let networks = fields.required(reader, "networks", |reader, node| {
        reader.items(node, |reader, item| read_network(reader, claims, item))
    });
    let bundles = fields.optional(reader, "bundles", Reader::text);
    let loaders = fields.required(reader, "loaders", |reader, node| {
        reader.entries(node, |reader, key, node| {
            read_entry(reader, claims, key, node)
        })
    });
    let menu = fields.optional(reader, "menu", |reader, node| {
        read_menu(reader, claims, node)
    });
    let unknown = fields.optional(reader, "unknown", |reader, node| {
        reader.choice(
            node,
            &[
                ("quarantine", UnknownPolicy::Quarantine),
                ("ignore", UnknownPolicy::Ignore),
            ],
        )
    });
    let filter = fields.optional(reader, "filter", read_filter);
    let identity = fields.optional(reader, "identity", |reader, node| {
        let policy = reader.choice(
            node,
            &[("uuid", IdentityPolicy::Uuid), ("mac", IdentityPolicy::Mac)],
        )?;
        if policy == IdentityPolicy::Mac {
            let message =
                "`identity: mac` lets any machine that copies a boot MAC be installed over";
            let help = "record each host's `uuid` and remove this line";
            reader.report(Diagnostic::warning("weak-identity", node.span, message).help(help));
        }
        Some(policy)
    });
    let boot_token = fields.optional(reader, "boot_token", |reader, node| {
        let on = reader.choice(node, &[("on", true), ("off", false), ("true", true), ("false", false)])?;
        if !on {
            let message = "`boot_token: off` lets any machine that reaches the server ask for another's script";
            let help = "leave it on wherever pxectl answers DHCP";
            reader.report(Diagnostic::warning("weak-identity", node.span, message).help(help));
        }
        Some(on)
    });
    let provisioning = fields.optional(reader, "provisioning", read_provisioning);
    let vars = fields.optional(reader, "vars", read_vars);
    fields.finish(reader);
    let (server, networks) = (server?, networks?);
    for (network, span) in &networks {
        check_reach(reader, &server, network, *span);
    }
    Some(Site {
        name: name?.value,
        server,
        networks: networks.into_iter().map(|(network, _)| network).collect(),
        bundles,
        loaders: loaders?.into_iter().collect(),
        menu,
        unknown: unknown.unwrap_or(UnknownPolicy::Quarantine),
        filter: filter.unwrap_or_default(),
        identity: identity.unwrap_or(IdentityPolicy::Uuid),
        boot_token: boot_token.unwrap_or(true),
        provisioning: provisioning.unwrap_or_default(),
        vars: vars.unwrap_or_default(),
    })
}

/// Reads free values for templates.
pub(super) fn read_vars(
    reader: &mut Reader,
    node: &Node,
) -> Option<BTreeMap<String, serde_json::Value>> {
    let entries = reader.entries(node, |_, key, value| {
        Some((key.text.clone(), super::reader::to_json(value)))
    })?;
    Some(entries.into_iter().collect())
}

fn read_server(reader: &mut Reader, claims: &mut Claims, node: &Node) -> Option<Server> {
    let mut fields = reader.fields(node, "`server`")?;
    let address = fields.required(reader, "address", |reader, node| {
        let address = read_address(reader, node)?;
        claims.unique(Unique::Ip, address.to_string(), node.span, SERVER);
        Some(address)
    });
    let http_port = fields.optional(reader, "http_port", |reader, node| {
        reader.number(node, 1..=65535)
    });
    let base_url = fields.optional(reader, "base_url", |reader, node| {
        let text = reader.text(node)?;
        let good = ["http://", "https://"].iter().any(|scheme| {
            text.strip_prefix(scheme)
                .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        });
        if good && !text.contains(|c: char| !c.is_ascii_alphanumeric() && !":/.-_~[]%".contains(c))
        {
            return Some(text.trim_end_matches('/').to_owned());
        }
        reader.refuse(
            "wrong-value",
            node.span,
            format!("`{text}` is not a base URL"),
            "write one such as `http://10.20.0.10:8080`",
        )
    });
    let files = fields.optional(reader, "files", |reader, node| {
        reader.items(node, |reader, node| {
            let root = read_root(reader, node)?;
            claims.places.roots.push(node.span);
            Some(root)
        })
    });
    let tftp_single_port = fields.optional(reader, "tftp_single_port", Reader::boolean);
    fields.finish(reader);
    let (address, http_port) = (address?, http_port.unwrap_or(8080) as u16);
    let base_url = base_url.unwrap_or_else(|| default_url(address, http_port));
    Some(Server {
        address,
        http_port,
        base_url,
        files: files.unwrap_or_default(),
        tftp_single_port: tftp_single_port.unwrap_or(false),
    })
}

fn default_url(address: Ipv4Addr, http_port: u16) -> String {
    match http_port {
        80 => format!("http://{address}"),
        port => format!("http://{address}:{port}"),
    }
}

/// Reads a directory that is served to everybody on the network.
fn read_root(reader: &mut Reader, node: &Node) -> Option<String> {
    let text = reader.text(node)?;
    let parts = text
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".");
    if parts.clone().next().is_some() && !parts.clone().any(|part| part == "..") {
        return Some(text);
    }
    let message = format!("`{text}` would serve more than loaders to everybody on the network");
    let help = "name the directory that holds them, such as `/usr/lib/ipxe` or `boot`";
    reader.refuse("wrong-value", node.span, message, help)
}

/// Reads a network; the place is that of its name.
fn read_network(reader: &mut Reader, claims: &mut Claims, node: &Node) -> Option<(Network, Span)> {
    let mut fields = reader.fields(node, "this network")?;
    let name = fields.required(reader, "name", |reader, node| {
        let name = reader.name(node)?;
        claims.unique(Unique::Network, name.value.clone(), name.span, "");
        Some(name)
    });
    let subnet = fields.required(reader, "subnet", |r, n| {
        r.parsed::<Subnet>(n, "one such as `10.20.0.0/24`")
    });
    let interface = fields.optional(reader, "interface", |reader, node| {
        let text = reader.text(node)?;
        if text.len() <= 15 && !text.contains(['/', ' ']) {
            claims.unique(Unique::Interface, text.clone(), node.span, "");
            return Some(text);
        }
        reader.refuse(
            "wrong-value",
            node.span,
            format!("`{text}` cannot be an interface's name"),
            "see `ip link` for the names",
        )
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
        let address = read_address(reader, node)?;
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
        claims.unique(Unique::Ip, address.to_string(), node.span, GATEWAY);
        Some(address)
    });
    let dns = fields.optional(reader, "dns", |reader, node| {
        reader.items(node, read_address)
    });
    let ntp = fields.optional(reader, "ntp", |reader, node| {
        reader.items(node, read_address)
    });
    let domain = fields.optional(reader, "domain", Reader::name);
    let search = fields.optional(reader, "search", |reader, node| {
        expect_authoritative(reader, node, "search", mode);
        let names = reader.items(node, super::host::read_hostname)?;
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
fn check_reach(reader: &mut Reader, server: &Server, network: &Network, span: Span) {
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

fn read_entry(
    reader: &mut Reader,
    claims: &mut Claims,
    key: &Key,
    node: &Node,
) -> Option<(Architecture, Loader)> {
    let loader = read_loader(reader, claims, node);
    let Ok(architecture) = key.text.parse::<Architecture>() else {
        let names: Vec<&str> = Architecture::all().map(Architecture::name).collect();
        let help = match nearest(&key.text, names.iter().copied()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("known architectures are {}", list(&names)),
        };
        return reader.refuse(
            "wrong-value",
            key.span,
            format!("`{}` is not a client architecture", key.text),
            &help,
        );
    };
    claims.loader_for(architecture);
    let (loader, place) = loader?;
    claims.places.site.insert(architecture, place);
    Some((architecture, loader))
}

fn read_provisioning(reader: &mut Reader, node: &Node) -> Option<Provisioning> {
    let mut fields = reader.fields(node, "`provisioning`")?;
    let default = Provisioning::default();
    let deadline = fields.optional(reader, "deadline", Reader::duration);
    let attempts = fields.optional(reader, "attempts", |reader, node| {
        reader.number(node, 1..=100)
    });
    let retry = fields.optional(reader, "retry", Reader::boolean);
    fields.optional(reader, "arm", |reader, node| {
        reader.choice(node, &[("manual", ())])
    });
    fields.finish(reader);
    Some(Provisioning {
        deadline: deadline.unwrap_or(default.deadline),
        attempts: attempts.map_or(default.attempts, |attempts| attempts as u32),
        retry: retry.unwrap_or(default.retry),
    })
}

fn read_address(reader: &mut Reader, node: &Node) -> Option<Ipv4Addr> {
    let text = reader.text(node)?;
    match text.parse::<Ipv4Addr>() {
        Ok(address)
            if !address.is_unspecified() && !address.is_broadcast() && !address.is_multicast() =>
        {
            Some(address)
        }
        _ => reader.refuse(
            "wrong-value",
            node.span,
            format!("`{text}` is not a machine's IPv4 address"),
            "write one such as `10.20.0.10`",
        ),
    }
}

/// Writes durations as whole seconds.
pub(super) mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(value.as_secs())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_secs)
    }
}
