//! Writes events to the store in batches, on its own thread, so that responses do not wait for it.

mod admission;

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use jiff::{SignedDuration, Timestamp};

use super::log::{Level, Log};
use crate::machine::Event;
use crate::store::{Retention, Store};
use admission::{Admission, Verdict};

/// Limit of unwritten events of hosts.
const HOSTS_WAITING: usize = 4096;
/// Limit of unwritten events of machines outside the inventory.
const STRANGERS_WAITING: usize = 256;
/// Number of events written between two prunings of the store.
const PRUNE_EVERY: usize = 1024;
/// Minimum time between two log lines about events that were not stored.
const REPORT_EVERY: SignedDuration = SignedDuration::from_secs(60);

/// Queues boot decisions and soon writes them as events. Anyone on the network can cause a decision,
/// so the writer omits events that a machine repeats within a minute, that exceed a rate, or that
/// arrive faster than the disk can write. Machines outside the inventory have a separate queue and
/// separate rates, and never displace an event of a host. [`Retention`] limits what the store keeps.
pub struct EventWriter {
    queue: Arc<EventQueue>,
    thread: Option<JoinHandle<()>>,
    log: Log,
}

#[derive(Default)]
struct EventQueue {
    waiting: Mutex<WaitingEvents>,
    more: Condvar,
}

struct WaitingEvents {
    admission: Admission,
    hosts: VecDeque<Event>,
    strangers: VecDeque<Event>,
    dropped: DroppedEvents,
    closed: bool,
}

/// Number of events that were not stored since the last log line about them.
#[derive(Default)]
struct DroppedEvents {
    hosts: u64,
    strangers: u64,
    reported_at: Option<Timestamp>,
}

impl EventWriter {
    /// Starts the writer thread.
    pub fn start(store: Arc<dyn Store>, log: Log) -> Self {
        let queue = Arc::new(EventQueue::default());
        let thread = std::thread::spawn({
            let (queue, log) = (Arc::clone(&queue), log.clone());
            move || write(&queue, store.as_ref(), &log)
        });
        Self {
            queue,
            thread: Some(thread),
            log,
        }
    }

    /// Queues an event without waiting for the disk.
    pub fn push(&self, event: Event) {
        let report = self.queue.lock().push(event);
        self.queue.more.notify_one();
        if let Some(text) = report {
            self.log.event(Level::Warn, "store", "event-dropped", text);
        }
    }
}

impl Drop for EventWriter {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.more.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        if let Some(text) = self.queue.lock().dropped.take() {
            self.log.event(Level::Warn, "store", "event-dropped", text);
        }
    }
}

impl EventQueue {
    fn lock(&self) -> MutexGuard<'_, WaitingEvents> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for events and returns all of them, events of hosts first; `None` after the queue closed.
    fn next(&self) -> Option<Vec<Event>> {
        let is_idle = |waiting: &mut WaitingEvents| waiting.is_empty() && !waiting.closed;
        let mut waiting = self
            .more
            .wait_while(self.lock(), is_idle)
            .unwrap_or_else(PoisonError::into_inner);
        let WaitingEvents {
            hosts, strangers, ..
        } = &mut *waiting;
        let events: Vec<Event> = hosts.drain(..).chain(strangers.drain(..)).collect();
        (!events.is_empty()).then_some(events)
    }
}

impl Default for WaitingEvents {
    fn default() -> Self {
        Self {
            admission: Admission::new(),
            hosts: VecDeque::new(),
            strangers: VecDeque::new(),
            dropped: DroppedEvents::default(),
            closed: false,
        }
    }
}

impl WaitingEvents {
    fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.strangers.is_empty()
    }

    /// Queues an event, or returns a log message about events that were not stored.
    fn push(&mut self, event: Event) -> Option<String> {
        match self.admission.admit(&event) {
            Verdict::Repeated => return None,
            Verdict::TooMany => return self.dropped.count(&event),
            Verdict::Store => {}
        }
        let (queue, most) = match event.host {
            Some(_) => (&mut self.hosts, HOSTS_WAITING),
            None => (&mut self.strangers, STRANGERS_WAITING),
        };
        if queue.len() < most {
            queue.push_back(event);
            return None;
        }
        self.admission.forget(&event);
        self.dropped.count(&event)
    }
}

impl DroppedEvents {
    /// Counts an event that was not stored. Returns a log message at most once a minute.
    fn count(&mut self, event: &Event) -> Option<String> {
        match event.host {
            Some(_) => self.hosts += 1,
            None => self.strangers += 1,
        }
        let now = event.at;
        let is_due = |at| now < at || now.duration_since(at) >= REPORT_EVERY;
        if !self.reported_at.is_none_or(is_due) {
            return None;
        }
        self.reported_at = Some(now);
        self.take()
    }

    fn take(&mut self) -> Option<String> {
        let hosts = std::mem::take(&mut self.hosts);
        let strangers = std::mem::take(&mut self.strangers);
        (hosts + strangers > 0).then(|| {
            format!(
                "dropped {} events that arrived too fast: {hosts} from hosts, {strangers} from \
                 machines outside the inventory",
                hosts + strangers
            )
        })
    }
}

fn write(queue: &EventQueue, store: &dyn Store, log: &Log) {
    let mut unpruned = PRUNE_EVERY;
    let mut failing = false;
    while let Some(batch) = queue.next() {
        let stored = store.append(&batch);
        if stored.is_err() {
            let mut waiting = queue.lock();
            batch
                .iter()
                .for_each(|event| waiting.admission.forget(event));
        } else {
            unpruned += batch.len();
        }
        let pruned = stored.and_then(|()| {
            if unpruned < PRUNE_EVERY {
                return Ok(());
            }
            unpruned = 0;
            store.prune(Retention::SERVED).map(|_| ())
        });
        match pruned {
            Ok(()) if std::mem::take(&mut failing) => {
                let text = "events are stored again";
                log.event(Level::Info, "store", "event-kept", text);
            }
            Ok(()) => {}
            Err(error) => {
                failing = true;
                let text = format!("{error}; {}", error.help());
                log.event(Level::Error, "store", "event-lost", text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{EventKind, MacAddress};
    use crate::serve::log::LogFormat;
    use crate::store::{EventQuery, SqliteStore};

    fn hold(host: Option<&str>, mac: u32, message: &str) -> Event {
        let [_, a, b, c] = mac.to_be_bytes();
        Event {
            at: Timestamp::UNIX_EPOCH,
            kind: EventKind::Hold,
            host: host.map(str::to_owned),
            mac: Some(MacAddress::new([2, 0, 0, a, b, c])),
            session: None,
            message: message.to_owned(),
        }
    }

    /// Pushes events to a store, and returns the stored ones.
    fn written(events: impl Iterator<Item = Event>) -> Vec<Event> {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(
            SqliteStore::open_or_create(
                &directory.path().join("state"),
                &directory.path().join("witness"),
            )
            .unwrap(),
        );
        let log = Log::new(LogFormat::Json, Level::Info, Box::new(std::io::sink()));
        let writer = EventWriter::start(Arc::clone(&store) as Arc<dyn Store>, log);
        events.for_each(|event| writer.push(event));
        drop(writer);
        let query = EventQuery {
            after: 0,
            host: None,
            limit: usize::MAX,
            latest: false,
        };
        let stored = store.events(&query).unwrap();
        stored.into_iter().map(|stored| stored.event).collect()
    }

    #[test]
    fn new_events_of_one_machine_are_stored_at_its_rate() {
        let events = (0..100).map(|number| hold(None, 1, &number.to_string()));
        assert_eq!(written(events).len(), 20);
    }

    #[test]
    fn a_flood_of_invented_machines_leaves_the_events_of_hosts() {
        // One host causes an event in the middle of the flood, another causes them throughout.
        let events = (0..20_000).map(|number| match number {
            10_000 => hold(Some("a"), 1, "quiet"),
            number if number % 100 == 0 => hold(Some("b"), 2, &number.to_string()),
            number => hold(None, number, "unknown"),
        });
        let left = written(events);
        let of = |host: Option<&str>| {
            let is_of = |event: &&Event| event.host.as_deref() == host;
            left.iter().filter(is_of).count()
        };
        assert_eq!((of(Some("a")), of(Some("b"))), (1, 20));
        assert!(of(None) <= 600, "{}", of(None));
    }

    #[test]
    fn a_full_queue_of_strangers_has_room_for_every_host() {
        let mut waiting = WaitingEvents::default();
        let strangers = (0..1000).map(|mac| hold(None, mac, "unknown"));
        let reported = strangers.filter_map(|event| waiting.push(event)).count();
        assert_eq!((waiting.strangers.len(), reported), (STRANGERS_WAITING, 1));
        assert_eq!(waiting.dropped.strangers, 1000 - 256 - 1);
        for number in 0..HOSTS_WAITING as u32 {
            let event = hold(Some(&format!("host-{number}")), number, "held");
            assert_eq!(waiting.push(event), None);
        }
        assert_eq!(waiting.hosts.len(), HOSTS_WAITING);
        assert_eq!(waiting.dropped.hosts, 0);
    }

    #[test]
    fn events_that_are_not_stored_are_reported_once_a_minute() {
        let mut dropped = DroppedEvents::default();
        let mut count = |second, host| {
            dropped.count(&Event {
                at: Timestamp::from_second(second).unwrap(),
                ..hold(host, 1, "unknown")
            })
        };
        assert!(count(0, None).is_some());
        assert!(count(1, Some("a")).is_none());
        assert!(count(59, None).is_none());
        assert_eq!(
            count(60, None).as_deref(),
            Some(
                "dropped 3 events that arrived too fast: 1 from hosts, 2 from machines outside \
                 the inventory"
            )
        );
        assert_eq!(dropped.take(), None);
    }
}
