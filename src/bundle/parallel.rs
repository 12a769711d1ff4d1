use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

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

/// Works on so many parts at once. The first that fails stops the others, and says why.
///
/// # Errors
/// That of the part that failed first.
pub fn at_once<P: Send, T: Send, E: Send>(
    jobs: usize,
    parts: Vec<P>,
    stop: &Stop,
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
                Ok(one) => done.push(one),
                Err(error) => {
                    // Who was stopped comes after who stopped the others, and is not heard.
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
    fn the_first_that_fails_stops_the_others_and_is_heard() {
        let (stop, together) = (Stop::default(), Barrier::new(3));
        let done = at_once(3, vec![0, 1, 2, 3, 4], &stop, |part| {
            if part < 3 {
                together.wait();
            }
            match part {
                1 => Err("the first"),
                0 | 2 => match stop.wait(Duration::from_secs(60)) {
                    true => Err("stopped"),
                    false => Ok(part),
                },
                _ => Err("one that was never to begin"),
            }
        });
        assert_eq!(done, Err("the first"));
    }

    #[test]
    fn every_part_is_done_once_however_many_work() {
        for jobs in [0, 1, 4, 100] {
            let done = at_once(jobs, (0..20).collect(), &Stop::default(), Ok::<u32, ()>);
            let mut done = done.unwrap();
            done.sort();
            assert_eq!(done, (0..20).collect::<Vec<_>>(), "{jobs}");
        }
        assert_eq!(
            at_once(4, vec![], &Stop::default(), Err::<(), ()>),
            Ok(vec![])
        );
    }
}
