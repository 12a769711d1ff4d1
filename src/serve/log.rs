//! The one place where servers speak: a readable line for each event, or a JSON object a line.

mod line;

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

pub use line::{Level, Line, mask_texts};

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text {
        /// Whether to color by level.
        color: bool,
    },
    /// One JSON object a line.
    Json,
}

/// How many lines may wait for a reader that is slow or has stopped.
const WAITING: usize = 4096;
/// How long the first of a burst of lines waits for the others: they are written together, and the
/// servers need not wake the thread that writes for each.
const GATHER: Duration = Duration::from_millis(5);

/// Where lines go. Clones write to the same place.
#[derive(Clone)]
pub struct Log {
    format: LogFormat,
    least: Level,
    sink: Arc<Sink>,
}

enum Sink {
    /// Written by whoever says something.
    Direct(Mutex<Box<dyn Write + Send>>),
    /// Written by a thread of its own.
    Queued(Arc<Queue>),
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Self::Queued(queue) = self {
            let mut waiting = queue.lock();
            waiting.closed = true;
            queue.wake(waiting);
        }
    }
}

/// Lines on their way to the thread that writes them.
#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    more: Condvar,
    idle: Condvar,
}

#[derive(Default)]
struct Waiting {
    /// The lines, one after the other.
    text: String,
    lines: usize,
    dropped: u64,
    writing: bool,
    /// The thread that writes waits to be woken.
    asleep: bool,
    closed: bool,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.lines == 0 && self.dropped == 0
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &str) {
        let mut waiting = self.lock();
        if waiting.lines < WAITING {
            waiting.text.push_str(line);
            waiting.lines += 1;
        } else {
            waiting.dropped += 1;
        }
        self.wake(waiting);
    }

    /// Wakes the thread that writes, where it sleeps.
    fn wake(&self, mut waiting: MutexGuard<'_, Waiting>) {
        if std::mem::take(&mut waiting.asleep) {
            drop(waiting);
            self.more.notify_one();
        }
    }

    /// Waits for lines, and a little for those that follow.
    fn wait_for_more(&self) -> MutexGuard<'_, Waiting> {
        let mut waiting = self.lock();
        if waiting.is_empty() && !waiting.closed {
            waiting.asleep = true;
            let asleep = |waiting: &mut Waiting| waiting.asleep;
            waiting = self
                .more
                .wait_while(waiting, asleep)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if waiting.closed || waiting.lines > WAITING / 2 {
            return waiting;
        }
        drop(waiting);
        std::thread::sleep(GATHER);
        self.lock()
    }

    /// Writes lines as they come, until the last log is gone and nothing waits.
    fn drain(&self, mut sink: Box<dyn Write + Send>, format: LogFormat) {
        let mut together = String::new();
        loop {
            let mut waiting = self.wait_for_more();
            if waiting.is_empty() {
                return;
            }
            together.clear();
            std::mem::swap(&mut waiting.text, &mut together);
            waiting.lines = 0;
            match std::mem::take(&mut waiting.dropped) {
                0 => {}
                dropped => together.push_str(&format.line(&lost(dropped))),
            }
            waiting.writing = true;
            drop(waiting);
            let _ = sink
                .write_all(together.as_bytes())
                .and_then(|()| sink.flush());
            self.lock().writing = false;
            self.idle.notify_all();
        }
    }
}

/// Says how many lines were not written.
fn lost(dropped: u64) -> Line {
    let text = format!("{dropped} lines were dropped: whoever reads this log is too slow");
    Line::new(Level::Warn, "serve", "log-dropped", text).fact("dropped", dropped)
}

impl LogFormat {
    fn line(self, line: &Line) -> String {
        let now = Timestamp::now();
        match self {
            Self::Text { color } => line.to_text(now, color),
            Self::Json => line.to_json(now),
        }
    }
}

impl Log {
    /// Writes lines of at least `least` to `sink`, at once: for a sink that never waits.
    pub fn new(format: LogFormat, least: Level, sink: Box<dyn Write + Send>) -> Self {
        Self {
            format,
            least,
            sink: Arc::new(Sink::Direct(Mutex::new(sink))),
        }
    }

    /// Writes lines of at least `least` to `sink` on a thread of its own: a reader that stops does
    /// not stop the servers. Lines beyond a bound are dropped, and counted in the log.
    pub fn queued(format: LogFormat, least: Level, sink: Box<dyn Write + Send>) -> Self {
        let queue = Arc::new(Queue::default());
        std::thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.drain(sink, format)
        });
        Self {
            format,
            least,
            sink: Arc::new(Sink::Queued(queue)),
        }
    }

    /// Reports whether programs read it.
    pub fn is_json(&self) -> bool {
        self.format == LogFormat::Json
    }

    /// Writes to standard error, in color on a terminal unless told otherwise; never waits for it.
    pub fn stderr(json: bool, least: Level, color: Option<bool>) -> Self {
        let color = color.unwrap_or_else(|| std::io::stderr().is_terminal());
        let format = if json {
            LogFormat::Json
        } else {
            LogFormat::Text { color }
        };
        Self::queued(format, least, Box::new(std::io::stderr()))
    }

    /// Waits until everything that was said is written, but no longer than `most`.
    pub fn flush(&self, most: Duration) {
        if let Sink::Queued(queue) = self.sink.as_ref() {
            let busy = |waiting: &mut Waiting| waiting.writing || !waiting.is_empty();
            drop(queue.idle.wait_timeout_while(queue.lock(), most, busy));
        }
    }

    /// Writes a line, whole. A sink that is gone is no reason to stop serving.
    pub fn write(&self, line: &Line) {
        if line.level < self.least {
            return;
        }
        let text = self.format.line(line);
        match self.sink.as_ref() {
            Sink::Queued(queue) => queue.push(&text),
            Sink::Direct(sink) => {
                let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = sink.write_all(text.as_bytes()).and_then(|()| sink.flush());
            }
        }
    }

    /// Writes a line that is about no machine.
    pub fn say(
        &self,
        level: Level,
        service: &'static str,
        event: &'static str,
        message: impl Into<String>,
    ) {
        self.write(&Line::new(level, service, event, message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a line only when the test lets it.
    struct Slow {
        turns: std::sync::mpsc::Receiver<()>,
        seen: std::sync::mpsc::Sender<String>,
    }

    impl Write for Slow {
        fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
            let _ = self.turns.recv();
            let _ = self.seen.send(String::from_utf8_lossy(octets).into_owned());
            Ok(octets.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_stops_holds_nobody_up_and_learns_what_it_missed() {
        let (turn, turns) = std::sync::mpsc::channel();
        let (seen, lines) = std::sync::mpsc::channel();
        let format = LogFormat::Text { color: false };
        let log = Log::queued(format, Level::Info, Box::new(Slow { turns, seen }));
        let said = 3 * WAITING;
        for number in 0..said {
            log.say(Level::Info, "serve", "test", number.to_string());
        }
        log.flush(Duration::ZERO);
        // From here on it reads again.
        drop(turn);
        log.flush(Duration::from_secs(60));
        let written: String = lines.try_iter().collect();
        let lines: Vec<&str> = written.lines().collect();
        let lost: Vec<usize> = lines
            .iter()
            .filter(|line| line.contains("log-dropped"))
            .map(|line| line.split_whitespace().nth(3).unwrap().parse().unwrap())
            .collect();
        assert!(!lost.is_empty());
        assert_eq!(lines.len() - lost.len() + lost.iter().sum::<usize>(), said);
    }
}
