//! The one place where servers speak: a readable line for each event, or a JSON object a line.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::machine::{MacAddress, SessionId};

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

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Only for the curious (`-v`).
    Debug,
    /// Something happened as it should.
    Info,
    /// Something was refused, or may surprise.
    Warn,
    /// Something could not be done.
    Error,
}

/// One line of the log.
#[derive(Clone, Debug)]
pub struct Line {
    level: Level,
    service: &'static str,
    event: &'static str,
    mac: Option<MacAddress>,
    host: Option<String>,
    session: Option<SessionId>,
    message: String,
    facts: Vec<(&'static str, Value)>,
}

impl Line {
    /// Makes a line; `event` is a stable word for machines, `message` is for people.
    pub fn new(
        level: Level,
        service: &'static str,
        event: &'static str,
        message: impl Into<String>,
    ) -> Self {
        let message = message.into();
        Self {
            level,
            service,
            event,
            mac: None,
            host: None,
            session: None,
            message,
            facts: Vec::new(),
        }
    }

    /// Says which machine it is about.
    pub fn mac(mut self, mac: Option<MacAddress>) -> Self {
        self.mac = mac;
        self
    }

    /// Says which host it is about.
    pub fn host(mut self, host: Option<&str>) -> Self {
        self.host = host.map(str::to_owned);
        self
    }

    /// Says which session it is about.
    pub fn session(mut self, session: Option<SessionId>) -> Self {
        self.session = session;
        self
    }

    /// Adds to the message.
    pub fn and(mut self, more: &str) -> Self {
        self.message = format!("{}: {more}", self.message);
        self
    }

    /// Adds a fact for machines.
    pub fn fact(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.facts.push((name, value.into()));
        self
    }

    fn to_text(&self, at: Timestamp, color: bool) -> String {
        let (start, end) = match (color, self.level) {
            (true, Level::Error) => ("\x1b[31m", "\x1b[0m"),
            (true, Level::Warn) => ("\x1b[33m", "\x1b[0m"),
            (true, Level::Debug) => ("\x1b[2m", "\x1b[0m"),
            _ => ("", ""),
        };
        let mac = self.mac.map(|mac| format!("{mac} ")).unwrap_or_default();
        let host = self
            .host
            .as_deref()
            .map(|host| format!("{host}: "))
            .unwrap_or_default();
        let session = self
            .session
            .map(|id| format!(" (session {id})"))
            .unwrap_or_default();
        let time = at.strftime("%H:%M:%S%.3f");
        let event = self
            .event
            .strip_prefix(self.service)
            .unwrap_or(self.event)
            .trim_start_matches('-');
        // What a machine sent must not move the cursor.
        let message: String = self
            .message
            .chars()
            .map(|c| if c.is_control() { '\u{fffd}' } else { c })
            .collect();
        format!(
            "{time} {start}{:<5} {event:<10}{end} {mac}{host}{message}{session}\n",
            self.service
        )
    }

    fn to_json(&self, at: Timestamp) -> String {
        let mut object = Map::new();
        let mut put = |name: &str, value: Value| {
            if !value.is_null() {
                object.insert(name.to_owned(), value);
            }
        };
        put("at", json!(at));
        put(
            "level",
            json!(match self.level {
                Level::Debug => "debug",
                Level::Info => "info",
                Level::Warn => "warn",
                Level::Error => "error",
            }),
        );
        put("service", json!(self.service));
        put("event", json!(self.event));
        put("mac", json!(self.mac));
        put("host", json!(self.host));
        put("session", json!(self.session));
        put("message", json!(self.message));
        for (name, value) in &self.facts {
            put(name, value.clone());
        }
        format!("{}\n", Value::Object(object))
    }
}

/// Where lines go. Clones write to the same place.
#[derive(Clone)]
pub struct Log {
    format: LogFormat,
    least: Level,
    sink: Arc<Mutex<Box<dyn Write + Send>>>,
}

impl Log {
    /// Writes lines of at least `least` to `sink`.
    pub fn new(format: LogFormat, least: Level, sink: Box<dyn Write + Send>) -> Self {
        Self {
            format,
            least,
            sink: Arc::new(Mutex::new(sink)),
        }
    }

    /// Writes to standard error, in color on a terminal unless told otherwise.
    pub fn stderr(json: bool, least: Level, color: Option<bool>) -> Self {
        let color = color.unwrap_or_else(|| std::io::stderr().is_terminal());
        let format = if json {
            LogFormat::Json
        } else {
            LogFormat::Text { color }
        };
        Self::new(format, least, Box::new(std::io::stderr()))
    }

    /// Writes a line, at once and whole. A sink that is gone is no reason to stop serving.
    pub fn write(&self, line: &Line) {
        if line.level < self.least {
            return;
        }
        let now = Timestamp::now();
        let text = match self.format {
            LogFormat::Text { color } => line.to_text(now, color),
            LogFormat::Json => line.to_json(now),
        };
        let mut sink = self
            .sink
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let _ = sink.write_all(text.as_bytes()).and_then(|()| sink.flush());
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

    #[test]
    fn a_line_reads_well_and_cannot_move_the_cursor() {
        let line =
            Line::new(Level::Info, "dhcp", "dhcp-ack", "10.0.0.5\x1b[2J").host(Some("worker-01"));
        let at = Timestamp::from_second(3600).unwrap();
        assert_eq!(
            line.to_text(at, false),
            "01:00:00.000 dhcp  ack        worker-01: 10.0.0.5\u{fffd}[2J\n"
        );
        let json: Value = serde_json::from_str(&line.to_json(at)).unwrap();
        assert_eq!(json["event"], "dhcp-ack");
        assert_eq!(json.get("mac"), None);
    }
}
