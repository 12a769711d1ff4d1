//! Binds the requested servers to their addresses, and runs them.

use std::net::SocketAddrV4;
use std::path::Path;
use std::sync::Arc;
use std::thread::{Scope, ScopedJoinHandle};

use anyhow::Context as _;

use super::active::ActiveInventory;
use super::context::ServerContext;
use super::descriptors::raise_limit;
use super::dhcp::{DhcpServer, DhcpSockets};
use super::events::EventWriter;
use super::http::HttpServer;
use super::links::LinkMonitor;
use super::log::{Level, Log, LogLine};
use super::service::{Addresses, Service};
use super::tftp::{TftpConfig, TftpReport, TftpServer};
use super::tftp_site::TftpSite;
use super::volumes::Volumes;
use crate::bundle::Verifier;
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
    pub fn context(&self) -> Arc<ServerContext> {
        Arc::new(ServerContext {
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
                    let site = &self.active.current().inventory.site;
                    let sockets = DhcpSockets::open(site, addresses.dhcp, &self.log)?;
                    servers.dhcp = Some(self.dhcp(sockets, state)?);
                }
                Service::Tftp => servers.tftp = Some(self.tftp(addresses.tftp, &context)?),
                Service::Http => servers.http = Some(self.http(addresses.http, &context)?),
            }
        }
        Ok(servers)
    }

    /// Creates a DHCP server on open sockets.
    ///
    /// # Errors
    /// Fails when the leases cannot be read.
    pub fn dhcp(&self, sockets: DhcpSockets, state: &Path) -> anyhow::Result<DhcpServer> {
        let leases = Box::new(SqliteLeases::open(state)?);
        DhcpServer::new(
            sockets,
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
        context: &Arc<ServerContext>,
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
        context: &Arc<ServerContext>,
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
            // The DHCP server follows the interfaces itself, because it must open its ports again.
            if self.dhcp.is_none() {
                match LinkMonitor::start(
                    &shared.active.current().inventory.site,
                    shared.log.clone(),
                ) {
                    Ok(monitor) => {
                        scope.spawn(|| monitor.run(&shared.shutdown));
                    }
                    Err(error) => {
                        let text = format!("{error:#}; their changes are not logged");
                        shared.log.event(Level::Warn, "serve", "interface", text);
                    }
                }
            }
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
