//! What is promised about one host: who may install, until when, and which reports count.

/// How long after a deadline the report of an installer counts: 15 minutes.
const GRACE: i64 = 15 * 60;

/// The hardware of a machine, as an inventory lists it or as the machine shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hardware {
    pub mac: [u8; 6],
    pub uuid: Option<[u8; 16]>,
    pub serial: Option<&'static str>,
    pub arch: &'static str,
}

impl Hardware {
    /// Reports whether `shown` is the machine that is listed here: the boot MAC and the UUID, in
    /// either byte order, are needed; a serial number must agree if the machine shows one.
    pub fn is_shown_by(&self, shown: &Self) -> bool {
        let is_uuid = |seen: [u8; 16]| {
            let is_usable = seen != [0; 16] && seen != [0xff; 16];
            is_usable && (Some(seen) == self.uuid || Some(swapped(seen)) == self.uuid)
        };
        let agrees = |seen: Option<&str>| seen.is_none() || seen == self.serial;
        shown.mac == self.mac
            && shown.uuid.is_some_and(is_uuid)
            && agrees(shown.serial)
            && shown.arch == self.arch
    }
}

/// Writes the first three fields of a UUID in the other byte order, as some firmware does.
pub fn swapped(uuid: [u8; 16]) -> [u8; 16] {
    let mut other = uuid;
    other[..4].reverse();
    other[4..6].reverse();
    other[6..8].reverse();
    other
}

/// The time by which a decision is made, in seconds, and the time since the boot of that number.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub now: i64,
    pub boot: u32,
    pub since_boot: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    New,
    Armed,
    Installed,
    Failed,
    /// In quarantine or retired.
    Aside,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Reported,
    Operator,
    Expired,
}

/// What was frozen when an operator armed a host.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub hardware: Hardware,
    /// How many attempts one order allows.
    pub attempts: u32,
}

/// An operator's order to install a host.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    pub id: u64,
    /// The end of the order by the wall clock.
    pub deadline: i64,
    /// The same by the time since the boot of that number.
    pub boot: u32,
    pub boot_deadline: i64,
    pub terms: Terms,
    /// How many attempts began.
    pub attempts: u32,
    pub is_suspended: bool,
    end: Option<End>,
    phase_before: Phase,
}

impl Order {
    pub fn new(id: u64, wall: i64, boot: (u32, i64), length: i64, terms: Terms) -> Self {
        Self {
            id,
            deadline: wall + length,
            boot: boot.0,
            boot_deadline: boot.1 + length,
            terms,
            attempts: 0,
            is_suspended: false,
            end: None,
            phase_before: Phase::New,
        }
    }

    /// Either clock ends an order; after a reboot only the wall clock is left.
    fn is_over(&self, at: Moment) -> bool {
        at.now >= self.deadline || (at.boot == self.boot && at.since_boot >= self.boot_deadline)
    }

    /// While the boot lasts, its time alone judges reports: no step of the wall clock rejects one.
    fn takes_reports(&self, at: Moment) -> bool {
        if at.boot == self.boot {
            at.since_boot < self.boot_deadline + GRACE
        } else {
            at.now < self.deadline + GRACE
        }
    }

    fn phase_without_report(&self) -> Phase {
        if self.attempts == 0 {
            self.phase_before
        } else {
            Phase::Failed
        }
    }
}

/// What a fetch of a kernel or a seed is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetch {
    Begins,
    Goes,
    Refused,
}

/// What a store must know of a host.
#[derive(Clone, Copy, Debug)]
pub struct HostMemory {
    pub phase: Phase,
    pub order: Option<Order>,
}

impl HostMemory {
    pub const NEW: Self = Self {
        phase: Phase::New,
        order: None,
    };

    pub fn open(&self) -> Option<&Order> {
        self.order
            .as_ref()
            .filter(|order| order.end.is_none() && self.phase == Phase::Armed)
    }

    /// Records that the deadline has passed; reports whether it has.
    pub fn expire(&mut self, at: Moment) -> bool {
        let Some(order) = self.open().filter(|order| order.is_over(at)).copied() else {
            return false;
        };
        self.finish(order.phase_without_report(), End::Expired);
        true
    }

    /// Returns the order and the attempt for which a machine must be given its installer, and to
    /// which no other machine has a right.
    pub fn install_for(&self, shown: &Hardware, today: &Terms, at: Moment) -> Option<(u64, u32)> {
        let order = self.open()?;
        let is_machine =
            today.hardware.is_shown_by(shown) && order.terms.hardware.is_shown_by(shown);
        let allowed = today.attempts.min(order.terms.attempts);
        let is_due = !order.is_over(at) && !order.is_suspended && order.attempts < allowed;
        (is_machine && is_due).then_some((order.id, order.attempts + 1))
    }

    /// Fetches a kernel or a seed in an order's attempt.
    pub fn fetch(&mut self, id: u64, attempt: u32, at: Moment) -> Fetch {
        let order = self.open().filter(|order| order.id == id);
        let Some(order) = order.filter(|order| !order.is_over(at) && !order.is_suspended) else {
            return Fetch::Refused;
        };
        let begun = order.attempts;
        if attempt == begun {
            return Fetch::Goes;
        }
        if attempt != begun + 1 {
            return Fetch::Refused;
        }
        if let Some(order) = &mut self.order {
            order.attempts = attempt;
        }
        Fetch::Begins
    }

    /// Takes `installed` or `failed`; reports whether it counts.
    pub fn report(&mut self, id: u64, attempt: u32, phase: Phase, at: Moment) -> bool {
        let order = self.order.as_ref().filter(|order| order.id == id);
        let Some(order) = order.filter(|order| attempt >= order.attempts) else {
            return false;
        };
        let waits = match order.end {
            None => true,
            // A disk may be half written; the installer says how it went on.
            Some(End::Expired) => order.attempts > 0 && self.phase == Phase::Failed,
            Some(End::Reported | End::Operator) => false,
        };
        let counts = waits && order.takes_reports(at);
        if counts {
            self.finish(phase, End::Reported);
        }
        counts
    }

    /// Arms the host; reports whether it may be armed.
    pub fn provision(&mut self, mut order: Order, at: Moment) -> bool {
        let mut current = *self;
        current.expire(at);
        let replaced = current.open();
        let is_running = replaced.is_some_and(|open| open.attempts > 0 && !open.is_suspended);
        if current.phase == Phase::Aside || is_running {
            return false;
        }
        order.phase_before = replaced.map_or(current.phase, Order::phase_without_report);
        self.phase = Phase::Armed;
        self.order = Some(order);
        true
    }

    /// Takes an arming back; reports whether the host was armed.
    pub fn cancel(&mut self) -> bool {
        let open = self.open().copied();
        if let Some(order) = open {
            self.finish(order.phase_without_report(), End::Operator);
        }
        open.is_some()
    }

    pub fn set_aside(&mut self) -> bool {
        self.finish(Phase::Aside, End::Operator);
        true
    }

    pub fn release(&mut self) -> bool {
        let is_aside = self.phase == Phase::Aside;
        if is_aside {
            self.finish(Phase::New, End::Operator);
        }
        is_aside
    }

    /// Suspends an open order; reports whether there was one that was not suspended.
    pub fn suspend(&mut self) -> bool {
        let is_active = self.open().is_some_and(|order| !order.is_suspended);
        if let Some(order) = self.order.as_mut().filter(|_| is_active) {
            order.is_suspended = true;
        }
        is_active
    }

    fn finish(&mut self, phase: Phase, by: End) {
        self.phase = phase;
        if let Some(order) = &mut self.order {
            // What ends an expired order for good is a report or an operator.
            if matches!(order.end, None | Some(End::Expired)) {
                order.end = Some(by);
            }
        }
    }
}
