//! The connections that are open: the admission table, and how a connection hears that it lost its
//! place.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;

use crate::respond::http::admission::{
    Admission, AdmittedConnection, ConnectionId, Limits, Origin, Refusal, Report,
};
use crate::serve::log::{Level, Line, Log};

/// How many connections there are at most, where the system allows as many open files.
pub const CONNECTIONS: usize = 2048;
/// How many of them one address may have.
const OF_ONE: usize = 64;
/// How many of these may be incomplete or idle.
const WAITING_OF_ONE: usize = 32;
/// Open files for everything but connections and transfers.
const OTHER_FILES: u64 = 128;
/// A connection has a socket and perhaps a file, and TFTP may take as many.
const FILES_OF_ONE: u64 = 4;
/// The limit of open files that suffices for [`CONNECTIONS`].
pub const ENOUGH_FILES: u64 = OTHER_FILES + FILES_OF_ONE * CONNECTIONS as u64;

/// Returns how many connections a limit of open files allows.
pub fn allowed_by(open_files: u64) -> usize {
    let allowed = open_files.saturating_sub(OTHER_FILES) / FILES_OF_ONE;
    usize::try_from(allowed).map_or(CONNECTIONS, |allowed| allowed.clamp(16, CONNECTIONS))
}

/// The connections of a server. Clones share them.
#[derive(Clone)]
pub struct Connections(Arc<Mutex<Table>>);

struct Table {
    admission: Admission,
    /// Dropped when the connection is evicted.
    keepers: HashMap<ConnectionId, oneshot::Sender<()>>,
    total: usize,
}

/// The place of a connection, which is free again once every clone is dropped.
#[derive(Clone)]
pub struct Place(Arc<Held>);

struct Held {
    connections: Connections,
    id: ConnectionId,
    /// The body of the response has ended; a part of it may not have been written yet.
    ended: AtomicBool,
}

/// Ends when the connection is evicted.
pub type Evicted = oneshot::Receiver<()>;

impl Connections {
    /// Makes room for `total` connections, a quarter of it reserved for the site's machines.
    pub fn new(total: usize) -> Self {
        let admission = Admission::new(Limits {
            total,
            reserved: total / 4,
            of_one: OF_ONE,
            waiting_of_one: WAITING_OF_ONE,
        });
        Self(Arc::new(Mutex::new(Table {
            admission,
            keepers: HashMap::new(),
            total,
        })))
    }

    /// Admits a connection, be it in the place of another.
    ///
    /// # Errors
    /// When there is no room.
    pub fn open(&self, address: IpAddr, origin: Origin) -> Result<(Place, Evicted), Refusal> {
        let mut table = self.lock();
        let AdmittedConnection { id, evicted } =
            table.admission.open(address, origin, Instant::now())?;
        let evicted = evicted.and_then(|evicted| table.keepers.remove(&evicted));
        let (keeper, ended) = oneshot::channel();
        table.keepers.insert(id, keeper);
        drop(table);
        // Wakes the task of the other connection.
        drop(evicted);
        let connections = self.clone();
        let held = Held {
            connections,
            id,
            ended: AtomicBool::new(false),
        };
        Ok((Place(Arc::new(held)), ended))
    }

    /// Evicts up to `most` connections, and reports whether there were any.
    pub fn shed(&self, most: usize) -> bool {
        let mut table = self.lock();
        let now = Instant::now();
        let evicted: Vec<_> = (0..most).map_while(|_| table.admission.shed(now)).collect();
        let keepers = evicted.iter().map(|id| table.keepers.remove(id));
        let keepers: Vec<_> = keepers.collect();
        drop(table);
        !keepers.is_empty()
    }

    /// Logs what was evicted and refused, once a period or, for a server that ends, at once.
    pub fn report(&self, log: &Log, is_ending: bool) {
        let mut table = self.lock();
        let (now, total) = (Instant::now(), table.total);
        let report = match is_ending {
            true => table.admission.last_report(now),
            false => table.admission.report(now),
        };
        drop(table);
        for line in report.iter().flat_map(|report| lines(report, total)) {
            log.write(&line);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Notes that a request is complete, and reports whether it may be answered: not if the connection
    /// was evicted.
    pub fn begin(&self) -> bool {
        // Of a response before this one.
        self.0.ended.store(false, Ordering::Release);
        self.lock().admission.begin(self.0.id)
    }

    /// Notes that a response is ready, or that the client took a substantial part of it.
    pub fn progress(&self) {
        self.lock().admission.progress(self.0.id, Instant::now());
    }

    /// Notes that the body of a response has ended.
    pub fn ended(&self) {
        self.0.ended.store(true, Ordering::Release);
    }

    /// Notes that everything that was to be written is written.
    pub fn flushed(&self) {
        if self.0.ended.swap(false, Ordering::AcqRel) {
            self.lock().admission.finish(self.0.id, Instant::now());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.connections.lock()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut table = self.connections.lock();
        table.admission.close(self.id);
        let keeper = table.keepers.remove(&self.id);
        drop(table);
        drop(keeper);
    }
}

/// Returns what the log says of a period.
fn lines(report: &Report, total: usize) -> Vec<Line> {
    let seconds = report.period.as_secs();
    let warn = |event, text: String| Line::new(Level::Warn, "http", event, text);
    let mut lines = Vec::new();
    if report.evicted > 0 {
        let count = report.evicted;
        let text =
            format!("evicted {count} idle, incomplete or stalled connections in {seconds} s");
        let line = match report.largest {
            Some((network, held)) => warn(
                "http-evicted",
                format!("{text}; {network} held most ({held})"),
            )
            .fact("network", network.to_string())
            .fact("held", held),
            None => warn("http-evicted", text),
        };
        lines.push(line.fact("evicted", count));
    }
    if report.refused > 0 {
        let count = report.refused;
        let text = format!(
            "refused {count} connections in {seconds} s: all {total} are in use, and none is idle, \
             incomplete or stalled"
        );
        lines.push(warn("http-busy", text).fact("refused", count));
    }
    if let Some((count, address)) = report.refused_of_one {
        let text = format!(
            "refused {count} connections in {seconds} s from addresses with {OF_ONE} active \
             connections, such as {address}"
        );
        lines.push(warn("http-busy", text).fact("refused", count));
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use super::*;
    use crate::serve::log::LogFormat;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_evicted_connection_hears_of_it_and_may_not_be_answered() {
        let connections = Connections::new(16);
        let mut open = Vec::new();
        for number in 0..12 {
            let address = IpAddr::from([10, 0, number, 1]);
            open.push(connections.open(address, Origin::Stranger).unwrap());
        }
        let (first, ended) = &mut open[0];
        assert!(ended.try_recv() == Err(oneshot::error::TryRecvError::Empty));
        let clone = first.clone();
        let newcomer = connections.open([10, 1, 0, 1].into(), Origin::Stranger);
        assert!(newcomer.is_ok() && !clone.begin());
        assert!(ended.try_recv() == Err(oneshot::error::TryRecvError::Closed));
        assert!(open[1].0.begin());
        assert!(connections.shed(2));
        assert_eq!(connections.lock().admission.len(), 10);
        drop((open, newcomer, clone));
        let table = connections.lock();
        assert!(table.admission.is_empty() && table.keepers.is_empty());
    }

    #[test]
    fn a_response_is_over_once_its_end_is_written() {
        let connections = Connections::new(16);
        let (place, _evicted) = connections
            .open([10, 0, 0, 1].into(), Origin::Stranger)
            .unwrap();
        assert!(place.begin());
        place.progress();
        place.flushed();
        assert!(!connections.shed(1));
        place.ended();
        assert!(!connections.shed(1));
        place.flushed();
        assert!(connections.shed(1));
    }

    #[test]
    fn a_low_limit_of_open_files_allows_fewer_connections() {
        for (open_files, expected) in [
            (0, 16),
            (1024, 224),
            (4096, 992),
            (ENOUGH_FILES - 1, 2047),
            (ENOUGH_FILES, 2048),
            (u64::MAX, 2048),
        ] {
            assert_eq!(allowed_by(open_files), expected, "{open_files}");
        }
    }

    #[test]
    fn the_log_names_the_network_that_held_most() {
        let connections = Connections::new(16);
        let places: Vec<_> = (0..40)
            .map(|number| connections.open([10, 99, 3, number].into(), Origin::Stranger))
            .collect();
        let mut report = connections
            .lock()
            .admission
            .last_report(Instant::now())
            .unwrap();
        report.period = Duration::from_secs(10);
        report.refused = 7;
        report.refused_of_one = Some((2, [10, 99, 3, 1].into()));
        let lines = lines(&report, 16);
        let written = Written::default();
        let format = LogFormat::Text { color: false };
        let log = Log::new(format, Level::Info, Box::new(written.clone()));
        lines.iter().for_each(|line| log.write(line));
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        for (line, expected) in text.lines().zip([
            "evicted 28 idle, incomplete or stalled connections in 10 s; 10.99.3.0/24 held most (12)",
            "refused 7 connections in 10 s: all 16 are in use, and none is idle, incomplete or stalled",
            "refused 2 connections in 10 s from addresses with 64 active connections, such as 10.99.3.1",
        ]) {
            assert!(line.ends_with(expected), "{line}");
        }
        assert_eq!(lines.len(), 3);
        drop(places);
    }
}
