//! Sizes of boot files for DHCP replies. A separate thread measures them, because the DHCP thread must
//! not wait for a file system.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::active::LoadedInventory;
use crate::machine::Sha256Digest;

/// Time for which a measured size is valid: firmware allocates a buffer of the announced size, and
/// cannot load a file that has grown since.
const FRESH: Duration = Duration::from_secs(10);
/// Limit of files that wait to be measured. Later requests measure the others.
const WAITING: usize = 64;

/// Cache of the sizes of served files. A size is known soon after its first request.
pub struct Sizes {
    known: Arc<Mutex<KnownSizes>>,
    requests: SyncSender<MeasureRequest>,
}

/// A file to measure, and the inventory that serves it.
struct MeasureRequest {
    loaded: Arc<LoadedInventory>,
    name: String,
}

impl Sizes {
    /// Starts the measuring thread. It ends when the cache is dropped, unless it waits for a file
    /// system.
    pub fn start() -> Self {
        let (requests, receiver) = sync_channel(WAITING);
        let known = Arc::new(Mutex::new(KnownSizes::default()));
        let measured = Arc::clone(&known);
        thread::spawn(move || measure(&receiver, &measured));
        Self { known, requests }
    }

    /// Returns the size of a file of `server.files` in bytes if it was measured recently, and
    /// requests a new measurement. Never waits for a file system.
    pub fn size(&self, loaded: &Arc<LoadedInventory>, name: &str, now: Instant) -> Option<u64> {
        let mut known = lock(&self.known);
        known.keep_to(loaded.digest);
        let (size, is_due) = known.look(name, now);
        if is_due {
            let request = MeasureRequest {
                loaded: Arc::clone(loaded),
                name: name.to_owned(),
            };
            if let Err(TrySendError::Full(request) | TrySendError::Disconnected(request)) =
                self.requests.try_send(request)
            {
                known.cancel(&request.name);
            }
        }
        size
    }
}

fn measure(requests: &Receiver<MeasureRequest>, known: &Mutex<KnownSizes>) {
    for MeasureRequest { loaded, name } in requests {
        let at = Instant::now();
        let size = loaded.roots.open(&name).ok().map(|file| file.size);
        let mut known = lock(known);
        if known.inventory == Some(loaded.digest) {
            known.record(&name, size, at);
        }
    }
}

fn lock(known: &Mutex<KnownSizes>) -> MutexGuard<'_, KnownSizes> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Measured sizes of the files of one inventory.
#[derive(Default)]
struct KnownSizes {
    /// Digest of the inventory.
    inventory: Option<Sha256Digest>,
    files: HashMap<String, FileSize>,
}

/// Size of one file.
#[derive(Default)]
struct FileSize {
    /// Size in bytes, and the time of the measurement.
    size: Option<(u64, Instant)>,
    /// Whether a measurement is pending.
    is_pending: bool,
}

impl KnownSizes {
    /// Forgets the sizes of another inventory, in which names may mean other files.
    fn keep_to(&mut self, digest: Sha256Digest) {
        if self.inventory != Some(digest) {
            *self = Self {
                inventory: Some(digest),
                files: HashMap::new(),
            };
        }
    }

    /// Returns the size of a file if it was measured recently, and whether the caller must request a
    /// measurement. The measurement then counts as pending.
    fn look(&mut self, name: &str, now: Instant) -> (Option<u64>, bool) {
        let file = self.files.entry(name.to_owned()).or_default();
        let fresh = |(size, at): (u64, Instant)| (now.duration_since(at) < FRESH).then_some(size);
        let is_due = !std::mem::replace(&mut file.is_pending, true);
        (file.size.and_then(fresh), is_due)
    }

    /// Cancels a pending measurement.
    fn cancel(&mut self, name: &str) {
        if let Some(file) = self.files.get_mut(name) {
            file.is_pending = false;
        }
    }

    /// Records a measurement that began at a time. The size is `None` if the file cannot be opened.
    fn record(&mut self, name: &str, size: Option<u64>, at: Instant) {
        let file = FileSize {
            size: size.map(|size| (size, at)),
            is_pending: false,
        };
        self.files.insert(name.to_owned(), file);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One step of the timeline of a file.
    enum SizeStep {
        /// A request: the returned size, and whether a measurement is due.
        Look(Option<u64>, bool),
        /// A measurement ended.
        Record(Option<u64>),
        /// The measurement could not be queued.
        Cancel,
        /// The inventory was reloaded.
        Reload,
    }

    #[test]
    fn size_is_returned_while_fresh_and_measured_once_at_a_time() {
        use SizeStep::*;
        let began = Instant::now();
        let mut known = KnownSizes::default();
        known.keep_to(Sha256Digest::of(b"0"));
        for (row, (second, step)) in [
            (0, Look(None, true)),
            // The file system hangs: callers do not wait, and request nothing more from it.
            (1, Look(None, false)),
            (500, Look(None, false)),
            (501, Record(Some(7))),
            (502, Look(Some(7), true)),
            (503, Look(Some(7), false)),
            (504, Record(Some(8))),
            (513, Look(Some(8), true)),
            (514, Look(None, false)),
            (515, Record(None)),
            (516, Look(None, true)),
            (517, Cancel),
            (518, Look(None, true)),
            (519, Record(Some(9))),
            (520, Reload),
            (521, Look(None, true)),
        ]
        .into_iter()
        .enumerate()
        {
            let now = began + Duration::from_secs(second);
            match step {
                Look(size, is_due) => assert_eq!(known.look("a", now), (size, is_due), "{row}"),
                Record(size) => known.record("a", size, now),
                Cancel => known.cancel("a"),
                Reload => known.keep_to(Sha256Digest::of(b"1")),
            }
        }
        assert_eq!(known.look("b", began), (None, true));
    }
}
