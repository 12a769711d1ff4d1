//! Makes leases durable, and logs when that fails and when it works again.

use crate::machine::LeaseChange;
use crate::respond::dhcp::Exchange;
use crate::serve::log::{Level, Log, LogLine};
use crate::store::LeaseStore;

/// The lease database, with its state of failure.
pub(super) struct Ledger {
    leases: Box<dyn LeaseStore>,
    log: Log,
    /// Whether the latest commit failed.
    failing: bool,
}

impl Ledger {
    /// Creates a ledger for a lease store.
    pub(super) fn new(leases: Box<dyn LeaseStore>, log: Log) -> Self {
        Self {
            leases,
            log,
            failing: false,
        }
    }

    /// Makes all changes durable, or none of them. Logs a failure, and reports whether it succeeded.
    pub(super) fn commit(&mut self, changes: &[LeaseChange]) -> bool {
        match self.leases.commit(changes) {
            Ok(()) => {
                if std::mem::take(&mut self.failing) {
                    let text = "leases are durable again; granting leases";
                    self.log.event(Level::Info, "dhcp", "lease-kept", text);
                }
                true
            }
            Err(error) => {
                self.failing = true;
                let text = format!(
                    "cannot make {} leases durable, so none of them was granted: {error}; {}",
                    changes.len(),
                    error.help()
                );
                self.log.event(Level::Error, "dhcp", "lease-lost", text);
                false
            }
        }
    }
}

/// Returns the line about a request that was not answered because its lease is not durable.
pub(super) fn lease_not_durable(exchange: &Exchange) -> LogLine {
    let text = "ignored a request: cannot make its lease durable";
    LogLine::new(Level::Warn, "dhcp", "dhcp-ignored", text)
        .mac(exchange.mac)
        .host(exchange.host.as_deref())
        .fact("xid", exchange.transaction_id.to_string())
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::net::Ipv4Addr;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::machine::Lease;
    use crate::serve::log::LogFormat;
    use crate::store::{StoreError, StoreFault, StoreSubject};

    /// A disk that is full for this number of commits.
    struct Full(u32);

    impl LeaseStore for Full {
        fn load(&self) -> Result<Vec<Lease>, StoreError> {
            Ok(Vec::new())
        }

        fn commit(&mut self, _: &[LeaseChange]) -> Result<(), StoreError> {
            let left = self.0.checked_sub(1);
            self.0 = left.unwrap_or_default();
            left.map_or(Ok(()), |_| {
                Err(StoreError {
                    subject: StoreSubject::Store,
                    location: "leases.db".to_owned(),
                    fault: StoreFault::Full,
                })
            })
        }
    }

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn each_failed_commit_is_logged_and_recovery_once() {
        let sink = Sink::default();
        let format = LogFormat::Text { color: false };
        let log = Log::new(format, Level::Info, Box::new(sink.clone()));
        let mut ledger = Ledger::new(Box::new(Full(2)), log);
        let change = [LeaseChange::Release(Ipv4Addr::LOCALHOST)];
        let kept: Vec<bool> = (0..4).map(|_| ledger.commit(&change)).collect();
        assert_eq!(kept, [false, false, true, true]);
        let log = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        let messages: Vec<&str> = log
            .lines()
            .filter_map(|line| line.split_once("dhcp  "))
            .map(|(_, message)| message)
            .collect();
        let lost = "lease-lost cannot make 1 leases durable, so none of them was granted: \
                    cannot use the store `leases.db`: the disk is full; free some space on its \
                    file system, then try again";
        let again = "lease-kept leases are durable again; granting leases";
        assert_eq!(messages, [lost, lost, again]);
    }
}
