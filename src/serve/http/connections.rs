//! The open connections: the admission table, and the notification of a connection that lost its slot.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;

use crate::respond::http::admission::{
    AdmissionReport, AdmittedConnection, ConnectionAdmission, ConnectionId, ConnectionLimits,
    ConnectionOrigin, ConnectionRefusal,
};
use crate::serve::log::{Level, Log, LogLine};

/// Limit of connections, if the system allows enough open files.
pub const CONNECTIONS: usize = 2048;
/// Limit of connections from one address.
const OF_ONE: usize = 64;
/// Limit of incomplete or idle connections from one address.
const WAITING_OF_ONE: usize = 32;
/// Open files reserved for everything except connections and transfers.
const OTHER_FILES: u64 = 128;
/// Open files per connection: a socket and perhaps a file, and the same number for TFTP.
const FILES_OF_ONE: u64 = 4;
/// The limit of open files that suffices for [`CONNECTIONS`].
pub const ENOUGH_FILES: u64 = OTHER_FILES + FILES_OF_ONE * CONNECTIONS as u64;

/// Returns the number of connections that a limit of open files allows.
pub fn allowed_by(open_files: u64) -> usize {
    let allowed = open_files.saturating_sub(OTHER_FILES) / FILES_OF_ONE;
    usize::try_from(allowed).map_or(CONNECTIONS, |allowed| allowed.clamp(16, CONNECTIONS))
}

/// The connections of a server. Clones share them.
#[derive(Clone)]
pub struct Connections(Arc<Mutex<ConnectionTable>>);

struct ConnectionTable {
    admission: ConnectionAdmission,
    /// One sender for each connection; dropped when the connection is evicted.
    keepers: HashMap<ConnectionId, oneshot::Sender<()>>,
    total: usize,
}

/// The slot of a connection, which is free again after every clone is dropped.
#[derive(Clone)]
pub struct ConnectionSlot(Arc<SlotInner>);

struct SlotInner {
    connections: Connections,
    id: ConnectionId,
    /// Whether the body of the response has ended. Part of it may not have been written yet.
    ended: AtomicBool,
}

/// Ends when the connection is evicted.
pub type Evicted = oneshot::Receiver<()>;

impl Connections {
    /// Creates a table for `total` connections. A quarter of it is reserved for the site's machines.
    pub fn new(total: usize) -> Self {
        let admission = ConnectionAdmission::new(ConnectionLimits {
            total,
            reserved: total / 4,
            of_one: OF_ONE,
            waiting_of_one: WAITING_OF_ONE,
        });
        Self(Arc::new(Mutex::new(ConnectionTable {
            admission,
            keepers: HashMap::new(),
            total,
        })))
    }

    /// Admits a connection, and evicts another one if necessary.
    ///
    /// # Errors
    /// Fails when no slot is free and no connection can be evicted.
    pub fn open(
        &self,
        address: IpAddr,
        origin: ConnectionOrigin,
    ) -> Result<(ConnectionSlot, Evicted), ConnectionRefusal> {
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
        let held = SlotInner {
            connections,
            id,
            ended: AtomicBool::new(false),
        };
        Ok((ConnectionSlot(Arc::new(held)), ended))
    }

    /// Evicts up to `most` connections, and reports whether it evicted any.
    pub fn shed(&self, most: usize) -> bool {
        let mut table = self.lock();
        let now = Instant::now();
        let evicted: Vec<_> = (0..most).map_while(|_| table.admission.shed(now)).collect();
        let keepers = evicted.iter().map(|id| table.keepers.remove(id));
        let keepers: Vec<_> = keepers.collect();
        drop(table);
        !keepers.is_empty()
    }

    /// Logs evicted and refused connections once per period, or immediately when the server ends.
    pub fn report(&self, log: &Log, is_ending: bool) {
        let mut table = self.lock();
        let (now, total) = (Instant::now(), table.total);
        let report = if is_ending {
            table.admission.last_report(now)
        } else {
            table.admission.report(now)
        };
        drop(table);
        for line in report.iter().flat_map(|report| lines(report, total)) {
            log.write(&line);
        }
    }

    fn lock(&self) -> MutexGuard<'_, ConnectionTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionSlot {
    /// Records that a request is complete. Returns false if the connection was evicted, so that the
    /// request must not be answered.
    pub fn begin(&self) -> bool {
        // Left from the previous response.
        self.0.ended.store(false, Ordering::Release);
        self.lock().admission.begin(self.0.id)
    }

    /// Records that a response is ready, or that the client read a substantial part of it.
    pub fn progress(&self) {
        self.lock().admission.progress(self.0.id, Instant::now());
    }

    /// Records that the body of a response has ended.
    pub fn ended(&self) {
        self.0.ended.store(true, Ordering::Release);
    }

    /// Records that all pending data is written.
    pub fn flushed(&self) {
        if self.0.ended.swap(false, Ordering::AcqRel) {
            self.lock().admission.finish(self.0.id, Instant::now());
        }
    }

    fn lock(&self) -> MutexGuard<'_, ConnectionTable> {
        self.0.connections.lock()
    }
}

impl Drop for SlotInner {
    fn drop(&mut self) {
        let mut table = self.connections.lock();
        table.admission.close(self.id);
        let keeper = table.keepers.remove(&self.id);
        drop(table);
        drop(keeper);
    }
}

/// Returns the log lines about a period.
fn lines(report: &AdmissionReport, total: usize) -> Vec<LogLine> {
    let seconds = report.period.as_secs();
    let warn = |event, text: String| LogLine::new(Level::Warn, "http", event, text);
    let mut lines = Vec::new();
    if report.evicted > 0 {
        let count = report.evicted;
        let text =
            format!("evicted {count} idle, incomplete or stalled connections in {seconds} s");
        let line = match report.largest {
            Some((network, held)) => warn(
                "http-evicted",
                format!("{text}; {network} had the most ({held})"),
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
            "refused {count} connections in {seconds} s: all {total} slots are in use, and no \
             connection is idle, incomplete or stalled"
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
    fn evicted_connection_is_notified_and_not_answered() {
        let connections = Connections::new(16);
        let mut open = Vec::new();
        for number in 0..12 {
            let address = IpAddr::from([10, 0, number, 1]);
            open.push(
                connections
                    .open(address, ConnectionOrigin::Stranger)
                    .unwrap(),
            );
        }
        let (first, ended) = &mut open[0];
        assert!(ended.try_recv() == Err(oneshot::error::TryRecvError::Empty));
        let clone = first.clone();
        let newcomer = connections.open([10, 1, 0, 1].into(), ConnectionOrigin::Stranger);
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
    fn response_ends_when_its_last_byte_is_written() {
        let connections = Connections::new(16);
        let (slot, _evicted) = connections
            .open([10, 0, 0, 1].into(), ConnectionOrigin::Stranger)
            .unwrap();
        assert!(slot.begin());
        slot.progress();
        slot.flushed();
        assert!(!connections.shed(1));
        slot.ended();
        assert!(!connections.shed(1));
        slot.flushed();
        assert!(connections.shed(1));
    }

    #[test]
    fn low_limit_of_open_files_allows_fewer_connections() {
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
    fn log_names_the_network_with_the_most_connections() {
        let connections = Connections::new(16);
        let slots: Vec<_> = (0..40)
            .map(|number| connections.open([10, 99, 3, number].into(), ConnectionOrigin::Stranger))
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
            "evicted 28 idle, incomplete or stalled connections in 10 s; 10.99.3.0/24 had the most (12)",
            "refused 7 connections in 10 s: all 16 slots are in use, and no connection is idle, incomplete or stalled",
            "refused 2 connections in 10 s from addresses with 64 active connections, such as 10.99.3.1",
        ]) {
            assert!(line.ends_with(expected), "{line}");
        }
        assert_eq!(lines.len(), 3);
        drop(slots);
    }
}
