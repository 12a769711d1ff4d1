use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::bundle::builder::{BuildProgress, BuildStep};
use crate::cli::output::Output;
use crate::machine::shown_line;

/// How often a line reports the progress of a long step, without a terminal.
const INTERVAL: Duration = Duration::from_secs(10);
/// One line for each step. A column has room for its widest value, `1023.99 KiB`: only the name is shortened.
const KNOWN: &str =
    "{wide_msg} {bar:14} {bytes:>11}/{total_bytes:<11} {bytes_per_sec:>13} {eta:>3}";
const UNKNOWN: &str = "{wide_msg} {spinner} {bytes:>11}";
/// The width of all columns but the name.
const BESIDE_NAME: usize = 57;
/// The line on a narrow terminal.
const NARROW: &str = "{wide_msg} {percent:>3}% {bytes_per_sec:>13} {eta:>3}";
const BESIDE_NARROW: usize = 23;
/// The minimum width of a name.
const NAME: usize = 14;
/// The width of a terminal that does not report it.
const WIDTH: usize = 80;

/// Shows the progress of a build: bars on a terminal, plain lines elsewhere.
pub struct BuildBars<'o> {
    output: &'o Output,
    bars: Option<MultiProgress>,
}

impl<'o> BuildBars<'o> {
    pub fn new(output: &'o Output) -> Self {
        let target = ProgressDrawTarget::stderr_with_hz(8);
        let bars = output
            .shows_progress()
            .then(|| MultiProgress::with_draw_target(target));
        Self { output, bars }
    }

    /// Prints above the bars.
    fn print_above(&self, print: impl FnOnce()) {
        match &self.bars {
            Some(bars) => bars.suspend(print),
            None => print(),
        }
    }
}

impl BuildProgress for BuildBars<'_> {
    fn begin(&self, what: &str) -> Box<dyn BuildStep + Send + '_> {
        let Some(bars) = &self.bars else {
            return Box::new(LineProgress::new(self.output, what));
        };
        let (known, room) = layout(width());
        // Another thread may draw the bar as soon as it is added, so it needs its style before.
        let bar = ProgressBar::no_length()
            .with_style(style(UNKNOWN))
            .with_message(shortened(&shown_line(what), room));
        let bar = bars.add(bar);
        Box::new(BarProgress(bar, known))
    }

    fn note(&self, text: &str) {
        self.print_above(|| self.output.note(text));
    }

    fn warn(&self, text: &str, help: &str) {
        self.print_above(|| self.output.warning(text, help));
    }
}

/// A bar, and its template for when its length is known.
struct BarProgress(ProgressBar, &'static str);

impl BuildStep for BarProgress {
    fn set_length(&self, bytes: u64) {
        self.0.set_length(bytes);
        self.0.set_style(style(self.1));
    }

    fn set_position(&self, bytes: u64) {
        self.0.set_position(bytes);
    }
}

impl Drop for BarProgress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Creates a bar for a step with a known length in bytes.
pub fn bar(what: &str, bytes: u64) -> ProgressBar {
    let (known, room) = layout(width());
    // Another thread may draw the bar as soon as it is added, so it needs its style before.
    ProgressBar::new(bytes)
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

/// Returns the template of a line, and the width of its name.
fn layout(width: usize) -> (&'static str, usize) {
    if width >= BESIDE_NAME + NAME {
        (KNOWN, width - BESIDE_NAME)
    } else {
        (NARROW, width.saturating_sub(BESIDE_NARROW).max(NAME))
    }
}

/// Shortens a URL or path to its last part. Of a long name, keeps the beginning and the end, because names
/// may differ in either.
fn shortened(what: &str, room: usize) -> String {
    let (prefix, location) = what.rsplit_once(' ').unwrap_or(("", what));
    let last_part = location
        .rsplit('/')
        .find(|part| !part.is_empty())
        .unwrap_or(location);
    let name = if prefix.is_empty() {
        last_part.to_owned()
    } else {
        format!("{prefix} {last_part}")
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

struct LineProgress<'o> {
    output: &'o Output,
    what: String,
    begun: Instant,
    last_line: Mutex<Instant>,
    done: AtomicU64,
    total: AtomicU64,
}

impl<'o> LineProgress<'o> {
    fn new(output: &'o Output, what: &str) -> Self {
        let begun = Instant::now();
        Self {
            output,
            what: what.to_owned(),
            begun,
            last_line: Mutex::new(begun),
            done: AtomicU64::new(0),
            total: AtomicU64::new(0),
        }
    }
}

impl BuildStep for LineProgress<'_> {
    fn set_length(&self, bytes: u64) {
        self.total.store(bytes, Ordering::Relaxed);
    }

    fn set_position(&self, bytes: u64) {
        self.done.store(bytes, Ordering::Relaxed);
        let Ok(mut last_line) = self.last_line.try_lock() else {
            return;
        };
        if last_line.elapsed() < INTERVAL {
            return;
        }
        *last_line = Instant::now();
        let of = match self.total.load(Ordering::Relaxed) {
            0 => String::new(),
            total => format!(" of {}", HumanBytes(total)),
        };
        self.output
            .note(&format!("{}: {}{of}", self.what, HumanBytes(bytes)));
    }
}

impl Drop for LineProgress<'_> {
    fn drop(&mut self) {
        let done = self.done.load(Ordering::Relaxed);
        if done == 0 {
            return;
        }
        // A step that broke off shows its total too.
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
    fn shortened_names_stay_different() {
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
