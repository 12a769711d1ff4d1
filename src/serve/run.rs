//! Binds the requested servers to their addresses, and runs them.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::sync::Arc;
use std::thread::{Scope, ScopedJoinHandle};

use anyhow::Context as _;

use super::active::ActiveInventory;
use super::context::Context;
use super::descriptors::raise_limit;
use super::dhcp::{DhcpPort, DhcpServer, Prober, Watcher, addresses, interfaces, server_address};
use super::events::EventWriter;
use super::http::HttpServer;
use super::log::{Level, Log, LogLine};
use super::service::{Addresses, Service};
use super::tftp::{TftpConfig, TftpReport, TftpServer};
use super::tftp_site::TftpSite;
use super::volumes::Volumes;
use crate::bundle::Verifier;
use crate::inventory::{DhcpMode, Network, Site};
use crate::respond::dhcp::SERVER_PORT;
use crate::shutdown::Shutdown;
use crate::store::{SqliteLeases, Store};
use crate::token::StoreKey;

/// State that all servers share.
#[derive(Clone)]
pub struct Shared {
    /// The active inventory.
    pub active: ActiveInventory,
    /// The store.
    pub store: Arc<dyn Store>,
    /// The log.
    pub log: Log,
    /// The shutdown request.
    pub shutdown: Shutdown,
}

/// Servers whose ports are bound, ready to run.
#[derive(Default)]
pub struct Servers {
    dhcp: Option<DhcpServer>,
    tftp: Option<TftpServer>,
    http: Option<HttpServer>,
}

impl Shared {
    fn key(&self) -> StoreKey {
        StoreKey::new(*self.store.key())
    }

    /// Builds the context from which HTTP and TFTP requests are answered.
    pub fn context(&self) -> Arc<Context> {
        Arc::new(Context {
            active: self.active.clone(),
            store: Arc::clone(&self.store),
            key: self.key(),
            events: EventWriter::start(Arc::clone(&self.store), self.log.clone()),
            log: self.log.clone(),
            verifier: Verifier::default(),
            volumes: Volumes::default(),
        })
    }

    /// Binds the services.
    ///
    /// # Errors
    /// Fails when a port, an interface or the lease database is not available.
    pub fn bind(
        &self,
        services: &[Service],
        addresses: Addresses,
        state: &Path,
    ) -> anyhow::Result<Servers> {
        let mut servers = Servers::default();
        let context = self.context();
        for service in services {
            match service {
                Service::Dhcp => {
                    let ports = dhcp_ports(&self.active.current().inventory.site, addresses.dhcp)?;
                    let probers = self.probers(addresses.dhcp);
                    let server = self.dhcp(ports, state)?.with_probers(probers);
                    servers.dhcp = Some(server.with_watchers(self.watchers(addresses.dhcp)));
                }
                Service::Tftp => servers.tftp = Some(self.tftp(addresses.tftp, &context)?),
                Service::Http => servers.http = Some(self.http(addresses.http, &context)?),
            }
        }
        Ok(servers)
    }

    /// Starts a prober for each pool. Where that fails, the server offers addresses without probing.
    fn probers(&self, address: SocketAddrV4) -> Vec<Prober> {
        if address.port() != SERVER_PORT {
            return Vec::new();
        }
        let loaded = self.active.current();
        let probers = authoritative_networks(&loaded.inventory.site).filter_map(|network| {
            let interface = network.interface.as_ref()?;
            let prober = Prober::start(&network.name, interface);
            let log = |error| {
                let text = format!("{error:#}; pool addresses are offered without a probe");
                self.log.event(Level::Warn, "dhcp", "dhcp-no-probe", text);
            };
            prober.map_err(log).ok()
        });
        probers.collect()
    }

    /// Starts a watcher for other DHCP servers on each network. A failure does not stop the server.
    fn watchers(&self, address: SocketAddrV4) -> Vec<Watcher> {
        if address.port() != SERVER_PORT {
            return Vec::new();
        }
        let loaded = self.active.current();
        let watchers = authoritative_networks(&loaded.inventory.site).filter_map(|network| {
            let watcher = Watcher::start(&network.name, network.interface.as_ref()?);
            let log = |error| {
                let text = format!(
                    "{error:#}; other DHCP servers are detected only when a client chooses one"
                );
                self.log.event(Level::Debug, "dhcp", "dhcp-no-watch", text);
            };
            watcher.map_err(log).ok()
        });
        watchers.collect()
    }

    /// Creates a DHCP server on open ports.
    ///
    /// # Errors
    /// Fails when the leases cannot be read.
    pub fn dhcp(&self, ports: Vec<DhcpPort>, state: &Path) -> anyhow::Result<DhcpServer> {
        let leases = Box::new(SqliteLeases::open(state)?);
        DhcpServer::new(
            ports,
            leases,
            self.active.clone(),
            self.key(),
            self.log.clone(),
        )
    }

    /// Binds a TFTP server.
    ///
    /// # Errors
    /// Fails when the port is not available.
    pub fn tftp(
        &self,
        address: SocketAddrV4,
        context: &Arc<Context>,
    ) -> anyhow::Result<TftpServer> {
        let site = Arc::new(TftpSite::new(context));
        let reported = Arc::clone(&site);
        let report = Box::new(move |report: TftpReport| reported.report(&report));
        let mut config = TftpConfig::new(address);
        let loaded = self.active.current();
        let server = &loaded.inventory.site.server;
        config.single_port = server.tftp_single_port;
        config.ports.clone_from(&server.tftp_ports);
        // A transfer uses a file and a socket. HTTP gets the other half of the descriptors.
        let room = usize::try_from(raise_limit() / 4).unwrap_or(usize::MAX);
        config.most_transfers = config.most_transfers.min(room.max(1));
        TftpServer::bind(config, site, report)
    }

    /// Binds an HTTP server.
    ///
    /// # Errors
    /// Fails when the port is not available.
    pub fn http(
        &self,
        address: SocketAddrV4,
        context: &Arc<Context>,
    ) -> anyhow::Result<HttpServer> {
        HttpServer::bind(address, Arc::clone(context))
    }

    /// Runs a server on its own thread. A server that ends early ends all of them.
    pub fn spawn<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        service: Service,
        run: impl FnOnce(&Shutdown) -> anyhow::Result<()> + Send + 'scope,
    ) -> ScopedJoinHandle<'scope, anyhow::Result<()>> {
        scope.spawn(move || {
            // Also when the server panics: a process that serves only half of its protocols is worse
            // than one that ends with an error.
            let _shutdown_on_drop = ShutdownOnDrop(&self.shutdown);
            run(&self.shutdown).with_context(|| format!("serve {} ended", service.name()))
        })
    }
}

/// Ends every server when it goes out of scope.
struct ShutdownOnDrop<'a>(&'a Shutdown);

impl Drop for ShutdownOnDrop<'_> {
    fn drop(&mut self) {
        self.0.request();
    }
}

impl Servers {
    /// Serves until shutdown is requested.
    ///
    /// # Errors
    /// Returns the first error of a server. The other servers are ended too.
    pub fn run(self, shared: &Shared) -> anyhow::Result<()> {
        let ready = |service: Service, text: String| {
            shared
                .log
                .write(&LogLine::new(Level::Info, service.name(), "ready", text));
        };
        std::thread::scope(|scope| {
            let mut threads = Vec::new();
            if let Some(server) = self.dhcp {
                ready(
                    Service::Dhcp,
                    format!("serving DHCP on {}", server.local_addresses()?),
                );
                threads.push(shared.spawn(scope, Service::Dhcp, |shutdown| server.run(shutdown)));
            }
            if let Some(server) = self.tftp {
                ready(
                    Service::Tftp,
                    format!("serving TFTP on {}", server.local_address()),
                );
                threads.push(shared.spawn(scope, Service::Tftp, |shutdown| server.run(shutdown)));
            }
            if let Some(server) = self.http {
                ready(
                    Service::Http,
                    format!("serving HTTP on {}", server.local_address()?),
                );
                threads.push(shared.spawn(scope, Service::Http, |shutdown| server.run(shutdown)));
            }
            let ended = threads.into_iter().map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err(anyhow::anyhow!("a server thread panicked")))
            });
            ended.collect::<Vec<_>>().into_iter().collect()
        })
    }
}

/// Lists the networks whose addresses this server assigns.
fn authoritative_networks(site: &Site) -> impl Iterator<Item = &Network> {
    let networks = site.networks.iter();
    networks.filter(|network| network.mode == DhcpMode::Authoritative)
}

/// Opens port 67 on every interface of the site and on each of their addresses, and port 4011 where
/// another server owns the addresses. A port other than 67 only answers the sender's address.
fn dhcp_ports(site: &Site, address: SocketAddrV4) -> anyhow::Result<Vec<DhcpPort>> {
    if address.port() != SERVER_PORT {
        return Ok(vec![DhcpPort::for_senders(address, None)?]);
    }
    let interfaces = interfaces();
    let mut ports = Vec::new();
    let mut ours = BTreeSet::from([site.server.address]);
    for network in &site.networks {
        let server = server_address(site, network, &interfaces);
        let (name, is_proxy) = (&network.name, network.mode == DhcpMode::Proxy);
        if let Some(interface) = &network.interface {
            ports.push(DhcpPort::on_interface(name, interface, server)?);
            if is_proxy {
                ports.push(DhcpPort::for_boot_server(Some((name, interface)), server)?);
            }
            let mut found = interfaces.iter().filter(|it| it.name == *interface);
            ours.extend(found.next().into_iter().flat_map(addresses));
        }
    }
    let is_local = |address: &Ipv4Addr| {
        interfaces
            .iter()
            .any(|it| addresses(it).any(|ip| ip == *address))
    };
    let serves_own_address = is_local(&site.server.address);
    for address in ours.iter().filter(|address| is_local(address)) {
        ports.push(DhcpPort::for_address(Some(*address))?);
    }
    let mut relayed = site
        .networks
        .iter()
        .filter(|network| network.takes_relayed())
        .peekable();
    // Another device translates the site's address to one of ours, and we do not know which.
    if relayed.peek().is_some() && !serves_own_address {
        ports.push(DhcpPort::for_address(None)?);
    }
    if relayed.any(|network| network.mode == DhcpMode::Proxy) {
        ports.push(DhcpPort::for_boot_server(None, site.server.address)?);
    }
    Ok(ports)
}
