//! The sizes of boot files, for DHCP to tell: measured on a thread that may wait for a file system,
//! as the one that answers everybody may not.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::live::Loaded;
use crate::machine::Sha256Digest;

/// How long a size counts after it was measured: firmware that is told a size makes room for it, and
/// cannot load a file that has become larger.
const FRESH: Duration = Duration::from_secs(10);
/// How many files may wait to be measured; those beyond are asked for again.
const WAITING: usize = 64;

/// Knows the sizes of served files, each soon after it was first asked for.
pub struct Sizes {
    known: Arc<Mutex<Known>>,
    ask: SyncSender<Asked>,
}

/// A file to measure, and where it lies.
struct Asked {
    loaded: Arc<Loaded>,
    name: String,
}

impl Sizes {
    /// Starts the thread that measures; it ends with what is returned, or when the file system for
    /// which it waits lets it.
    pub fn start() -> Self {
        let (ask, asked) = sync_channel(WAITING);
        let known = Arc::new(Mutex::new(Known::default()));
        let learned = Arc::clone(&known);
        thread::spawn(move || measure(&asked, &learned));
        Self { known, ask }
    }

    /// Returns the size of a file of `server.files` in octets, where it was measured lately, and has
    /// it measured anew. It never waits for a file system.
    pub fn size(&self, loaded: &Arc<Loaded>, name: &str, now: Instant) -> Option<u64> {
        let mut known = lock(&self.known);
        known.keep_to(loaded.digest);
        let (size, is_due) = known.look(name, now);
        if is_due {
            let asked = Asked {
                loaded: Arc::clone(loaded),
                name: name.to_owned(),
            };
            if let Err(TrySendError::Full(asked) | TrySendError::Disconnected(asked)) =
                self.ask.try_send(asked)
            {
                known.take_back(&asked.name);
            }
        }
        size
    }
}

fn measure(asked: &Receiver<Asked>, known: &Mutex<Known>) {
    for Asked { loaded, name } in asked {
        let at = Instant::now();
        let size = loaded.roots.open(&name).ok().map(|file| file.size);
        let mut known = lock(known);
        if known.of == Some(loaded.digest) {
            known.learn(&name, size, at);
        }
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was measured, of the files of one inventory.
#[derive(Default)]
struct Known {
    /// The inventory, by its digest.
    of: Option<Sha256Digest>,
    files: HashMap<String, Seen>,
}

/// What is known of one file.
#[derive(Default)]
struct Seen {
    /// Its size in octets, and when that was.
    size: Option<(u64, Instant)>,
    /// Whether it is being measured.
    is_asked: bool,
}

impl Known {
    /// Forgets what was measured for another inventory: names may mean other files now.
    fn keep_to(&mut self, digest: Sha256Digest) {
        if self.of != Some(digest) {
            *self = Self {
                of: Some(digest),
                files: HashMap::new(),
            };
        }
    }

    /// Returns the size of a file, if it was measured lately, and whether to measure it now; then it
    /// counts as asked for.
    fn look(&mut self, name: &str, now: Instant) -> (Option<u64>, bool) {
        let seen = self.files.entry(name.to_owned()).or_default();
        let fresh = |(size, at): (u64, Instant)| (now.duration_since(at) < FRESH).then_some(size);
        let is_due = !std::mem::replace(&mut seen.is_asked, true);
        (seen.size.and_then(fresh), is_due)
    }

    /// Takes note that a file will not be measured now.
    fn take_back(&mut self, name: &str) {
        if let Some(seen) = self.files.get_mut(name) {
            seen.is_asked = false;
        }
    }

    /// Takes what was measured, beginning at a moment; nothing where the file is not to be had.
    fn learn(&mut self, name: &str, size: Option<u64>, at: Instant) {
        let seen = Seen {
            size: size.map(|size| (size, at)),
            is_asked: false,
        };
        self.files.insert(name.to_owned(), seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One step of a file's life, so many seconds after the first.
    enum Step {
        /// It is looked for: what is told, and whether it is measured now.
        Look(Option<u64>, bool),
        /// It was measured.
        Learn(Option<u64>),
        /// It could not be queued.
        TakeBack,
        /// Another inventory comes into force.
        Reload,
    }

    #[test]
    fn a_size_is_told_while_it_is_fresh_and_measured_once_at_a_time() {
        use Step::*;
        let began = Instant::now();
        let mut known = Known::default();
        known.keep_to(Sha256Digest::of(b"0"));
        for (row, (second, step)) in [
            (0, Look(None, true)),
            // The file system hangs: nobody waits, and nobody asks for more of it.
            (1, Look(None, false)),
            (500, Look(None, false)),
            (501, Learn(Some(7))),
            (502, Look(Some(7), true)),
            (503, Look(Some(7), false)),
            (504, Learn(Some(8))),
            (513, Look(Some(8), true)),
            (514, Look(None, false)),
            (515, Learn(None)),
            (516, Look(None, true)),
            (517, TakeBack),
            (518, Look(None, true)),
            (519, Learn(Some(9))),
            (520, Reload),
            (521, Look(None, true)),
        ]
        .into_iter()
        .enumerate()
        {
            let now = began + Duration::from_secs(second);
            match step {
                Look(size, is_due) => assert_eq!(known.look("a", now), (size, is_due), "{row}"),
                Learn(size) => known.learn("a", size, now),
                TakeBack => known.take_back("a"),
                Reload => known.keep_to(Sha256Digest::of(b"1")),
            }
        }
        assert_eq!(known.look("b", began), (None, true));
    }
}
