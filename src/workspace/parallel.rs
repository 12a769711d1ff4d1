//! Checks many hosts at the same time.

use std::any::Any;
use std::thread;

use crate::inventory::Host;
use crate::lint::{FindErrors, RenderingError};

/// Checks the hosts on one thread per processor.
///
/// Returns one result per thread, in the order of the hosts: the errors, or the message of a panic.
pub fn check_in_parts(
    hosts: &[&Host],
    find_errors: &FindErrors<'_>,
) -> Vec<Result<Vec<RenderingError>, String>> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let parts = hosts.chunks(hosts.len().div_ceil(threads).max(1));
        let workers: Vec<_> = parts
            .map(|part| scope.spawn(move || find_errors(part)))
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().map_err(|panic| message(&*panic)))
            .collect()
    })
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("unknown reason").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_a_panic_is_kept() {
        assert_eq!(message(&"out of luck"), "out of luck");
        assert_eq!(message(&"out of luck".to_owned()), "out of luck");
        assert_eq!(message(&1), "unknown reason");
    }
}
