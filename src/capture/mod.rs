//! Captures frames from an interface, or reads a capture file, and reports what the frames show.
//!
//! Frames come from a [`FrameSource`]: a [`CaptureReader`] or a [`LiveCapture`]. A [`Capture`] processes
//! them: it reassembles fragments, leaves out packets that are not selected, passes the rest to an
//! [`Observer`](crate::conversation::Observer), and writes them to a file if requested.

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

/// A source of frames.
pub trait FrameSource {
    /// Delivers the available frames, or waits a moment if there are none. After a stop, it soon returns
    /// [`SourceStatus::End`].
    ///
    /// # Errors
    /// When the source fails before its end.
    fn pump(&mut self, sink: &mut dyn FrameSink) -> Result<SourceStatus, CaptureError>;

    /// Stops the source: it still delivers the frames that have arrived already.
    fn stop(&mut self) {}

    /// Returns how many frames the system has dropped, if it counts them.
    fn dropped(&mut self) -> Option<u64> {
        None
    }
}

/// A receiver of frames.
pub trait FrameSink {
    /// Receives a frame, and the name of its interface. Returns whether to continue.
    fn frame(&mut self, frame: &CapturedFrame<'_>, interface: Option<&str>) -> ControlFlow<()>;

    /// Receives the number of frames that the capturing machine missed.
    fn missed(&mut self, count: u64);

    /// Receives an error in the source.
    fn fault(&mut self, what: String);
}

/// The status of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceStatus {
    /// More frames may follow.
    More,
    /// No frame has arrived for a moment, and all earlier ones are delivered.
    Silence,
    /// No more frames follow.
    End,
}
