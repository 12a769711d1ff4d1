use std::fs;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::clock::wall_time;
use crate::machine::{BootId, BootTime, ClockReading};

/// Where the kernel shows the ID of the running boot. Source: proc_sys_kernel(5).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What a store reads the time from.
pub trait Clock: Send + Sync {
    /// Reads the wall clock and the time since boot.
    fn read(&self) -> ClockReading;
}

/// The clocks of the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn read(&self) -> ClockReading {
        let boot = clock_gettime(ClockId::Boottime);
        let seconds = Duration::from_secs(boot.tv_sec.max(0).cast_unsigned());
        let micros = Duration::from_micros(boot.tv_nsec.max(0).cast_unsigned() / 1000);
        ClockReading {
            wall: wall_time(),
            boot: BootTime {
                boot_id: boot_id().clone(),
                since_boot: seconds + micros,
            },
        }
    }
}

/// Reads the ID of the boot, which stays the same for the life of a process. Where the kernel shows
/// none, each process counts as a boot of its own, and the wall clock judges what another opened.
fn boot_id() -> &'static BootId {
    static ID: OnceLock<BootId> = OnceLock::new();
    ID.get_or_init(|| match fs::read_to_string(BOOT_ID) {
        Ok(text) if !text.trim().is_empty() => BootId::new(text.trim()),
        _ => BootId::new(format!(
            "process-{:x}",
            getrandom::u64().unwrap_or_else(|_| u64::from(std::process::id()))
        )),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_since_boot_grows_within_one_boot() {
        let (first, second) = (SystemClock.read().boot, SystemClock.read().boot);
        assert_eq!(second.has_reached(&first), Some(true));
    }
}
