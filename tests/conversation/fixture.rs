use std::fs;
use std::path::{Path, PathBuf};

use pxectl::capture::{Capture, CaptureReader, Ended, Limits, Selection};
use pxectl::conversation::{Observer, Options};
use pxectl::serve::shutdown::Shutdown;

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
    found
}

/// Reads a capture file as `capture --read` does, without an inventory.
pub fn read(path: &Path) -> Ended {
    let shutdown = Shutdown::new().unwrap();
    let mut reader = CaptureReader::open(path, shutdown.clone()).unwrap();
    let observer = Observer::new(None, Options::default());
    let selection = Selection::default();
    let capture = Capture::new(observer, selection, Limits::default(), None, false);
    capture.run(&mut reader, &shutdown, &mut |_| {})
}
