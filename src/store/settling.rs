//! Settles a store that was restored, copied or moved, and accepts a clock that is behind.

use jiff::Timestamp;
use rusqlite::Transaction;

use super::database::statement;
use super::error::{StoreError, StoreFault};
use super::hosts::{read_open_hosts, write_host};
use super::identity::StoreId;
use super::sqlite::{SqliteStore, WriteResult};
use super::store_record::read_state;
use super::{HostUpdate, SettleReport, schema};
use crate::decide::{StoreDoubt, close, suspend};
use crate::machine::{Event, EventKind, HostRecord};

impl SqliteStore {
    /// Settles the store as [`Store::settle`] does, and in any case for a reason that is known.
    pub(super) fn settle_because(
        &self,
        known: Option<StoreDoubt>,
    ) -> Result<SettleReport, StoreError> {
        let mut settled = SettleReport::default();
        let mut witness_lock = None;
        self.write(|transaction, record| {
            if !self.soundness.is_in_place() {
                return Ok(None);
            }
            let Some(doubt) = known.or_else(|| self.soundness.vouched(record).err()) else {
                self.soundness.confirm_pending(record);
                return Ok(None);
            };
            // What cannot be read now may vouch for the store when it can be read again.
            if matches!(doubt, StoreDoubt::UnreadableWitness { .. }) {
                return Ok(None);
            }
            let Some(witness) = &record.witness else {
                return Err(StoreFault::Corrupt {
                    what: "an older pxectl created the store, and no server of this version has opened \
                           it; start `pxectl serve` once"
                        .into(),
                });
            };
            let now = self.soundness.standing_of(record).now();
            let (suspended, mut events) =
                self.suspend_open_sessions(transaction, &doubt.to_string(), now)?;
            let id = StoreId::random()?;
            statement(transaction, schema::WRITE_IDENTITY)?
                .execute([id.as_str(), &witness.path().to_string_lossy()])?;
            let message = format!("{doubt}; the new store ID is `{id}`");
            events.push(store_event(now, EventKind::Store, message));
            let state = read_state(transaction)?;
            let exchange = || {
                // An older copy of this file has the old record: nothing may vouch for it.
                if let Some(old) = &record.id {
                    witness.revoke(&self.soundness.claim(old))?;
                }
                // A witness of an record that is never committed vouches for nothing.
                let lock = witness.lock(&id)?;
                witness.confirm(&self.soundness.claim(&id), &state)?;
                Ok(lock)
            };
            witness_lock = Some(exchange().map_err(|error| StoreFault::witness(witness.path(), error))?);
            settled = SettleReport {
                doubt: Some(doubt),
                suspended,
            };
            Ok(Some(WriteResult::events(events)))
        })?;
        drop(witness_lock);
        Ok(settled)
    }

    /// Closes every open session, and makes the time of the wall clock the latest time.
    pub(super) fn close_sessions_and_accept_clock(&self) -> Result<Vec<String>, StoreError> {
        let mut closed = Vec::new();
        self.write(|transaction, record| {
            let now = self.soundness.wall_time();
            let why = "closed by `pxectl store accept-clock`";
            let (names, mut events) = self.change_open_hosts(transaction, |record| {
                let record = close(record, why, now)?;
                let mut event = store_event(now, EventKind::Cancelled, why.to_owned());
                event.host = Some(record.host.clone());
                event.session = record.session.as_ref().map(|session| session.id);
                Some((record, event))
            })?;
            let message = format!(
                "clock accepted: the latest time was {:.0} and is now {now:.0}",
                record.latest_time
            );
            events.push(store_event(now, EventKind::Store, message));
            let announced = self.soundness.advance(transaction, record, false)?;
            statement(transaction, schema::ACCEPT_TIME)?.execute([now.as_microsecond()])?;
            closed = names;
            Ok(Some(WriteResult { events, announced }))
        })?;
        Ok(closed)
    }

    fn suspend_open_sessions(
        &self,
        transaction: &Transaction,
        why: &str,
        now: Timestamp,
    ) -> Result<(Vec<String>, Vec<Event>), StoreFault> {
        self.change_open_hosts(transaction, |record| {
            let record = suspend(record, why, now)?;
            let mut event = store_event(now, EventKind::Suspended, why.to_owned());
            event.host = Some(record.host.clone());
            event.session = record.session.as_ref().map(|session| session.id);
            Some((record, event))
        })
    }

    /// Changes every host that has an open session by one rule.
    fn change_open_hosts(
        &self,
        transaction: &Transaction,
        change: impl Fn(&HostRecord) -> Option<(HostRecord, Event)>,
    ) -> Result<(Vec<String>, Vec<Event>), StoreFault> {
        let open = read_open_hosts(transaction)?;
        let (mut names, mut events) = (Vec::new(), Vec::new());
        for (record, event) in open.iter().filter_map(change) {
            let name = record.host.clone();
            let update = HostUpdate {
                record,
                plan: None,
                events: Vec::new(),
            };
            write_host(transaction, &name, &update)?;
            names.push(name);
            events.push(event);
        }
        Ok((names, events))
    }
}

/// Makes an event of the store, which belongs to no host.
fn store_event(at: Timestamp, kind: EventKind, message: String) -> Event {
    Event {
        at,
        kind,
        host: None,
        mac: None,
        session: None,
        message,
    }
}
