use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::bundle::builder::{Progress, Step};
use crate::cli::output::Output;
use crate::machine::shown_line;

/// How often a line says how far a long part is, where nobody watches a bar.
const INTERVAL: Duration = Duration::from_secs(10);
/// One line each, whose columns stand one below the other; only the name gives way.
const KNOWN: &str =
    "{wide_msg} {bar:16} {bytes:>10}/{total_bytes:<10} {bytes_per_sec:>12} {eta:>3}";
const UNKNOWN: &str = "{wide_msg} {spinner} {bytes:>10}";
/// How many columns all but the name take.
const BESIDE_NAME: usize = 57;
/// The same where a terminal has no room for that.
const NARROW: &str = "{wide_msg} {percent:>3}% {bytes_per_sec:>12} {eta:>3}";
const BESIDE_NARROW: usize = 22;
/// The fewest columns that a name needs.
const NAME: usize = 14;
/// Where a terminal does not say how wide it is.
const WIDTH: usize = 80;

/// Shows how a long work goes: bars on a terminal, plain lines elsewhere.
pub struct Shown<'o> {
    output: &'o Output,
    bars: Option<MultiProgress>,
}

impl<'o> Shown<'o> {
    pub fn new(output: &'o Output) -> Self {
        let target = ProgressDrawTarget::stderr_with_hz(8);
        let bars = output
            .shows_progress()
            .then(|| MultiProgress::with_draw_target(target));
        Self { output, bars }
    }

    /// Prints between the bars.
    fn between(&self, print: impl FnOnce()) {
        match &self.bars {
            Some(bars) => bars.suspend(print),
            None => print(),
        }
    }
}

impl Progress for Shown<'_> {
    fn begin(&self, what: &str) -> Box<dyn Step + Send + '_> {
        let Some(bars) = &self.bars else {
            return Box::new(Lines::new(self.output, what));
        };
        let (known, room) = layout(width());
        // It must look as it shall before another thread draws it along with its own.
        let bar = ProgressBar::no_length()
            .with_style(style(UNKNOWN))
            .with_message(shortened(&shown_line(what), room));
        let bar = bars.add(bar);
        Box::new(Bar(bar, known))
    }

    fn note(&self, text: &str) {
        self.between(|| self.output.note(text));
    }

    fn warn(&self, text: &str, help: &str) {
        self.between(|| self.output.warning(text, help));
    }
}

/// A bar, and how it looks once its length is known.
struct Bar(ProgressBar, &'static str);

impl Step for Bar {
    fn total(&self, octets: u64) {
        self.0.set_length(octets);
        self.0.set_style(style(self.1));
    }

    fn at(&self, octets: u64) {
        self.0.set_position(octets);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Makes a bar of one line, for something whose length in octets is known.
pub fn bar(what: &str, octets: u64) -> ProgressBar {
    let (known, room) = layout(width());
    // It must look as it shall before another thread draws it along with its own.
    ProgressBar::new(octets)
        .with_style(style(known))
        .with_message(shortened(&shown_line(what), room))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Returns how many columns the terminal has.
fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stderr());
    match size.map_or(0, |size| usize::from(size.ws_col)) {
        0 => WIDTH,
        columns => columns,
    }
}

/// Returns how a line looks, and the columns that it has for the name.
fn layout(width: usize) -> (&'static str, usize) {
    if width >= BESIDE_NAME + NAME {
        (KNOWN, width - BESIDE_NAME)
    } else {
        (NARROW, width.saturating_sub(BESIDE_NARROW).max(NAME))
    }
}

/// Shows the last part of where something lies; of a long one the beginning and the end, since either
/// may be what tells it from others.
fn shortened(what: &str, room: usize) -> String {
    let (before, place) = what.rsplit_once(' ').unwrap_or(("", what));
    let name = place.rsplit('/').find(|part| !part.is_empty());
    let name = name.unwrap_or(place);
    let name = match before {
        "" => name.to_owned(),
        before => format!("{before} {name}"),
    };
    let count = name.chars().count();
    if count <= room {
        return name;
    }
    let end = (room - 1) * 2 / 3;
    let beginning: String = name.chars().take(room - 1 - end).collect();
    let end: String = name.chars().skip(count - end).collect();
    format!("{beginning}…{end}")
}

struct Lines<'o> {
    output: &'o Output,
    what: String,
    begun: Instant,
    said: Mutex<Instant>,
    done: AtomicU64,
    total: AtomicU64,
}

impl<'o> Lines<'o> {
    fn new(output: &'o Output, what: &str) -> Self {
        let begun = Instant::now();
        Self {
            output,
            what: what.to_owned(),
            begun,
            said: Mutex::new(begun),
            done: AtomicU64::new(0),
            total: AtomicU64::new(0),
        }
    }
}

impl Step for Lines<'_> {
    fn total(&self, octets: u64) {
        self.total.store(octets, Ordering::Relaxed);
    }

    fn at(&self, octets: u64) {
        self.done.store(octets, Ordering::Relaxed);
        let Ok(mut said) = self.said.try_lock() else {
            return;
        };
        if said.elapsed() < INTERVAL {
            return;
        }
        *said = Instant::now();
        let of = match self.total.load(Ordering::Relaxed) {
            0 => String::new(),
            total => format!(" of {}", HumanBytes(total)),
        };
        self.output
            .note(&format!("{}: {}{of}", self.what, HumanBytes(octets)));
    }
}

impl Drop for Lines<'_> {
    fn drop(&mut self) {
        let done = self.done.load(Ordering::Relaxed);
        if done == 0 {
            return;
        }
        // What broke off is not told as if it had come whole.
        let of = match self.total.load(Ordering::Relaxed) {
            total if total > done => format!(" of {}", HumanBytes(total)),
            _ => String::new(),
        };
        let (done, time) = (HumanBytes(done), self.begun.elapsed().as_secs_f32());
        self.output
            .note(&format!("{}: {done}{of} in {time:.1} s", self.what));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_in_little_room() {
        for (what, room, shown) in [
            ("https://a.example/b/linux", 20, "linux"),
            ("https://a.example/b/", 20, "b"),
            ("files of https://a/live.iso", 20, "files of live.iso"),
            (
                "http://a/coreos-42.1-live-kernel.img",
                20,
                "coreos-…e-kernel.img",
            ),
            (
                "http://a/coreos-42.1-live-rootfs.img",
                20,
                "coreos-…e-rootfs.img",
            ),
            ("", 8, ""),
        ] {
            assert_eq!(shortened(&shown_line(what), room), shown);
            assert!(shortened(&shown_line(what), room).chars().count() <= room);
        }
    }
}
