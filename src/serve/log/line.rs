use std::borrow::Cow;
use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::machine::{MacAddress, SessionId, escaped_json, masked, shown_line};

/// Severity of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Details, shown with `-v`.
    Debug,
    /// Normal operation.
    Info,
    /// A refusal, or an unexpected situation.
    Warn,
    /// A failure.
    Error,
}

/// One line of the log.
#[derive(Clone, Debug)]
pub struct LogLine {
    pub(super) level: Level,
    service: &'static str,
    event: &'static str,
    mac: Option<MacAddress>,
    host: Option<String>,
    session: Option<SessionId>,
    message: String,
    facts: Vec<(Cow<'static, str>, Value)>,
}

impl LogLine {
    /// Creates a line. `event` is a stable name for programs, `message` is text for operators.
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

    /// Returns the stable event name.
    pub fn event(&self) -> &'static str {
        self.event
    }

    /// Sets the machine.
    pub fn mac(mut self, mac: Option<MacAddress>) -> Self {
        self.mac = mac;
        self
    }

    /// Sets the host.
    pub fn host(mut self, host: Option<&str>) -> Self {
        self.host = host.map(str::to_owned);
        self
    }

    /// Sets the install session.
    pub fn session(mut self, session: Option<SessionId>) -> Self {
        self.session = session;
        self
    }

    /// Appends to the message, after a colon.
    pub fn and(mut self, more: &str) -> Self {
        self.message = format!("{}: {more}", self.message);
        self
    }

    /// Adds a field for programs.
    pub fn fact(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.facts.push((name.into(), value.into()));
        self
    }

    /// Adds the fields of a value for programs. A value without fields adds nothing.
    pub fn facts(mut self, value: &impl Serialize) -> Self {
        if let Ok(Value::Object(fields)) = serde_json::to_value(value) {
            let fields = fields.into_iter();
            self.facts
                .extend(fields.map(|(name, value)| (name.into(), value)));
        }
        self
    }

    pub(super) fn to_text(&self, at: Timestamp, color: bool) -> String {
        let (start, end) = match (color, self.level) {
            (true, Level::Error) => ("\x1b[31m", "\x1b[0m"),
            (true, Level::Warn) => ("\x1b[33m", "\x1b[0m"),
            (true, Level::Debug) => ("\x1b[2m", "\x1b[0m"),
            _ => ("", ""),
        };
        let event = self
            .event
            .strip_prefix(self.service)
            .unwrap_or(self.event)
            .trim_start_matches('-');
        let mut body = String::with_capacity(40 + self.message.len());
        let day = at.as_millisecond().rem_euclid(24 * 3600 * 1000);
        let (hour, minute) = (day / 3_600_000, day / 60_000 % 60);
        let (second, thousandth) = (day / 1000 % 60, day % 1000);
        // Writing to a string cannot fail.
        if let Some(mac) = self.mac {
            let _ = write!(body, "{mac} ");
        }
        if let Some(host) = &self.host {
            let _ = write!(body, "{host}: ");
        }
        body.push_str(&self.message);
        if let Some(id) = self.session {
            let _ = write!(body, " (session {id})");
        }
        format!(
            "{hour:02}:{minute:02}:{second:02}.{thousandth:03} {start}{:<5} {event:<10}{end} {}\n",
            self.service,
            shown_line(&body)
        )
    }

    pub(super) fn to_json(&self, at: Timestamp) -> String {
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
        object.values_mut().for_each(mask_texts);
        escaped_json(format!("{}\n", Value::Object(object)))
    }
}

/// Masks everything that looks like a secret in all texts of a value.
pub fn mask_texts(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(masked) = masked(text) {
                *text = masked;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask_texts),
        Value::Object(fields) => fields.values_mut().for_each(mask_texts),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_line_is_readable_and_cannot_move_the_cursor() {
        let line = LogLine::new(Level::Info, "dhcp", "dhcp-ack", "10.0.0.5\x1b[2J")
            .host(Some("worker-01"));
        let at = Timestamp::from_second(3600).unwrap();
        assert_eq!(
            line.to_text(at, false),
            "01:00:00.000 dhcp  ack        worker-01: 10.0.0.5\\u{1b}[2J\n"
        );
        let json: Value = serde_json::from_str(&line.to_json(at)).unwrap();
        assert_eq!(json["event"], "dhcp-ack");
        assert_eq!(json.get("mac"), None);
    }

    #[test]
    fn no_format_shows_secrets_or_invisible_characters() {
        let secret = "/s/j4gCMvHuS60AAAABAUY0jAbCdEf/x";
        let line = LogLine::new(
            Level::Info,
            "tftp",
            "tftp-refused",
            format!("{secret}\u{202e}"),
        );
        let line = line
            .host(Some(secret))
            .fact("file", json!({"names": [secret]}));
        for text in [
            line.to_text(Timestamp::UNIX_EPOCH, true),
            line.to_json(Timestamp::UNIX_EPOCH),
        ] {
            assert!(
                !text.contains("j4gCMvHuS60") && text.contains("/s/•••/x"),
                "{text}"
            );
            assert!(
                !text.contains('\u{202e}') && text.contains("202e"),
                "{text}"
            );
        }
    }

    #[test]
    fn fields_of_a_value_become_fields_of_the_line() {
        let facts = json!({"file": "a.yaml", "line": 3});
        let line = LogLine::new(Level::Warn, "serve", "diagnostic", "m").facts(&facts);
        let text = line.facts(&"no fields").to_json(Timestamp::UNIX_EPOCH);
        let json: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&json["file"], &json["line"]),
            (&json!("a.yaml"), &json!(3))
        );
        assert_eq!(
            (&json["level"], &json["message"]),
            (&json!("warn"), &json!("m"))
        );
    }
}
