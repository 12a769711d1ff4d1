use std::time::Duration;

/// The retransmission timer of one peer: when to send again, and when to stop.
///
/// A negotiated timeout is used exactly. Otherwise the timeout follows the measured round trip, and
/// doubles with each timeout until a round trip is measured again.
///
/// Source: RFC 6298 §2, §3 and §5 for the estimate, RFC 2349 for the peer's own timeout.
#[derive(Clone, Debug)]
pub(super) struct Timing {
    negotiated: Option<Duration>,
    round_trip: Option<RoundTrip>,
    /// Timeouts since the last answer.
    timeouts: u32,
    /// How often the timeout is doubled. An answer without a measurement does not reset it: if the round
    /// trip exceeds the timeout, everything is sent twice, and no round trip could be measured.
    doublings: u32,
}

#[derive(Clone, Copy, Debug)]
struct RoundTrip {
    smoothed: Duration,
    variation: Duration,
}

/// The timeout before the first measurement.
const INITIAL: Duration = Duration::from_secs(1);

/// The shortest timeout. A lost packet costs this much on a fast wire; a peer that is merely slow
/// gets one packet twice, which it drops.
const SHORTEST: Duration = Duration::from_millis(5);

/// The longest timeout, and so the interval of retransmissions to a silent peer.
const LONGEST: Duration = Duration::from_secs(3);

/// Number of timeouts without an answer that end a transfer: about 25 s after the last packet of the peer
/// on a fast wire, longer than any pause of firmware between two blocks.
const MOST_TIMEOUTS: u32 = 15;

/// The same for a negotiated timeout, which may be minutes long.
const MOST_NEGOTIATED_TIMEOUTS: u32 = 6;

impl Timing {
    pub(super) fn new(negotiated: Option<Duration>) -> Self {
        Self {
            negotiated,
            round_trip: None,
            timeouts: 0,
            doublings: 0,
        }
    }

    /// Records a response; `round_trip` is `None` if the response may belong to either of two packets.
    /// Source: RFC 6298 §3.
    pub(super) fn answered(&mut self, round_trip: Option<Duration>) {
        self.timeouts = 0;
        let Some(sample) = round_trip else { return };
        self.doublings = 0;
        self.round_trip = Some(match self.round_trip {
            None => RoundTrip {
                smoothed: sample,
                variation: sample / 2,
            },
            Some(RoundTrip {
                smoothed,
                variation,
            }) => RoundTrip {
                smoothed: (smoothed * 7 + sample) / 8,
                variation: (variation * 3 + smoothed.abs_diff(sample)) / 4,
            },
        });
    }

    /// Records a timeout; returns false if the limit is exceeded.
    pub(super) fn timed_out(&mut self) -> bool {
        self.timeouts += 1;
        self.doublings += 1;
        let most = match self.negotiated {
            Some(_) => MOST_NEGOTIATED_TIMEOUTS,
            None => MOST_TIMEOUTS,
        };
        self.timeouts <= most
    }

    /// Returns how long to wait for the answer to a packet that is sent now.
    pub(super) fn timeout(&self) -> Duration {
        if let Some(negotiated) = self.negotiated {
            return negotiated;
        }
        let estimate = self.round_trip.map_or(INITIAL, |round_trip| {
            round_trip.smoothed + (round_trip.variation * 4).max(SHORTEST)
        });
        estimate
            .saturating_mul(1 << self.doublings.min(16))
            .clamp(SHORTEST, LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn the_timeout_follows_the_round_trip_within_its_bounds() {
        for (sample, expected) in [
            (Duration::from_micros(40), Duration::from_micros(5040)),
            (ms(10), ms(30)),
            (ms(200), ms(600)),
            (ms(5000), LONGEST),
        ] {
            let mut timing = Timing::new(None);
            assert_eq!(timing.timeout(), INITIAL);
            timing.answered(Some(sample));
            assert_eq!(timing.timeout(), expected, "{sample:?}");
        }
    }

    #[test]
    fn timeouts_back_off_to_the_bound_and_then_end() {
        let mut timing = Timing::new(None);
        timing.answered(Some(ms(10)));
        let mut waits = vec![timing.timeout()];
        while timing.timed_out() {
            waits.push(timing.timeout());
        }
        assert_eq!(waits[..4], [ms(30), ms(60), ms(120), ms(240)]);
        assert_eq!(waits.last(), Some(&LONGEST));
        assert_eq!(waits.len(), 1 + MOST_TIMEOUTS as usize);
    }

    #[test]
    fn a_doubled_timeout_lasts_until_a_round_trip_is_measured() {
        let mut timing = Timing::new(None);
        timing.answered(Some(ms(10)));
        assert!(timing.timed_out() && timing.timed_out());
        timing.answered(None);
        assert_eq!(timing.timeout(), ms(120));
        timing.answered(Some(ms(10)));
        assert_eq!(timing.timeout(), ms(25));
        // The answer ended the count of those that end the transfer, too.
        assert!((0..MOST_TIMEOUTS).all(|_| timing.timed_out()));
        assert!(!timing.timed_out());
    }

    #[test]
    fn a_negotiated_timeout_is_used_exactly() {
        let mut timing = Timing::new(Some(ms(2000)));
        timing.answered(Some(ms(1)));
        for _ in 0..MOST_NEGOTIATED_TIMEOUTS {
            assert_eq!(timing.timeout(), ms(2000));
            assert!(timing.timed_out());
        }
        assert!(!timing.timed_out());
    }
}
