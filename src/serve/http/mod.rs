//! The HTTP server's shell: connections and files around the pure logic of `respond::http`.

mod answer;
mod body;
mod connections;
mod limits;

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::context::ServerContext;
use super::descriptors::raise_limit;
use super::log::{Level, Log};
use crate::respond::http::admission::ConnectionOrigin;
use crate::shutdown::Shutdown;

use body::TrackedBody;
use connections::{ConnectionSlot, Connections, Evicted};
use limits::StallLimited;

pub use connections::{CONNECTIONS, ENOUGH_FILES, allowed_by};

/// Limit of connections that the system queues until they are accepted, so that a burst need not
/// retry.
const BACKLOG: i32 = 1024;
/// Limit of the head of a request, in bytes, and of buffered response data beyond one chunk. Hyper may
/// allocate twice as much for a connection.
const HEAD_SIZE: usize = 16 << 10;
/// Number of connections to evict when file descriptors run out: one for the new connection, and
/// some for the files that it requests.
const SHED: usize = 8;
/// Time for evicted connections to close before more are accepted.
const SHED_TIME: Duration = Duration::from_millis(5);
/// Limit of evicted connections that have not closed yet.
const CLOSING: usize = 64;
/// Minimum time between two log lines about errors of the listener.
const QUIET_TIME: Duration = Duration::from_secs(10);
/// Time after which a client that reads nothing of a response is disconnected.
const STALL_TIME: Duration = Duration::from_secs(30);
/// Time limit for the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// Time for running responses to finish when the server shuts down.
const SHUTDOWN_TIME: Duration = Duration::from_secs(2);
/// Interval at which the accepting loop checks for shutdown.
const HEARTBEAT: Duration = Duration::from_millis(100);

/// An HTTP server that is ready to run.
pub struct HttpServer {
    listener: std::net::TcpListener,
    context: Arc<ServerContext>,
}

impl HttpServer {
    /// Binds the address.
    ///
    /// # Errors
    /// Fails when the address is not local, the port is in use, or the port is below 1024 and the
    /// process lacks the privilege.
    pub fn bind(address: SocketAddrV4, context: Arc<ServerContext>) -> anyhow::Result<Self> {
        let listener =
            listen(address).with_context(|| format!("cannot bind TCP {address} for HTTP"))?;
        Ok(Self { listener, context })
    }

    /// Returns the bound address, with its port.
    ///
    /// # Errors
    /// Fails when the system cannot report the address.
    pub fn local_address(&self) -> anyhow::Result<SocketAddr> {
        self.listener
            .local_addr()
            .context("cannot read the address of the HTTP server")
    }

    /// Serves until `shutdown` is requested, and then gives running responses a short time to finish.
    ///
    /// # Errors
    /// Fails when the runtime cannot be started.
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
        let context = self.context;
        let log = &context.log;
        let total = allowed_by(raise_limit());
        let slots = Connections::new(total);
        let mut errors = AcceptErrors::default();
        let mut tasks = JoinSet::new();
        let (end, ending) = watch::channel(());
        while !shutdown.is_requested() {
            while tasks.try_join_next().is_some() {}
            if tasks.len() >= total + CLOSING {
                tasks.join_next().await;
            }
            slots.report(log, false);
            let Ok(accepted) = tokio::time::timeout(HEARTBEAT, listener.accept()).await else {
                continue;
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    errors.note(&error, log);
                    if is_of_the_peer(&error) {
                        continue;
                    }
                    let made_room = is_lack_of_files(&error) && slots.shed(SHED);
                    tokio::time::sleep(if made_room { SHED_TIME } else { HEARTBEAT }).await;
                    continue;
                }
            };
            let origin = origin(&context, peer.ip(), &stream);
            let Ok((slot, evicted)) = slots.open(peer.ip(), origin) else {
                continue;
            };
            let (context, ending) = (Arc::clone(&context), ending.clone());
            tasks.spawn(serve(stream, peer, context, slot, evicted, ending));
        }
        slots.report(log, true);
        // Idle connections end immediately.
        drop(end);
        let finish = async { while tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(SHUTDOWN_TIME, finish).await;
        Ok(())
    }
}

/// Listens on an address.
fn listen(address: SocketAddrV4) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Classifies a connection by its source address.
///
/// An address inside a pool counts as leased: the leases may be on another machine, and a copy of them
/// would be outdated just when a machine received its first lease.
fn origin(context: &ServerContext, peer: IpAddr, stream: &TcpStream) -> ConnectionOrigin {
    let peer = peer.to_canonical();
    let is_own = || stream.local_addr().is_ok_and(|own| own.ip() == peer);
    match peer {
        peer if peer.is_loopback() || is_own() => ConnectionOrigin::Proxy,
        IpAddr::V4(peer) => {
            let loaded = context.active.current();
            let proxies = &loaded.inventory.site.server.trusted_proxies;
            if proxies.iter().any(|block| block.contains(peer)) {
                ConnectionOrigin::Proxy
            } else if loaded.inventory.is_machine(peer) {
                ConnectionOrigin::Machine
            } else {
                ConnectionOrigin::Stranger
            }
        }
        IpAddr::V6(_) => ConnectionOrigin::Stranger,
    }
}

/// Errors of the listener, logged at a limited rate.
#[derive(Default)]
struct AcceptErrors {
    logged: Option<Instant>,
    count: u64,
}

impl AcceptErrors {
    fn note(&mut self, error: &io::Error, log: &Log) {
        self.count += 1;
        if self.logged.is_some_and(|at| at.elapsed() < QUIET_TIME) {
            return;
        }
        let mut text = format!("cannot accept a connection: {error}");
        if is_lack_of_files(error) {
            text.push_str("; raise the limit of open files (`ulimit -n`)");
        }
        if self.count > 1 {
            text = format!("{text} ({} times)", self.count);
        }
        log.event(Level::Warn, "http", "http-accept", text);
        (self.logged, self.count) = (Some(Instant::now()), 0);
    }
}

/// Reports whether only this connection failed, so that the next one can be accepted immediately.
fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted
    )
}

fn is_lack_of_files(error: &io::Error) -> bool {
    let code = Errno::from_io_error(error);
    matches!(code, Some(Errno::MFILE | Errno::NFILE))
}

/// Serves a connection until it ends or is evicted. When `ending` changes, sends the running response
/// and ends.
async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    context: Arc<ServerContext>,
    slot: ConnectionSlot,
    evicted: Evicted,
    mut ending: watch::Receiver<()>,
) {
    let _ = stream.set_nodelay(true);
    let log = context.log.clone();
    let stream = StallLimited::new(TokioIo::new(stream), STALL_TIME, slot.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let (context, slot) = (Arc::clone(&context), slot.clone());
        async move {
            let response = answer::answer(context, peer, &slot, request).await;
            Ok::<Response<TrackedBody>, Infallible>(
                response.map(|body| TrackedBody::new(body, slot)),
            )
        }
    });
    let connection = http1::Builder::new()
        // Deviation: GRUB and older shims compare header names case-sensitively.
        .title_case_headers(true)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_SIZE)
        .serve_connection(stream, service);
    let mut connection = pin!(connection);
    let served = tokio::select! {
        biased;
        _ = evicted => return,
        served = connection.as_mut() => served,
        _ = ending.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        // Firmware closes connections at any time.
        log.event(
            Level::Debug,
            "http",
            "http-closed",
            format!("connection from {peer} ended: {error}"),
        );
    }
}
