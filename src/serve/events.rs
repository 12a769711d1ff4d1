//! Writing events to the store off the reply path: batched, on one thread.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use jiff::{SignedDuration, Timestamp, ToSpan};

use super::log::{Level, Log};
use crate::machine::{Event, EventKind, MacAddress, SessionId};
use crate::store::Store;

/// How many events may wait to be written.
const WAITING: usize = 4096;
/// How many machines are remembered, to keep a repeated event once.
const REMEMBERED: usize = 8192;

/// How many events a machine may cause at once, and how long until it may cause one more.
const OF_A_MACHINE: (i32, SignedDuration) = (20, SignedDuration::from_secs(30));
/// How many words a session may send at once, and how long until it may send one more.
const OF_A_SESSION: (i32, SignedDuration) = (120, SignedDuration::from_secs(5));
/// How many events a store keeps, before the oldest decisions about booting make room.
const KEPT: u64 = 200_000;
/// How many events are written before the store is pruned again.
const PRUNE_EVERY: usize = 1024;

/// Takes events and writes them soon. What a machine repeats within a minute is written once, what
/// it causes beyond a rate is not, and what comes faster than the disk is dropped: all of it can be
/// caused by anybody on the network.
pub struct EventWriter {
    sender: Option<SyncSender<Event>>,
    thread: Option<JoinHandle<()>>,
    sessions: Mutex<Rates<SessionId>>,
    log: Log,
}

impl EventWriter {
    /// Starts the thread that writes.
    pub fn start(store: Arc<dyn Store>, log: Log) -> Self {
        let (sender, receiver) = sync_channel(WAITING);
        let thread = std::thread::spawn({
            let log = log.clone();
            move || write(&receiver, store.as_ref(), &log)
        });
        Self {
            sender: Some(sender),
            thread: Some(thread),
            sessions: Mutex::new(Rates::new(OF_A_SESSION)),
            log,
        }
    }

    /// Reports whether a session may have one more of its words kept.
    pub fn admits(&self, session: SessionId, at: Timestamp) -> bool {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.admits(session, at)
    }

    /// Takes an event; never waits.
    pub fn push(&self, event: Event) {
        let full = self.sender.as_ref().map(|sender| sender.try_send(event));
        if let Some(Err(TrySendError::Full(_))) = full {
            self.log.say(
                Level::Warn,
                "store",
                "event-dropped",
                "events come faster than they can be written",
            );
        }
    }
}

impl Drop for EventWriter {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write(receiver: &Receiver<Event>, store: &dyn Store, log: &Log) {
    let mut latest: HashMap<(Option<MacAddress>, EventKind), (String, Timestamp)> = HashMap::new();
    let mut machines = Rates::new(OF_A_MACHINE);
    let mut written = PRUNE_EVERY;
    let mut failing = false;
    while let Ok(first) = receiver.recv() {
        let batch: Vec<Event> = std::iter::once(first)
            .chain(receiver.try_iter().take(WAITING))
            .collect();
        let batch: Vec<Event> = batch
            .into_iter()
            .filter(|event| is_new(&mut latest, event) && machines.admits(event.mac, event.at))
            .collect();
        if batch.is_empty() {
            continue;
        }
        written += batch.len();
        let kept = store.append(&batch).and_then(|()| {
            if written < PRUNE_EVERY {
                return Ok(());
            }
            written = 0;
            store.prune(KEPT).map(|_| ())
        });
        match kept {
            Ok(()) if std::mem::take(&mut failing) => {
                let text = "events are written again";
                log.say(Level::Info, "store", "event-kept", text);
            }
            Ok(()) => {}
            Err(error) => {
                failing = true;
                let text = format!("{error}; {}", error.help());
                log.say(Level::Error, "store", "event-lost", text);
            }
        }
    }
}

fn is_new(
    latest: &mut HashMap<(Option<MacAddress>, EventKind), (String, Timestamp)>,
    event: &Event,
) -> bool {
    if latest.len() > REMEMBERED {
        latest.clear();
    }
    let known = latest.insert((event.mac, event.kind), (event.message.clone(), event.at));
    known.is_none_or(|(message, at)| message != event.message || event.at > at + 60.seconds())
}

/// A rate for each key, and a burst that may exceed it.
struct Rates<K> {
    every: SignedDuration,
    /// How far ahead of its rate a key may be.
    ahead: SignedDuration,
    /// When each key has made good for what it had.
    due: HashMap<K, Timestamp>,
}

impl<K: Eq + Hash> Rates<K> {
    fn new((burst, every): (i32, SignedDuration)) -> Self {
        Self {
            every,
            ahead: every * burst,
            due: HashMap::new(),
        }
    }

    fn admits(&mut self, key: K, at: Timestamp) -> bool {
        if self.due.len() > REMEMBERED {
            self.due.retain(|_, due| *due > at);
        }
        if self.due.len() > REMEMBERED {
            self.due.clear();
        }
        let due = self.due.get(&key).copied().unwrap_or(at).max(at) + self.every;
        if due > at + self.ahead {
            return false;
        }
        self.due.insert(key, due);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_burst_and_then_its_rate_and_is_no_burden_to_others() {
        let mut rates = Rates::new((3, SignedDuration::from_secs(10)));
        let at = |second| Timestamp::from_second(second).unwrap();
        for (second, key, expected) in [
            (0, 'a', true),
            (0, 'a', true),
            (0, 'a', true),
            (0, 'a', false),
            (9, 'a', false),
            (9, 'b', true),
            (10, 'a', true),
            (10, 'a', false),
            (1000, 'a', true),
        ] {
            assert_eq!(rates.admits(key, at(second)), expected, "{key} at {second}");
        }
    }

    #[test]
    fn a_machine_that_says_something_new_each_time_is_written_at_its_rate() {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(crate::store::SqliteStore::open_or_create(
                directory.path(),
                &directory.path().join("witness"),
            )
            .unwrap());
        let log = Log::new(
            crate::serve::log::LogFormat::Json,
            Level::Info,
            Box::new(std::io::sink()),
        );
        let writer = EventWriter::start(Arc::clone(&store) as Arc<dyn Store>, log);
        for number in 0..100 {
            writer.push(Event {
                at: Timestamp::UNIX_EPOCH,
                kind: EventKind::Hold,
                host: None,
                mac: Some(MacAddress::new([2; 6])),
                session: None,
                message: number.to_string(),
            });
        }
        drop(writer);
        assert_eq!(store.watermark().unwrap().last_event, 20);
    }
}
