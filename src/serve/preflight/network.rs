//! Checks the interfaces of the site, and the ports of DHCP.

use std::io;
use std::net::{IpAddr, SocketAddrV4};

use pnet::datalink::NetworkInterface;
use socket2::{Domain, Socket, Type};

use super::obstacle::{Obstacle, PRIVILEGES};
use super::ports;
use crate::inventory::{DhcpMode, Network, Site};
use crate::respond::dhcp::{BOOT_SERVER_PORT, SERVER_PORT};
use crate::serve::links::interfaces;
use crate::serve::service::any;

/// Checks the requirements of DHCP.
pub fn check(site: &Site, address: SocketAddrV4, found: &mut Vec<Obstacle>) {
    ports::udp(address, "DHCP", Some("--dhcp-port"), found);
    let mut networks = site.networks.iter();
    let proxy = networks.find(|network| network.mode == DhcpMode::Proxy);
    if address.port() != SERVER_PORT {
        if let Some(network) = proxy {
            found.push(Obstacle {
                fatal: false,
                what: format!(
                    "network `{}` has `mode: proxy`, but `--dhcp-port {}` does not serve port 4011",
                    network.name,
                    address.port()
                ),
                help: "omit `--dhcp-port`: UEFI firmware requests its boot file on port 4011"
                    .to_owned(),
            });
        }
        return;
    }
    if proxy.is_some() {
        ports::udp(any(BOOT_SERVER_PORT), "proxyDHCP", None, found);
    }
    if site
        .networks
        .iter()
        .any(|network| network.interface.is_some())
    {
        packets(found);
    }
    let present = interfaces();
    for network in &site.networks {
        if let Some(name) = &network.interface {
            interface(network, name, &present, found);
        }
    }
}

/// Checks that the interface of a network exists, is up and has an address in the network.
fn interface(
    network: &Network,
    name: &str,
    present: &[NetworkInterface],
    found: &mut Vec<Obstacle>,
) {
    let Some(interface) = present.iter().find(|interface| interface.name == name) else {
        found.push(missing_interface(network, name, present));
        return;
    };
    if !interface.is_up() {
        found.push(Obstacle {
            fatal: true,
            what: format!("interface `{name}` is down"),
            help: format!("run `ip link set {name} up`"),
        });
    }
    let has_address = interface.ips.iter().any(|ip| match ip.ip() {
        IpAddr::V4(ip) => network.subnet.contains(ip),
        IpAddr::V6(_) => false,
    });
    if !has_address {
        found.push(Obstacle {
            fatal: false,
            what: format!("interface `{name}` has no address in `{}`", network.subnet),
            help: format!(
                "run `ip address add ADDRESS/{} dev {name}`, unless a router connects it",
                network.subnet.prefix()
            ),
        });
    }
}

fn missing_interface(network: &Network, name: &str, present: &[NetworkInterface]) -> Obstacle {
    let names = present.iter().map(|interface| interface.name.as_str());
    let names: Vec<&str> = names.filter(|name| *name != "lo").collect();
    Obstacle {
        fatal: true,
        what: format!(
            "interface `{name}` of network `{}` does not exist",
            network.name
        ),
        help: if names.is_empty() {
            "this machine has only `lo`; run `ip link` to list its interfaces".to_owned()
        } else {
            format!(
                "correct `interface:` of the network; this machine has {}",
                names.join(", ")
            )
        },
    }
}

/// Checks whether frames can be sent to machines that have no address yet. A socket without a
/// protocol receives nothing.
fn packets(found: &mut Vec<Obstacle>) {
    if let Err(error) = Socket::new(Domain::PACKET, Type::RAW, None) {
        found.push(Obstacle {
            fatal: true,
            what: format!("cannot send DHCP replies to machines without an address: {error}"),
            help: match error.kind() {
                io::ErrorKind::PermissionDenied => PRIVILEGES.to_owned(),
                _ => "see the error message".to_owned(),
            },
        });
    }
}

/// Checks that an interface has the address from which machines fetch.
pub fn server_address(site: &Site, found: &mut Vec<Obstacle>) {
    let address = site.server.address;
    let here = interfaces()
        .iter()
        .flat_map(|interface| interface.ips.clone())
        .any(|ip| ip.ip() == address);
    if !here {
        let network = site.network_of(address);
        let prefix = network.map_or(24, |network| network.subnet.prefix());
        found.push(Obstacle {
            fatal: false,
            what: format!("no interface has the address `{address}` of `server.address`, from which machines fetch"),
            help: format!("run `ip address add {address}/{prefix} dev INTERFACE`, or correct `server.address` of the site"),
        });
    }
}
