use std::io::Read;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// The serial console of a running machine, read as it prints.
///
/// The text comes without NULs, carriage returns and escape sequences. Each wait goes on after
/// what the wait before it found, so a row of waits also proves an order.
pub struct Console {
    pieces: Receiver<Vec<u8>>,
    powered_on: Instant,
    filter: Filter,
    text: String,
    read: usize,
}

impl Console {
    /// Reads the console from `source` on a thread of its own, until its end.
    pub fn new(mut source: impl Read + Send + 'static) -> Self {
        let (sender, pieces) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = source.read(&mut buffer) {
                if sender.send(buffer[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self {
            pieces,
            powered_on: Instant::now(),
            filter: Filter::Text,
            text: String::new(),
            read: 0,
        }
    }

    /// Waits until the machine prints `text`.
    ///
    /// # Panics
    /// When `within` has passed or the machine has ended, with the last lines of the console.
    pub fn wait_for(&mut self, text: &str, within: Duration) {
        let end = self.wait(text, within, |rest| {
            rest.find(text).map(|at| at + text.len())
        });
        self.read += end;
        let seconds = self.powered_on.elapsed().as_secs_f32();
        eprintln!("{seconds:6.1} s  {text}");
    }

    /// Waits for a whole word that starts with `prefix` and returns what follows the prefix.
    ///
    /// # Panics
    /// As [`Console::wait_for`].
    pub fn word_that_starts(&mut self, prefix: &str, within: Duration) -> String {
        let word = self.wait(prefix, within, |rest| {
            let start = rest.find(prefix)? + prefix.len();
            let length = rest[start..].find(char::is_whitespace)?;
            Some(start..start + length)
        });
        let found = self.text[self.read..][word.clone()].to_owned();
        self.read += word.end;
        found
    }

    fn wait<T>(&mut self, what: &str, within: Duration, find: impl Fn(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + within;
        loop {
            if let Some(found) = find(&self.text[self.read..]) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.pieces.recv_timeout(left) {
                Ok(piece) => self.filter.push(&piece, &mut self.text),
                Err(RecvTimeoutError::Timeout) => {
                    panic!(
                        "no `{what}` within {within:?}; the console ends:\n{}",
                        self.tail()
                    )
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!(
                        "the machine ended before `{what}`; its console:\n{}",
                        self.tail()
                    )
                }
            }
        }
    }

    fn tail(&self) -> String {
        let printed = self.text.lines().filter(|line| !line.trim().is_empty());
        let lines: Vec<&str> = printed.collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

/// Where a stream of terminal output stands: in text, after an ESC, or in a control sequence.
#[derive(Clone, Copy)]
enum Filter {
    Text,
    Escape,
    Sequence,
}

impl Filter {
    fn push(&mut self, piece: &[u8], text: &mut String) {
        for &byte in piece {
            *self = match (*self, byte) {
                (_, 0x1b) => Self::Escape,
                (Self::Escape, b'[') => Self::Sequence,
                // Other sequences here are a byte or two, such as the choice of a character set.
                (Self::Escape, b'(' | b')') => Self::Escape,
                (Self::Sequence, 0x20..=0x3f) => Self::Sequence,
                (Self::Escape | Self::Sequence, _) => Self::Text,
                (Self::Text, b'\n' | b'\t' | 0x20..=0x7e) => {
                    text.push(char::from(byte));
                    Self::Text
                }
                (Self::Text, _) => Self::Text,
            };
        }
    }
}

#[test]
fn escape_sequences_do_not_tear_words_apart() {
    let mut filter = Filter::Text;
    let mut text = String::new();
    for piece in [
        &b"\x1b[1m\x1b[37miP\x1b["[..],
        b"0mXE\r\n\0",
        b"\x1b(0x\x1b(B ok",
    ] {
        filter.push(piece, &mut text);
    }
    assert_eq!(text, "iPXE\nx ok");
}
