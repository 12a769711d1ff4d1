//! Decides which boot decisions are stored as events. Anyone on the network can cause them.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use crate::decide::Rate;
use crate::machine::{Event, EventKind, MacAddress};

/// Rate of different events of one kind from one machine: a burst, then one every 30 s.
const OF_A_MACHINE: Rate = Rate::new(20, SignedDuration::from_secs(30));
/// Rate of events from all machines outside the inventory together: a burst, then one a second.
const OF_STRANGERS: Rate = Rate::new(600, SignedDuration::from_secs(1));
/// Limit of remembered machines outside the inventory.
const STRANGERS: usize = 4096;
/// Time during which a repetition of the previous event is omitted.
const SAME: SignedDuration = SignedDuration::from_secs(60);
/// Number of remembered machines at which the first search for outdated ones starts.
const SWEEP: usize = 1024;

/// Decision about an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The event is stored.
    Store,
    /// The machine already caused the same event within the last minute.
    Repeated,
    /// The machine, or all strangers together, exceed their rate.
    TooMany,
}

/// Decides which events are stored. Hosts and strangers (machines outside the inventory) have
/// separate tables. The inventory bounds the table of hosts. The table of strangers has a fixed
/// size, and all strangers share one rate.
pub(super) struct Admission {
    hosts: SourceTable,
    strangers: SourceTable,
    strangers_due: Option<Timestamp>,
}

/// A machine and a kind of event. Each kind has its own rate: anyone who knows the MAC can cause
/// holds, and they must not use up the rate of installs.
#[derive(Clone, PartialEq, Eq, Hash)]
struct EventSource {
    host: Option<String>,
    mac: Option<MacAddress>,
    kind: EventKind,
}

/// The latest event of a source.
struct LatestEvent {
    message: String,
    at: Timestamp,
    due: Timestamp,
}

struct SourceTable {
    latest: HashMap<EventSource, LatestEvent>,
    /// Number of sources at which the next search for outdated ones starts.
    sweep_at: usize,
    /// Upper limit of `sweep_at`.
    most: usize,
}

impl Admission {
    pub(super) fn new() -> Self {
        Self {
            hosts: SourceTable::new(usize::MAX),
            strangers: SourceTable::new(STRANGERS),
            strangers_due: None,
        }
    }

    /// Decides about an event, and counts it if it is to be stored.
    pub(super) fn admit(&mut self, event: &Event) -> Verdict {
        let now = event.at;
        let source = EventSource::of(event);
        let is_stranger = event.host.is_none();
        let table = self.table(is_stranger);
        let latest = table.latest.get_mut(&source);
        let due = latest.as_ref().map(|latest| latest.due);
        if let Some(latest) = latest.filter(|latest| latest.is_repeated_by(event)) {
            latest.at = now;
            return Verdict::Repeated;
        }
        let Some(due) = OF_A_MACHINE.take(due, now) else {
            return Verdict::TooMany;
        };
        if is_stranger {
            let Some(all_due) = OF_STRANGERS.take(self.strangers_due, now) else {
                return Verdict::TooMany;
            };
            // Count it even if the table is full, so that a flood causes few searches.
            self.strangers_due = Some(all_due);
            self.strangers.sweep(now);
            let is_full = self.strangers.latest.len() >= STRANGERS;
            if is_full && !self.strangers.latest.contains_key(&source) {
                return Verdict::TooMany;
            }
        }
        let table = self.table(is_stranger);
        table.sweep(now);
        let message = event.message.clone();
        let latest = LatestEvent {
            message,
            at: now,
            due,
        };
        table.latest.insert(source, latest);
        Verdict::Store
    }

    /// Reverts the admission of an event whose write failed.
    pub(super) fn forget(&mut self, event: &Event) {
        let table = self.table(event.host.is_none());
        table.latest.remove(&EventSource::of(event));
    }

    fn table(&mut self, is_stranger: bool) -> &mut SourceTable {
        if is_stranger {
            &mut self.strangers
        } else {
            &mut self.hosts
        }
    }
}

impl EventSource {
    fn of(event: &Event) -> Self {
        Self {
            host: event.host.clone(),
            mac: event.mac,
            kind: event.kind,
        }
    }
}

impl LatestEvent {
    fn is_repeated_by(&self, event: &Event) -> bool {
        self.message == event.message && self.is_recent(event.at)
    }

    /// Reports whether it is at most a minute old; false if the clock went back.
    fn is_recent(&self, now: Timestamp) -> bool {
        let age = now.duration_since(self.at);
        age >= SignedDuration::ZERO && age <= SAME
    }
}

impl SourceTable {
    fn new(most: usize) -> Self {
        Self {
            latest: HashMap::new(),
            sweep_at: SWEEP,
            most,
        }
    }

    /// Forgets outdated sources once there are many. Never forgets a source whose rate is still in
    /// use.
    fn sweep(&mut self, now: Timestamp) {
        if self.latest.len() < self.sweep_at {
            return;
        }
        self.latest
            .retain(|_, latest| latest.due > now || latest.is_recent(now));
        self.sweep_at = SWEEP.max(self.latest.len() * 2).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(host: Option<&str>, mac: u32, second: i64, message: &str) -> Event {
        let [_, a, b, c] = mac.to_be_bytes();
        Event {
            at: Timestamp::from_second(second).unwrap(),
            kind: EventKind::Hold,
            host: host.map(str::to_owned),
            mac: Some(MacAddress::new([2, 0, 0, a, b, c])),
            session: None,
            message: message.to_owned(),
        }
    }

    fn stored(admission: &mut Admission, events: impl Iterator<Item = Event>) -> usize {
        events
            .filter(|event| admission.admit(event) == Verdict::Store)
            .count()
    }

    #[test]
    fn a_repeated_event_is_left_out_for_a_minute_after_the_latest() {
        let mut admission = Admission::new();
        for (second, message, expected) in [
            (0, "a", Verdict::Store),
            (50, "a", Verdict::Repeated),
            (110, "a", Verdict::Repeated),
            (110, "b", Verdict::Store),
            (171, "b", Verdict::Store),
            // The clock went back.
            (5, "b", Verdict::Store),
        ] {
            for host in [None, Some("a")] {
                let verdict = admission.admit(&event(host, 1, second, message));
                assert_eq!(verdict, expected, "{host:?} at {second}");
            }
        }
    }

    #[test]
    fn new_events_of_one_machine_have_a_rate_for_each_kind() {
        let mut admission = Admission::new();
        let of_kind = |kind| {
            (0..100).map(move |number| Event {
                kind,
                ..event(Some("a"), 1, 0, &number.to_string())
            })
        };
        for kind in [EventKind::Hold, EventKind::Install] {
            assert_eq!(stored(&mut admission, of_kind(kind)), 20, "{kind}");
        }
    }

    #[test]
    fn strangers_use_up_neither_the_rate_of_a_host_nor_the_memory() {
        let mut admission = Admission::new();
        let numbered = |number: u32| event(Some("a"), 1, 0, &number.to_string());
        let host = |range: std::ops::Range<u32>| range.map(numbered);
        assert_eq!(stored(&mut admission, host(0..100)), 20);
        let strangers = (2..100_000).map(|mac| event(None, mac, 0, "hold"));
        assert_eq!(stored(&mut admission, strangers), 600);
        // The host's limit is unchanged, and another host has its full rate.
        assert_eq!(stored(&mut admission, host(100..200)), 0);
        let verdict = admission.admit(&event(Some("b"), 2, 0, "hold"));
        assert_eq!(verdict, Verdict::Store);

        // An hour and a half of strangers that keep themselves remembered.
        let mut all = 0;
        for second in (0..5400).step_by(50) {
            let macs = (0..STRANGERS as u32 + 500).map(|mac| event(None, mac, second, "hold"));
            all += stored(&mut admission, macs);
            assert!(admission.strangers.latest.len() <= STRANGERS);
        }
        assert!(all <= 600 + 5400, "{all}");
        // When they stop, others are remembered in their place.
        let late = (50_000..50_100).map(|mac| event(None, mac, 9000, "hold"));
        assert_eq!(stored(&mut admission, late), 100);
    }

    #[test]
    fn event_whose_write_failed_does_not_count() {
        let mut admission = Admission::new();
        for host in [None, Some("a")] {
            for _ in 0..100 {
                let event = event(host, 1, 0, "hold");
                assert_eq!(admission.admit(&event), Verdict::Store);
                admission.forget(&event);
            }
        }
    }

    #[test]
    fn hosts_that_are_quiet_are_forgotten() {
        let mut admission = Admission::new();
        let hosts = |second: i64| {
            (0..3000_u32).map(move |mac| event(Some(&format!("host-{mac}")), mac, second, "hold"))
        };
        assert_eq!(stored(&mut admission, hosts(0)), 3000);
        assert_eq!(stored(&mut admission, hosts(600)), 3000);
        assert!(admission.hosts.latest.len() <= 4096);
    }
}
