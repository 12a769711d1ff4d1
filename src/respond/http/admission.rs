//! Which connections a server keeps when there are too many.

mod ranking;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

pub use ranking::AddressGroup;
use ranking::Ranking;

/// How long a client may take for the next part of a response that [`Admission::progress`] reports
/// before its connection counts as stalled.
const STALLED: Duration = Duration::from_secs(8);
/// How long evictions and refusals are counted before they are reported.
const PERIOD: Duration = Duration::from_secs(10);

/// One connection. No two have the same ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An address that the site does not know.
    Stranger,
    /// The address of one of the site's machines.
    Machine,
    /// This machine, or a proxy that speaks for many clients: no limit for each address applies.
    Proxy,
}

/// How many connections there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// In total.
    pub total: usize,
    /// Of these, the number that strangers never get.
    pub reserved: usize,
    /// Of one address.
    pub of_one: usize,
    /// Of one address, those that are incomplete or idle.
    pub waiting_of_one: usize,
}

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Every connection that it may displace makes progress with a response.
    Full,
    /// Its address has as many as one may have, and each makes progress with a response.
    OneAddress,
}

/// A connection that was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdmittedConnection {
    /// Its ID.
    pub id: ConnectionId,
    /// The connection that must be closed for it.
    pub evicted: Option<ConnectionId>,
}

/// What happened in a period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How long the period was.
    pub period: Duration,
    /// How many connections were evicted.
    pub evicted: usize,
    /// The network that held most of the connections that could be evicted, and how many it held at
    /// its peak.
    pub largest: Option<(AddressGroup, usize)>,
    /// How many connections were refused because of the total.
    pub refused: usize,
    /// How many were refused because of their address, and one such address.
    pub refused_of_one: Option<(usize, IpAddr)>,
}

/// The connections of a server.
///
/// At a limit, a new connection takes the place of one that is waiting: one whose request is
/// incomplete, or that is idle between two requests. The network that holds most of these loses
/// one, within it the address that holds most, and of that address the oldest. Where nothing waits, a
/// connection goes whose client has stopped reading its response. A response that makes progress is
/// never cut off.
#[derive(Debug)]
pub struct Admission {
    limits: Limits,
    next: u64,
    connections: HashMap<ConnectionId, Connection>,
    /// How many of them strangers have.
    strangers: usize,
    addresses: HashMap<IpAddr, usize>,
    waiting_strangers: Ranking,
    waiting_known: Ranking,
    counted: Option<(Instant, Report)>,
}

#[derive(Clone, Copy, Debug)]
struct Connection {
    address: IpAddr,
    origin: Origin,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// For a request, or the rest of one, since the connection was opened or its last response sent.
    Waiting(Instant),
    /// The response is being made.
    Answering,
    /// The client has taken a part of the response, the last one then.
    Sending(Instant),
}

/// Whose connections can be evicted.
#[derive(Clone, Copy, Debug)]
enum Among {
    /// Those of strangers.
    Strangers,
    /// Those of strangers, and the others where that leaves none.
    StrangersFirst,
    /// All, without preference.
    All,
    /// Those of an address.
    One(IpAddr),
}

impl Admission {
    /// Makes a table without connections.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            next: 0,
            connections: HashMap::new(),
            strangers: 0,
            addresses: HashMap::new(),
            waiting_strangers: Ranking::default(),
            waiting_known: Ranking::default(),
            counted: None,
        }
    }

    /// Admits a connection, which waits for its first request.
    ///
    /// # Errors
    /// When there is no room, and nothing that may be evicted.
    pub fn open(
        &mut self,
        address: IpAddr,
        origin: Origin,
        now: Instant,
    ) -> Result<AdmittedConnection, Refusal> {
        let address = address.to_canonical();
        let evicted = match self.who_yields(address, origin) {
            None => None,
            Some(among) => match self.evict(among, now) {
                None => return Err(self.refuse(among, now)),
                evicted => evicted,
            },
        };
        let id = ConnectionId(self.next);
        self.next += 1;
        let stage = Stage::Waiting(now);
        let connection = Connection {
            address,
            origin,
            stage,
        };
        self.connections.insert(id, connection);
        self.strangers += usize::from(origin == Origin::Stranger);
        *self.addresses.entry(address).or_default() += 1;
        self.rank(id, connection);
        Ok(AdmittedConnection { id, evicted })
    }

    /// Decides whether a new connection needs the place of another, and of whom.
    fn who_yields(&self, address: IpAddr, origin: Origin) -> Option<Among> {
        let limits = self.limits;
        let count = self.addresses.get(&address).copied().unwrap_or_default();
        let waiting = self.waiting_strangers.count(address) + self.waiting_known.count(address);
        let has_too_many = count >= limits.of_one || waiting >= limits.waiting_of_one;
        if has_too_many && origin != Origin::Proxy {
            return Some(Among::One(address));
        }
        let is_full = self.connections.len() >= limits.total;
        let for_strangers = limits.total.saturating_sub(limits.reserved);
        match origin {
            Origin::Stranger if self.strangers >= for_strangers => Some(Among::Strangers),
            // Here the site's machines have more than what is reserved for them.
            Origin::Stranger if is_full => Some(Among::All),
            _ if is_full => Some(Among::StrangersFirst),
            _ => None,
        }
    }

    /// Evicts a connection for a reason outside the table, such as a lack of file descriptors.
    pub fn shed(&mut self, now: Instant) -> Option<ConnectionId> {
        self.evict(Among::StrangersFirst, now)
    }

    /// Notes that a request is complete. Returns false if the connection was evicted: nothing may be done
    /// for it.
    pub fn begin(&mut self, id: ConnectionId) -> bool {
        self.set(id, Stage::Answering)
    }

    /// Notes that a response is ready to be sent, or that the client took a substantial part of it.
    pub fn progress(&mut self, id: ConnectionId, now: Instant) {
        self.set(id, Stage::Sending(now));
    }

    /// Notes that a response was sent.
    pub fn finish(&mut self, id: ConnectionId, now: Instant) {
        self.set(id, Stage::Waiting(now));
    }

    /// Removes a connection; one that was evicted is gone already.
    pub fn close(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.remove(&id) else {
            return;
        };
        self.unrank(id, connection);
        self.strangers -= usize::from(connection.origin == Origin::Stranger);
        if let Some(count) = self.addresses.get_mut(&connection.address) {
            *count -= 1;
            if *count == 0 {
                self.addresses.remove(&connection.address);
            }
        }
    }

    /// Returns how many connections are open.
    pub fn len(&self) -> usize {
        self.connections.len()
    }

    /// Reports whether no connection is open.
    pub fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    /// Returns what happened since the first eviction or refusal that no report covers, once a period
    /// is over.
    pub fn report(&mut self, now: Instant) -> Option<Report> {
        let is_due = |(since, _): &mut (Instant, Report)| now.duration_since(*since) >= PERIOD;
        let (_, report) = self.counted.take_if(is_due)?;
        Some(report)
    }

    /// Returns the same before the period is over, for a server that ends.
    pub fn last_report(&mut self, now: Instant) -> Option<Report> {
        let (since, report) = self.counted.take()?;
        let period = now.duration_since(since);
        Some(Report { period, ..report })
    }

    fn set(&mut self, id: ConnectionId, stage: Stage) -> bool {
        let Some(connection) = self.connections.get_mut(&id) else {
            return false;
        };
        let before = *connection;
        connection.stage = stage;
        let after = *connection;
        self.unrank(id, before);
        self.rank(id, after);
        true
    }

    fn rank(&mut self, id: ConnectionId, connection: Connection) {
        if let Stage::Waiting(since) = connection.stage {
            let ranking = self.ranking(connection.origin);
            ranking.insert(connection.address, (since, id));
        }
    }

    fn unrank(&mut self, id: ConnectionId, connection: Connection) {
        if let Stage::Waiting(since) = connection.stage {
            let ranking = self.ranking(connection.origin);
            ranking.remove(connection.address, (since, id));
        }
    }

    fn ranking(&mut self, origin: Origin) -> &mut Ranking {
        match origin {
            Origin::Stranger => &mut self.waiting_strangers,
            Origin::Machine | Origin::Proxy => &mut self.waiting_known,
        }
    }

    fn evict(&mut self, among: Among, now: Instant) -> Option<ConnectionId> {
        let waiting = choose(among, &self.waiting_strangers, &self.waiting_known);
        let (id, largest) = waiting.or_else(|| {
            let [strangers, known] = self.stalled(now);
            choose(among, &strangers, &known)
        })?;
        self.close(id);
        let report = self.count(now);
        report.evicted += 1;
        if report.largest.is_none_or(|(_, most)| most < largest.1) {
            report.largest = Some(largest);
        }
        Some(id)
    }

    /// Ranks the connections of strangers, and of the others, whose clients have stopped reading.
    fn stalled(&self, now: Instant) -> [Ranking; 2] {
        let mut rankings = [Ranking::default(), Ranking::default()];
        for (id, connection) in &self.connections {
            if let Stage::Sending(since) = connection.stage
                && now.duration_since(since) >= STALLED
            {
                let known = usize::from(connection.origin != Origin::Stranger);
                rankings[known].insert(connection.address, (since, *id));
            }
        }
        rankings
    }

    fn refuse(&mut self, among: Among, now: Instant) -> Refusal {
        let report = self.count(now);
        match among {
            Among::One(address) => {
                let (count, _) = report.refused_of_one.unwrap_or((0, address));
                report.refused_of_one = Some((count + 1, address));
                Refusal::OneAddress
            }
            _ => {
                report.refused += 1;
                Refusal::Full
            }
        }
    }

    fn count(&mut self, now: Instant) -> &mut Report {
        let first = || {
            let report = Report {
                period: PERIOD,
                evicted: 0,
                largest: None,
                refused: 0,
                refused_of_one: None,
            };
            (now, report)
        };
        &mut self.counted.get_or_insert_with(first).1
    }
}

/// Chooses a connection to evict, and returns the network that holds most of those that could be.
fn choose(
    among: Among,
    strangers: &Ranking,
    known: &Ranking,
) -> Option<(ConnectionId, (AddressGroup, usize))> {
    let ranking = match among {
        Among::Strangers => strangers,
        Among::StrangersFirst if strangers.largest().is_some() => strangers,
        Among::StrangersFirst => known,
        Among::All if strangers.yields_after(known) => known,
        Among::All => strangers,
        Among::One(address) => {
            let mut rankings = [strangers, known].into_iter();
            return rankings.find_map(|ranking| {
                let id = ranking.oldest(address)?;
                let group = AddressGroup::of(address);
                Some((id, (group, ranking.count_of_group(address))))
            });
        }
    };
    Some((ranking.first()?, ranking.largest()?))
}
