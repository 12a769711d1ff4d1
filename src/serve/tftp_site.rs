//! What `serve tftp` serves: the files of the site, and what loaders ask for one machine.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;

use super::context::{Asker, Context, Refused, ServedFile, Status, Via};
use super::log::{Level, Line};
use super::machine::{self, MachineAnswer};
use super::session::{self, SessionAnswer};
use super::tftp::{Content, OpenError, Opening, TftpFiles, TftpReport, Way};
use crate::machine::Dialect;
use crate::render::GrubOrigin;
use crate::respond::access::{Resource, admit};
use crate::respond::boot::MachineQuery;
use crate::respond::http::{Route, SessionPath, route};
use crate::respond::tftp::{LOADER_PATIENCE, Outcome, Silences, Summary, Tally};
use crate::wire::path::shown_path;
use crate::wire::tftp::ErrorCode;

/// The files of the inventory in force, and below `m/`, `s/` and `b/` what HTTP serves there too: a
/// loader that knows no HTTP asks for the rest of its boot by TFTP.
pub struct TftpSite {
    context: Arc<Context>,
    /// Loaders that were sent and have not asked for anything yet.
    silences: Mutex<Silences>,
    /// What the log says of requests that may be forged.
    tally: Mutex<Tally>,
    /// The moment from which the time of both counts.
    epoch: Instant,
}

impl TftpSite {
    /// Serves from `context`.
    pub fn new(context: &Arc<Context>) -> Self {
        Self {
            context: Arc::clone(context),
            silences: Mutex::default(),
            tally: Mutex::default(),
            epoch: Instant::now(),
        }
    }

    /// Writes what the log says of a request that has ended, and watches what a loader does that was
    /// sent whole.
    pub fn report(&self, report: &TftpReport) {
        let line = tftp_line(report);
        let may_be_forged = report.outcome.is_unproven();
        let now = self.epoch.elapsed();
        if !may_be_forged || self.tally().admit(now, line.event(), *report.peer.ip()) {
            self.context.log.write(&line);
        }
        if matches!(report.outcome, Outcome::Sent { .. })
            && let Ok(Route::Machine(path)) = route("GET", &report.name)
            && let MachineQuery::File(name) = &path.query
            && self
                .context
                .live
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
        let asker = Asker {
            via: Via::Tftp,
            peer: SocketAddr::V4(peer),
        };
        let source = IpAddr::from(*peer.ip());
        let loaded = self.context.live.current();
        // The report of the transfer is the line about it.
        if let Err(why) = admit(source, Resource::Machine, &loaded.inventory) {
            return Opening::Now(Err(OpenError {
                code: ErrorCode::AccessViolation,
                message: why.to_string(),
            }));
        }
        self.silences().asked(*peer.ip());
        match wanted(&self.context, name) {
            Wanted::File => {
                let (context, name) = (Arc::clone(&self.context), name.to_owned());
                Opening::Later(Box::new(move || {
                    let opened = machine::file(&context, asker, &name);
                    opened
                        .map(content)
                        .map_err(|refused| logged(&context, &refused))
                }))
            }
            Wanted::GrubStub => {
                let asked = self
                    .context
                    .boot(asker, None, |sources, _| sources.ask_grub(GrubOrigin::Tftp));
                Opening::Now(match asked {
                    Ok(text) => Ok(Content::Bytes(Bytes::from(text))),
                    Err(refused) => Err(logged(&self.context, &refused)),
                })
            }
            Wanted::Route(route) => {
                let context = Arc::clone(&self.context);
                Opening::Later(Box::new(move || open_route(&context, asker, route)))
            }
        }
    }

    fn knows(&self, address: Ipv4Addr) -> bool {
        address.is_loopback() || self.context.live.current().inventory.is_machine(address)
    }

    fn look_around(&self) {
        let summary = self.tally().due(self.epoch.elapsed());
        if let Some(summary) = summary {
            self.context.log.write(&summary_line(&summary));
        }
        for (peer, name) in self.silences().due(self.epoch.elapsed()) {
            let mac = match route("GET", &name) {
                Ok(Route::Machine(path)) => Some(path.mac),
                _ => None,
            };
            let loaded = self.context.live.current();
            let host = mac.and_then(|mac| loaded.inventory.host_by_mac(mac));
            let text = format!(
                "{peer} was sent {} whole, and it asked for nothing in {} s: it was not started; with \
                 Secure Boot on, firmware and shim start only what is signed and unaltered",
                shown_path(&name),
                LOADER_PATIENCE.as_secs()
            );
            let line = Line::new(Level::Error, "tftp", "loader-silent", text).mac(mac);
            self.context
                .log
                .write(&line.host(host.map(|host| host.name.as_str())));
        }
    }

    fn way(&self, peer: SocketAddrV4) -> Way {
        let loaded = self.context.live.current();
        let inventory = &loaded.inventory;
        let host = inventory.host_by_ip(*peer.ip());
        Way {
            mtu: inventory.mtu(*peer.ip()),
            block_size: host.and_then(|host| host.tftp_blksize),
        }
    }
}

/// What a name means.
enum Wanted {
    /// A file of the site.
    File,
    /// The configuration that asks GRUB which machine it runs on.
    GrubStub,
    /// What the same path means over HTTP; the store is asked for it.
    Route(Route),
}

fn wanted(context: &Context, name: &str) -> Wanted {
    // GRUB as Debian signs it looks below a prefix of its own; there it is asked which machine it
    // runs on. A file of that name, such as an installer's, is never what boots a rack.
    let grub = name.ends_with("/grub.cfg") && !name.starts_with("m/");
    if grub && context.live.current().inventory.speaks(Dialect::Grub) {
        return Wanted::GrubStub;
    }
    match route("GET", name) {
        Ok(
            found @ (Route::Machine(_)
            | Route::BundleFile { .. }
            | Route::Session {
                path: SessionPath::File(_),
                ..
            }),
        ) => Wanted::Route(found),
        _ => Wanted::File,
    }
}

/// Answers what HTTP answers under the same path. It may wait for the store.
fn open_route(context: &Context, asker: Asker, route: Route) -> Result<Content, OpenError> {
    let text = |text: String| Content::Bytes(Bytes::from(text));
    let answered = match route {
        Route::Machine(path) => machine::answer(context, asker, &path).map(|answer| match answer {
            MachineAnswer::Script(script) => text(script),
            MachineAnswer::File(served) => content(served),
            MachineAnswer::Image(_, pieces) => Content::Bytes(Bytes::from(pieces.concat())),
        }),
        Route::BundleFile { manifest, key } => {
            let loaded = context.live.current();
            match loaded.bundle_by_manifest(&manifest) {
                Some(bundle) => session::bundle_file(context, asker, bundle, &key).map(content),
                None => {
                    let why = format!("no bundle has the manifest {manifest}");
                    Err(asker.refuse(Status::NotFound, why.clone(), &why))
                }
            }
        }
        Route::Session { capability, path } => {
            let answer = session::answer(context, asker, capability.expose(), &path, &[], false);
            answer.map(|answer| match answer {
                SessionAnswer::Text(seed) => text(seed),
                SessionAnswer::File(served) => content(served),
            })
        }
        _ => Err(asker.refuse(Status::NotFound, "no such file", "it is not served by TFTP")),
    };
    answered.map_err(|refused| logged(context, &refused))
}

fn content(served: ServedFile) -> Content {
    Content::File {
        file: served.file,
        size: served.size,
    }
}

/// Logs a refusal that says more than the report of the transfer will.
fn logged(context: &Context, refused: &Refused) -> OpenError {
    // Loaders ask for files that may well be absent, one name after the other.
    if refused.status != Status::NotFound {
        context.log.write(&refused.line);
    }
    open_error(refused)
}

fn open_error(refused: &Refused) -> OpenError {
    let code = match refused.status {
        Status::NotFound | Status::Withheld => ErrorCode::FileNotFound,
        Status::Forbidden | Status::Over => ErrorCode::AccessViolation,
        Status::Unavailable | Status::Fault => ErrorCode::NotDefined,
    };
    OpenError {
        code,
        message: refused.text.clone(),
    }
}

/// Returns the line that stands for those of many requests.
fn summary_line(summary: &Summary) -> Line {
    let Summary {
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
    // Loaders that look for optional files fill a log, too.
    let is_usual = counts.keys().all(|event| *event == "tftp-refused");
    let level = if is_usual { Level::Info } else { Level::Warn };
    let line = Line::new(level, "tftp", "tftp-summary", text);
    line.fact("requests", total).fact("addresses", *addresses)
}

/// Returns what the log says of a request that has ended.
fn tftp_line(report: &TftpReport) -> Line {
    let TftpReport {
        peer,
        name,
        outcome,
    } = report;
    let name = shown_path(name);
    let (level, event, text) = match outcome {
        Outcome::Sent {
            bytes: octets,
            duration,
            retransmissions,
        } => {
            let speed = *octets as f64 / 1e6 / duration.as_secs_f64().max(1e-6);
            let again = match retransmissions {
                0 => String::new(),
                count => format!(", {count} blocks sent again"),
            };
            let text = format!(
                "{name} to {peer}: {octets} octets in {:.2} s, {speed:.1} MB/s{again}",
                duration.as_secs_f64()
            );
            (Level::Info, "tftp-sent", text)
        }
        Outcome::Refused { code, reason } => {
            let not_found = *code == ErrorCode::FileNotFound;
            // Loaders ask for files that may well be absent, one name after the other.
            let level = if not_found { Level::Info } else { Level::Warn };
            (level, "tftp-refused", format!("{name} to {peer}: {reason}"))
        }
        Outcome::Aborted { message, probe, .. } => {
            let level = if *probe { Level::Debug } else { Level::Warn };
            (
                level,
                "tftp-aborted",
                format!("{name} to {peer}: the client ended it: {message}"),
            )
        }
        Outcome::TimedOut { block } => (
            Level::Warn,
            "tftp-timeout",
            format!("{name} to {peer}: no answer to block {block}"),
        ),
        Outcome::Busy => (
            Level::Warn,
            "tftp-busy",
            format!("{name} to {peer}: too many transfers; the client will ask again"),
        ),
        Outcome::Displaced => (
            Level::Warn,
            "tftp-displaced",
            format!("{name} to {peer}: no response, and another client needed its place"),
        ),
        Outcome::Unreachable => (
            Level::Debug,
            "tftp-unreachable",
            format!("{name} to {peer}: the client's port is closed"),
        ),
        Outcome::NoPort { reason } => (
            Level::Error,
            "tftp-no-port",
            format!("{name} to {peer}: cannot open a port for the transfer: {reason}"),
        ),
        Outcome::Malformed { reason } => (
            Level::Warn,
            "tftp-malformed",
            format!("ignored a packet of {peer}: {reason}"),
        ),
    };
    Line::new(level, "tftp", event, text).fact("file", name)
}
