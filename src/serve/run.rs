//! Putting the servers together: which run, on which addresses, with which store.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::sync::Arc;
use std::thread::{Scope, ScopedJoinHandle};

use anyhow::Context as _;

use super::context::Context;
use super::descriptors::raise_limit;
use super::dhcp::{DhcpPort, DhcpServer, Prober, Watcher, addresses, interfaces, server_address};
use super::events::EventWriter;
use super::http::HttpServer;
use super::live::Live;
use super::log::{Level, Line, Log};
use super::preflight::Addresses;
use super::shutdown::Shutdown;
use super::tftp::{TftpConfig, TftpReport, TftpServer};
use super::tftp_site::TftpSite;
use super::volumes::Volumes;
use crate::bundle::Verifier;
use crate::inventory::{DhcpMode, Network, Site};
use crate::respond::dhcp::SERVER_PORT;
use crate::store::{SqliteLeases, Store};
use crate::token::StoreKey;

/// A server that `serve` can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Addresses and boot files.
    Dhcp,
    /// Loaders.
    Tftp,
    /// Scripts, sessions and bundles.
    Http,
}

impl Service {
    /// Returns the name that commands and logs use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dhcp => "dhcp",
            Self::Tftp => "tftp",
            Self::Http => "http",
        }
    }
}

/// What servers share.
#[derive(Clone)]
pub struct Shared {
    /// The inventory in force.
    pub live: Live,
    /// The store.
    pub store: Arc<dyn Store>,
    /// Where lines go.
    pub log: Log,
    /// The request to end.
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

    /// Gathers what requests are answered from.
    pub fn context(&self) -> Arc<Context> {
        Arc::new(Context {
            live: self.live.clone(),
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
    /// When a port, an interface or the leases cannot be had.
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
                    let ports = dhcp_ports(&self.live.current().inventory.site, addresses.dhcp)?;
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

    /// Gets ready to probe the pools; where that cannot be, they are given without.
    fn probers(&self, address: SocketAddrV4) -> Vec<Prober> {
        if address.port() != SERVER_PORT {
            return Vec::new();
        }
        let loaded = self.live.current();
        let probers = owned(&loaded.inventory.site).filter_map(|network| {
            let interface = network.interface.as_ref()?;
            let prober = Prober::start(&network.name, interface);
            let log = |error| {
                let text = format!("{error:#}; addresses of the pool are offered without a probe");
                self.log.say(Level::Warn, "dhcp", "dhcp-no-probe", text);
            };
            prober.map_err(log).ok()
        });
        probers.collect()
    }

    /// Listens for other servers of addresses; what is in the way is no reason not to serve.
    fn watchers(&self, address: SocketAddrV4) -> Vec<Watcher> {
        if address.port() != SERVER_PORT {
            return Vec::new();
        }
        let loaded = self.live.current();
        let watchers = owned(&loaded.inventory.site).filter_map(|network| {
            let watcher = Watcher::start(&network.name, network.interface.as_ref()?);
            let log = |error| {
                let text = format!("{error:#}; other servers are noticed by what clients choose");
                self.log.say(Level::Debug, "dhcp", "dhcp-no-watch", text);
            };
            watcher.map_err(log).ok()
        });
        watchers.collect()
    }

    /// Makes a DHCP server on ports that are open.
    ///
    /// # Errors
    /// When the leases cannot be read.
    pub fn dhcp(&self, ports: Vec<DhcpPort>, state: &Path) -> anyhow::Result<DhcpServer> {
        let leases = Box::new(SqliteLeases::open(state)?);
        DhcpServer::new(
            ports,
            leases,
            self.live.clone(),
            self.key(),
            self.log.clone(),
        )
    }

    /// Binds a TFTP server.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub fn tftp(
        &self,
        address: SocketAddrV4,
        context: &Arc<Context>,
    ) -> anyhow::Result<TftpServer> {
        let site = Arc::new(TftpSite::new(context));
        let reported = Arc::clone(&site);
        let report = Box::new(move |report: TftpReport| reported.report(&report));
        let mut config = TftpConfig::new(address);
        let loaded = self.live.current();
        let server = &loaded.inventory.site.server;
        config.single_port = server.tftp_single_port;
        config.ports.clone_from(&server.tftp_ports);
        // A transfer has a file and a socket; half of the rest is for others.
        let room = usize::try_from(raise_limit() / 4).unwrap_or(usize::MAX);
        config.most_transfers = config.most_transfers.min(room.max(1));
        TftpServer::bind(config, site, report)
    }

    /// Binds an HTTP server.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub fn http(
        &self,
        address: SocketAddrV4,
        context: &Arc<Context>,
    ) -> anyhow::Result<HttpServer> {
        HttpServer::bind(address, Arc::clone(context))
    }

    /// Runs a server on a thread of its own; one that ends early ends all.
    pub fn spawn<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        service: Service,
        run: impl FnOnce(&Shutdown) -> anyhow::Result<()> + Send + 'scope,
    ) -> ScopedJoinHandle<'scope, anyhow::Result<()>> {
        scope.spawn(move || {
            // Also when the server panics: a process that serves half of what it should is worse
            // than one that ends and says so.
            let _ends_all = EndsAll(&self.shutdown);
            run(&self.shutdown).with_context(|| format!("serve {} ended", service.name()))
        })
    }
}

/// Ends every server when it goes out of scope.
struct EndsAll<'a>(&'a Shutdown);

impl Drop for EndsAll<'_> {
    fn drop(&mut self) {
        self.0.request();
    }
}

impl Servers {
    /// Serves until shutdown is requested.
    ///
    /// # Errors
    /// The first error of a server; the others are then ended too.
    pub fn run(self, shared: &Shared) -> anyhow::Result<()> {
        let ready = |service: Service, text: String| {
            shared
                .log
                .write(&Line::new(Level::Info, service.name(), "ready", text));
        };
        std::thread::scope(|scope| {
            let mut threads = Vec::new();
            if let Some(server) = self.dhcp {
                ready(
                    Service::Dhcp,
                    format!("answers DHCP on {}", server.local_addresses()?),
                );
                threads.push(shared.spawn(scope, Service::Dhcp, |shutdown| server.run(shutdown)));
            }
            if let Some(server) = self.tftp {
                ready(
                    Service::Tftp,
                    format!("serves TFTP on {}", server.local_address()),
                );
                threads.push(shared.spawn(scope, Service::Tftp, |shutdown| server.run(shutdown)));
            }
            if let Some(server) = self.http {
                ready(
                    Service::Http,
                    format!("serves HTTP on {}", server.local_address()?),
                );
                threads.push(shared.spawn(scope, Service::Http, |shutdown| server.run(shutdown)));
            }
            let ended = threads.into_iter().map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err(anyhow::anyhow!("a server met a fault of its own")))
            });
            ended.collect::<Vec<_>>().into_iter().collect()
        })
    }
}

/// Lists the networks whose addresses are ours to give.
fn owned(site: &Site) -> impl Iterator<Item = &Network> {
    let networks = site.networks.iter();
    networks.filter(|network| network.mode == DhcpMode::Authoritative)
}

/// Opens port 67 on every interface of the site and on every address there, and port 4011 where
/// another server owns the addresses; another port than 67 answers senders only.
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
    let here = |address: &Ipv4Addr| {
        interfaces
            .iter()
            .any(|it| addresses(it).any(|ip| ip == *address))
    };
    let is_here = here(&site.server.address);
    for address in ours.iter().filter(|address| here(address)) {
        ports.push(DhcpPort::for_address(Some(*address))?);
    }
    let mut relayed = site
        .networks
        .iter()
        .filter(|network| network.takes_relayed())
        .peekable();
    // Something else translates the site's address to one of ours, whichever it is.
    if relayed.peek().is_some() && !is_here {
        ports.push(DhcpPort::for_address(None)?);
    }
    if relayed.any(|network| network.mode == DhcpMode::Proxy) {
        ports.push(DhcpPort::for_boot_server(None, site.server.address)?);
    }
    Ok(ports)
}
