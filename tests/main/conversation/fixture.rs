use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use pxectl::capture::{
    Capture, CaptureOutcome, CaptureReader, FrameSink, FrameSource, Limits, Selection, SourceStatus,
};
use pxectl::conversation::{Observer, Options};
use pxectl::shutdown::Shutdown;
use pxectl::wire::capture_file::CapturedFrame;

/// The name of the capture in a fixture's directory.
pub const CAPTURE: &str = "capture.pcapng.gz";

/// Lists the directories below `fixtures/packets/` that hold a capture.
pub fn all() -> Vec<PathBuf> {
    let packets = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/packets");
    let mut found: Vec<PathBuf> = fs::read_dir(packets)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join(CAPTURE).exists())
        .collect();
    found.sort();
    assert!(found.len() >= 8, "{found:?}");
    found
}

/// Reads a capture file like `capture --read`, without an inventory.
pub fn observed(path: &Path) -> CaptureOutcome {
    let shutdown = Shutdown::new().unwrap();
    let mut reader = CaptureReader::open(path, shutdown).unwrap();
    let observer = Observer::new(None, Options::default());
    let selection = Selection::default();
    let (limits, mut on_line) = (Limits::default(), |_| {});
    let capture = Capture::new(observer, selection, limits, None, false, &mut on_line);
    capture.run(&mut reader)
}

/// Reads the frames of a capture file.
pub fn frames(path: &Path) -> Vec<Vec<u8>> {
    #[derive(Default)]
    struct Frames(Vec<Vec<u8>>);

    impl FrameSink for Frames {
        fn frame(&mut self, frame: &CapturedFrame<'_>, _: Option<&str>) -> ControlFlow<()> {
            self.0.push(frame.bytes.to_vec());
            ControlFlow::Continue(())
        }

        fn missed(&mut self, count: u64) {
            panic!("{count} frames are missing");
        }

        fn fault(&mut self, what: String) {
            panic!("{what}");
        }
    }

    let mut frames = Frames::default();
    let mut reader = CaptureReader::open(path, Shutdown::new().unwrap()).unwrap();
    while reader.pump(&mut frames).unwrap() != SourceStatus::End {}
    frames.0
}
