use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context as _;

use super::endpoints::{DhcpEndpoint, Endpoints};
use crate::inventory::DhcpMode;
use crate::serve::active::{ActiveInventory, LoadedInventory};
use crate::serve::dhcp::{DhcpPort, DhcpSockets, PortRole};
use crate::serve::log::Log;
use crate::serve::run::Shared;
use crate::shutdown::Shutdown;
use crate::store::Store;

/// The servers of a rehearsal: on loopback, on free ports, with their own store. Dropping this stops
/// them.
pub struct RehearsalServers {
    endpoints: Endpoints,
    shutdown: Shutdown,
    threads: Vec<JoinHandle<anyhow::Result<()>>>,
}

impl RehearsalServers {
    /// Starts the servers.
    ///
    /// # Errors
    /// If a port cannot be opened or the store cannot be used.
    pub fn start(
        loaded: LoadedInventory,
        store: Arc<dyn Store>,
        state: &Path,
        log: Log,
    ) -> anyhow::Result<Self> {
        let site = loaded.inventory.site.clone();
        let shutdown = Shutdown::new()?;
        let shared = Shared {
            active: ActiveInventory::new(loaded),
            store,
            log,
            shutdown: shutdown.clone(),
        };
        let loopback = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
        let mut dhcp = BTreeMap::new();
        let mut ports = Vec::new();
        for network in &site.networks {
            let port = DhcpPort::for_senders(loopback, Some(&network.name))?;
            let mut endpoint = DhcpEndpoint {
                at: port.local_address()?,
                boot_server: None,
            };
            ports.push(port);
            if network.mode == DhcpMode::Proxy {
                let port = DhcpPort::for_senders(loopback, Some(&network.name))?;
                let port = port.with_role(PortRole::BootServer);
                endpoint.boot_server = Some(port.local_address()?);
                ports.push(port);
            }
            dhcp.insert(network.name.clone(), endpoint);
        }
        let dhcp_server = shared.dhcp(DhcpSockets::of_ports(ports), state)?;
        let context = shared.context();
        let tftp_server = shared.tftp(loopback, &context)?;
        let http_server = shared
            .http(loopback, &context)
            .context("cannot start HTTP")?;
        let endpoints = Endpoints {
            dhcp,
            tftp: SocketAddr::V4(tftp_server.local_address()),
            http: (site.server.base_url.clone(), http_server.local_address()?),
            server: site.server.address,
        };
        let end = || shutdown.clone();
        let (first, second, third) = (end(), end(), end());
        let threads = vec![
            std::thread::spawn(move || dhcp_server.run(&first)),
            std::thread::spawn(move || tftp_server.run(&second)),
            std::thread::spawn(move || http_server.run(&third)),
        ];
        Ok(Self {
            endpoints,
            shutdown,
            threads,
        })
    }

    /// Returns the addresses where they listen.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }
}

impl Drop for RehearsalServers {
    fn drop(&mut self) {
        self.shutdown.request();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
