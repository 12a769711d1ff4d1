//! Decides which connections a server keeps when there are too many.

mod connection;
mod ranking;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use connection::{Connection, ConnectionStage};
use ranking::Ranking;

pub use connection::{ConnectionId, ConnectionOrigin};
pub use ranking::AddressGroup;

/// How long a client may take for the next part of a response that [`ConnectionAdmission::progress`] reports
/// before its connection counts as stalled.
const STALLED: Duration = Duration::from_secs(8);
/// How long evictions and refusals are counted before they are reported.
const PERIOD: Duration = Duration::from_secs(10);

/// Limits of the number of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// In total.
    pub total: usize,
    /// The part of the total that strangers never get.
    pub reserved: usize,
    /// Connections of one address.
    pub of_one: usize,
    /// Connections of one address that are incomplete or idle.
    pub waiting_of_one: usize,
}

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionRefusal {
    /// The server has reached its limit, and each connection that the new one may displace makes progress
    /// with a response.
    Full,
    /// The address has reached its limit, and each of its connections makes progress with a response.
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

/// The evictions and refusals of a period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmissionReport {
    /// How long the period was.
    pub period: Duration,
    /// How many connections were evicted.
    pub evicted: usize,
    /// The network with most of the connections that could be evicted, and their number at its peak.
    pub largest: Option<(AddressGroup, usize)>,
    /// How many connections were refused because of the limit of the server.
    pub refused: usize,
    /// How many connections were refused because of the limit of their address, and one such address.
    pub refused_of_one: Option<(usize, IpAddr)>,
}

/// The connections of a server.
///
/// At a limit, a new connection takes the place of a waiting one: its request is incomplete, or it is
/// idle between two requests. The network with most waiting connections loses the oldest one of its
/// address with most of them. If no connection waits, the server evicts one whose client has stopped
/// reading its response. It never cuts off a response that makes progress.
#[derive(Debug)]
pub struct ConnectionAdmission {
    limits: ConnectionLimits,
    next: u64,
    connections: HashMap<ConnectionId, Connection>,
    /// The number of connections of strangers.
    strangers: usize,
    addresses: HashMap<IpAddr, usize>,
    waiting_strangers: Ranking,
    waiting_known: Ranking,
    counted: Option<(Instant, AdmissionReport)>,
}

/// Whose connections can be evicted.
#[derive(Clone, Copy, Debug)]
enum EvictionScope {
    /// The connections of strangers.
    Strangers,
    /// The connections of strangers; if there are none to evict, all others.
    StrangersFirst,
    /// All connections, without preference.
    All,
    /// The connections of an address.
    One(IpAddr),
}

impl ConnectionAdmission {
    /// Makes a table without connections.
    pub fn new(limits: ConnectionLimits) -> Self {
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
    /// Fails when a limit is reached and no connection can be evicted.
    pub fn open(
        &mut self,
        address: IpAddr,
        origin: ConnectionOrigin,
        now: Instant,
    ) -> Result<AdmittedConnection, ConnectionRefusal> {
        let address = address.to_canonical();
        let mut evicted = None;
        if let Some(scope) = self.eviction_scope(address, origin) {
            evicted = self.evict(scope, now);
            if evicted.is_none() {
                return Err(self.refuse(scope, now));
            }
        }
        let id = ConnectionId(self.next);
        self.next += 1;
        let stage = ConnectionStage::Waiting(now);
        let connection = Connection {
            address,
            origin,
            stage,
        };
        self.connections.insert(id, connection);
        self.strangers += usize::from(origin == ConnectionOrigin::Stranger);
        *self.addresses.entry(address).or_default() += 1;
        self.rank(id, connection);
        Ok(AdmittedConnection { id, evicted })
    }

    /// Returns the connections of which a new one must displace one; `None` if no limit is reached.
    fn eviction_scope(&self, address: IpAddr, origin: ConnectionOrigin) -> Option<EvictionScope> {
        let limits = self.limits;
        let count = self.addresses.get(&address).copied().unwrap_or_default();
        let waiting = self.waiting_strangers.count(address) + self.waiting_known.count(address);
        let has_too_many = count >= limits.of_one || waiting >= limits.waiting_of_one;
        if has_too_many && origin != ConnectionOrigin::Proxy {
            return Some(EvictionScope::One(address));
        }
        let is_full = self.connections.len() >= limits.total;
        let for_strangers = limits.total.saturating_sub(limits.reserved);
        match origin {
            ConnectionOrigin::Stranger if self.strangers >= for_strangers => {
                Some(EvictionScope::Strangers)
            }
            // In this case, the site's machines have more connections than are reserved for them.
            ConnectionOrigin::Stranger if is_full => Some(EvictionScope::All),
            _ if is_full => Some(EvictionScope::StrangersFirst),
            _ => None,
        }
    }

    /// Evicts a connection for a reason outside the table, such as a lack of file descriptors.
    pub fn shed(&mut self, now: Instant) -> Option<ConnectionId> {
        self.evict(EvictionScope::StrangersFirst, now)
    }

    /// Records that a request is complete. Returns false if the connection was evicted, so that the request
    /// must not be answered.
    pub fn begin(&mut self, id: ConnectionId) -> bool {
        self.set(id, ConnectionStage::Answering)
    }

    /// Records that a response is ready to be sent, or that the client took a substantial part of it.
    pub fn progress(&mut self, id: ConnectionId, now: Instant) {
        self.set(id, ConnectionStage::Sending(now));
    }

    /// Records that a response was sent.
    pub fn finish(&mut self, id: ConnectionId, now: Instant) {
        self.set(id, ConnectionStage::Waiting(now));
    }

    /// Removes a connection. Does nothing if it was evicted.
    pub fn close(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.remove(&id) else {
            return;
        };
        self.unrank(id, connection);
        self.strangers -= usize::from(connection.origin == ConnectionOrigin::Stranger);
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

    /// Returns the report of the current period once the period is over. A period begins with the first
    /// eviction or refusal after the previous one.
    pub fn report(&mut self, now: Instant) -> Option<AdmissionReport> {
        let is_due =
            |(since, _): &mut (Instant, AdmissionReport)| now.duration_since(*since) >= PERIOD;
        let (_, report) = self.counted.take_if(is_due)?;
        Some(report)
    }

    /// Returns the report of the current period before its end, for a server that ends.
    pub fn last_report(&mut self, now: Instant) -> Option<AdmissionReport> {
        let (since, report) = self.counted.take()?;
        let period = now.duration_since(since);
        Some(AdmissionReport { period, ..report })
    }

    fn set(&mut self, id: ConnectionId, stage: ConnectionStage) -> bool {
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
        if let ConnectionStage::Waiting(since) = connection.stage {
            let ranking = self.ranking(connection.origin);
            ranking.insert(connection.address, (since, id));
        }
    }

    fn unrank(&mut self, id: ConnectionId, connection: Connection) {
        if let ConnectionStage::Waiting(since) = connection.stage {
            let ranking = self.ranking(connection.origin);
            ranking.remove(connection.address, (since, id));
        }
    }

    fn ranking(&mut self, origin: ConnectionOrigin) -> &mut Ranking {
        match origin {
            ConnectionOrigin::Stranger => &mut self.waiting_strangers,
            ConnectionOrigin::Machine | ConnectionOrigin::Proxy => &mut self.waiting_known,
        }
    }

    fn evict(&mut self, scope: EvictionScope, now: Instant) -> Option<ConnectionId> {
        let waiting = choose(scope, &self.waiting_strangers, &self.waiting_known);
        let (id, largest) = waiting.or_else(|| {
            let [strangers, known] = self.stalled(now);
            choose(scope, &strangers, &known)
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
            if let ConnectionStage::Sending(since) = connection.stage
                && now.duration_since(since) >= STALLED
            {
                let known = usize::from(connection.origin != ConnectionOrigin::Stranger);
                rankings[known].insert(connection.address, (since, *id));
            }
        }
        rankings
    }

    fn refuse(&mut self, scope: EvictionScope, now: Instant) -> ConnectionRefusal {
        let report = self.count(now);
        match scope {
            EvictionScope::One(address) => {
                let (count, _) = report.refused_of_one.unwrap_or((0, address));
                report.refused_of_one = Some((count + 1, address));
                ConnectionRefusal::OneAddress
            }
            _ => {
                report.refused += 1;
                ConnectionRefusal::Full
            }
        }
    }

    fn count(&mut self, now: Instant) -> &mut AdmissionReport {
        let first = || {
            let report = AdmissionReport {
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

/// Chooses a connection to evict, and returns it with the network that has most of the candidates.
fn choose(
    scope: EvictionScope,
    strangers: &Ranking,
    known: &Ranking,
) -> Option<(ConnectionId, (AddressGroup, usize))> {
    let ranking = match scope {
        EvictionScope::Strangers => strangers,
        EvictionScope::StrangersFirst if strangers.largest().is_some() => strangers,
        EvictionScope::StrangersFirst => known,
        EvictionScope::All if strangers.yields_after(known) => known,
        EvictionScope::All => strangers,
        EvictionScope::One(address) => {
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
