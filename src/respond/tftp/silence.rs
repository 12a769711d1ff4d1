use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Duration;

/// How long a loader may take for its next request after it received its last byte.
pub const LOADER_PATIENCE: Duration = Duration::from_secs(30);
/// How many peers are watched at once.
const WATCHED: usize = 4096;

/// Loaders that were sent completely and requested nothing afterwards: firmware did not start them.
#[derive(Debug, Default)]
pub struct Silences {
    /// By the peer's address: the loader, and the time limit for its next request.
    waiting: HashMap<Ipv4Addr, (String, Duration)>,
}

impl Silences {
    /// Records that a loader was sent completely at `now`, measured from a fixed moment.
    pub fn sent(&mut self, peer: Ipv4Addr, name: &str, now: Duration) {
        if self.waiting.len() < WATCHED || self.waiting.contains_key(&peer) {
            let until = now + LOADER_PATIENCE;
            self.waiting.insert(peer, (name.to_owned(), until));
        }
    }

    /// Records a request of a peer: its loader runs.
    pub fn requested(&mut self, peer: Ipv4Addr) {
        self.waiting.remove(&peer);
    }

    /// Returns the peers whose time limit has passed at `now`, each once, with their loader.
    pub fn due(&mut self, now: Duration) -> Vec<(Ipv4Addr, String)> {
        let due = |(_, (_, until)): &(&Ipv4Addr, &(String, Duration))| *until <= now;
        let peers: Vec<_> = self
            .waiting
            .iter()
            .filter(due)
            .map(|(peer, _)| *peer)
            .collect();
        let taken = peers.into_iter().filter_map(|peer| {
            let (name, _) = self.waiting.remove(&peer)?;
            Some((peer, name))
        });
        taken.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 51);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_loader_without_a_request_is_reported_once() {
        let mut silences = Silences::default();
        silences.sent(PEER, "grubx64.efi", at(10));
        assert_eq!(silences.due(at(39)), []);
        assert_eq!(silences.due(at(40)), [(PEER, "grubx64.efi".to_owned())]);
        assert_eq!(silences.due(at(99)), []);
    }

    #[test]
    fn a_loader_that_sends_a_request_is_not_reported() {
        let mut silences = Silences::default();
        silences.sent(PEER, "bootx64.efi", at(10));
        silences.requested(PEER);
        assert_eq!(silences.due(at(99)), []);
    }

    #[test]
    fn invented_peers_take_little_memory() {
        let mut silences = Silences::default();
        for number in 0..100_000 {
            silences.sent(Ipv4Addr::from_bits(number), "x", at(0));
        }
        assert_eq!(silences.due(at(60)).len(), WATCHED);
    }
}
