use std::collections::HashMap;
use std::hash::Hash;

use jiff::Timestamp;

/// An entry with the time of its last packet.
pub(super) trait Aged {
    /// Returns the time of the last packet.
    fn last_seen(&self) -> Timestamp;
}

/// A table with a limit: if it is full, it forgets the quarter of the entries that have been silent the
/// longest.
#[derive(Debug)]
pub(super) struct Table<K, V> {
    entries: HashMap<K, V>,
    limit: usize,
    evicted: u64,
}

impl<K: Copy + Eq + Hash + Ord, V: Aged> Table<K, V> {
    /// Creates an empty table with room for `limit` entries.
    pub fn new(limit: usize) -> Self {
        Self {
            entries: HashMap::new(),
            limit: limit.max(1),
            evicted: 0,
        }
    }

    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key)
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.entries.remove(key)
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns how many entries were forgotten.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Adds an entry, and returns the entry that it replaces.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        if self.entries.len() >= self.limit && !self.entries.contains_key(&key) {
            self.evict();
        }
        self.entries.insert(key, value)
    }

    /// Removes the entries without a packet since a time, and returns them in order.
    pub fn take_idle(&mut self, since: Timestamp) -> Vec<(K, V)> {
        let idle = self
            .entries
            .iter()
            .filter(|(_, it)| it.last_seen() <= since);
        let mut keys: Vec<K> = idle.map(|(key, _)| *key).collect();
        keys.sort_unstable();
        let entries = &mut self.entries;
        keys.into_iter()
            .filter_map(|key| Some((key, entries.remove(&key)?)))
            .collect()
    }

    fn evict(&mut self) {
        let count = (self.entries.len() / 4).max(1);
        let mut oldest: Vec<_> = self
            .entries
            .iter()
            .map(|(key, value)| (value.last_seen(), *key))
            .collect();
        oldest.select_nth_unstable(count - 1);
        for (_, key) in &oldest[..count] {
            self.entries.remove(key);
        }
        self.evicted += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Aged for i64 {
        fn last_seen(&self) -> Timestamp {
            Timestamp::from_second(*self).unwrap()
        }
    }

    #[test]
    fn a_full_table_forgets_the_oldest_quarter() {
        let mut table = Table::new(8);
        for number in 0..8i64 {
            table.insert(number, number);
        }
        table.insert(3, 100);
        assert_eq!((table.len(), table.evicted()), (8, 0));
        table.insert(8, 8);
        assert_eq!((table.len(), table.evicted()), (7, 2));
        assert!(table.get_mut(&0).is_none() && table.get_mut(&3).is_some());
        let idle = table.take_idle(Timestamp::from_second(5).unwrap());
        assert_eq!(idle, [(2, 2), (4, 4), (5, 5)]);
    }
}
