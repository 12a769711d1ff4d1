//! The shutdown request that ends every server.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use rustix::event::{EventfdFlags, eventfd};

/// A request to shut down. Clones share it.
///
/// Its descriptor becomes readable with the request and stays readable, so that it wakes a poll loop.
/// No thread reads from it.
#[derive(Clone, Debug)]
pub struct Shutdown(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    requested: AtomicBool,
    event: OwnedFd,
}

impl Shutdown {
    /// Creates a shutdown that is not requested yet.
    ///
    /// # Errors
    ///
    /// Fails when the process has no free descriptor.
    pub fn new() -> anyhow::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .context("cannot create an eventfd")?;
        Ok(Self(Arc::new(Inner {
            requested: AtomicBool::new(false),
            event,
        })))
    }

    /// Requests the shutdown. Later calls have no effect.
    pub fn request(&self) {
        if !self.0.requested.swap(true, Ordering::AcqRel) {
            // The counter cannot overflow: this is the only write.
            let _ = rustix::io::write(&self.0.event, &1u64.to_ne_bytes());
        }
    }

    /// Reports whether the shutdown was requested.
    pub fn is_requested(&self) -> bool {
        self.0.requested.load(Ordering::Acquire)
    }
}

impl AsFd for Shutdown {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.event.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    #[test]
    fn a_request_wakes_every_clone_and_stays() {
        let shutdown = Shutdown::new().expect("a descriptor");
        let other = shutdown.clone();
        let readable = |shutdown: &Shutdown| {
            let mut fds = [PollFd::new(shutdown, PollFlags::IN)];
            poll(&mut fds, Some(&Timespec::default())).expect("a poll") == 1
        };
        assert!(!other.is_requested() && !readable(&other));
        shutdown.request();
        shutdown.request();
        for _ in 0..2 {
            assert!(other.is_requested() && readable(&other));
        }
    }
}
