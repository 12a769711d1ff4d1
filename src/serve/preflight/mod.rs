//! Checks the requirements of the servers before they start. Each failure has a help text.

mod files;
mod http;
mod network;
mod obstacle;
mod ports;

use std::path::Path;

use super::descriptors::raise_limit;
use super::service::{Addresses, Service};
use crate::inventory::Site;
use crate::respond::dhcp::SERVER_PORT;
use crate::workspace::files::RootRefused;

pub use obstacle::Obstacle;

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
            Service::Dhcp => network::check(site, addresses.dhcp, &mut found),
            Service::Tftp => {
                ports::udp(addresses.tftp, "TFTP", Some("--tftp-port"), &mut found);
                files::loaders(site, directory, &mut found);
            }
            Service::Http => {
                ports::tcp(addresses.http, &mut found);
                found.extend(http::port_mismatch(&site.server, addresses.http));
                found.extend(http::open_files(raise_limit()));
                files::bundle_store(bundles, &mut found);
            }
        }
    }
    let privileged = addresses.dhcp.port() == SERVER_PORT || !services.contains(&Service::Dhcp);
    if privileged && !addresses.http.ip().is_loopback() {
        network::server_address(site, &mut found);
    }
    found
}
