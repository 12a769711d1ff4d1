use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Whoever is told how a long work goes.
pub trait Progress: Sync {
    /// Says that a part begins.
    fn begin(&self, what: &str) -> Box<dyn Step + Send + '_>;
    /// Says something on the side.
    fn note(&self, text: &str);
    /// Says what the operator should know, and what to do about it.
    fn warn(&self, text: &str, help: &str);
}

/// One part of a long work; it has ended when it is dropped.
pub trait Step {
    /// Says how many octets there are in all.
    fn total(&self, octets: u64);
    /// Says how many octets are done.
    fn at(&self, octets: u64);
}

/// Tells those who work that they need not go on.
#[derive(Debug, Default)]
pub struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// Stops everybody.
    pub fn stop(&self) {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Reports whether somebody has stopped the work.
    pub fn is_stopped(&self) -> bool {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits, unless somebody stops the work; reports whether somebody has.
    pub fn wait(&self, time: Duration) -> bool {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .changed
            .wait_timeout_while(stopped, time, |stopped| !*stopped);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
