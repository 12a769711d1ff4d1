//! Opens files on a few threads that may wait, while the workers serve other peers.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddrV4;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use anyhow::Context;
use rustix::event::{EventfdFlags, eventfd};

use super::content::ContentReader;
use super::files::OpenLater;
use super::socket::ReplyRoute;
use crate::respond::tftp::{AdmittedRequest, SlotClaim, TftpRefusal, TransferSlot};
use crate::wire::tftp::Request;

/// The queue of files to open. The workers fill it, and [`Openers::run`] empties it.
pub(super) struct Openers {
    most_waiting: usize,
    queue: Mutex<JobQueue>,
    more: Condvar,
}

/// Waiting jobs. Known machines take precedence, so that requests with forged addresses do not delay
/// them.
#[derive(Default)]
struct JobQueue {
    known: VecDeque<OpenJob>,
    strangers: VecDeque<OpenJob>,
    closed: bool,
}

impl JobQueue {
    fn len(&self) -> usize {
        self.known.len() + self.strangers.len()
    }

    fn pop(&mut self) -> Option<OpenJob> {
        self.known
            .pop_front()
            .or_else(|| self.strangers.pop_front())
    }

    fn retain_wanted(&mut self) {
        self.known.retain(OpenJob::is_wanted);
        self.strangers.retain(OpenJob::is_wanted);
    }
}

struct OpenJob {
    open: OpenLater,
    netascii: bool,
    peer: SocketAddrV4,
    wanted: Weak<()>,
    done: ResultSender,
}

impl Openers {
    pub(super) fn new(most_waiting: usize) -> Self {
        Self {
            most_waiting,
            queue: Mutex::default(),
            more: Condvar::new(),
        }
    }

    /// Opens queued files until the queue is closed. Several threads may run it.
    pub(super) fn run(&self) {
        while let Some(job) = self.next() {
            let source = ContentReader::of(job.open, job.netascii);
            job.done.send(OpenResult {
                peer: job.peer,
                wanted: job.wanted,
                source: Some(source),
            });
        }
    }

    /// Ends [`Openers::run`]. Waiting files are not opened.
    pub(super) fn close(&self) {
        let mut queue = self.lock();
        queue.closed = true;
        queue.known.clear();
        queue.strangers.clear();
        drop(queue);
        self.more.notify_all();
    }

    fn next(&self) -> Option<OpenJob> {
        let mut queue = self.lock();
        loop {
            let job = queue.pop();
            if job.as_ref().is_some_and(OpenJob::is_wanted) || queue.closed {
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

    /// Queues a job, and reports whether there was room. If the queue is full, the job of a known
    /// machine displaces that of the stranger who would have waited longest, and notifies it.
    fn push(&self, job: OpenJob, known: bool) -> bool {
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
        if known {
            queue.known.push_back(job);
        } else {
            queue.strangers.push_back(job);
        }
        drop(queue);
        self.more.notify_one();
        if let Some(job) = crowded_out {
            job.done.send(OpenResult {
                peer: job.peer,
                wanted: job.wanted,
                source: None,
            });
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, JobQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenJob {
    fn is_wanted(&self) -> bool {
        self.wanted.strong_count() > 0
    }
}

/// Result of a job.
struct OpenResult {
    peer: SocketAddrV4,
    wanted: Weak<()>,
    source: OpenedContent,
}

/// The opened file; `None` if another job displaced this one.
pub(super) type OpenedContent = Option<Result<ContentReader, TftpRefusal>>;

/// The channel back to the worker.
#[derive(Clone)]
struct ResultSender {
    sender: Sender<OpenResult>,
    event: Arc<OwnedFd>,
}

impl ResultSender {
    fn send(&self, opened: OpenResult) {
        // Ignores a worker that has ended. A full counter also wakes the worker.
        if self.sender.send(opened).is_ok() {
            let _ = rustix::io::write(&self.event, &1u64.to_ne_bytes());
        }
    }
}

/// A request that was admitted, and its file not sent yet.
pub(super) struct PendingTransfer {
    pub(super) request: Request,
    pub(super) admitted: AdmittedRequest,
    pub(super) route: ReplyRoute,
    /// Length of the request in bytes.
    pub(super) bytes: usize,
    pub(super) slot: TransferSlot,
    pub(super) claim: SlotClaim,
}

/// A request whose file is being opened.
pub(super) struct Pending {
    pub(super) admitted_request: PendingTransfer,
    /// Time at which a silent peer is abandoned.
    pub(super) deadline: Duration,
    /// Dropped when the file is no longer needed.
    _wanted: Arc<()>,
}

/// The pending jobs of one worker. Its descriptor becomes readable when a file has been opened.
pub(super) struct Openings {
    pending: HashMap<SocketAddrV4, Pending>,
    receiver: Receiver<OpenResult>,
    done: ResultSender,
    abandoned_after: Duration,
}

impl Openings {
    /// Creates an empty set for a worker. A peer may be silent for the given time.
    pub(super) fn new(abandoned_after: Duration) -> anyhow::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .context("cannot create an eventfd")?;
        let (sender, receiver) = channel();
        let event = Arc::new(event);
        Ok(Self {
            pending: HashMap::new(),
            receiver,
            done: ResultSender { sender, event },
            abandoned_after,
        })
    }

    /// Queues a job for a peer's file. Returns its deadline, or `None` if the queue is full.
    pub(super) fn begin(
        &mut self,
        openers: &Openers,
        peer: SocketAddrV4,
        admitted_request: PendingTransfer,
        open: OpenLater,
        now: Duration,
    ) -> Option<Duration> {
        let wanted = Arc::new(());
        let job = OpenJob {
            open,
            netascii: admitted_request.admitted.netascii,
            peer,
            wanted: Arc::downgrade(&wanted),
            done: self.done.clone(),
        };
        if !openers.push(job, admitted_request.claim.known) {
            return None;
        }
        let deadline = now + self.abandoned_after;
        let pending = Pending {
            admitted_request,
            deadline,
            _wanted: wanted,
        };
        self.pending.insert(peer, pending);
        Some(deadline)
    }

    pub(super) fn get(&self, peer: SocketAddrV4) -> Option<&Pending> {
        self.pending.get(&peer)
    }

    /// Reports whether a request repeats the pending one of its peer, and then extends the deadline.
    pub(super) fn repeat(&mut self, peer: SocketAddrV4, request: &Request, now: Duration) -> bool {
        match self.pending.get_mut(&peer) {
            Some(pending) if pending.admitted_request.request == *request => {
                pending.deadline = now + self.abandoned_after;
                true
            }
            _ => false,
        }
    }

    /// Removes the pending request of a peer.
    pub(super) fn remove(&mut self, peer: SocketAddrV4) -> Option<PendingTransfer> {
        Some(self.pending.remove(&peer)?.admitted_request)
    }

    /// Returns an opened file that is still needed.
    pub(super) fn next(&mut self) -> Option<(SocketAddrV4, PendingTransfer, OpenedContent)> {
        loop {
            let opened = self.receiver.try_recv().ok()?;
            // A removed request is not needed, even if its peer now waits for another file.
            if opened.wanted.strong_count() > 0 {
                let admitted_request = self.remove(opened.peer)?;
                return Some((opened.peer, admitted_request, opened.source));
            }
        }
    }

    /// Clears the readiness of the descriptor until another file has been opened.
    pub(super) fn clear_ready(&self) {
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
