//! The log of the servers: a readable line or a JSON object for each event.

mod line;

use crate::clock::wall_time;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use line::{Level, LogLine, mask_texts};

/// Format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Readable text.
    Text {
        /// Whether the level determines the color.
        color: bool,
    },
    /// One JSON object per line.
    Json,
}

/// Limit of lines that wait for a slow or stopped reader.
const WAITING: usize = 4096;
/// Time for which the first line of a burst waits for the others. They are written together, so the
/// servers do not wake the writer thread for each line.
const GATHER: Duration = Duration::from_millis(5);

/// A log. Clones write to the same sink.
#[derive(Clone)]
pub struct Log {
    format: LogFormat,
    least: Level,
    sink: Arc<Sink>,
}

enum Sink {
    /// The calling thread writes.
    Direct(Mutex<Box<dyn Write + Send>>),
    /// A writer thread writes.
    Queued(Arc<LineQueue>),
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

/// Lines that wait for the writer thread.
#[derive(Default)]
struct LineQueue {
    waiting: Mutex<WaitingLines>,
    more: Condvar,
    idle: Condvar,
}

#[derive(Default)]
struct WaitingLines {
    /// The concatenated lines.
    text: String,
    lines: usize,
    dropped: u64,
    writing: bool,
    /// The writer thread sleeps.
    asleep: bool,
    closed: bool,
}

impl WaitingLines {
    fn is_empty(&self) -> bool {
        self.lines == 0 && self.dropped == 0
    }
}

impl LineQueue {
    fn lock(&self) -> MutexGuard<'_, WaitingLines> {
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

    /// Wakes the writer thread if it sleeps.
    fn wake(&self, mut waiting: MutexGuard<'_, WaitingLines>) {
        if std::mem::take(&mut waiting.asleep) {
            drop(waiting);
            self.more.notify_one();
        }
    }

    /// Waits for lines, and for a short time for more of them.
    fn wait_for_more(&self) -> MutexGuard<'_, WaitingLines> {
        let mut waiting = self.lock();
        if waiting.is_empty() && !waiting.closed {
            waiting.asleep = true;
            let asleep = |waiting: &mut WaitingLines| waiting.asleep;
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

    /// Writes lines as they arrive, until the last log is dropped and no line waits.
    fn drain(&self, mut sink: Box<dyn Write + Send>, format: LogFormat) {
        let mut batch = String::new();
        loop {
            let mut waiting = self.wait_for_more();
            if waiting.is_empty() {
                return;
            }
            batch.clear();
            std::mem::swap(&mut waiting.text, &mut batch);
            waiting.lines = 0;
            let dropped = std::mem::take(&mut waiting.dropped);
            if dropped > 0 {
                batch.push_str(&format.line(&dropped_lines(dropped)));
            }
            waiting.writing = true;
            drop(waiting);
            let _ = sink.write_all(batch.as_bytes()).and_then(|()| sink.flush());
            self.lock().writing = false;
            self.idle.notify_all();
        }
    }
}

/// Returns the line that counts dropped lines.
fn dropped_lines(dropped: u64) -> LogLine {
    let text = format!("dropped {dropped} log lines: the log reader is too slow");
    LogLine::new(Level::Warn, "serve", "log-dropped", text).fact("dropped", dropped)
}

impl LogFormat {
    fn line(self, line: &LogLine) -> String {
        let now = wall_time();
        match self {
            Self::Text { color } => line.to_text(now, color),
            Self::Json => line.to_json(now),
        }
    }
}

impl Log {
    /// Writes lines of level `least` and above to `sink` immediately, for a sink that never blocks.
    pub fn new(format: LogFormat, least: Level, sink: Box<dyn Write + Send>) -> Self {
        Self {
            format,
            least,
            sink: Arc::new(Sink::Direct(Mutex::new(sink))),
        }
    }

    /// Writes lines of level `least` and above to `sink` on a writer thread, so that a stopped reader
    /// does not stop the servers. Drops lines beyond a limit, and logs their number.
    pub fn queued(format: LogFormat, least: Level, sink: Box<dyn Write + Send>) -> Self {
        let queue = Arc::new(LineQueue::default());
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

    /// Reports whether lines are JSON objects.
    pub fn is_json(&self) -> bool {
        self.format == LogFormat::Json
    }

    /// Writes to standard error without waiting for it; in color on a terminal, unless `color`
    /// overrides that.
    pub fn stderr(json: bool, least: Level, color: Option<bool>) -> Self {
        let color = color.unwrap_or_else(|| std::io::stderr().is_terminal());
        let format = if json {
            LogFormat::Json
        } else {
            LogFormat::Text { color }
        };
        Self::queued(format, least, Box::new(std::io::stderr()))
    }

    /// Waits until all lines are written, but at most for `most`.
    pub fn flush(&self, most: Duration) {
        if let Sink::Queued(queue) = self.sink.as_ref() {
            let busy = |waiting: &mut WaitingLines| waiting.writing || !waiting.is_empty();
            drop(queue.idle.wait_timeout_while(queue.lock(), most, busy));
        }
    }

    /// Writes a whole line. Ignores errors of the sink, which must not stop the servers.
    pub fn write(&self, line: &LogLine) {
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
    pub fn event(
        &self,
        level: Level,
        service: &'static str,
        event: &'static str,
        message: impl Into<String>,
    ) {
        self.write(&LogLine::new(level, service, event, message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sink that accepts a line only when the test allows it.
    struct Slow {
        turns: std::sync::mpsc::Receiver<()>,
        seen: std::sync::mpsc::Sender<String>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.turns.recv();
            let _ = self.seen.send(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn stopped_reader_blocks_no_writer_and_learns_the_number_of_dropped_lines() {
        let (turn, turns) = std::sync::mpsc::channel();
        let (seen, lines) = std::sync::mpsc::channel();
        let format = LogFormat::Text { color: false };
        let log = Log::queued(format, Level::Info, Box::new(Slow { turns, seen }));
        let total = 3 * WAITING;
        for number in 0..total {
            log.event(Level::Info, "serve", "test", number.to_string());
        }
        log.flush(Duration::ZERO);
        // From here on the reader reads again.
        drop(turn);
        log.flush(Duration::from_secs(60));
        let written: String = lines.try_iter().collect();
        let lines: Vec<&str> = written.lines().collect();
        let dropped: Vec<usize> = lines
            .iter()
            .filter(|line| line.contains("log-dropped"))
            .map(|line| line.split_whitespace().nth(4).unwrap().parse().unwrap())
            .collect();
        assert!(!dropped.is_empty());
        let written = lines.len() - dropped.len();
        assert_eq!(written + dropped.iter().sum::<usize>(), total);
    }
}
