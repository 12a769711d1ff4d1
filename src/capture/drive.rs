use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{CaptureWriter, FrameSink, FrameSource, Selection, SourceStatus};
use crate::conversation::{Observer, Report, TimelineLine};
use crate::wire::capture_file::CapturedFrame;
use crate::wire::fragments::Fragments;
use crate::wire::packet::{Ipv4Datagram, Packet, PacketError};

/// How many faults of a file are kept in words.
const MOST_FAULTS: usize = 20;
/// How many kinds of broken frames are kept in words.
const MOST_KINDS: usize = 20;

/// When a capture ends by itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// After so many packets.
    pub count: Option<u64>,
    /// After so long: by the clock where it is live, else by the times of the frames.
    pub duration: Option<Duration>,
}

/// What was counted besides what is in the report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Frames that came in.
    pub frames: u64,
    /// Their bytes, as far as they were captured.
    pub bytes: u64,
    /// Packets that were asked for.
    pub packets: u64,
    /// Frames that hold something else, or belong to others.
    pub left_out: u64,
    /// Fragments of datagrams.
    pub fragments: u64,
    /// Datagrams of which fragments are missing or contradict each other.
    pub fragments_lost: u64,
    /// Frames that could not be read.
    pub malformed: u64,
    /// Why they could not, and how many of each.
    pub malformed_reasons: BTreeMap<String, u64>,
    /// Frames that the system dropped, where it counts them.
    pub dropped: Option<u64>,
    /// Frames that the machine missed that made the file, as the file says.
    pub missed: u64,
    /// What is wrong with the file.
    pub faults: Vec<String>,
    /// Faults that found no room.
    pub faults_left_out: u64,
}

/// All that came of a capture.
#[derive(Debug)]
pub struct CaptureOutcome {
    /// What was seen.
    pub report: Report,
    /// What was counted.
    pub counts: Counts,
    /// Why it ended too early; what was seen until then is there.
    pub error: Option<anyhow::Error>,
}

/// Takes frames to where they belong.
pub struct Capture<'i, 't> {
    tell: &'t mut dyn FnMut(TimelineLine),
    observer: Observer<'i>,
    selection: Selection,
    limits: Limits,
    writer: Option<CaptureWriter>,
    fragments: Fragments,
    counts: Counts,
    first: Option<Timestamp>,
    last: Timestamp,
    is_live: bool,
    error: Option<anyhow::Error>,
}

impl<'i, 't> Capture<'i, 't> {
    /// Begins with nothing seen; `tell` is given the lines of the timelines as they happen.
    pub fn new(
        observer: Observer<'i>,
        selection: Selection,
        limits: Limits,
        writer: Option<CaptureWriter>,
        is_live: bool,
        tell: &'t mut dyn FnMut(TimelineLine),
    ) -> Self {
        Self {
            tell,
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

    /// Takes frames until they end or a limit is reached.
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

    /// Lets the observer see that time passes on a live wire, also where nothing comes that is wanted.
    fn tick(&mut self, pumped: SourceStatus) {
        if !self.is_live {
            return;
        }
        let at = match pumped {
            SourceStatus::Silence => Timestamp::now(),
            // What waits to be handed over may be older than the clock says.
            SourceStatus::More | SourceStatus::End => self.last,
        };
        self.observer.tick(at);
        self.observer.drain().for_each(&mut self.tell);
    }

    fn end(mut self, source: &mut dyn FrameSource) -> CaptureOutcome {
        self.counts.dropped = source.dropped();
        self.counts.fragments_lost = self.fragments.finish().total();
        let at = if self.is_live {
            Timestamp::now()
        } else {
            self.last
        };
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

    /// Shows a packet to the observer, if it is wanted; returns what there is to say of it.
    fn packet(&mut self, at: Timestamp, packet: &Packet<'_>) -> Option<Option<String>> {
        if !self.selection.wants(packet) {
            return None;
        }
        self.counts.packets += 1;
        let note = self.observer.observe(at, self.counts.frames, packet);
        self.observer.drain().for_each(&mut self.tell);
        Some(note)
    }

    /// Does with a frame whatever is to be done; returns the comment on it where it is kept.
    fn keep(&mut self, frame: &CapturedFrame<'_>) -> Option<Option<String>> {
        let datagram = match Ipv4Datagram::parse(frame.link, frame.bytes) {
            Ok(datagram) => datagram,
            Err(error) => return self.unread(error, frame),
        };
        if datagram.is_fragment() {
            self.counts.fragments += 1;
            if !self.selection.may_want(&datagram) {
                return None;
            }
            let Some(whole) = self.fragments.take(frame.at, &datagram) else {
                return self.selection.wants_fragment(&datagram).then_some(None);
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
        self.selection.wants_others().then_some(None)
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
        let kept = match self.selection.wants_time(frame.at) {
            true => self.keep(frame),
            false => None,
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
