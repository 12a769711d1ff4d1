//! Checks the requirements of the servers before they start. Each failure has a help text.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, UdpSocket};
use std::path::Path;

use socket2::{Domain, Socket, Type};

use super::descriptors::raise_limit;
use super::http::{CONNECTIONS, ENOUGH_FILES, allowed_by};
use super::links::interfaces;
use super::run::Service;
use crate::bundle::BundleStore;
use crate::inventory::{DhcpMode, Menu, Server, Site};
use crate::respond::dhcp::{BOOT_SERVER_PORT, SERVER_PORT};
use crate::workspace::files::{FileRoots, RootRefused, Surroundings};

/// Help text for missing privileges.
const PRIVILEGES: &str = "run as root, or first run \
     `setcap cap_net_bind_service,cap_net_raw,cap_net_admin=+ep $(command -v pxectl)`";

/// A failed requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// Whether it prevents the start of the servers.
    pub fatal: bool,
    /// The problem.
    pub what: String,
    /// The fix.
    pub help: String,
}

/// The addresses that the services will bind.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// Address of `serve dhcp`. A port other than 67 only answers the sender's address.
    pub dhcp: SocketAddrV4,
    /// Address of `serve tftp`.
    pub tftp: SocketAddrV4,
    /// Address of `serve http`.
    pub http: SocketAddrV4,
}

/// Checks all requirements of the services, and returns the failed ones.
pub fn preflight(
    site: &Site,
    services: &[Service],
    addresses: Addresses,
    directory: &Path,
    bundles: Option<&Path>,
    refused: &[(usize, RootRefused)],
) -> Vec<Obstacle> {
    let mut found = Vec::new();
    found.extend(refused.iter().map(|(_, refused)| Obstacle {
        fatal: true,
        what: format!("`server.files`: {refused}"),
        help: refused.help(),
    }));
    for service in services {
        match service {
            Service::Dhcp => dhcp(site, addresses.dhcp, &mut found),
            Service::Tftp => {
                udp(addresses.tftp, "TFTP", Some("--tftp-port"), &mut found);
                loaders(site, directory, &mut found);
            }
            Service::Http => {
                tcp(addresses.http, &mut found);
                found.extend(port_mismatch(&site.server, addresses.http));
                found.extend(open_files(raise_limit()));
                bundle_store(bundles, &mut found);
            }
        }
    }
    let privileged = addresses.dhcp.port() == SERVER_PORT || !services.contains(&Service::Dhcp);
    if privileged && !addresses.http.ip().is_loopback() {
        server_address(site, &mut found);
    }
    found
}

fn dhcp(site: &Site, address: SocketAddrV4, found: &mut Vec<Obstacle>) {
    udp(address, "DHCP", Some("--dhcp-port"), found);
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
        udp(any(BOOT_SERVER_PORT), "proxyDHCP", None, found);
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
        let Some(name) = &network.interface else {
            continue;
        };
        let Some(interface) = present.iter().find(|interface| interface.name == *name) else {
            let names: Vec<&str> = present
                .iter()
                .map(|i| i.name.as_str())
                .filter(|name| *name != "lo")
                .collect();
            found.push(Obstacle {
                fatal: true,
                what: format!(
                    "interface `{name}` of network `{}` does not exist",
                    network.name
                ),
                help: match names.as_slice() {
                    [] => "this machine has only `lo`; run `ip link` to list its interfaces"
                        .to_owned(),
                    names => format!(
                        "correct `interface:` of the network; this machine has {}",
                        names.join(", ")
                    ),
                },
            });
            continue;
        };
        if !interface.is_up() {
            found.push(Obstacle {
                fatal: true,
                what: format!("interface `{name}` is down"),
                help: format!("run `ip link set {name} up`"),
            });
        }
        let inside = interface.ips.iter().any(|ip| match ip.ip() {
            std::net::IpAddr::V4(ip) => network.subnet.contains(ip),
            std::net::IpAddr::V6(_) => false,
        });
        if !inside {
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

/// Reports that machines fetch from another port than the one on which HTTP is served. Accepts a
/// `base_url` of the site, since a reverse proxy may listen there, and a loopback address, which is
/// for tests.
fn port_mismatch(server: &Server, http: SocketAddrV4) -> Option<Obstacle> {
    let (bound, configured) = (http.port(), server.http_port);
    if bound == configured || http.ip().is_loopback() || !server.is_at_default_url() {
        return None;
    }
    Some(Obstacle {
        fatal: false,
        what: format!(
            "HTTP is served on port {bound}, but machines fetch from `{}`",
            server.base_url
        ),
        help: format!(
            "set `http_port: {bound}` in `server` of the site and omit `--http-port`, or set \
             `base_url:` if another service forwards port {configured}"
        ),
    })
}

/// Warns about a limit of open files that allows too few HTTP connections.
fn open_files(limit: u64) -> Option<Obstacle> {
    let allowed = allowed_by(limit);
    (allowed < CONNECTIONS).then(|| Obstacle {
        fatal: false,
        what: format!(
            "the limit of {limit} open files allows {allowed} HTTP connections instead of {CONNECTIONS}"
        ),
        help: format!(
            "run `ulimit -n {ENOUGH_FILES}` as root before the start, or set \
             `LimitNOFILE={ENOUGH_FILES}` in the systemd unit"
        ),
    })
}

fn server_address(site: &Site, found: &mut Vec<Obstacle>) {
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

fn loaders(site: &Site, directory: &Path, found: &mut Vec<Obstacle>) {
    let roots: Vec<_> = site
        .server
        .files
        .iter()
        .map(|root| directory.join(root))
        .collect();
    for root in roots.iter().filter(|root| !root.exists()) {
        found.push(Obstacle {
            fatal: false,
            what: format!("`{}` of `server.files` does not exist", root.display()),
            help: "create it, or correct `server.files` of the site".to_owned(),
        });
    }
    let files = FileRoots::new(roots, Surroundings::machine());
    let first = site.loaders.values().map(|loader| loader.first.as_str());
    let of_menu = site.menu.iter().flat_map(Menu::loaders);
    let names: BTreeSet<&str> = first.chain(of_menu).collect();
    for name in names {
        if let Err(error) = files.open(name) {
            found.push(Obstacle {
                fatal: false,
                what: format!("cannot serve loader `{name}`: {error}"),
                help: "put the loader into a directory of `server.files`; on Debian, the package `ipxe` installs loaders in /usr/lib/ipxe; if a link there leads to /boot, add its target: `files: [/usr/lib/ipxe, /boot/ipxe.efi]`".to_owned(),
            });
        }
    }
}

fn bundle_store(path: Option<&Path>, found: &mut Vec<Obstacle>) {
    let Some(Err(error)) = path.map(BundleStore::open) else {
        return;
    };
    found.push(Obstacle {
        fatal: false,
        what: format!("cannot serve bundle files: {error}"),
        help: error
            .help()
            .unwrap_or_else(|| "correct `bundles:` of the site, or use `--bundles DIR`".to_owned()),
    });
}

fn udp(address: SocketAddrV4, what: &str, option: Option<&str>, found: &mut Vec<Obstacle>) {
    if let Err(error) = UdpSocket::bind(address) {
        found.push(bind_obstacle(
            &error,
            SocketAddr::V4(address),
            what,
            option,
            "/proc/net/udp",
        ));
    }
}

fn tcp(address: SocketAddrV4, found: &mut Vec<Obstacle>) {
    if let Err(error) = TcpListener::bind(address) {
        found.push(bind_obstacle(
            &error,
            SocketAddr::V4(address),
            "HTTP",
            Some("--http-port"),
            "/proc/net/tcp",
        ));
    }
}

fn bind_obstacle(
    error: &io::Error,
    address: SocketAddr,
    what: &str,
    option: Option<&str>,
    table: &str,
) -> Obstacle {
    let port = address.port();
    let other_port = |verb: &str| {
        option.map_or(String::new(), |option| {
            format!(", or {verb} another port with `{option} PORT`")
        })
    };
    let help = match error.kind() {
        io::ErrorKind::PermissionDenied => format!("{PRIVILEGES}{}", other_port("try")),
        io::ErrorKind::AddrInUse => match owner_of_port(table, port) {
            Some((pid, name)) => format!(
                "stop `{name}` (process {pid}), which uses the port{}",
                other_port("use")
            ),
            None => {
                format!("run `ss -lnp 'sport = {port}'` to find the program that uses the port")
            }
        },
        io::ErrorKind::AddrNotAvailable => {
            "no interface of this machine has this address".to_owned()
        }
        _ => "see the error message".to_owned(),
    };
    Obstacle {
        fatal: true,
        what: format!("cannot serve {what} on {address}: {error}"),
        help,
    }
}

/// Finds the process that has a port open, as far as permissions allow.
fn owner_of_port(table: &str, port: u16) -> Option<(u32, String)> {
    let suffix = format!(":{port:04X}");
    let text = fs::read_to_string(table).ok()?;
    let inodes: BTreeSet<String> = text
        .lines()
        .filter(|line| {
            line.split_whitespace()
                .nth(1)
                .is_some_and(|local| local.ends_with(&suffix))
        })
        .filter_map(|line| {
            line.split_whitespace()
                .nth(9)
                .map(|inode| format!("socket:[{inode}]"))
        })
        .collect();
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .find_map(|pid| {
            let mut open = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
            open.find(|fd| {
                fs::read_link(fd.path())
                    .is_ok_and(|link| link.to_str().is_some_and(|l| inodes.contains(l)))
            })?;
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
            Some((pid, name.trim().to_owned()))
        })
}

/// Returns the wildcard address with a port.
pub fn any(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_port_that_no_url_contains_is_reported() {
        let at = |address: &str| address.parse::<SocketAddrV4>().unwrap();
        for (base_url, http, expected) in [
            ("http://10.20.0.10:8080", "0.0.0.0:8080", false),
            ("http://10.20.0.10:8080", "0.0.0.0:18080", true),
            ("http://10.20.0.10:8080", "10.20.0.10:18080", true),
            ("http://10.20.0.10:8080", "127.0.0.1:18080", false),
            ("https://boot.example", "0.0.0.0:18080", false),
        ] {
            let server = Server {
                address: Ipv4Addr::new(10, 20, 0, 10),
                http_port: 8080,
                base_url: base_url.to_owned(),
                tftp_single_port: false,
                allow: Vec::new(),
                trusted_proxies: Vec::new(),
                tftp_ports: None,
                files: Vec::new(),
            };
            let found = port_mismatch(&server, at(http));
            assert_eq!(found.is_some(), expected, "{base_url} {http}: {found:?}");
            let is_warning = |obstacle: Obstacle| {
                let names_both =
                    obstacle.what.contains("18080") && obstacle.what.contains(base_url);
                !obstacle.fatal && names_both
            };
            assert!(found.is_none_or(is_warning), "{base_url} {http}");
        }
    }

    #[test]
    fn process_that_uses_a_port_is_reported() {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let SocketAddr::V4(address) = socket.local_addr().unwrap() else {
            panic!()
        };
        let mut found = Vec::new();
        udp(address, "TFTP", Some("--tftp-port"), &mut found);
        assert_eq!(found.len(), 1);
        assert!(found[0].what.contains("in use"), "{found:?}");
        assert!(
            found[0].help.contains(&std::process::id().to_string()),
            "{found:?}"
        );
    }
}
