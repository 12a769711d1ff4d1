//! Watches a wire, or reads what somebody else has captured, and tells what it saw.
//!
//! Frames come from a [`FrameSource`]: a [`CaptureReader`] or a [`LiveCapture`]. A [`Capture`] takes them:
//! it puts fragments together, leaves out what was not asked for, shows the rest to an
//! [`Observer`](crate::conversation::Observer), and writes it down where that is wanted.

mod drive;
mod error;
mod live;
mod mask;
mod reader;
mod select;
mod stream;
mod writer;

pub use drive::{Capture, CaptureOutcome, Counts, Limits};
pub use error::CaptureError;
pub use live::{LiveCapture, LiveOptions, STANDARD_HTTP_PORTS};
pub use reader::CaptureReader;
pub use select::Selection;
pub use writer::{CaptureWriter, Destination};

use std::ops::ControlFlow;

use crate::wire::capture_file::CapturedFrame;

/// Where frames come from.
pub trait FrameSource {
    /// Hands over the frames that are there, and waits a moment where there are none. Once somebody
    /// wants an end, it soon says that it has come.
    ///
    /// # Errors
    /// When no more can come, for another reason than that it has ended.
    fn pump(&mut self, sink: &mut dyn FrameSink) -> anyhow::Result<SourceStatus>;

    /// Wants an end: no more is waited for, and what has come already is still handed over.
    fn stop(&mut self) {}

    /// Returns how many frames the system has dropped, where it counts them.
    fn dropped(&mut self) -> Option<u64> {
        None
    }
}

/// What takes frames.
pub trait FrameSink {
    /// Takes a frame, and the name of the interface that saw it; says whether it wants more.
    fn frame(&mut self, frame: &CapturedFrame<'_>, interface: Option<&str>) -> ControlFlow<()>;

    /// Learns of frames that are not there, since the machine that captured was too slow.
    fn missed(&mut self, count: u64);

    /// Learns that something is wrong where the frames come from.
    fn fault(&mut self, what: String);
}

/// What a source can do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceStatus {
    /// More, as far as it knows.
    More,
    /// Nothing for a moment: all that came before it was handed over.
    Silence,
    /// Nothing more, ever.
    End,
}
