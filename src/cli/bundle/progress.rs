use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::bundle::build::{Progress, Step};
use crate::cli::output::Output;

/// How often a line says how far a long part is, where nobody watches a bar.
const INTERVAL: Duration = Duration::from_secs(10);
const KNOWN: &str = "{msg} {bar:24} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
const UNKNOWN: &str = "{msg} {spinner} {bytes} {bytes_per_sec}";

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
        let bar = bars.add(ProgressBar::no_length());
        bar.set_style(style(UNKNOWN));
        bar.set_message(shortened(what));
        Box::new(Bar(bar))
    }

    fn note(&self, text: &str) {
        self.between(|| self.output.note(text));
    }

    fn warn(&self, text: &str, help: &str) {
        self.between(|| self.output.warning(text, help));
    }
}

struct Bar(ProgressBar);

impl Step for Bar {
    fn total(&self, octets: u64) {
        self.0.set_style(style(KNOWN));
        self.0.set_length(octets);
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

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Keeps the end of a long name: it says more than the beginning.
fn shortened(what: &str) -> String {
    let count = what.chars().count();
    if count <= 40 {
        return what.to_owned();
    }
    format!("…{}", what.chars().skip(count - 39).collect::<String>())
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
        let done = HumanBytes(self.done.load(Ordering::Relaxed));
        let time = self.begun.elapsed().as_secs_f32();
        self.output
            .note(&format!("{}: {done} in {time:.1} s", self.what));
    }
}
