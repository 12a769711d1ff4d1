//! A capture file of either format, which comes in portions.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pxectl::wire::capture_file::{CaptureFile, CaptureStep};

fuzz_target!(|input: (u8, &[u8])| {
    let (portion, file) = input;
    let portion = usize::from(portion) + 1;
    let head = &file[..file.len().min(CaptureFile::HEAD)];
    let Ok((mut reader, mut at)) = CaptureFile::start(head) else {
        return;
    };
    let mut want = portion;
    while at < file.len() {
        let end = (at + want).min(file.len());
        want = portion;
        match reader.step(&file[at..end], end == file.len()) {
            CaptureStep::Need(need) => {
                // It asks for more than it has, and never at the end.
                assert!(need > end - at && end < file.len());
                want = need;
            }
            CaptureStep::Passed(length)
            | CaptureStep::Missed(length, _)
            | CaptureStep::Damaged(length, _) => {
                at += length;
            }
            CaptureStep::Frame(length, frame) => {
                assert!(frame.bytes.len() <= length && frame.sent >= frame.bytes.len());
                assert!(frame.comments.count() <= length);
                at += length;
            }
        }
    }
});
