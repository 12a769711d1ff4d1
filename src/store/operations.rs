//! The operations of the store in `state.db`: each is one read or one transaction.

use std::net::IpAddr;

use rusqlite::{OptionalExtension, params};

use super::callbacks;
use super::database::statement;
use super::error::StoreError;
use super::hosts::{read_host, read_open_hosts, write_host};
use super::rows::{AUTHORITY, PINNED, PLAIN, controller, host_record, session, stored_event};
use super::sqlite::{SqliteStore, WriteResult};
use super::{
    CallbackChange, Change, EventQuery, HostUpdate, Retention, SettleReport, Store, StoredSession,
    Watermark, schema,
};
use crate::decide::{Impediment, Standing};
use crate::machine::{
    ControllerRecord, ControllerTrust, Event, HostRecord, Phase, SessionId, StoredEvent,
};

impl Store for SqliteStore {
    fn key(&self) -> &[u8; 32] {
        self.key()
    }

    fn location(&self) -> String {
        self.path().display().to_string()
    }

    fn host(&self, name: &str) -> Result<Option<HostRecord>, StoreError> {
        self.read(|connection| read_host(connection, name))
    }

    fn hosts(&self) -> Result<Vec<HostRecord>, StoreError> {
        self.read(|connection| {
            statement(connection, schema::READ_HOSTS)?
                .query_map([], host_record)?
                .collect()
        })
    }

    fn open_hosts(&self) -> Result<Vec<HostRecord>, StoreError> {
        self.read(read_open_hosts)
    }

    fn standing(&self) -> Result<Standing, StoreError> {
        let is_unconfirmed = |standing: &Standing| {
            matches!(standing.impediment(), Some(Impediment::StoreUnconfirmed(_)))
        };
        let mut standing = self.soundness.standing_of(&self.record()?);
        // Between the two reads, the store may have gone on by a generation.
        for _ in 0..3 {
            if !is_unconfirmed(&standing) {
                break;
            }
            standing = self.soundness.standing_of(&self.record()?);
        }
        Ok(standing)
    }

    fn update(&self, names: &[&str], change: &mut Change<'_>) -> Result<(), StoreError> {
        self.write(|transaction, store_record| {
            let standing = self.soundness.standing_of(store_record);
            let mut events = None;
            let (mut is_step, mut leaves_open) = (false, false);
            for name in names {
                let record = read_host(transaction, name)?;
                if let Some(update) = change(name, record.as_ref(), &standing) {
                    let before = record.as_ref();
                    let was_open = before.and_then(HostRecord::open_session).is_some();
                    let was_in = before.map_or(Phase::New, |record| record.phase);
                    let is_open = update.record.open_session().is_some();
                    leaves_open |= is_open;
                    // An older copy is known as such also by the phases of hosts.
                    is_step |= was_open || is_open || was_in != update.record.phase;
                    write_host(transaction, name, &update)?;
                    events.get_or_insert_with(Vec::new).extend(update.events);
                }
            }
            let Some(events) = events else {
                return Ok(None);
            };
            let announced = if is_step {
                self.soundness
                    .advance(transaction, store_record, leaves_open)?
            } else {
                None
            };
            Ok(Some(WriteResult { events, announced }))
        })
    }

    fn settle(&self) -> Result<SettleReport, StoreError> {
        self.settle_because(None)
    }

    fn note_time(&self) -> Result<(), StoreError> {
        self.remember_time()
    }

    fn accept_clock(&self) -> Result<Vec<String>, StoreError> {
        self.close_sessions_and_accept_clock()
    }

    fn session(&self, id: SessionId) -> Result<Option<StoredSession>, StoreError> {
        self.read(|connection| {
            statement(connection, schema::READ_SESSION)?
                .query_row([id.to_string()], |row| {
                    Ok(StoredSession {
                        host: row.get(0)?,
                        plan: row.get(1)?,
                        session: session(row, 2)?,
                    })
                })
                .optional()
        })
    }

    fn append(&self, events: &[Event]) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        self.write(|_, _| Ok(Some(WriteResult::events(events.to_vec()))))
    }

    fn controllers(&self) -> Result<Vec<ControllerRecord>, StoreError> {
        self.read(|connection| {
            statement(connection, schema::READ_CONTROLLERS)?
                .query_map([], controller)?
                .collect()
        })
    }

    fn keep_controller(
        &self,
        record: &ControllerRecord,
        events: &[Event],
    ) -> Result<(), StoreError> {
        self.write(|transaction, _| {
            let (trust, note) = match &record.trust {
                ControllerTrust::Plain => (PLAIN, None),
                ControllerTrust::Authority => (AUTHORITY, None),
                ControllerTrust::Pinned(note) => (PINNED, Some(note)),
            };
            statement(transaction, schema::WRITE_CONTROLLER)?.execute(params![
                record.host,
                record.url,
                trust,
                note.map(|note| note.fingerprint.to_string()),
                note.map(|note| &note.subject),
                note.and_then(|note| note.valid_from)
                    .map(|at| at.as_microsecond()),
                note.and_then(|note| note.valid_until)
                    .map(|at| at.as_microsecond()),
                record.serial,
                record.uuid.map(String::from),
                record.seen_at.as_microsecond(),
            ])?;
            Ok(Some(WriteResult::events(events.to_vec())))
        })
    }

    fn callback(
        &self,
        host: &str,
        session: SessionId,
        change: CallbackChange<'_>,
    ) -> Result<(), StoreError> {
        self.write(|transaction, store_record| {
            let record = read_host(transaction, host)?;
            let tallies = callbacks::read_tallies(transaction, session)?;
            let standing = self.soundness.standing_of(store_record);
            let Some(update) = change(record.as_ref(), &tallies, &standing) else {
                return Ok(None);
            };
            let mut announced = None;
            if let Some(record) = update.record {
                let update = HostUpdate {
                    record,
                    plan: None,
                    events: Vec::new(),
                };
                write_host(transaction, host, &update)?;
                announced = self.soundness.advance(transaction, store_record, false)?;
            }
            callbacks::write_tally(transaction, session, update.class, &update.tally)?;
            Ok(Some(WriteResult {
                events: vec![update.event],
                announced,
            }))
        })
    }

    fn attempt_addresses(
        &self,
        session: SessionId,
        attempt: u32,
    ) -> Result<Vec<IpAddr>, StoreError> {
        self.read(|connection| callbacks::read_addresses(connection, session, attempt))
    }

    fn add_attempt_address(
        &self,
        session: SessionId,
        attempt: u32,
        address: IpAddr,
        change: &mut dyn FnMut(&[IpAddr]) -> Option<Vec<Event>>,
    ) -> Result<(), StoreError> {
        self.write(|transaction, _| {
            let known = callbacks::read_addresses(transaction, session, attempt)?;
            let Some(events) = change(&known) else {
                return Ok(None);
            };
            callbacks::add_address(transaction, session, attempt, known.len(), address)?;
            Ok(Some(WriteResult::events(events)))
        })
    }

    fn prune(&self, kept: Retention) -> Result<u64, StoreError> {
        let kept = [kept.host_decisions, kept.stranger_decisions];
        let kept = kept.map(|most| i64::try_from(most).unwrap_or(i64::MAX));
        let mut removed = 0;
        self.write(|transaction, _| {
            removed = statement(transaction, schema::PRUNE_EVENTS)?.execute(kept)?;
            Ok((removed > 0).then(WriteResult::default))
        })?;
        Ok(removed as u64)
    }

    fn events(&self, query: &EventQuery) -> Result<Vec<StoredEvent>, StoreError> {
        let after = i64::try_from(query.after).unwrap_or(i64::MAX);
        let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
        let text = match (&query.host, query.latest) {
            (None, false) => schema::READ_EVENTS,
            (None, true) => schema::READ_LATEST_EVENTS,
            (Some(_), false) => schema::READ_EVENTS_OF_HOST,
            (Some(_), true) => schema::READ_LATEST_EVENTS_OF_HOST,
        };
        self.read(|connection| match &query.host {
            None => statement(connection, text)?
                .query_map(params![after, limit], stored_event)?
                .collect(),
            Some(host) => statement(connection, text)?
                .query_map(params![after, limit, host], stored_event)?
                .collect(),
        })
    }

    fn watermark(&self) -> Result<Watermark, StoreError> {
        self.read(|connection| {
            statement(connection, schema::READ_WATERMARK)?.query_row([], |row| {
                Ok(Watermark {
                    changes: row.get::<_, i64>(0)?.cast_unsigned(),
                    last_event: row.get::<_, i64>(1)?.cast_unsigned(),
                })
            })
        })
    }
}
