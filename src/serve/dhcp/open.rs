//! Opens the sockets of the DHCP server, and opens them again when an interface changes.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use pnet::datalink::NetworkInterface;

use super::port::{DhcpPort, InterfaceIdentity, is_local, server_address};
use super::probe::Prober;
use super::watch::Watcher;
use crate::inventory::{DhcpMode, Network, Site};
use crate::respond::dhcp::SERVER_PORT;
use crate::serve::links::{LinkMonitor, addresses, interfaces};
use crate::serve::log::{Level, Log};

/// The sockets of the DHCP server.
pub struct DhcpSockets {
    pub(super) ports: Vec<Arc<DhcpPort>>,
    pub(super) probers: Vec<Prober>,
    pub(super) watchers: Vec<Watcher>,
    following: Option<Following>,
}

/// What is needed to follow the interfaces of a site.
struct Following {
    site: Site,
    log: Log,
    monitor: LinkMonitor,
    /// The plan of each port, in their order.
    plans: Vec<PortPlan>,
}

/// What a port serves, and by which interface and address. If one of them changes, the port must be opened
/// again.
#[derive(Clone, Debug, PartialEq, Eq)]
enum PortPlan {
    /// Port 67 on an interface, for broadcasts.
    Interface {
        network: String,
        interface: InterfaceIdentity,
        server: Ipv4Addr,
        is_local: bool,
    },
    /// Port 4011, where another server owns the addresses.
    BootServer {
        network: Option<(String, InterfaceIdentity)>,
        server: Ipv4Addr,
        is_local: bool,
    },
    /// Port 67 on a local address, or on all of them.
    Address(Option<Ipv4Addr>),
}

impl PortPlan {
    fn open(&self) -> anyhow::Result<DhcpPort> {
        match self {
            Self::Interface {
                network,
                interface,
                server,
                ..
            } => DhcpPort::on_interface(network, &interface.name, *server),
            Self::BootServer {
                network, server, ..
            } => {
                let network = network.as_ref();
                let network =
                    network.map(|(network, interface)| (network.as_str(), interface.name.as_str()));
                DhcpPort::for_boot_server(network, *server)
            }
            Self::Address(address) => DhcpPort::for_address(*address),
        }
    }

    /// Returns the network whose interface it uses, if any.
    fn network(&self) -> Option<&str> {
        match self {
            Self::Interface { network, .. }
            | Self::BootServer {
                network: Some((network, _)),
                ..
            } => Some(network),
            Self::BootServer { network: None, .. } | Self::Address(_) => None,
        }
    }

    /// Reports whether its interface exists.
    fn is_possible(&self) -> bool {
        match self {
            Self::Interface { interface, .. }
            | Self::BootServer {
                network: Some((_, interface)),
                ..
            } => interface.index.is_some(),
            Self::BootServer { network: None, .. } | Self::Address(_) => true,
        }
    }
}

impl DhcpSockets {
    /// Uses ports that are open already, and follows no interface.
    pub fn of_ports(ports: Vec<DhcpPort>) -> Self {
        Self {
            ports: ports.into_iter().map(Arc::new).collect(),
            probers: Vec::new(),
            watchers: Vec::new(),
            following: None,
        }
    }

    /// Opens port 67 on every interface of the site and on each of their addresses, and port 4011 where
    /// another server owns the addresses. A port other than 67 only answers the sender's address, and
    /// follows no interface.
    ///
    /// # Errors
    /// Fails when a port cannot be opened.
    pub fn open(site: &Site, address: SocketAddrV4, log: &Log) -> anyhow::Result<Self> {
        if address.port() != SERVER_PORT {
            return Ok(Self::of_ports(vec![DhcpPort::for_senders(address, None)?]));
        }
        // Before the first look at the interfaces, so that no change is missed.
        let monitor = LinkMonitor::start(site, log.clone())?;
        let interfaces = interfaces();
        let plans = port_plans(site, &interfaces);
        let ports = plans.iter().map(PortPlan::open).map(|it| it.map(Arc::new));
        let mut sockets = Self {
            ports: ports.collect::<anyhow::Result<_>>()?,
            probers: Vec::new(),
            watchers: Vec::new(),
            following: Some(Following {
                site: site.clone(),
                log: log.clone(),
                monitor,
                plans,
            }),
        };
        sockets.open_probers_and_watchers(&interfaces);
        Ok(sockets)
    }

    /// Returns what reports changes of interfaces.
    pub(super) fn monitor(&self) -> Option<&LinkMonitor> {
        Some(&self.following.as_ref()?.monitor)
    }

    /// If interfaces changed, opens the ports whose interface or address changed, and keeps all others.
    /// Reports whether there are new ports.
    pub(super) fn follow(&mut self) -> bool {
        let Some(following) = &mut self.following else {
            return false;
        };
        let Some(interfaces) = following.monitor.follow() else {
            return false;
        };
        let mut desired = port_plans(&following.site, &interfaces);
        desired.retain(PortPlan::is_possible);
        self.open_probers_and_watchers(&interfaces);
        let Some(following) = &mut self.following else {
            return false;
        };
        if desired == following.plans {
            return false;
        }
        let old = std::mem::take(&mut following.plans).into_iter();
        let mut old: Vec<(PortPlan, Arc<DhcpPort>)> = old.zip(self.ports.drain(..)).collect();
        let networks = old.iter().filter_map(|(plan, _)| plan.network());
        let before: BTreeSet<String> = networks.map(str::to_owned).collect();
        // The others are closed first, since a port can be bound only once.
        old.retain(|(plan, _)| desired.contains(plan));
        for plan in desired {
            let kept = old.iter().position(|(other, _)| *other == plan);
            let port = match kept.map(|index| old.swap_remove(index)) {
                Some((_, port)) => port,
                None => match plan.open() {
                    Ok(port) => {
                        if let Ok(description) = port.describe() {
                            let text = format!("serving DHCP on {description} again");
                            let is_news = !before.contains(plan.network().unwrap_or_default());
                            let level = if is_news { Level::Info } else { Level::Debug };
                            following.log.event(level, "dhcp", "ready", text);
                        }
                        Arc::new(port)
                    }
                    Err(error) => {
                        let text = format!("{error:#}; trying again");
                        following
                            .log
                            .event(Level::Warn, "dhcp", "dhcp-no-port", text);
                        following.monitor.retry();
                        continue;
                    }
                },
            };
            following.plans.push(plan);
            self.ports.push(port);
        }
        true
    }

    /// Starts a prober for each pool, and a watcher for other DHCP servers on each network, unless they run
    /// on the present interface already. Where that fails, the server works without them.
    fn open_probers_and_watchers(&mut self, interfaces: &[NetworkInterface]) {
        let Some(following) = &self.following else {
            return;
        };
        let present = |interface: &InterfaceIdentity| {
            InterfaceIdentity::find(&interface.name, interfaces) == *interface
        };
        self.probers.retain(|it| present(it.interface()));
        self.watchers.retain(|it| present(it.interface()));
        for network in authoritative_networks(&following.site) {
            let Some(name) = &network.interface else {
                continue;
            };
            let interface = InterfaceIdentity::find(name, interfaces);
            let is_new = interface.index.is_some();
            if is_new && !self.probers.iter().any(|it| it.network() == network.name) {
                match Prober::start(&network.name, interface.clone()) {
                    Ok(prober) => self.probers.push(prober),
                    Err(error) => {
                        let text = format!("{error:#}; pool addresses are offered without a probe");
                        following
                            .log
                            .event(Level::Warn, "dhcp", "dhcp-no-probe", text);
                    }
                }
            }
            if is_new && !self.watchers.iter().any(|it| it.network() == network.name) {
                match Watcher::start(&network.name, interface) {
                    Ok(watcher) => self.watchers.push(watcher),
                    Err(error) => {
                        let text = format!(
                            "{error:#}; other DHCP servers are detected only when a client chooses one"
                        );
                        following
                            .log
                            .event(Level::Debug, "dhcp", "dhcp-no-watch", text);
                    }
                }
            }
        }
    }
}

/// Lists the networks whose addresses this server assigns.
fn authoritative_networks(site: &Site) -> impl Iterator<Item = &Network> {
    let networks = site.networks.iter();
    networks.filter(|network| network.mode == DhcpMode::Authoritative)
}

/// Lists the ports that a site needs on a machine with these interfaces.
fn port_plans(site: &Site, interfaces: &[NetworkInterface]) -> Vec<PortPlan> {
    let mut plans = Vec::new();
    let mut ours = BTreeSet::from([site.server.address]);
    for network in &site.networks {
        let Some(name) = &network.interface else {
            continue;
        };
        let server = server_address(site, network, interfaces);
        let interface = InterfaceIdentity::find(name, interfaces);
        let is_local = is_local(server, interfaces);
        plans.push(PortPlan::Interface {
            network: network.name.clone(),
            interface: interface.clone(),
            server,
            is_local,
        });
        if network.mode == DhcpMode::Proxy {
            plans.push(PortPlan::BootServer {
                network: Some((network.name.clone(), interface)),
                server,
                is_local,
            });
        }
        let mut found = interfaces.iter().filter(|it| it.name == *name);
        ours.extend(found.next().into_iter().flat_map(addresses));
    }
    let is_here = is_local(site.server.address, interfaces);
    let ours = ours.into_iter().filter(|it| is_local(*it, interfaces));
    plans.extend(ours.map(|address| PortPlan::Address(Some(address))));
    let mut relayed = site
        .networks
        .iter()
        .filter(|network| network.takes_relayed())
        .peekable();
    // Another device translates the site's address to one of ours, and we do not know which.
    if relayed.peek().is_some() && !is_here {
        plans.push(PortPlan::Address(None));
    }
    if relayed.any(|network| network.mode == DhcpMode::Proxy) {
        plans.push(PortPlan::BootServer {
            network: None,
            server: site.server.address,
            is_local: is_here,
        });
    }
    plans
}
