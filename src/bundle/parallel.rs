//! Work on several parts at the same time, which ends with the first failure.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Tells the threads of a job to stop.
#[derive(Debug, Default)]
pub struct StopSignal {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl StopSignal {
    /// Stops every thread.
    pub fn stop(&self) {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Reports whether the work was stopped.
    pub fn is_stopped(&self) -> bool {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the time is over or the work is stopped; reports whether it was stopped.
    pub fn wait(&self, time: Duration) -> bool {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .changed
            .wait_timeout_while(stopped, time, |stopped| !*stopped);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Works on up to `jobs` parts at the same time. The first failure stops the other parts.
///
/// # Errors
/// The error of the part that failed first.
pub fn run_parallel<P: Send, T: Send, E: Send>(
    jobs: usize,
    parts: Vec<P>,
    stop: &StopSignal,
    work: impl Fn(P) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let jobs = jobs.clamp(1, parts.len().max(1));
    let (queue, failed) = (Mutex::new(VecDeque::from(parts)), Mutex::new(None));
    let (queue, failed, work) = (&queue, &failed, &work);
    let next = move || {
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.pop_front().filter(|_| !stop.is_stopped())
    };
    let worker = move || {
        let mut done = Vec::new();
        while let Some(part) = next() {
            match work(part) {
                Ok(result) => done.push(result),
                Err(error) => {
                    // A part that was stopped fails later, and its error does not count.
                    let mut first = failed.lock().unwrap_or_else(PoisonError::into_inner);
                    first.get_or_insert(error);
                    stop.stop();
                }
            }
        }
        done
    };
    let done = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(worker)).collect();
        let joined = workers.into_iter().map(|worker| worker.join());
        let done = joined.map(|done| done.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        done.flatten().collect()
    });
    let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
    match failed.take() {
        Some(error) => Err(error),
        None => Ok(done),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn the_first_failure_stops_the_other_parts_and_is_returned() {
        let (stop, together) = (StopSignal::default(), Barrier::new(3));
        let done = run_parallel(3, vec![0, 1, 2, 3, 4], &stop, |part| {
            if part < 3 {
                together.wait();
            }
            match part {
                1 => Err("the first"),
                0 | 2 if stop.wait(Duration::from_secs(60)) => Err("stopped"),
                0 | 2 => Ok(part),
                _ => Err("a part that must not begin"),
            }
        });
        assert_eq!(done, Err("the first"));
    }

    #[test]
    fn every_part_is_done_once_with_any_number_of_jobs() {
        for jobs in [0, 1, 4, 100] {
            let done = run_parallel(
                jobs,
                (0..20).collect(),
                &StopSignal::default(),
                Ok::<u32, ()>,
            );
            let mut done = done.unwrap();
            done.sort();
            assert_eq!(done, (0..20).collect::<Vec<_>>(), "{jobs}");
        }
        assert_eq!(
            run_parallel(4, vec![], &StopSignal::default(), Err::<(), ()>),
            Ok(vec![])
        );
    }
}
