//! Making leases durable, and saying so when that fails and when it works again.

use crate::machine::LeaseChange;
use crate::respond::dhcp::Exchange;
use crate::serve::log::{Level, Line, Log};
use crate::store::LeaseStore;

/// The leases on the disk.
pub(super) struct Ledger {
    leases: Box<dyn LeaseStore>,
    log: Log,
    /// Whether the latest change could not be kept.
    failing: bool,
}

impl Ledger {
    /// Takes the store of the leases.
    pub(super) fn new(leases: Box<dyn LeaseStore>, log: Log) -> Self {
        Self {
            leases,
            log,
            failing: false,
        }
    }

    /// Makes changes durable, all or none; reports whether it did, and logs why not.
    pub(super) fn commit(&mut self, changes: &[LeaseChange]) -> bool {
        match self.leases.commit(changes) {
            Ok(()) => {
                if std::mem::take(&mut self.failing) {
                    let text = "leases are made durable again, and promised";
                    self.log.say(Level::Info, "dhcp", "lease-kept", text);
                }
                true
            }
            Err(error) => {
                self.failing = true;
                let text = format!(
                    "{} leases cannot be made durable, so nobody was promised one: {error}; {}",
                    changes.len(),
                    error.help()
                );
                self.log.say(Level::Error, "dhcp", "lease-lost", text);
                false
            }
        }
    }
}

/// Says that a machine got no answer because its lease could not be kept.
pub(super) fn unpromised(exchange: &Exchange) -> Line {
    let text = "no answer to a request: its lease could not be made durable";
    Line::new(Level::Warn, "dhcp", "dhcp-ignored", text)
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
    use crate::store::{StoreError, StoreFault};

    /// A disk that is full until it has refused so often.
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
                    location: "leases.db".to_owned(),
                    fault: StoreFault::Full,
                })
            })
        }
    }

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(octets)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_not_durable_is_told_each_time_and_its_end_once() {
        let sink = Sink::default();
        let format = LogFormat::Text { color: false };
        let log = Log::new(format, Level::Info, Box::new(sink.clone()));
        let mut ledger = Ledger::new(Box::new(Full(2)), log);
        let change = [LeaseChange::Release(Ipv4Addr::LOCALHOST)];
        let kept: Vec<bool> = (0..4).map(|_| ledger.commit(&change)).collect();
        assert_eq!(kept, [false, false, true, true]);
        let log = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        let said: Vec<&str> = log
            .lines()
            .filter_map(|line| line.split_once("dhcp  "))
            .map(|(_, said)| said)
            .collect();
        let lost = "lease-lost 1 leases cannot be made durable, so nobody was promised one: \
                    cannot use the store `leases.db`: the disk is full; free some space on its \
                    file system, then try again";
        let again = "lease-kept leases are made durable again, and promised";
        assert_eq!(said, [lost, lost, again]);
    }
}
