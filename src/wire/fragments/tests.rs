use proptest::prelude::*;

use super::*;
use crate::wire::packet::{LinkType, Packet, Transport};

const SOURCE: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 10);
const DESTINATION: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 58);

fn datagram(bytes: usize) -> Vec<u8> {
    let length = bytes as u16 + 8;
    let mut datagram = vec![0, 67, 0, 68];
    datagram.extend(length.to_be_bytes());
    datagram.extend([0; 2]);
    datagram.extend((0..bytes).map(|n| n as u8));
    datagram
}

fn fragment(identification: u16, offset: usize, more: bool, payload: &[u8]) -> Ipv4Datagram<'_> {
    Ipv4Datagram {
        source_mac: MacAddress::new([2, 0, 0, 0, 0, 1]),
        destination_mac: MacAddress::new([2, 0, 0, 0, 0, 2]),
        vlans: VlanTags::new(Some(20), None),
        source: SOURCE,
        destination: DESTINATION,
        protocol: 17,
        identification,
        offset,
        more,
        payload,
        length: payload.len(),
        cut: false,
    }
}

/// Splits a datagram at these offsets.
fn cut<'a>(bytes: &'a [u8], at: &[usize]) -> Vec<Ipv4Datagram<'a>> {
    let mut bounds = vec![0];
    bounds.extend(at);
    bounds.push(bytes.len());
    let parts = bounds.windows(2);
    parts
        .map(|it| fragment(1, it[0], it[1] < bytes.len(), &bytes[it[0]..it[1]]))
        .collect()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::new(seconds, 0).unwrap()
}

#[test]
fn fragments_in_any_order_make_the_datagram() {
    let bytes = datagram(3000);
    let parts = cut(&bytes, &[1480, 2960]);
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let mut fragments = Fragments::default();
        let taken = order.map(|index| fragments.take(at(1), &parts[index]));
        let [None, None, Some(whole)] = taken else {
            panic!("{order:?}: {taken:?}");
        };
        let expected = fragment(1, 0, false, &bytes);
        assert_eq!(whole.datagram(), expected, "{order:?}");
        assert_eq!(fragments.bytes, 0);
        assert_eq!(fragments.finish(), LostFragments::default());
    }
}

#[test]
fn a_repeated_fragment_is_ignored_and_an_overlapping_one_ends_its_datagram() {
    let bytes = datagram(3000);
    let parts = cut(&bytes, &[1480, 2960]);
    let mut fragments = Fragments::default();
    for part in [0, 0, 1, 1] {
        assert!(fragments.take(at(1), &parts[part]).is_none());
    }
    assert!(fragments.take(at(1), &parts[2]).is_some());

    let mut fragments = Fragments::default();
    fragments.take(at(1), &parts[0]);
    let other = fragment(1, 8, true, &bytes[8..1480]);
    assert!(fragments.take(at(1), &other).is_none());
    assert_eq!(fragments.lost().overlapping, 1);
    // The same offset with other bytes.
    let zeros = [0; 1480];
    let mut fragments = Fragments::default();
    fragments.take(at(1), &parts[0]);
    fragments.take(at(1), &fragment(1, 0, true, &zeros));
    assert_eq!(fragments.lost().overlapping, 1);
    assert_eq!(fragments.bytes, 0);
}

#[test]
fn invalid_fragments_are_counted() {
    let bytes = [7; 1480];
    for (first, second) in [
        // Odd, empty, beyond the longest, beyond the end, two ends.
        (None, fragment(1, 0, true, &bytes[..9])),
        (None, fragment(1, 8, true, &[])),
        (None, fragment(1, 65_528, false, &bytes[..9])),
        (
            Some(fragment(1, 16, false, &bytes[..9])),
            fragment(1, 32, true, &bytes[..8]),
        ),
        (
            Some(fragment(1, 16, false, &bytes[..9])),
            fragment(1, 8, false, &bytes[..8]),
        ),
        (
            Some(fragment(1, 32, true, &bytes[..8])),
            fragment(1, 8, false, &bytes[..8]),
        ),
    ] {
        let mut fragments = Fragments::default();
        if let Some(first) = first {
            fragments.take(at(1), &first);
        }
        assert!(fragments.take(at(1), &second).is_none());
        assert_eq!(fragments.lost().malformed, 1, "{second:?}");
    }
}

#[test]
fn fragments_wait_for_a_limited_time_and_in_limited_number() {
    let bytes = datagram(3000);
    let parts = cut(&bytes, &[1480]);
    let mut fragments = Fragments::default();
    fragments.take(at(1), &parts[0]);
    assert!(fragments.take(at(17), &parts[1]).is_none());
    assert_eq!(fragments.lost().incomplete, 1);
    assert_eq!(fragments.finish().incomplete, 2);

    let mut fragments = Fragments::default();
    let count = 100_000u64;
    for number in 0..count {
        let identification = number as u16;
        let source = Ipv4Addr::from_bits(number as u32 >> 16);
        let first = Ipv4Datagram {
            source,
            ..fragment(identification, 0, true, &bytes[..1480])
        };
        fragments.take(at(1), &first);
        assert!(fragments.open.len() <= MOST_OPEN && fragments.bytes <= MOST_BYTES + 1480);
        assert!(fragments.order.len() <= 2 * MOST_OPEN + 1);
    }
    let lost = fragments.finish();
    assert_eq!(lost.total(), count);
    assert!(lost.crowded > 0);

    // Too many fragments.
    let mut fragments = Fragments::default();
    for number in 0..600 {
        fragments.take(at(1), &fragment(1, number * 16, true, &[7; 8]));
    }
    assert_eq!(fragments.lost().crowded, 1);
}

#[test]
fn bytes_that_the_capture_cut_off_stay_missing() {
    let bytes = datagram(3000);
    let mut parts = cut(&bytes, &[1480]);
    parts[1] = Ipv4Datagram {
        payload: &bytes[1480..1500],
        cut: true,
        ..parts[1]
    };
    let mut fragments = Fragments::default();
    assert!(fragments.take(at(1), &parts[0]).is_none());
    let whole = fragments.take(at(1), &parts[1]).unwrap();
    assert_eq!(whole.datagram().payload, &bytes[..1500]);
    let packet = whole.datagram().packet().unwrap();
    assert!(packet.cut);
    assert_eq!(packet.transport, Transport::Udp(&bytes[8..1500]));
}

proptest! {
    #[test]
    fn a_datagram_split_anywhere_is_reassembled(
        length in 16usize..8000, at_words in prop::collection::btree_set(1usize..1000, 1..9), seed: u64
    ) {
        let bytes = datagram(length);
        let at: Vec<usize> = at_words.iter().map(|it| it * 8).filter(|it| *it < bytes.len()).collect();
        prop_assume!(!at.is_empty());
        let mut parts = cut(&bytes, &at);
        let count = parts.len();
        for index in 0..count {
            parts.swap(index, (seed as usize).wrapping_mul(index + 7) % count);
        }
        let mut fragments = Fragments::default();
        let mut taken: Vec<_> = parts.iter().map(|it| fragments.take(super::tests::at(1), it)).collect();
        let whole = taken.pop().unwrap().unwrap();
        prop_assert_eq!(whole.datagram().payload, &bytes[..]);
        prop_assert!(taken.iter().all(Option::is_none));
    }

    #[test]
    fn arbitrary_fragments_never_panic_and_stay_bounded(
        parts in prop::collection::vec(
            (0u16..3, 0usize..40, any::<bool>(), 0usize..40, 0usize..9, 0i64..60), 0..60,
        )
    ) {
        let bytes = [7; 40];
        let mut fragments = Fragments::default();
        for (identification, offset, more, length, missing, time) in parts {
            let payload = &bytes[..length.saturating_sub(missing)];
            let part = Ipv4Datagram {
                length, cut: payload.len() < length,
                ..fragment(identification, offset * 8, more, payload)
            };
            if let Some(whole) = fragments.take(at(time), &part) {
                let _ = whole.datagram().packet();
            }
            let open: usize = fragments.open.values().map(|it| it.bytes).sum();
            prop_assert_eq!(open, fragments.bytes);
        }
    }

    #[test]
    fn fragments_in_frames_are_parsed_like_frames(offset in 0u16..0x2000, more: bool) {
        let mut frame = vec![0x45, 0, 0, 36, 0, 9];
        frame.extend((offset | u16::from(more) << 13).to_be_bytes());
        frame.extend([64, 17, 0, 0]);
        frame.extend(SOURCE.octets());
        frame.extend(DESTINATION.octets());
        frame.extend([7; 16]);
        let datagram = Ipv4Datagram::parse(LinkType::RawIp, &frame).unwrap();
        prop_assert_eq!((datagram.offset, datagram.more), (usize::from(offset) * 8, more));
        prop_assert_eq!(datagram.is_fragment(), Packet::parse(LinkType::RawIp, &frame) == Err(crate::wire::packet::PacketError::Fragment));
    }
}
