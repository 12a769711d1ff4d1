//! Checks the port of HTTP and the limit of its connections.

use std::net::SocketAddrV4;

use super::obstacle::Obstacle;
use crate::inventory::Server;
use crate::serve::http::{CONNECTIONS, ENOUGH_FILES, allowed_by};

/// Reports that machines fetch from another port than the one on which HTTP is served. Accepts a
/// `base_url` of the site, since a reverse proxy may listen there, and a loopback address, which is
/// for tests.
pub fn port_mismatch(server: &Server, http: SocketAddrV4) -> Option<Obstacle> {
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
pub fn open_files(limit: u64) -> Option<Obstacle> {
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

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
}
