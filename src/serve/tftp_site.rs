//! Adapts TFTP to the router, and logs the outcome of each request.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;

use super::context::{ServerContext, ServerRequest};
use super::log::{Level, LogLine};
use super::request::{
    Protocol, RefusalKind, RequestOptions, RequestRefusal, Requester, RouteAnswer,
};
use super::router;
use super::tftp::{OpenError, Opening, PathLimits, TftpContent, TftpFiles, TftpReport};
use crate::inventory::Inventory;
use crate::loader::Dialect;
use crate::render::GrubOrigin;
use crate::respond::access::{Resource, admit};
use crate::respond::boot::MachineQuery;
use crate::respond::http::{Route, route};
use crate::respond::tftp::{LOADER_PATIENCE, Silences, Tally, TallySummary, TftpOutcome};
use crate::wire::path::shown_path;
use crate::wire::tftp::ErrorCode;

/// The files of the active inventory, and the paths below `m/`, `s/` and `b/` that HTTP serves too: a
/// loader without HTTP reads its boot files by TFTP.
pub struct TftpSite {
    context: Arc<ServerContext>,
    /// Loaders that were sent and have not sent a request since.
    silences: Mutex<Silences>,
    /// Counts of logged requests that may be forged.
    tally: Mutex<Tally>,
    /// The start of the time of both.
    epoch: Instant,
}

impl TftpSite {
    /// Serves from `context`.
    pub fn new(context: &Arc<ServerContext>) -> Self {
        Self {
            context: Arc::clone(context),
            silences: Mutex::default(),
            tally: Mutex::default(),
            epoch: Instant::now(),
        }
    }

    /// Logs a request that has ended. After a loader was sent completely, expects a request from its
    /// machine.
    pub fn report(&self, report: &TftpReport) {
        let line = tftp_line(report);
        let may_be_forged = report.outcome.is_unproven();
        let now = self.epoch.elapsed();
        if !may_be_forged || self.tally().admit(now, line.event(), *report.peer.ip()) {
            self.context.log.write(&line);
        }
        if matches!(report.outcome, TftpOutcome::Sent { .. })
            && let Ok(Route::Machine(path)) = route("GET", &report.name)
            && let MachineQuery::File(name) = &path.query
            && self
                .context
                .active
                .current()
                .inventory
                .loader_file(name)
                .is_some()
        {
            self.silences()
                .sent(*report.peer.ip(), &report.name, self.epoch.elapsed());
        }
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn silences(&self) -> MutexGuard<'_, Silences> {
        self.silences.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TftpFiles for TftpSite {
    fn open(&self, name: &str, peer: SocketAddrV4) -> Opening {
        let requester = Requester {
            protocol: Protocol::Tftp,
            peer: SocketAddr::V4(peer),
        };
        let source = IpAddr::from(*peer.ip());
        let loaded = self.context.active.current();
        // The report of the request is its log line.
        if let Err(error) = admit(source, Resource::Machine, &loaded.inventory) {
            return Opening::Now(Err(OpenError {
                code: ErrorCode::AccessViolation,
                message: error.to_string(),
            }));
        }
        self.silences().requested(*peer.ip());
        let request = ServerRequest {
            context: Arc::clone(&self.context),
            loaded,
            requester,
        };
        if is_grub_stub(name, &request.loaded.inventory) {
            let stub = request.boot(None, |sources, _| sources.ask_grub(GrubOrigin::Tftp));
            return Opening::Now(match stub {
                Ok(text) => Ok(TftpContent::Bytes(Bytes::from(text))),
                Err(refusal) => Err(log_refusal(&self.context, &refusal)),
            });
        }
        let route = tftp_route(name);
        Opening::Later(Box::new(move || {
            router::answer(&request, route, RequestOptions::default())
                .map(content)
                .map_err(|refusal| log_refusal(&request.context, &refusal))
        }))
    }

    fn is_known_machine(&self, address: Ipv4Addr) -> bool {
        address.is_loopback() || self.context.active.current().inventory.is_machine(address)
    }

    fn tick(&self) {
        let summary = self.tally().due(self.epoch.elapsed());
        if let Some(summary) = summary {
            self.context.log.write(&summary_line(&summary));
        }
        for (peer, name) in self.silences().due(self.epoch.elapsed()) {
            let mac = match route("GET", &name) {
                Ok(Route::Machine(path)) => Some(path.mac),
                _ => None,
            };
            let loaded = self.context.active.current();
            let host = mac.and_then(|mac| loaded.inventory.host_by_mac(mac));
            let text = format!(
                "{peer} received {} completely and sent no request for {} s: the loader did not start; \
                 with Secure Boot, it must be signed and unmodified",
                shown_path(&name),
                LOADER_PATIENCE.as_secs()
            );
            let line = LogLine::new(Level::Error, "tftp", "loader-silent", text).mac(mac);
            self.context
                .log
                .write(&line.host(host.map(|host| host.name.as_str())));
        }
    }

    fn path_limits(&self, peer: SocketAddrV4) -> PathLimits {
        let loaded = self.context.active.current();
        let inventory = &loaded.inventory;
        let host = inventory.host_by_ip(*peer.ip());
        PathLimits {
            mtu: inventory.mtu(*peer.ip()),
            block_size: host.and_then(|host| host.tftp_blksize),
        }
    }
}

/// Reports whether a name is the configuration that makes GRUB report the identity of its machine.
/// Debian's signed GRUB requests it below its own prefix. Machines never boot from an installer's file of
/// that name.
fn is_grub_stub(name: &str, inventory: &Inventory) -> bool {
    name.ends_with("/grub.cfg") && !name.starts_with("m/") && inventory.speaks(Dialect::Grub)
}

/// Returns the route of a name: that of the same path over HTTP if TFTP serves it, or else a file.
fn tftp_route(name: &str) -> Route {
    match route("GET", name) {
        Ok(route) if !matches!(route, Route::File(_)) && Protocol::Tftp.serves(&route) => route,
        _ => Route::File(name.to_owned()),
    }
}

fn content(answer: RouteAnswer) -> TftpContent {
    match answer {
        RouteAnswer::File(served) => TftpContent::File {
            file: served.file,
            size: served.size,
        },
        RouteAnswer::Text(text) => TftpContent::Bytes(text.into()),
        RouteAnswer::Image { pieces, .. } => TftpContent::Bytes(pieces.concat().into()),
        RouteAnswer::Health(health) => TftpContent::Bytes(match health {
            Ok(text) => text.into(),
            Err(text) => text.into(),
        }),
    }
}

/// Logs a refusal whose reason the report of the request does not contain, and returns its ERROR.
fn log_refusal(context: &ServerContext, refusal: &RequestRefusal) -> OpenError {
    // Loaders request one optional file after the other.
    if refusal.kind != RefusalKind::NotFound {
        context.log.write(&refusal.line);
    }
    let code = match refusal.kind {
        RefusalKind::NotFound | RefusalKind::Withheld => ErrorCode::FileNotFound,
        RefusalKind::Forbidden | RefusalKind::Gone => ErrorCode::AccessViolation,
        RefusalKind::Unavailable | RefusalKind::InternalError => ErrorCode::NotDefined,
    };
    OpenError {
        code,
        message: refusal.text.clone(),
    }
}

/// Returns the log line that summarizes many requests.
fn summary_line(summary: &TallySummary) -> LogLine {
    let TallySummary {
        counts,
        addresses,
        example,
        period,
    } = summary;
    let total: u64 = counts.values().sum();
    let each: Vec<_> = counts
        .iter()
        .map(|(event, count)| format!("{count} {event}"))
        .collect();
    let text = format!(
        "{total} more requests ended without a transfer in {} s, from {addresses} addresses such as \
         {example}: {}",
        period.as_secs(),
        each.join(", ")
    );
    // Loaders that request optional files also cause many lines.
    let is_usual = counts.keys().all(|event| *event == "tftp-refused");
    let level = if is_usual { Level::Info } else { Level::Warn };
    let line = LogLine::new(level, "tftp", "tftp-summary", text);
    line.fact("requests", total).fact("addresses", *addresses)
}

/// Returns the log line about a request that has ended.
fn tftp_line(report: &TftpReport) -> LogLine {
    let TftpReport {
        peer,
        name,
        outcome,
    } = report;
    let name = shown_path(name);
    let (level, event, text) = match outcome {
        TftpOutcome::Sent {
            bytes,
            duration,
            retransmissions,
        } => {
            let speed = *bytes as f64 / 1e6 / duration.as_secs_f64().max(1e-6);
            let again = match retransmissions {
                0 => String::new(),
                count => format!(", {count} blocks retransmitted"),
            };
            let text = format!(
                "{name} to {peer}: {bytes} bytes in {:.2} s, {speed:.1} MB/s{again}",
                duration.as_secs_f64()
            );
            (Level::Info, "tftp-sent", text)
        }
        TftpOutcome::Refused { code, reason } => {
            let not_found = *code == ErrorCode::FileNotFound;
            // Loaders request one optional file after the other.
            let level = if not_found { Level::Info } else { Level::Warn };
            (level, "tftp-refused", format!("{name} to {peer}: {reason}"))
        }
        TftpOutcome::Aborted { message, probe, .. } => {
            let level = if *probe { Level::Debug } else { Level::Warn };
            (
                level,
                "tftp-aborted",
                format!("{name} to {peer}: the client aborted the transfer: {message}"),
            )
        }
        TftpOutcome::TimedOut { block } => (
            Level::Warn,
            "tftp-timeout",
            format!("{name} to {peer}: no acknowledgment of block {block}"),
        ),
        TftpOutcome::Busy => (
            Level::Warn,
            "tftp-busy",
            format!("{name} to {peer}: too many transfers; the client will retry"),
        ),
        TftpOutcome::Displaced => (
            Level::Warn,
            "tftp-displaced",
            format!("{name} to {peer}: no response, and another client needed the slot"),
        ),
        TftpOutcome::Unreachable => (
            Level::Debug,
            "tftp-unreachable",
            format!("{name} to {peer}: the client's port is closed"),
        ),
        TftpOutcome::NoPort { reason } => (
            Level::Error,
            "tftp-no-port",
            format!("{name} to {peer}: cannot open a port for the transfer: {reason}"),
        ),
        TftpOutcome::Malformed { reason } => (
            Level::Warn,
            "tftp-malformed",
            format!("ignored a packet from {peer}: {reason}"),
        ),
    };
    LogLine::new(level, "tftp", event, text).fact("file", name)
}
