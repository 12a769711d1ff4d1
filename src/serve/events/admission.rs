//! Which decisions about booting become events: anyone on the network can cause them.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use crate::decide::Rate;
use crate::machine::{Event, EventKind, MacAddress};

/// How many different events of a kind a machine may cause: a burst, then one every 30 s.
const OF_A_MACHINE: Rate = Rate::new(20, SignedDuration::from_secs(30));
/// How many events all machines outside the inventory may cause together: a burst, then one a second.
const OF_STRANGERS: Rate = Rate::new(600, SignedDuration::from_secs(1));
/// How many machines outside the inventory are remembered.
const STRANGERS: usize = 4096;
/// How long an event that is the same as the one before is left out.
const SAME: SignedDuration = SignedDuration::from_secs(60);
/// How many machines are remembered before the first search for those to forget.
const SWEEP: usize = 1024;

/// What happens with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is stored.
    Store,
    /// It repeats what the machine caused within the last minute.
    Repeated,
    /// The machine, or all strangers together, cause more than is stored.
    TooMany,
}

/// Decides which events are stored. Hosts and strangers, which are machines outside the inventory,
/// have tables of their own. The names of hosts come from the inventory, which bounds their table;
/// that of strangers has a fixed size, and one rate for all of them bounds what they cause.
pub(super) struct Admission {
    hosts: Table,
    strangers: Table,
    strangers_due: Option<Timestamp>,
}

/// A machine as far as its events are concerned. Its kinds of events have rates of their own: holds,
/// which anyone can cause who knows the MAC, do not use up that of installs.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Source {
    host: Option<String>,
    mac: Option<MacAddress>,
    kind: EventKind,
}

/// The latest event of a source.
struct Latest {
    message: String,
    at: Timestamp,
    due: Timestamp,
}

struct Table {
    latest: HashMap<Source, Latest>,
    /// How many sources there may be before the next search for those to forget.
    sweep_at: usize,
    /// The most that `sweep_at` can be.
    most: usize,
}

impl Admission {
    pub(super) fn new() -> Self {
        Self {
            hosts: Table::new(usize::MAX),
            strangers: Table::new(STRANGERS),
            strangers_due: None,
        }
    }

    /// Decides about an event, and counts it where it is to be stored.
    pub(super) fn admit(&mut self, event: &Event) -> Verdict {
        let now = event.at;
        let source = Source::of(event);
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
            // It counts also where the table is full, so that a flood causes few searches.
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
        let latest = Latest {
            message,
            at: now,
            due,
        };
        table.latest.insert(source, latest);
        Verdict::Store
    }

    /// Takes back that an event was stored: its write failed.
    pub(super) fn forget(&mut self, event: &Event) {
        let table = self.table(event.host.is_none());
        table.latest.remove(&Source::of(event));
    }

    fn table(&mut self, is_stranger: bool) -> &mut Table {
        match is_stranger {
            true => &mut self.strangers,
            false => &mut self.hosts,
        }
    }
}

impl Source {
    fn of(event: &Event) -> Self {
        Self {
            host: event.host.clone(),
            mac: event.mac,
            kind: event.kind,
        }
    }
}

impl Latest {
    fn is_repeated_by(&self, event: &Event) -> bool {
        self.message == event.message && self.is_recent(event.at)
    }

    /// Reports whether it is at most a minute old. After the clock went back it is not.
    fn is_recent(&self, now: Timestamp) -> bool {
        let age = now.duration_since(self.at);
        age >= SignedDuration::ZERO && age <= SAME
    }
}

impl Table {
    fn new(most: usize) -> Self {
        Self {
            latest: HashMap::new(),
            sweep_at: SWEEP,
            most,
        }
    }

    /// Forgets the sources that no longer matter, once there are many. A source whose rate still
    /// counts is never forgotten.
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
    fn a_machine_that_always_says_something_new_has_a_rate_for_each_kind() {
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
        let says = |host, number: u32, second| event(host, 1, second, &number.to_string());
        let host = |range: std::ops::Range<u32>| range.map(|number| says(Some("a"), number, 0));
        assert_eq!(stored(&mut admission, host(0..100)), 20);
        let strangers = (2..100_000).map(|mac| event(None, mac, 0, "hold"));
        assert_eq!(stored(&mut admission, strangers), 600);
        // The limit of the host is as it was, and another host has all of its own.
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
    fn an_event_whose_write_failed_counts_for_nothing() {
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
