//! Follows the network interfaces of this machine: logs what happens to those that the servers use.
//!
//! The kernel sends a message for each change of an interface or address (rtnetlink(7)). The messages only
//! trigger a new look at the interfaces, so lost or unknown messages cannot leave a wrong picture.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::Context;
use pnet::datalink::{self, NetworkInterface};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType};

use super::log::{Level, Log, LogLine};
use crate::inventory::Site;
use crate::shutdown::Shutdown;

/// Multicast groups of changes of interfaces and of IPv4 addresses.
///
/// Source: rtnetlink(7); `RTMGRP_LINK` and `RTMGRP_IPV4_IFADDR` of linux/rtnetlink.h.
const GROUPS: u32 = 0x1 | 0x10;
/// Minimum time between two looks at the interfaces: one change sends several messages, and a machine
/// with containers sends many.
const INTERVAL: Duration = Duration::from_millis(50);
/// Time after which a failed action is tried again, see [`LinkMonitor::retry`].
const RETRY: Duration = Duration::from_secs(1);

/// Follows the interfaces that a site uses.
pub struct LinkMonitor {
    socket: OwnedFd,
    /// The networks of each watched interface.
    watched: BTreeMap<String, Vec<String>>,
    links: BTreeMap<String, LinkState>,
    log: Log,
    /// When to look at the interfaces, if something may have changed.
    due: Option<Instant>,
    looked_at: Instant,
}

/// What the servers need to know about an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
struct LinkState {
    /// The index that the kernel gave it. An interface that is created again gets another one.
    index: u32,
    is_up: bool,
    has_carrier: bool,
    addresses: Vec<Ipv4Addr>,
}

impl From<&NetworkInterface> for LinkState {
    fn from(interface: &NetworkInterface) -> Self {
        Self {
            index: interface.index,
            is_up: interface.is_up(),
            has_carrier: interface.is_running(),
            addresses: addresses(interface).collect(),
        }
    }
}

impl LinkMonitor {
    /// Follows the interfaces of the networks of a site, and the interface that has the address of the
    /// server.
    ///
    /// # Errors
    /// Fails when the system refuses a netlink socket.
    pub fn start(site: &Site, log: Log) -> anyhow::Result<Self> {
        let open = || -> rustix::io::Result<OwnedFd> {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = rustix::net::socket_with(
                AddressFamily::NETLINK,
                SocketType::RAW,
                flags,
                // The protocol 0 is NETLINK_ROUTE.
                None,
            )?;
            rustix::net::bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
            Ok(socket)
        };
        let socket = open().context("cannot follow the network interfaces")?;
        let interfaces = interfaces();
        let mut watched: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for network in &site.networks {
            if let Some(interface) = &network.interface {
                let networks = watched.entry(interface.clone()).or_default();
                networks.push(network.name.clone());
            }
        }
        let has_server_address = |interface: &&NetworkInterface| {
            addresses(interface).any(|address| address == site.server.address)
        };
        if let Some(interface) = interfaces.iter().find(has_server_address) {
            watched.entry(interface.name.clone()).or_default();
        }
        Ok(Self {
            socket,
            links: states(&interfaces),
            watched,
            log,
            due: None,
            looked_at: Instant::now(),
        })
    }

    /// Reads the messages of the kernel. If something changed, logs the changes of the watched interfaces,
    /// and returns all interfaces.
    pub fn follow(&mut self) -> Option<Vec<NetworkInterface>> {
        let now = Instant::now();
        if self.drain() {
            let due = now.max(self.looked_at + INTERVAL);
            self.due = Some(self.due.map_or(due, |other| other.min(due)));
        }
        if self.due.is_none_or(|due| now < due) {
            return None;
        }
        self.due = None;
        self.looked_at = now;
        let interfaces = interfaces();
        let links = states(&interfaces);
        for (name, networks) in &self.watched {
            for change in changes(name, &self.links, &links) {
                let (level, text) = describe(name, networks, &change);
                let line = LogLine::new(level, "serve", "interface", text);
                self.log.write(&line.fact("interface", name.as_str()));
            }
        }
        self.links = links;
        Some(interfaces)
    }

    /// Makes [`LinkMonitor::follow`] return the interfaces once more after a while, even if nothing changes: for an
    /// action that failed.
    pub fn retry(&mut self) {
        self.due.get_or_insert(Instant::now() + RETRY);
    }

    /// Returns how long a thread may wait for messages before it calls [`LinkMonitor::follow`].
    pub fn patience(&self) -> Option<Duration> {
        let due = self.due?;
        Some(due.saturating_duration_since(Instant::now()))
    }

    /// Logs changes until shutdown, for servers whose sockets need no action.
    ///
    /// # Errors
    /// Fails when the system cannot wait for messages.
    pub fn run(mut self, shutdown: &Shutdown) -> anyhow::Result<()> {
        while !shutdown.is_requested() {
            let patience = self.patience().map(timespec);
            let mut waiting = [
                PollFd::new(&self.socket, PollFlags::IN),
                PollFd::new(shutdown, PollFlags::IN),
            ];
            match poll(&mut waiting, patience.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error).context("cannot follow the network interfaces"),
            }
            self.follow();
        }
        Ok(())
    }

    /// Removes the waiting messages, and reports whether there were any. Lost messages count too.
    fn drain(&self) -> bool {
        let mut buffer = [0; 8192];
        let mut any = false;
        loop {
            match rustix::net::recv(&self.socket, &mut buffer, RecvFlags::empty()) {
                Ok(_) | Err(Errno::NOBUFS) => any = true,
                Err(Errno::INTR) => {}
                Err(_) => return any,
            }
        }
    }
}

impl AsFd for LinkMonitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Lists the interfaces of this machine.
pub fn interfaces() -> Vec<NetworkInterface> {
    datalink::interfaces()
}

/// Lists the IPv4 addresses of an interface.
pub fn addresses(interface: &NetworkInterface) -> impl Iterator<Item = Ipv4Addr> {
    interface.ips.iter().filter_map(|ip| match ip.ip() {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    })
}

/// Converts a time to wait for `poll`, rounded up to a millisecond.
pub fn timespec(patience: Duration) -> Timespec {
    let patience = patience + Duration::from_millis(1);
    Timespec {
        tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(patience.subsec_nanos()),
    }
}

fn states(interfaces: &[NetworkInterface]) -> BTreeMap<String, LinkState> {
    let state = |interface: &NetworkInterface| (interface.name.clone(), interface.into());
    interfaces.iter().map(state).collect()
}

/// A change of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
enum LinkChange {
    /// It was deleted, or moved to another namespace.
    Disappeared,
    /// It has another name.
    Renamed(String),
    /// It exists again.
    Appeared,
    /// It was deleted and created again between two looks.
    Replaced,
    Up(bool),
    Carrier(bool),
    AddressLost(Ipv4Addr),
    AddressFound(Ipv4Addr),
}

/// Compares an interface before and after, and lists what changed.
fn changes(
    name: &str,
    before: &BTreeMap<String, LinkState>,
    after: &BTreeMap<String, LinkState>,
) -> Vec<LinkChange> {
    let mut changes = Vec::new();
    let (old, new) = match (before.get(name), after.get(name)) {
        (None, None) => return changes,
        (Some(old), None) => {
            let renamed = after.iter().find(|(_, link)| link.index == old.index);
            changes.push(match renamed {
                Some((name, _)) => LinkChange::Renamed(name.clone()),
                None => LinkChange::Disappeared,
            });
            return changes;
        }
        (None, Some(new)) => {
            changes.push(LinkChange::Appeared);
            let nothing = LinkState {
                index: new.index,
                is_up: false,
                has_carrier: false,
                addresses: Vec::new(),
            };
            (nothing, new)
        }
        (Some(old), Some(new)) => {
            if old.index != new.index {
                changes.push(LinkChange::Replaced);
            }
            (old.clone(), new)
        }
    };
    if old.is_up != new.is_up {
        changes.push(LinkChange::Up(new.is_up));
    }
    // An interface that is down never has a carrier.
    if old.has_carrier != new.has_carrier && new.is_up {
        changes.push(LinkChange::Carrier(new.has_carrier));
    }
    let lost = old
        .addresses
        .iter()
        .filter(|it| !new.addresses.contains(it));
    changes.extend(lost.map(|address| LinkChange::AddressLost(*address)));
    let found = new
        .addresses
        .iter()
        .filter(|it| !old.addresses.contains(it));
    changes.extend(found.map(|address| LinkChange::AddressFound(*address)));
    changes
}

/// Describes a change for the log.
fn describe(name: &str, networks: &[String], change: &LinkChange) -> (Level, String) {
    let (level, text) = match change {
        LinkChange::Disappeared => (
            Level::Warn,
            "disappeared: machines on it get no answer until it exists again".to_owned(),
        ),
        LinkChange::Renamed(to) => (
            Level::Warn,
            format!(
                "was renamed to `{to}`: machines on it get no answer; rename it back, or set `interface: {to}` and restart"
            ),
        ),
        LinkChange::Appeared => (Level::Info, "exists again".to_owned()),
        LinkChange::Replaced => (Level::Info, "was deleted and created again".to_owned()),
        LinkChange::Up(false) => (
            Level::Warn,
            format!("is down: machines on it get no answer until `ip link set {name} up`"),
        ),
        LinkChange::Up(true) => (Level::Info, "is up".to_owned()),
        LinkChange::Carrier(false) => (
            Level::Warn,
            "has no carrier: its cable is unplugged, or the switch port is off".to_owned(),
        ),
        LinkChange::Carrier(true) => (Level::Info, "has a carrier".to_owned()),
        LinkChange::AddressLost(address) => (Level::Warn, format!("lost the address {address}")),
        LinkChange::AddressFound(address) => (Level::Info, format!("got the address {address}")),
    };
    let of = match networks {
        [] => String::new(),
        [network] => format!(" of network `{network}`"),
        several => format!(" of networks `{}`", several.join("`, `")),
    };
    (level, format!("interface `{name}`{of} {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(links: &[(&str, u32, [bool; 2], u8)]) -> BTreeMap<String, LinkState> {
        let state = |&(name, index, [is_up, has_carrier], last): &(&str, u32, [bool; 2], u8)| {
            let addresses = vec![Ipv4Addr::new(10, 0, 0, last)];
            let link = LinkState {
                index,
                is_up,
                has_carrier,
                addresses,
            };
            (name.to_owned(), link)
        };
        links.iter().map(state).collect()
    }

    #[test]
    fn each_change_of_an_interface_is_named() {
        let up = [true, true];
        let before = links(&[("a", 2, up, 1)]);
        for (after, expected) in [
            (links(&[("a", 2, up, 1), ("b", 3, up, 2)]), &[][..]),
            (links(&[("b", 3, up, 1)]), &[LinkChange::Disappeared]),
            (
                links(&[("b", 2, up, 1)]),
                &[LinkChange::Renamed("b".to_owned())],
            ),
            (links(&[("a", 3, up, 1)]), &[LinkChange::Replaced]),
            (
                links(&[("a", 2, [false, false], 1)]),
                &[LinkChange::Up(false)],
            ),
            (
                links(&[("a", 2, [true, false], 1)]),
                &[LinkChange::Carrier(false)],
            ),
            (
                links(&[("a", 2, up, 2)]),
                &[
                    LinkChange::AddressLost(Ipv4Addr::new(10, 0, 0, 1)),
                    LinkChange::AddressFound(Ipv4Addr::new(10, 0, 0, 2)),
                ],
            ),
        ] {
            assert_eq!(changes("a", &before, &after), expected, "{after:?}");
        }
        // What it has when it comes back is listed too.
        let nothing = BTreeMap::new();
        let back = links(&[("a", 4, up, 1)]);
        let expected = [
            LinkChange::Appeared,
            LinkChange::Up(true),
            LinkChange::Carrier(true),
            LinkChange::AddressFound(Ipv4Addr::new(10, 0, 0, 1)),
        ];
        assert_eq!(changes("a", &nothing, &back), expected);
        assert_eq!(changes("a", &nothing, &nothing), []);
    }

    #[test]
    fn a_line_names_the_interface_its_network_and_the_way_out() {
        let networks = ["rack".to_owned()];
        let renamed = LinkChange::Renamed("lan0".to_owned());
        let (_, text) = describe("eth1", &networks, &renamed);
        assert!(text.starts_with("interface `eth1` of network `rack` was renamed to `lan0`"));
        assert!(text.contains("set `interface: lan0` and restart"), "{text}");
    }
}
