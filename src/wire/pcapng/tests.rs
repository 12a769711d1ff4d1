use proptest::prelude::*;

use super::*;
use crate::wire::capture_file::{ByteOrder, CaptureFault, CaptureFile, CaptureStep};
use crate::wire::packet::LinkType;

type ReadFrame = (i128, u32, Vec<u8>, usize, Vec<String>);

/// The frames, missed counts and errors of a file.
#[derive(Debug, Default, PartialEq)]
struct Read {
    frames: Vec<ReadFrame>,
    faults: Vec<CaptureFault>,
    missed: u64,
}

/// Reads a file that arrives in parts of a given size.
fn read(file: &[u8], part: usize) -> Read {
    let (mut reader, mut at) = CaptureFile::start(&file[..24]).unwrap();
    let mut read = Read::default();
    let mut want = part;
    while at < file.len() {
        let end = (at + want).min(file.len());
        want = part;
        match reader.step(&file[at..end], end == file.len()) {
            CaptureStep::Need(need) => {
                assert!(need > end - at && end < file.len(), "{need}");
                want = need;
            }
            CaptureStep::Passed(length) => at += length,
            CaptureStep::Missed(length, count) => {
                at += length;
                read.missed += count;
            }
            CaptureStep::Frame(length, frame) => {
                at += length;
                let text = |it| String::from_utf8_lossy(it).into_owned();
                read.frames.push((
                    frame.at.as_nanosecond(),
                    frame.interface,
                    frame.bytes.to_vec(),
                    frame.sent,
                    frame.comments.map(text).collect(),
                ));
            }
            CaptureStep::Damaged(length, fault) => {
                at += length;
                read.faults.push(fault);
            }
        }
    }
    read
}

/// Writes blocks by hand, in either byte order.
struct ByHand(ByteOrder, Vec<u8>);

impl ByHand {
    fn new(order: ByteOrder) -> Self {
        let mut file = Self(order, Vec::new());
        let (magic, version) = (file.u32(BYTE_ORDER), [file.u16(1), file.u16(0)].concat());
        file.block(SECTION, &[&magic[..], &version, &[0xff; 8]].concat());
        file
    }

    fn u16(&self, number: u16) -> Vec<u8> {
        match self.0 {
            ByteOrder::Little => number.to_le_bytes().to_vec(),
            ByteOrder::Big => number.to_be_bytes().to_vec(),
        }
    }

    fn u32(&self, number: u32) -> Vec<u8> {
        match self.0 {
            ByteOrder::Little => number.to_le_bytes().to_vec(),
            ByteOrder::Big => number.to_be_bytes().to_vec(),
        }
    }

    fn block(&mut self, kind: u32, body: &[u8]) {
        let length = self.u32((body.len() + FRAME) as u32);
        let block = [&self.u32(kind), &length, body, &length].concat();
        self.1.extend(block);
    }

    fn option(&self, code: u16, value: &[u8]) -> Vec<u8> {
        let length = self.u16(value.len() as u16);
        let mut option = [&self.u16(code), &length, value].concat();
        pad(&mut option);
        option
    }

    fn interface(&mut self, options: &[u8]) {
        let body = [&self.u16(1), &[0, 0][..], &self.u32(96), options].concat();
        self.block(INTERFACE, &body);
    }

    fn frame(&mut self, number: u32, units: u64, frame: &[u8], sent: u32, options: &[u8]) {
        let time = [(units >> 32) as u32, units as u32];
        let fields = [number, time[0], time[1], frame.len() as u32, sent];
        let mut body = fields.map(|field| self.u32(field)).concat();
        body.extend(frame);
        pad(&mut body);
        body.extend(options);
        self.block(ENHANCED_PACKET, &body);
    }
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

#[test]
fn one_file_can_have_both_byte_orders_and_each_section_has_its_own_interfaces() {
    let mut file = Vec::new();
    for order in [ByteOrder::Big, ByteOrder::Little] {
        let mut section = ByHand::new(order);
        section.interface(&[]);
        section.interface(&section.option(INTERFACE_RESOLUTION, &[9]));
        let comment = section.option(COMMENT, b"seen");
        section.frame(1, 5_000_000_001, b"abc", 70, &comment);
        section.frame(0, 5_000_001, b"abcd", 4, &[]);
        section.frame(2, 0, b"nowhere", 7, &[]);
        file.extend(section.1);
    }
    let note = vec!["seen".to_owned()];
    let frames = [
        (5_000_000_001, 1, b"abc".to_vec(), 70, note),
        (5_000_001_000, 0, b"abcd".to_vec(), 4, vec![]),
    ];
    let expected = Read {
        frames: [frames.clone(), frames].concat(),
        faults: vec![CaptureFault::Interface(2); 2],
        missed: 0,
    };
    for part in [1, 50, 10_000] {
        assert_eq!(read(&file, part), expected, "{part}");
    }
}

#[test]
fn times_are_read_in_every_unit() {
    let second = 1_000_000_000;
    for (unit, offset, units, nanoseconds) in [
        (6, 0, 1_500_000, 1_500_000_000),
        (0, 0, 3, 3 * second),
        (3, -1, 2500, 1_500_000_000),
        (12, 10, 1_500_000_000_000, 11_500_000_000),
        (0x8a, 0, 1536, 1_500_000_000),
        (0xbf, 0, 3 << 62, 1_500_000_000),
        (38, 0, u64::MAX, 0),
        (0x7f, 0, u64::MAX, 0),
        (0xff, 7, u64::MAX, 7 * second),
    ] {
        let mut file = ByHand::new(ByteOrder::Little);
        let resolution = file.option(INTERFACE_RESOLUTION, &[unit]);
        let offset = file.option(INTERFACE_OFFSET, &i64::to_le_bytes(offset));
        file.interface(&[resolution, offset].concat());
        file.frame(0, units, b"", 0, &[]);
        assert_eq!(read(&file.1, 99).frames[0].0, nanoseconds, "{unit:#x}");
    }
    // An unrepresentable time becomes the last representable time.
    let mut file = ByHand::new(ByteOrder::Little);
    file.interface(&file.option(INTERFACE_RESOLUTION, &[0]));
    file.frame(0, u64::MAX, b"", 0, &[]);
    let last = jiff::Timestamp::MAX.as_nanosecond() / second * second;
    assert_eq!(
        read(&file.1, 99).frames[0].0 / second * second,
        last,
        "the last second"
    );
}

#[test]
fn simple_and_obsolete_blocks_and_statistics_are_read() {
    let mut file = ByHand::new(ByteOrder::Big);
    file.interface(&[]);
    let time_and_lengths = [0, 8, 3, 60].map(|field| file.u32(field)).concat();
    let mut body = [&file.u16(0)[..], &file.u16(9), &time_and_lengths].concat();
    body.extend(b"old\0");
    body.extend(file.option(COMMENT, b"a comment"));
    file.block(OBSOLETE_PACKET, &body);
    // Longer than the snap length of the interface, and shorter.
    file.block(SIMPLE_PACKET, &[&file.u32(200), &[7; 96][..]].concat());
    file.block(SIMPLE_PACKET, &[&file.u32(3), &[7; 4][..]].concat());
    file.block(0x0bad, b"what nobody knows!..");
    let dropped = file.option(STATISTICS_DROPPED, &u64::to_be_bytes(5));
    file.block(STATISTICS, &[&[0; 12], &dropped[..]].concat());
    // Too short for their types.
    file.block(SIMPLE_PACKET, &[]);
    file.block(INTERFACE, &[0; 4]);
    let read = read(&file.1, 30);
    let note = vec!["a comment".to_owned()];
    assert_eq!(read.frames[0], (8000, 0, b"old".to_vec(), 60, note));
    assert_eq!(read.frames[1], (8000, 0, vec![7; 96], 200, vec![]));
    assert_eq!(read.frames[2], (8000, 0, vec![7; 3], 3, vec![]));
    assert_eq!((read.frames.len(), read.missed), (3, 5));
    let short = |what, have| CaptureFault::Short { what, have };
    let faults = [
        short("the block of a frame", 0),
        short("the description of an interface", 4),
    ];
    assert_eq!(read.faults, faults);
}

/// A file that our writer made, and its frames.
fn written() -> (Vec<u8>, Vec<ReadFrame>) {
    let mut bytes = Vec::new();
    let mut writer = PcapngWriter { bytes: &mut bytes };
    writer.section("pxectl", Some("Linux"));
    writer.interface(&InterfaceDescription {
        link: LinkType::Ethernet,
        name: Some("eth1"),
        filter: Some("what boots"),
        system: Some("Linux"),
    });
    let mut frames = Vec::new();
    for number in 0..8u8 {
        let at = 1_800_000_000_000_000_001 + i128::from(number);
        let frame = vec![number; usize::from(number)];
        let comments: Vec<String> = (0..number % 3).map(|n| format!("note {n}")).collect();
        let time = jiff::Timestamp::from_nanosecond(at).unwrap();
        let notes = comments.iter().map(|it| it.as_bytes());
        writer.frame(0, time, &frame, 1500, notes);
        frames.push((at, 0, frame, 1500, comments));
    }
    writer.statistics(0, jiff::Timestamp::UNIX_EPOCH, 11, 3);
    (bytes, frames)
}

const PLAIN: InterfaceDescription<'_> = InterfaceDescription {
    link: LinkType::RawIp,
    name: None,
    filter: None,
    system: None,
};

#[test]
fn written_files_are_read_back() {
    let (file, frames) = written();
    let expected = Read {
        frames,
        faults: vec![],
        missed: 3,
    };
    assert_eq!(read(&file, 64), expected);
    let (mut reader, _) = CaptureFile::start(&file).unwrap();
    let CaptureStep::Passed(length) = reader.step(&file, true) else {
        panic!("no section");
    };
    assert_eq!(reader.interface_name(0), None);
    assert!(matches!(
        reader.step(&file[length..], true),
        CaptureStep::Passed(_)
    ));
    assert_eq!(reader.interface_name(0), Some("eth1"));
}

#[test]
fn a_long_comment_is_cut_between_characters() {
    let mut bytes = Vec::new();
    let mut writer = PcapngWriter { bytes: &mut bytes };
    writer.section("pxectl", None);
    writer.interface(&PLAIN);
    let long = format!("a{}", "€".repeat(30_000));
    let notes = [long.as_bytes()].into_iter();
    writer.frame(0, jiff::Timestamp::UNIX_EPOCH, b"", 0, notes);
    let read = read(&bytes, 64);
    let comment = &read.frames[0].4[0];
    assert!(long.starts_with(comment.as_str()));
    assert_eq!(comment.len(), 1 + 65_534 / 3 * 3);
}

#[test]
fn reading_continues_after_damage() {
    let (file, frames) = written();
    let needle = ENHANCED_PACKET.to_le_bytes();
    let mut blocks = (0..file.len()).filter(|at| file[*at..].starts_with(&needle));
    let at = blocks.nth(3).unwrap();
    let mut without = frames;
    without.remove(3);
    // An invalid length, a length past the end of the file, and a length into another block.
    for (length, fault) in [
        (u32::MAX, CaptureFault::BlockLength(u32::MAX)),
        (8, CaptureFault::BlockLength(8)),
        (
            1 << 20,
            CaptureFault::Cut {
                need: 1 << 20,
                have: file.len() - at,
            },
        ),
        (64, CaptureFault::Trailer(64, 6)),
    ] {
        let mut file = file.clone();
        file[at + 4..at + 8].copy_from_slice(&length.to_le_bytes());
        let read = read(&file, 64);
        assert_eq!(read.frames, without, "{length}");
        assert_eq!(read.faults.len(), 1, "{:?}", read.faults);
        if length != 64 {
            assert_eq!(read.faults, [fault]);
        }
    }
    // Missing bytes.
    let mut gone = file.clone();
    gone.drain(at + 5..at + 12);
    let read = read(&gone, 64);
    assert_eq!((read.frames, read.faults.len()), (without, 1));
}

#[test]
fn a_truncated_file_is_read_as_far_as_possible() {
    let (file, frames) = written();
    for length in 28..file.len() {
        let read = read(&file[..length], 64);
        assert!(frames.starts_with(&read.frames), "{length}");
        assert!(read.faults.len() <= 1, "{length}: {:?}", read.faults);
    }
}

proptest! {
    #[test]
    fn arbitrary_blocks_never_panic_and_end(
        bytes in prop::collection::vec(any::<u8>(), 0..400), part in 1usize..100
    ) {
        let file = [ByHand::new(ByteOrder::Little).1, bytes].concat();
        read(&file, part);
    }

    #[test]
    fn a_changed_byte_loses_no_more_than_its_block(
        // The blocks before it describe the interfaces.
        at in 180usize..600, byte: u8, part in 1usize..200
    ) {
        let (mut file, frames) = written();
        prop_assume!(at < file.len());
        file[at] = byte;
        let seen = read(&file, part).frames;
        let kept = frames.iter().filter(|it| seen.contains(it)).count();
        prop_assert!(kept + 2 >= frames.len(), "{} of {}", kept, frames.len());
    }

    #[test]
    fn every_frame_and_comment_reads_back(
        frame in prop::collection::vec(any::<u8>(), 0..300),
        comments in prop::collection::vec(".{0,40}", 0..3),
        at in 0i64..8_000_000_000,
        nanoseconds in 0i32..1_000_000_000,
    ) {
        let mut bytes = Vec::new();
        let mut writer = PcapngWriter { bytes: &mut bytes };
        writer.section("pxectl", None);
        writer.interface(&PLAIN);
        let at = jiff::Timestamp::new(at, nanoseconds).unwrap();
        writer.frame(0, at, &frame, frame.len(), comments.iter().map(|it| it.as_bytes()));
        let expected = (at.as_nanosecond(), 0, frame.clone(), frame.len(), comments);
        prop_assert_eq!(read(&bytes, 64).frames, vec![expected]);
    }
}
