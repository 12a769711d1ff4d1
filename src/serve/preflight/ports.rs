//! Checks that ports are free, and finds the process that uses one.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{SocketAddr, SocketAddrV4, TcpListener, UdpSocket};

use super::obstacle::{Obstacle, PRIVILEGES};

/// Checks that a UDP port is free.
pub fn udp(address: SocketAddrV4, what: &str, option: Option<&str>, found: &mut Vec<Obstacle>) {
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

/// Checks that a TCP port is free.
pub fn tcp(address: SocketAddrV4, found: &mut Vec<Obstacle>) {
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

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
