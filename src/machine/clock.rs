use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One boot of a kernel: its time since boot can be compared within it, and never beyond it.
///
/// Source: proc_sys_kernel(5), `/proc/sys/kernel/random/boot_id`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BootId(String);

impl BootId {
    /// Wraps the text of a boot ID.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A moment as the time since a boot, which no change of the wall clock moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootTime {
    /// The boot that the time counts from.
    pub boot_id: BootId,
    /// The time since that boot, suspend included, to the microsecond (CLOCK_BOOTTIME).
    pub since_boot: Duration,
}

impl BootTime {
    /// Returns the moment that lies `later` after this one.
    pub fn after(&self, later: Duration) -> Self {
        Self {
            boot_id: self.boot_id.clone(),
            since_boot: self.since_boot.saturating_add(later),
        }
    }

    /// Reports whether this moment is at or past `other`; `None` when they belong to different boots.
    pub fn has_reached(&self, other: &Self) -> Option<bool> {
        (self.boot_id == other.boot_id).then(|| self.since_boot >= other.since_boot)
    }
}

/// What the system's clocks show at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockReading {
    /// The wall clock, which people and NTP can move either way.
    pub wall: Timestamp,
    /// The time since boot.
    pub boot: BootTime,
}

impl ClockReading {
    /// Makes the reading of a system that booted in 1970, for pure tests and timelines.
    pub fn at(wall: Timestamp) -> Self {
        let since_boot = Duration::from_micros(wall.as_microsecond().max(0).cast_unsigned());
        let boot_id = BootId::new("only");
        Self {
            wall,
            boot: BootTime {
                boot_id,
                since_boot,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_different_boots_are_not_compared() {
        let at = |boot: &str, seconds| BootTime {
            boot_id: BootId::new(boot),
            since_boot: Duration::from_secs(seconds),
        };
        assert_eq!(at("a", 5).has_reached(&at("a", 5)), Some(true));
        assert_eq!(at("a", 4).has_reached(&at("a", 5)), Some(false));
        assert_eq!(at("b", 9).has_reached(&at("a", 5)), None);
        assert_eq!(at("a", 4).after(Duration::from_secs(1)), at("a", 5));
    }
}
