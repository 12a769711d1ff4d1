//! Writing events to the store off the reply path: batched, on one thread.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use jiff::{Timestamp, ToSpan};

use super::log::{Level, Log};
use crate::machine::{Event, EventKind, MacAddress};
use crate::store::Store;

/// How many events may wait to be written.
const WAITING: usize = 4096;
/// How many machines are remembered, to keep a repeated event once.
const REMEMBERED: usize = 8192;

/// Takes events and writes them soon. What a machine repeats within a minute is written once, and
/// what comes faster than the disk is dropped: both can be caused by anybody on the network.
pub struct EventWriter {
    sender: Option<SyncSender<Event>>,
    thread: Option<JoinHandle<()>>,
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
            log,
        }
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
    while let Ok(first) = receiver.recv() {
        let batch: Vec<Event> = std::iter::once(first)
            .chain(receiver.try_iter().take(WAITING))
            .collect();
        let batch: Vec<Event> = batch
            .into_iter()
            .filter(|event| is_new(&mut latest, event))
            .collect();
        if batch.is_empty() {
            continue;
        }
        if let Err(error) = store.append(&batch) {
            log.say(
                Level::Error,
                "store",
                "event-lost",
                format!("{error}; {}", error.help()),
            );
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
