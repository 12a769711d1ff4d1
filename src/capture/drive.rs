use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{CaptureError, CaptureWriter, FrameSink, FrameSource, Selection, SourceStatus};
use crate::clock::wall_time;
use crate::conversation::{Observer, Report, TimelineLine};
use crate::wire::capture_file::CapturedFrame;
use crate::wire::fragments::Fragments;
use crate::wire::packet::{Ipv4Datagram, Packet, PacketError};

/// The most errors of a file that are kept as text.
const MOST_FAULTS: usize = 20;
/// The most kinds of malformed frames that are kept as text.
const MOST_KINDS: usize = 20;

/// The limits that end a capture.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// The number of packets.
    pub count: Option<u64>,
    /// The duration: by the clock for a live capture, else by the times of the frames.
    pub duration: Option<Duration>,
}

/// The counters of a capture, in addition to those of the report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Frames that arrived.
    pub frames: u64,
    /// The captured bytes of these frames.
    pub bytes: u64,
    /// Selected packets.
    pub packets: u64,
    /// Frames that are not selected.
    pub left_out: u64,
    /// Fragments of datagrams.
    pub fragments: u64,
    /// Datagrams with missing or contradictory fragments.
    pub fragments_lost: u64,
    /// Malformed frames.
    pub malformed: u64,
    /// The reasons, and the number of frames for each.
    pub malformed_reasons: BTreeMap<String, u64>,
    /// Frames that the system dropped, if it counts them.
    pub dropped: Option<u64>,
    /// Frames that the capturing machine missed, according to the file.
    pub missed: u64,
    /// The errors of the file.
    pub faults: Vec<String>,
    /// Errors without room in the list.
    pub faults_left_out: u64,
}

/// The outcome of a capture.
#[derive(Debug)]
pub struct CaptureOutcome {
    /// The report.
    pub report: Report,
    /// The counters.
    pub counts: Counts,
    /// The error that ended the capture early, if any; the report covers the time before it.
    pub error: Option<CaptureError>,
}

/// Processes frames: selects, observes and writes them.
pub struct Capture<'i, 't> {
    on_line: &'t mut dyn FnMut(TimelineLine),
    observer: Observer<'i>,
    selection: Selection,
    limits: Limits,
    writer: Option<CaptureWriter>,
    fragments: Fragments,
    counts: Counts,
    first: Option<Timestamp>,
    last: Timestamp,
    is_live: bool,
    error: Option<CaptureError>,
}

impl<'i, 't> Capture<'i, 't> {
    /// Creates a capture. `on_line` receives each timeline line as it happens.
    pub fn new(
        observer: Observer<'i>,
        selection: Selection,
        limits: Limits,
        writer: Option<CaptureWriter>,
        is_live: bool,
        on_line: &'t mut dyn FnMut(TimelineLine),
    ) -> Self {
        Self {
            on_line,
            observer,
            selection,
            limits,
            writer,
            fragments: Fragments::default(),
            counts: Counts::default(),
            first: None,
            last: Timestamp::UNIX_EPOCH,
            is_live,
            error: None,
        }
    }

    /// Processes frames until the source ends or a limit is reached.
    pub fn run(mut self, source: &mut dyn FrameSource) -> CaptureOutcome {
        let start = Instant::now();
        loop {
            let pumped = source.pump(&mut self);
            let flushed = match &mut self.writer {
                Some(writer) => writer.flush(),
                None => Ok(()),
            };
            let is_over = match pumped {
                Ok(pumped) => {
                    self.tick(pumped);
                    pumped == SourceStatus::End
                }
                Err(error) => {
                    self.error.get_or_insert(error);
                    true
                }
            };
            if let Err(error) = flushed {
                self.error.get_or_insert(error);
            }
            let limit = self.limits.duration.filter(|_| self.is_live);
            if limit.is_some_and(|limit| start.elapsed() >= limit) {
                source.stop();
            }
            if is_over || self.error.is_some() {
                break;
            }
        }
        self.end(source)
    }

    /// Advances the observer's clock in a live capture, even if no selected packet arrives.
    fn tick(&mut self, pumped: SourceStatus) {
        if !self.is_live {
            return;
        }
        let at = match pumped {
            SourceStatus::Silence => wall_time(),
            // Frames that are not delivered yet may be older than the clock.
            SourceStatus::More | SourceStatus::End => self.last,
        };
        self.observer.tick(at);
        self.observer.drain().for_each(&mut self.on_line);
    }

    fn end(mut self, source: &mut dyn FrameSource) -> CaptureOutcome {
        self.counts.dropped = source.dropped();
        self.counts.fragments_lost = self.fragments.finish().total();
        let at = if self.is_live { wall_time() } else { self.last };
        if let Some(writer) = &mut self.writer {
            let dropped = self.counts.dropped.unwrap_or(0) + self.counts.missed;
            if let Err(error) = writer.finish(at, self.counts.frames, dropped) {
                self.error.get_or_insert(error);
            }
        }
        CaptureOutcome {
            report: self.observer.finish(at),
            counts: self.counts,
            error: self.error,
        }
    }

    /// Passes a selected packet to the observer. Returns its comment, or `None` if it is not selected.
    fn packet(&mut self, at: Timestamp, packet: &Packet<'_>) -> Option<Option<String>> {
        if !self.selection.selects(packet) {
            return None;
        }
        self.counts.packets += 1;
        let note = self.observer.observe(at, self.counts.frames, packet);
        self.observer.drain().for_each(&mut self.on_line);
        Some(note)
    }

    /// Processes a frame. Returns its comment, or `None` if it is not selected.
    fn keep(&mut self, frame: &CapturedFrame<'_>) -> Option<Option<String>> {
        let datagram = match Ipv4Datagram::parse(frame.link, frame.bytes) {
            Ok(datagram) => datagram,
            Err(error) => return self.unread(error, frame),
        };
        if datagram.is_fragment() {
            self.counts.fragments += 1;
            if !self.selection.may_select(&datagram) {
                return None;
            }
            let Some(whole) = self.fragments.take(frame.at, &datagram) else {
                return self.selection.selects_fragment(&datagram).then_some(None);
            };
            let datagram = whole.datagram();
            return match datagram.packet() {
                Ok(packet) => {
                    let packet = Packet {
                        fragmented: true,
                        ..packet
                    };
                    self.packet(frame.at, &packet)
                }
                Err(error) => self.unread(error, frame),
            };
        }
        match datagram.packet() {
            Ok(packet) => self.packet(frame.at, &packet),
            Err(error) => self.unread(error, frame),
        }
    }

    fn unread(&mut self, error: PacketError, frame: &CapturedFrame<'_>) -> Option<Option<String>> {
        let is_cut = frame.bytes.len() < frame.sent;
        if error.is_malformed() && !is_cut || matches!(error, PacketError::LinkType(_)) {
            self.counts.malformed += 1;
            let reason = error.to_string();
            let reasons = &mut self.counts.malformed_reasons;
            if reasons.contains_key(&reason) || reasons.len() < MOST_KINDS {
                *reasons.entry(reason).or_default() += 1;
            }
        }
        self.selection.selects_others().then_some(None)
    }
}

impl FrameSink for Capture<'_, '_> {
    fn frame(&mut self, frame: &CapturedFrame<'_>, interface: Option<&str>) -> ControlFlow<()> {
        self.counts.frames += 1;
        self.counts.bytes += frame.bytes.len() as u64;
        let first = *self.first.get_or_insert(frame.at);
        if !self.is_live
            && let Some(duration) = self.limits.duration
            && frame.at.duration_since(first)
                > SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
        {
            self.counts.frames -= 1;
            return ControlFlow::Break(());
        }
        self.last = self.last.max(frame.at);
        let kept = if self.selection.selects_time(frame.at) {
            self.keep(frame)
        } else {
            None
        };
        match kept {
            None => self.counts.left_out += 1,
            Some(note) => {
                if let Some(writer) = &mut self.writer
                    && let Err(error) = writer.frame(frame, interface, note.as_deref())
                {
                    self.error.get_or_insert(error);
                    return ControlFlow::Break(());
                }
            }
        }
        match self.limits.count {
            Some(count) if self.counts.packets >= count => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }

    fn missed(&mut self, count: u64) {
        self.counts.missed = self.counts.missed.saturating_add(count);
    }

    fn fault(&mut self, what: String) {
        if self.counts.faults.len() == MOST_FAULTS {
            self.counts.faults_left_out += 1;
            return;
        }
        let place = match self.counts.frames {
            0 => "before the first packet".to_owned(),
            count => format!("after packet {count}"),
        };
        self.counts.faults.push(format!("{place}: {what}"));
    }
}
