use proptest::prelude::*;

use super::*;
use crate::wire::capture_file::CaptureFile;

type ReadFrame = (i128, Vec<u8>, usize);

fn header(magic: [u8; 4], order: ByteOrder) -> Vec<u8> {
    let mut bytes = magic.to_vec();
    for field in [2u16, 4] {
        bytes.extend(match order {
            ByteOrder::Little => field.to_le_bytes(),
            ByteOrder::Big => field.to_be_bytes(),
        });
    }
    for field in [0u32, 0, 262_144, 1] {
        bytes.extend(number(order, field));
    }
    bytes
}

fn number(order: ByteOrder, number: u32) -> [u8; 4] {
    match order {
        ByteOrder::Little => number.to_le_bytes(),
        ByteOrder::Big => number.to_be_bytes(),
    }
}

fn record(order: ByteOrder, seconds: u32, fraction: u32, frame: &[u8], sent: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in [seconds, fraction, frame.len() as u32, sent] {
        bytes.extend(number(order, field));
    }
    bytes.extend(frame);
    bytes
}

/// Reads a file that arrives in parts of a given size.
fn read(file: &[u8], part: usize) -> Result<(Vec<ReadFrame>, Vec<CaptureFault>), CaptureFault> {
    let (mut reader, start) = CaptureFile::start(&file[..file.len().min(CaptureFile::HEAD)])?;
    let (mut frames, mut faults) = (Vec::new(), Vec::new());
    let (mut at, mut want) = (start, part);
    while at < file.len() {
        let end = (at + want).min(file.len());
        want = part;
        match reader.step(&file[at..end], end == file.len()) {
            CaptureStep::Need(need) => {
                assert!(need > end - at && end < file.len(), "{need}");
                want = need;
            }
            CaptureStep::Passed(length) | CaptureStep::Missed(length, _) => at += length,
            CaptureStep::Frame(length, frame) => {
                at += length;
                let nanoseconds = frame.at.as_nanosecond();
                frames.push((nanoseconds, frame.bytes.to_vec(), frame.sent));
            }
            CaptureStep::Damaged(length, fault) => {
                at += length;
                faults.push(fault);
            }
        }
    }
    Ok((frames, faults))
}

const LITTLE: [u8; 4] = [0xd4, 0xc3, 0xb2, 0xa1];

fn sample() -> (Vec<u8>, Vec<ReadFrame>) {
    let mut file = header(LITTLE, ByteOrder::Little);
    let mut frames = Vec::new();
    for number in 0..9u8 {
        let frame = vec![number; 20 + usize::from(number)];
        let at = 1_800_000_000 + u32::from(number);
        file.extend(record(ByteOrder::Little, at, 7, &frame, 1514));
        frames.push((i128::from(at) * 1_000_000_000 + 7000, frame, 1514));
    }
    (file, frames)
}

#[test]
fn both_byte_orders_and_both_units_of_time_are_read() {
    for (magic, order, nanoseconds) in [
        (LITTLE, ByteOrder::Little, 7000),
        ([0xa1, 0xb2, 0xc3, 0xd4], ByteOrder::Big, 7000),
        ([0x4d, 0x3c, 0xb2, 0xa1], ByteOrder::Little, 7),
        ([0xa1, 0xb2, 0x3c, 0x4d], ByteOrder::Big, 7),
    ] {
        let mut file = header(magic, order);
        file.extend(record(order, 3, 7, b"abc", 9));
        let frames = vec![(3_000_000_000 + nanoseconds, b"abc".to_vec(), 9)];
        assert_eq!(read(&file, 64), Ok((frames, vec![])), "{magic:x?}");
    }
}

#[test]
fn a_truncated_file_is_read_as_far_as_possible() {
    let (file, mut frames) = sample();
    frames.pop();
    let (seen, faults) = read(&file[..file.len() - 1], 64).unwrap();
    assert_eq!(seen, frames);
    assert_eq!(faults, [CaptureFault::Cut { need: 44, have: 43 }]);
}

#[test]
fn reading_continues_after_a_damaged_record() {
    let (mut file, mut frames) = sample();
    let second = CaptureFile::HEAD + RECORD + 20;
    file[second + 8..second + 12].copy_from_slice(&[0xff; 4]);
    frames.remove(1);
    let expected = (frames, vec![CaptureFault::FrameLength(u32::MAX)]);
    assert_eq!(read(&file, 64), Ok(expected.clone()));
    // Missing bytes.
    file.drain(second..second + 9);
    let (seen, faults) = read(&file, 64).unwrap();
    assert_eq!((seen, faults.len()), (expected.0, 1));
}

#[test]
fn other_files_are_refused_with_their_first_bytes() {
    for (file, fault) in [
        (&b"GIF89a"[..], CaptureFault::Magic(0x4749_4638)),
        (b"", CaptureFault::Cut { need: 24, have: 0 }),
        (
            &[0xa1, 0xb2, 0xcd, 0x34, 0, 0, 0, 0],
            CaptureFault::ModifiedPcap,
        ),
        (&LITTLE, CaptureFault::Cut { need: 24, have: 4 }),
        (
            &header(LITTLE, ByteOrder::Big),
            CaptureFault::Version(0x200, 0x400),
        ),
    ] {
        assert_eq!(CaptureFile::start(file).map(|_| ()), Err(fault));
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_and_end(
        bytes in prop::collection::vec(any::<u8>(), 0..400), part in 1usize..100
    ) {
        let file = [header(LITTLE, ByteOrder::Little), bytes].concat();
        let _ = read(&file, part);
    }

    #[test]
    fn a_changed_byte_loses_nothing_before_it(
        at in CaptureFile::HEAD..400, byte: u8, part in 1usize..200
    ) {
        let (mut file, frames) = sample();
        prop_assume!(at < file.len());
        file[at] = byte;
        let mut end = CaptureFile::HEAD;
        let before = frames.iter().take_while(|it| {
            end += RECORD + it.1.len();
            end <= at
        });
        let before: Vec<ReadFrame> = before.cloned().collect();
        let (seen, _) = read(&file, part).unwrap();
        prop_assert!(seen.starts_with(&before));
    }
}
