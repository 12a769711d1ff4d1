//! Names whose content takes a while to make: a few threads open them while the workers serve.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddrV4;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use anyhow::Context;
use rustix::event::{EventfdFlags, eventfd};

use super::OpenLater;
use super::content::Source;
use super::socket::Route;
use crate::respond::tftp::{AdmittedRequest, Claim, Refusal, Slot};
use crate::wire::tftp::Request;

/// The queue of what is to be opened, which the workers fill and [`Openers::run`] empties.
pub(super) struct Openers {
    most_waiting: usize,
    queue: Mutex<Queue>,
    more: Condvar,
}

/// What waits, machines that the site knows first: requests in invented names do not hold them up.
#[derive(Default)]
struct Queue {
    known: VecDeque<Job>,
    strangers: VecDeque<Job>,
    closed: bool,
}

impl Queue {
    fn len(&self) -> usize {
        self.known.len() + self.strangers.len()
    }

    fn pop(&mut self) -> Option<Job> {
        self.known
            .pop_front()
            .or_else(|| self.strangers.pop_front())
    }

    fn retain_wanted(&mut self) {
        self.known.retain(Job::is_wanted);
        self.strangers.retain(Job::is_wanted);
    }
}

struct Job {
    open: OpenLater,
    netascii: bool,
    peer: SocketAddrV4,
    wanted: Weak<()>,
    done: Done,
}

impl Openers {
    pub(super) fn new(most_waiting: usize) -> Self {
        Self {
            most_waiting,
            queue: Mutex::default(),
            more: Condvar::new(),
        }
    }

    /// Opens what is queued until the queue is closed; several threads may do so.
    pub(super) fn run(&self) {
        while let Some(job) = self.next() {
            let source = Source::of(job.open, job.netascii);
            job.done.tell(Opened {
                peer: job.peer,
                wanted: job.wanted,
                source: Some(source),
            });
        }
    }

    /// Ends [`Openers::run`]; what waits is not opened any more.
    pub(super) fn close(&self) {
        let mut queue = self.lock();
        queue.closed = true;
        queue.known.clear();
        queue.strangers.clear();
        drop(queue);
        self.more.notify_all();
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            let job = queue.pop();
            if job.as_ref().is_some_and(Job::is_wanted) || queue.closed {
                return job;
            }
            if job.is_none() {
                queue = self
                    .more
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Queues a job, and reports whether there was room. A known machine takes that of the stranger
    /// who would have waited the longest, and who hears of it.
    fn push(&self, job: Job, known: bool) -> bool {
        let mut queue = self.lock();
        if queue.len() >= self.most_waiting {
            queue.retain_wanted();
        }
        if queue.closed {
            return false;
        }
        let mut crowded_out = None;
        if queue.len() >= self.most_waiting {
            crowded_out = known.then(|| queue.strangers.pop_back()).flatten();
            if crowded_out.is_none() {
                return false;
            }
        }
        match known {
            true => queue.known.push_back(job),
            false => queue.strangers.push_back(job),
        }
        drop(queue);
        self.more.notify_one();
        if let Some(job) = crowded_out {
            job.done.tell(Opened {
                peer: job.peer,
                wanted: job.wanted,
                source: None,
            });
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Job {
    fn is_wanted(&self) -> bool {
        self.wanted.strong_count() > 0
    }
}

/// What became of an opening.
struct Opened {
    peer: SocketAddrV4,
    wanted: Weak<()>,
    source: Found,
}

/// What an opening led to; `None` where another had to be opened instead.
pub(super) type Found = Option<Result<Source, Refusal>>;

/// The way back to the worker that asked.
#[derive(Clone)]
struct Done {
    sender: Sender<Opened>,
    event: Arc<OwnedFd>,
}

impl Done {
    fn tell(&self, opened: Opened) {
        // A worker that has ended does not mind, and a counter that is full wakes it as well.
        if self.sender.send(opened).is_ok() {
            let _ = rustix::io::write(&self.event, &1u64.to_ne_bytes());
        }
    }
}

/// A request whose file is about to be sent.
pub(super) struct Asked {
    pub(super) request: Request,
    pub(super) admitted: AdmittedRequest,
    pub(super) route: Route,
    /// How many bytes the request had.
    pub(super) bytes: usize,
    pub(super) slot: Slot,
    pub(super) claim: Claim,
}

/// A request whose file is being opened.
pub(super) struct Pending {
    pub(super) asked: Asked,
    /// When to look whether the peer is still there.
    pub(super) deadline: Duration,
    /// While it lives, the file is wanted.
    _wanted: Arc<()>,
}

/// What is being opened for the peers of one worker. Its descriptor becomes readable when
/// something has been opened.
pub(super) struct Openings {
    pending: HashMap<SocketAddrV4, Pending>,
    receiver: Receiver<Opened>,
    done: Done,
    abandoned_after: Duration,
}

impl Openings {
    /// Makes one for a worker, whose peers may be silent for so long.
    pub(super) fn new(abandoned_after: Duration) -> anyhow::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .context("cannot make an eventfd")?;
        let (sender, receiver) = channel();
        let event = Arc::new(event);
        Ok(Self {
            pending: HashMap::new(),
            receiver,
            done: Done { sender, event },
            abandoned_after,
        })
    }

    /// Lets `openers` open a peer's file. Returns when to look at it again; nothing where too many
    /// wait already.
    pub(super) fn begin(
        &mut self,
        openers: &Openers,
        peer: SocketAddrV4,
        asked: Asked,
        open: OpenLater,
        now: Duration,
    ) -> Option<Duration> {
        let wanted = Arc::new(());
        let job = Job {
            open,
            netascii: asked.admitted.netascii,
            peer,
            wanted: Arc::downgrade(&wanted),
            done: self.done.clone(),
        };
        if !openers.push(job, asked.claim.known) {
            return None;
        }
        let deadline = now + self.abandoned_after;
        let pending = Pending {
            asked,
            deadline,
            _wanted: wanted,
        };
        self.pending.insert(peer, pending);
        Some(deadline)
    }

    pub(super) fn get(&self, peer: SocketAddrV4) -> Option<&Pending> {
        self.pending.get(&peer)
    }

    /// Takes note that a peer asks again for what is being opened for it; reports whether it does.
    pub(super) fn repeat(&mut self, peer: SocketAddrV4, request: &Request, now: Duration) -> bool {
        match self.pending.get_mut(&peer) {
            Some(pending) if pending.asked.request == *request => {
                pending.deadline = now + self.abandoned_after;
                true
            }
            _ => false,
        }
    }

    /// Forgets what a peer waits for.
    pub(super) fn remove(&mut self, peer: SocketAddrV4) -> Option<Asked> {
        Some(self.pending.remove(&peer)?.asked)
    }

    /// Returns something that has been opened and is still wanted.
    pub(super) fn next(&mut self) -> Option<(SocketAddrV4, Asked, Found)> {
        loop {
            let opened = self.receiver.try_recv().ok()?;
            // What was forgotten is not wanted, even if its peer waits for something else now.
            if opened.wanted.strong_count() > 0 {
                let asked = self.remove(opened.peer)?;
                return Some((opened.peer, asked, opened.source));
            }
        }
    }

    /// Lets the descriptor sleep until something more has been opened.
    pub(super) fn rest(&self) {
        let _ = rustix::io::read(&self.done.event, &mut [0; 8]);
    }

    pub(super) fn peers(&self) -> impl Iterator<Item = SocketAddrV4> {
        self.pending.keys().copied()
    }
}

impl AsFd for Openings {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.done.event.as_fd()
    }
}

#[cfg(test)]
mod tests;
