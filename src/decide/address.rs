use std::net::IpAddr;

/// How many addresses of one attempt are stored. Anyone with the seed capability can fetch from as
/// many as they like.
pub const ATTEMPT_ADDRESSES: usize = 8;

/// What the source address of a fetch says about its attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptAddress {
    /// It is the first address: store it.
    First,
    /// It was stored before.
    Known,
    /// A second machine may have the boot data of this one: store it, and report it.
    Another {
        /// The address that fetched first.
        first: IpAddr,
    },
    /// It is another address, and the limit of stored addresses is reached.
    TooMany {
        /// The address that fetched first.
        first: IpAddr,
    },
}

/// Compares the source address of a fetch with the addresses that an attempt has used, oldest first. A source address is a hint for the operator, never an identity: it refuses nothing.
pub fn attempt_address(known: &[IpAddr], address: IpAddr) -> AttemptAddress {
    match known.first() {
        None => AttemptAddress::First,
        Some(_) if known.contains(&address) => AttemptAddress::Known,
        Some(&first) if known.len() < ATTEMPT_ADDRESSES => AttemptAddress::Another { first },
        Some(&first) => AttemptAddress::TooMany { first },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_other_address_is_reported_once_and_up_to_a_limit() {
        let address = |last| IpAddr::from([10, 20, 0, last]);
        let mut known = Vec::new();
        let mut reported = 0;
        for last in 1..=20 {
            for _ in 0..2 {
                match attempt_address(&known, address(last)) {
                    AttemptAddress::First => assert_eq!(last, 1),
                    AttemptAddress::Known => continue,
                    AttemptAddress::Another { first } => {
                        assert_eq!(first, address(1));
                        reported += 1;
                    }
                    AttemptAddress::TooMany { first } => {
                        assert_eq!(first, address(1));
                        continue;
                    }
                }
                known.push(address(last));
            }
        }
        assert_eq!((known.len(), reported), (8, 7));
    }
}
