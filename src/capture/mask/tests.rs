use proptest::prelude::*;

use super::*;
use crate::machine::{MacAddress, SessionId};
use crate::token::{Capability, Purpose, StoreKey};
use crate::wire::frame::udp_frame;

const ENDS: [(MacAddress, SocketAddrV4); 2] = [
    (
        MacAddress::new([2, 0, 0, 0, 0, 1]),
        SocketAddrV4::new(std::net::Ipv4Addr::new(10, 0, 0, 1), 69),
    ),
    (
        MacAddress::new([2, 0, 0, 0, 0, 2]),
        SocketAddrV4::new(std::net::Ipv4Addr::new(10, 0, 0, 2), 2000),
    ),
];

fn capability(session: u64) -> String {
    let capability = Capability {
        session: SessionId::new(session.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        attempt: 1,
        purpose: Purpose::Seed,
    };
    StoreKey::new([3; 32])
        .capability(capability)
        .expose()
        .to_owned()
}

/// Masks consecutive frames.
fn masked(frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut masker = Masker::default();
    let masked = frames.iter().map(|frame| {
        let (mut frame, mut found) = (frame.clone(), Vec::new());
        masker.find(LinkType::Ethernet, &frame.clone(), &mut found);
        found
            .into_iter()
            .for_each(|range| stand_in(&mut frame[range]));
        frame
    });
    masked.collect()
}

fn tftp(block: u16, data: &[u8]) -> Vec<u8> {
    let payload = [&[0, 3], &block.to_be_bytes()[..], data].concat();
    udp_frame(ENDS[0], ENDS[1], &payload).unwrap()
}

fn tcp(sequence: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = udp_frame(ENDS[0], ENDS[1], b"").unwrap();
    frame.truncate(34);
    let length = (40 + payload.len()) as u16;
    frame[16..18].copy_from_slice(&length.to_be_bytes());
    frame[23] = 6;
    frame.extend([0, 80, 0, 99]);
    frame.extend(sequence.to_be_bytes());
    frame.extend([0, 0, 0, 0, 0x50, 0x18, 0, 0, 0, 0, 0, 0]);
    frame.extend(payload);
    frame
}

/// Joins the payloads of frames.
fn carried(frames: &[Vec<u8>]) -> String {
    let parts = frames
        .iter()
        .filter_map(|frame| part(LinkType::Ethernet, frame));
    let bytes: Vec<u8> = parts.flat_map(|part| part.bytes.to_vec()).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The sum of 16-bit words. Source: RFC 1071.
fn checksum(bytes: &[u8]) -> u32 {
    let words = bytes
        .chunks(2)
        .map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0)));
    words.fold(0, |sum, word| (sum + word) % 0xffff)
}

/// Builds a frame from the number of a part, its position in the stream, and its bytes.
type Make = fn(usize, usize, &[u8]) -> Vec<u8>;

#[test]
fn a_secret_is_masked_wherever_a_stream_is_split() {
    let secret = capability(7);
    let text = format!("kernel http://h/s/{secret}/files/kernel\ninitrd x\n");
    let make: [Make; 2] = [
        |index, _, data| tftp(index as u16 + 1, data),
        |_, at, data| tcp(at as u32, data),
    ];
    for make in make {
        for cuts in 1..text.len() {
            for second in [cuts, cuts + 1, cuts + 9] {
                let second = second.min(text.len());
                // A secret that is split, and separated from the text that identifies it, is not recognized.
                let place = text.find(&secret).unwrap();
                if (place - 3..place).contains(&cuts)
                    && (place + 1..place + secret.len()).contains(&second)
                {
                    continue;
                }
                let (first, rest) = text.as_bytes().split_at(cuts);
                let (middle, last) = rest.split_at(second - cuts);
                let mut at = 0;
                let parts = [first, middle, last]
                    .into_iter()
                    .filter(|it| !it.is_empty())
                    .enumerate();
                let frames: Vec<_> = parts
                    .map(|(index, part)| {
                        let frame = make(index, at, part);
                        at += part.len();
                        frame
                    })
                    .collect();
                let masked = masked(&frames);
                let shown = carried(&masked);
                let kept = shown[place..place + secret.len()]
                    .bytes()
                    .zip(secret.bytes());
                let kept = kept.filter(|(one, other)| one == other).count();
                assert!(
                    kept < 12,
                    "cut at {cuts} and {second}: {kept} of {secret} in {shown}"
                );
                assert_eq!(shown.len(), text.len());
                assert!(
                    shown.starts_with("kernel http://h/s/")
                        && shown.ends_with("/files/kernel\ninitrd x\n")
                );
                for (one, other) in masked.iter().zip(&frames) {
                    assert_eq!(checksum(&one[34..]), checksum(&other[34..]));
                }
            }
        }
    }
}

#[test]
fn masking_fragments_keeps_their_datagram_valid() {
    let secret = capability(8);
    let text = format!("{}/s/{secret}/x", "y".repeat(60));
    let whole = udp_frame(ENDS[0], ENDS[1], text.as_bytes()).unwrap();
    let (head, payload) = whole.split_at(34);
    let frames: Vec<_> = payload
        .chunks(80)
        .enumerate()
        .map(|(index, part)| {
            let mut frame = head.to_vec();
            frame[16..18].copy_from_slice(&(20 + part.len() as u16).to_be_bytes());
            let more = if index == 0 { 0x2000 } else { 0 };
            frame[20..22].copy_from_slice(&((index as u16 * 10) | more).to_be_bytes());
            [frame, part.to_vec()].concat()
        })
        .collect();
    assert_eq!(frames.len(), 2);
    let masked = masked(&frames);
    let shown = carried(&masked);
    assert!(
        !shown.contains(&secret[..8]) && !shown.contains(&secret[25..]),
        "{shown}"
    );
    let sum = |frames: &[Vec<u8>]| {
        checksum(
            &frames
                .iter()
                .flat_map(|it| it[34..].to_vec())
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(sum(&masked), sum(&frames));
}

#[test]
fn other_text_is_unchanged() {
    let text = format!(
        "{}\n{} {}",
        "0123456789abcdef".repeat(4),
        "ubuntu-24-04-live-server-am",
        "x".repeat(200)
    );
    let frames = [
        tftp(1, text.as_bytes()),
        tcp(1, &[0x41; 1000]),
        vec![0x41; 90],
        Vec::new(),
    ];
    assert_eq!(masked(&frames), frames);
}

#[test]
fn remembered_continuations_are_bounded() {
    let mut masker = Masker::default();
    for number in 0..20_000 {
        masker.find(
            LinkType::Ethernet,
            &tcp(number * 100, b"GET /s/abc"),
            &mut Vec::new(),
        );
    }
    assert!(masker.continued.len() <= MOST_CONTINUED && masker.order.len() <= MOST_CONTINUED);
}

proptest! {
    #[test]
    fn a_stand_in_has_the_length_and_the_sums_and_nothing_else(secret in "[-0-9A-Z_a-z]{0,64}", before in "x?") {
        let mut bytes = secret.clone().into_bytes();
        stand_in(&mut bytes);
        let sums = |bytes: &[u8]| checksum(&[before.as_bytes(), bytes].concat());
        prop_assert_eq!(bytes.len(), secret.len());
        prop_assert_eq!(sums(&bytes), sums(secret.as_bytes()));
        prop_assert!(bytes.iter().all(u8::is_ascii_graphic));
        let again = bytes.clone();
        stand_in(&mut bytes);
        prop_assert_eq!(&bytes, &again, "masked twice");
    }

    #[test]
    fn arbitrary_frames_never_panic(frame in prop::collection::vec(any::<u8>(), 0..200), link in 0u16..300) {
        let mut masker = Masker::default();
        masker.find(LinkType::from_number(link), &frame, &mut Vec::new());
    }
}
