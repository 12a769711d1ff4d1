//! The HTTP server's shell: connections and files around the pure answers of `respond::http`.

mod answer;
mod body;
mod limits;

use std::convert::Infallible;
use std::net::{SocketAddr, SocketAddrV4};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::context::Context;
use super::log::Level;
use super::shutdown::Shutdown;

use body::Body;
use limits::{Moving, Peers};

/// How many connections are served at once.
const CONNECTIONS: usize = 2048;
/// How many of them one address may have; behind a proxy on this machine, all share one.
const CONNECTIONS_OF_ONE: usize = 64;
/// How long a client may take none of an answer.
const STALL_TIME: Duration = Duration::from_secs(30);
/// How long a client may take for the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// How long running answers get to finish when the server shuts down.
const SHUTDOWN_TIME: Duration = Duration::from_secs(2);
/// How often the accepting loop looks whether it should end.
const HEARTBEAT: Duration = Duration::from_millis(100);

/// An HTTP server that is ready to run.
pub struct HttpServer {
    listener: std::net::TcpListener,
    context: Arc<Context>,
}

impl HttpServer {
    /// Binds the address.
    ///
    /// # Errors
    /// When the address is not ours, in use, or below 1024 without the privilege.
    pub fn bind(address: SocketAddrV4, context: Arc<Context>) -> anyhow::Result<Self> {
        let listener = std::net::TcpListener::bind(address)
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .with_context(|| format!("cannot bind TCP {address} for HTTP"))?;
        Ok(Self { listener, context })
    }

    /// Returns the address that was bound, with its port.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn local_address(&self) -> anyhow::Result<SocketAddr> {
        self.listener
            .local_addr()
            .context("cannot read the address of the HTTP server")
    }

    /// Serves until `shutdown` is requested, and then lets running answers finish for a while.
    ///
    /// # Errors
    /// When the runtime cannot be started.
    pub fn run(self, shutdown: &Shutdown) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("http")
            .enable_all()
            .build()
            .context("cannot start the HTTP runtime")?;
        runtime.block_on(self.accept(shutdown))?;
        runtime.shutdown_timeout(SHUTDOWN_TIME);
        Ok(())
    }

    async fn accept(self, shutdown: &Shutdown) -> anyhow::Result<()> {
        let listener = TcpListener::from_std(self.listener).context("cannot listen for HTTP")?;
        let slots = Arc::new(Semaphore::new(CONNECTIONS));
        let peers = Peers::new(CONNECTIONS_OF_ONE);
        let mut connections = JoinSet::new();
        let (end, ending) = watch::channel(());
        while !shutdown.is_requested() {
            while connections.try_join_next().is_some() {}
            let Ok(accepted) = tokio::time::timeout(HEARTBEAT, listener.accept()).await else {
                continue;
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    self.context.log.say(
                        Level::Warn,
                        "http",
                        "http-accept",
                        format!("cannot accept: {error}"),
                    );
                    tokio::time::sleep(HEARTBEAT).await;
                    continue;
                }
            };
            let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
                let text = format!("refused {peer}: {CONNECTIONS} connections are open");
                self.context.log.say(Level::Warn, "http", "http-busy", text);
                continue;
            };
            let Some(place) = peers.admit(peer.ip()) else {
                let text = format!("refused {peer}: it has {CONNECTIONS_OF_ONE} connections open");
                self.context.log.say(Level::Warn, "http", "http-busy", text);
                continue;
            };
            let context = Arc::clone(&self.context);
            let ending = ending.clone();
            connections.spawn(async move {
                serve(stream, peer, context, ending).await;
                drop((slot, place));
            });
        }
        // A connection that is only kept open for the next request ends at once.
        drop(end);
        let finish = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(SHUTDOWN_TIME, finish).await;
        Ok(())
    }
}

/// Serves a connection until it ends, or until `ending` does and its running answer is sent.
async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    context: Arc<Context>,
    mut ending: watch::Receiver<()>,
) {
    let _ = stream.set_nodelay(true);
    let log = context.log.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let context = Arc::clone(&context);
        async move { Ok::<Response<Body>, Infallible>(answer::answer(context, peer, request).await) }
    });
    let connection = http1::Builder::new()
        // Deviation: GRUB and older shims compare header names case by case.
        .title_case_headers(true)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .serve_connection(Moving::new(TokioIo::new(stream), STALL_TIME), service);
    let mut connection = pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        _ = ending.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        // Firmware closes connections as it pleases.
        log.say(
            Level::Debug,
            "http",
            "http-closed",
            format!("connection of {peer}: {error}"),
        );
    }
}
