use std::collections::{BTreeMap, HashSet};
use std::net::Ipv4Addr;
use std::time::Duration;

/// Limit of lines that are written at once, enough for a rack whose loaders look for optional files.
const BURST: u32 = 500;
/// Limit of lines per second after that.
const RATE: u32 = 10;
/// Time for which lines are counted before the summary is written.
const PERIOD: Duration = Duration::from_secs(10);
/// The largest number of addresses that are counted separately.
const ADDRESSES: usize = 4096;

/// Keeps possibly forged requests from filling the log: past a number of lines, it counts them instead.
///
/// Times are durations since any one moment that the caller chooses.
#[derive(Debug)]
pub struct Tally {
    lines: u32,
    filled_at: Duration,
    counting: Option<Counting>,
}

#[derive(Debug)]
struct Counting {
    since: Duration,
    counts: BTreeMap<&'static str, u64>,
    addresses: HashSet<Ipv4Addr>,
    example: Ipv4Addr,
}

/// The events that were counted instead of logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TallySummary {
    /// How often each event occurred.
    pub counts: BTreeMap<&'static str, u64>,
    /// The number of addresses, as far as they were counted separately.
    pub addresses: usize,
    /// One of the addresses.
    pub example: Ipv4Addr,
    /// The length of the period.
    pub period: Duration,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            lines: BURST,
            filled_at: Duration::ZERO,
            counting: None,
        }
    }
}

impl Tally {
    /// Records an event, and reports whether to log it.
    pub fn admit(&mut self, now: Duration, event: &'static str, address: Ipv4Addr) -> bool {
        let passed = now.saturating_sub(self.filled_at).as_secs();
        if passed > 0 {
            let more = u32::try_from(passed)
                .unwrap_or(u32::MAX)
                .saturating_mul(RATE);
            self.lines = self.lines.saturating_add(more).min(BURST);
            self.filled_at = now;
        }
        if self.lines > 0 {
            self.lines -= 1;
            return true;
        }
        let counting = self.counting.get_or_insert_with(|| Counting {
            since: now,
            counts: BTreeMap::new(),
            addresses: HashSet::new(),
            example: address,
        });
        *counting.counts.entry(event).or_default() += 1;
        if counting.addresses.len() < ADDRESSES {
            counting.addresses.insert(address);
        }
        false
    }

    /// Returns the summary of a period once the period is over.
    pub fn due(&mut self, now: Duration) -> Option<TallySummary> {
        let over = |counting: &mut Counting| now >= counting.since + PERIOD;
        let counting = self.counting.take_if(over)?;
        Some(TallySummary {
            counts: counting.counts,
            addresses: counting.addresses.len(),
            example: counting.example,
            period: now.saturating_sub(counting.since),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn events_beyond_a_burst_are_counted_and_summarized_once() {
        let mut tally = Tally::default();
        let mut written = 0;
        for number in 0..20_000u32 {
            let event = if number % 2 == 0 { "one" } else { "other" };
            let address = Ipv4Addr::from_bits(number);
            written += u32::from(tally.admit(at(1), event, address));
        }
        assert_eq!(written, BURST);
        assert_eq!(tally.due(at(10)), None);
        let summary = tally.due(at(11)).expect("a summary");
        let counts: Vec<_> = summary.counts.into_iter().collect();
        assert_eq!(counts, [("one", 9_750), ("other", 9_750)]);
        assert_eq!(summary.addresses, ADDRESSES);
        assert_eq!(summary.example, Ipv4Addr::from_bits(500));
        assert_eq!(summary.period, at(10));
        assert_eq!(tally.due(at(99)), None);
    }

    #[test]
    fn a_few_lines_a_second_are_always_written() {
        let mut tally = Tally::default();
        for _ in 0..1_000 {
            tally.admit(at(0), "one", Ipv4Addr::LOCALHOST);
        }
        let mut written = 0;
        for _ in 0..1_000 {
            written += u32::from(tally.admit(at(2), "one", Ipv4Addr::LOCALHOST));
        }
        assert_eq!(written, 2 * RATE);
    }
}
