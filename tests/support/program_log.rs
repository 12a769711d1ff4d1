//! The log of a program that is still running.

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// The lines that a program has written to a pipe.
pub struct ProgramLog {
    incoming: Receiver<String>,
    lines: Vec<String>,
}

impl ProgramLog {
    /// Reads a pipe to its end, in a thread.
    pub fn read(pipe: impl Read + Send + 'static) -> Self {
        let (sender, incoming) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self {
            incoming,
            lines: Vec::new(),
        }
    }

    /// Returns the lines so far.
    pub fn lines(&mut self) -> &[String] {
        self.lines.extend(self.incoming.try_iter());
        &self.lines
    }

    /// Waits for a line at index `start` or later, and returns its index.
    ///
    /// # Panics
    /// If no such line comes in time, with the whole log.
    #[track_caller]
    pub fn wait_for(
        &mut self,
        start: usize,
        time_limit: Duration,
        is_wanted: impl Fn(&str) -> bool,
    ) -> usize {
        let deadline = Instant::now() + time_limit;
        let mut index = start;
        loop {
            while let Some(line) = self.lines.get(index) {
                if is_wanted(line) {
                    return index;
                }
                index += 1;
            }
            if let Err(error) = self.receive(deadline) {
                panic!("no such line ({error}) in\n{}", self.lines.join("\n"));
            }
        }
    }

    /// Waits until the program has closed the pipe.
    ///
    /// # Panics
    /// If it does not do so in time, with the whole log.
    #[track_caller]
    pub fn wait_for_end(&mut self, time_limit: Duration) {
        let deadline = Instant::now() + time_limit;
        loop {
            match self.receive(deadline) {
                Ok(()) => {}
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("the program still runs:\n{}", self.lines.join("\n"))
                }
            }
        }
    }

    fn receive(&mut self, deadline: Instant) -> Result<(), RecvTimeoutError> {
        let left = deadline.saturating_duration_since(Instant::now());
        self.lines.push(self.incoming.recv_timeout(left)?);
        Ok(())
    }
}
