//! Event logs: entries in the form that every BMC's log has in common, and which of them to show.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::Value;

use super::fields::{Fields, MAX_TEXT};
use crate::machine::cleaned;

/// Receives a host name and new entries of that host. Returns `false` if the reader is gone.
type EntryCallback = dyn Fn(&str, Vec<LogEntry>) -> bool + Send + Sync;

/// Where the entries of a followed log go.
#[derive(Clone)]
pub struct LogSink(pub Arc<EntryCallback>);

impl fmt::Debug for LogSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogSink")
    }
}

/// Which entries to read.
#[derive(Clone, Debug)]
pub struct LogQuery {
    /// The name of one log; `None` for all event logs.
    pub log: Option<String>,
    /// The time of the oldest entry.
    pub since: Option<Timestamp>,
    /// The number of entries, of which the newest count.
    pub lines: usize,
    /// Where to send further entries as they appear; `None` to stop after the first read.
    pub follow: Option<LogSink>,
}

/// One entry of an event log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogEntry {
    /// The time, according to the clock of the BMC.
    pub time: Option<Timestamp>,
    /// The name of the log.
    pub log: String,
    /// The identifier in the log.
    pub id: String,
    /// `OK`, `Warning` or `Critical`, if the BMC reports it.
    pub severity: Option<String>,
    /// The message.
    pub message: String,
    /// The identifier of the message in its registry.
    pub message_id: Option<String>,
}

impl LogEntry {
    /// Reads an entry of a Redfish log. Returns `None` if it has no message.
    pub fn read(log: &str, value: &Value) -> Option<Self> {
        let fields = Fields::of(value);
        let times = ["Created", "EventTimestamp"];
        let severities = ["Severity", "MessageSeverity"];
        let message_id = fields.text("MessageId");
        let message = fields.text("Message").or_else(|| message_id.clone());
        Some(Self {
            time: times.iter().find_map(|name| time(fields.raw(name)?)),
            log: log.to_owned(),
            id: fields.text("Id").unwrap_or_default(),
            severity: severities.iter().find_map(|name| fields.text(name)),
            message: message.or_else(|| fields.text("Name"))?,
            message_id,
        })
    }
}

/// Parses a time with an offset. A time without an offset counts as UTC.
fn time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    text.parse::<Timestamp>().ok().or_else(|| {
        let time: DateTime = text.parse().ok()?;
        Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
    })
}

/// A log of a BMC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogService {
    /// The name.
    pub name: String,
    /// The path of the entries.
    pub entries: String,
    /// Whether the log holds events, rather than dumps or a recording of the console.
    is_event_log: bool,
}

impl LogService {
    /// Reads a log service that was found at `path`.
    pub fn read(path: &str, value: &Value) -> Self {
        const OTHER_LOGS: [&str; 6] = [
            "dump",
            "postcode",
            "hostlogger",
            "crash",
            "journal",
            "debug",
        ];
        let fields = Fields::of(value);
        let path = path.trim_end_matches('/');
        let id = path.rsplit('/').next().unwrap_or_default();
        let name = fields.text("Id").unwrap_or_else(|| cleaned(id, MAX_TEXT));
        let lower = name.to_ascii_lowercase();
        Self {
            is_event_log: fields.boolean("ServiceEnabled") != Some(false)
                && !OTHER_LOGS.iter().any(|word| lower.contains(word)),
            name,
            entries: fields
                .link("Entries")
                .unwrap_or_else(|| format!("{path}/Entries")),
        }
    }

    /// Reports whether a query is for this log.
    pub fn is_selected(&self, query: &LogQuery) -> bool {
        match &query.log {
            Some(name) => self.name.eq_ignore_ascii_case(name),
            None => self.is_event_log,
        }
    }
}

impl LogQuery {
    /// Selects the entries to show, the newest last. `logs` has the entries of each log in the
    /// order of the BMC, which may be oldest or newest first.
    pub fn select(&self, logs: Vec<Vec<LogEntry>>) -> Vec<LogEntry> {
        let mut timed = Vec::new();
        for mut log in logs {
            if is_newest_first(&log) {
                log.reverse();
            }
            // An entry without a time belongs after the one before it.
            let mut last = Timestamp::MIN;
            for entry in log {
                last = entry.time.unwrap_or(last);
                timed.push((last, entry));
            }
        }
        timed.sort_by_key(|(time, _)| *time);
        if let Some(since) = self.since {
            timed.retain(|(time, _)| *time >= since);
        }
        let skipped = timed.len().saturating_sub(self.lines);
        timed
            .into_iter()
            .skip(skipped)
            .map(|(_, entry)| entry)
            .collect()
    }
}

/// Reports whether a log lists its newest entries first, by its times or else by its identifiers.
pub fn is_newest_first(log: &[LogEntry]) -> bool {
    let times = || log.iter().filter_map(|entry| entry.time);
    let ids = || log.iter().filter_map(|entry| entry.id.parse::<u64>().ok());
    match (times().next(), times().next_back()) {
        (Some(first), Some(last)) if first != last => first > last,
        _ => ids().next() > ids().next_back(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(log: &str, id: &str, time: &str) -> LogEntry {
        let created = (!time.is_empty()).then(|| format!("2026-11-29T{time}Z"));
        let value = json!({"Id": id, "Created": created, "Message": format!("{log} {id}")});
        LogEntry::read(log, &value).unwrap()
    }

    fn query(since: Option<&str>, lines: usize) -> LogQuery {
        LogQuery {
            log: None,
            since: since.map(|time| format!("2026-11-29T{time}Z").parse().unwrap()),
            lines,
            follow: None,
        }
    }

    #[test]
    fn entry_is_read_in_each_form() {
        for (value, time, severity, message) in [
            (
                json!({"Created": "2026-11-29T12:00:00Z", "Severity": "Critical", "Message":
                    "Secure Boot violation."}),
                Some("2026-11-29T12:00:00Z"),
                Some("Critical"),
                Some("Secure Boot violation."),
            ),
            (
                json!({"Created": "2026-11-29T06:00:00-06:00", "MessageSeverity": "Warning",
                    "MessageId": "UEFI0074"}),
                Some("2026-11-29T12:00:00Z"),
                Some("Warning"),
                Some("UEFI0074"),
            ),
            (
                json!({"EventTimestamp": "2026-11-29T12:00:00", "Name": "Log Entry 1"}),
                Some("2026-11-29T12:00:00Z"),
                None,
                Some("Log Entry 1"),
            ),
            (
                json!({"Created": "", "Message": "x"}),
                None,
                None,
                Some("x"),
            ),
            (json!({"@odata.id": "/redfish/v1/e/1"}), None, None, None),
        ] {
            let found = LogEntry::read("SEL", &value);
            let message_found = found.as_ref().map(|it| it.message.as_str());
            assert_eq!(message_found, message, "{value}");
            let Some(found) = found else { continue };
            assert_eq!(found.severity.as_deref(), severity, "{value}");
            let time_found = found.time.map(|it| it.to_string());
            assert_eq!(time_found.as_deref(), time, "{value}");
        }
    }

    #[test]
    fn newest_entries_of_all_logs_come_last() {
        let sel = ["1", "2", "3"];
        let times = ["10:00:00", "", "12:00:00"];
        let sel = sel
            .iter()
            .zip(times)
            .map(|(id, time)| entry("sel", id, time));
        let sel: Vec<_> = sel.collect();
        // Dell lists the newest entry first.
        let lifecycle = vec![entry("lc", "9", "11:00:00"), entry("lc", "8", "09:00:00")];
        let shown = |query: LogQuery| {
            let entries = query.select(vec![sel.clone(), lifecycle.clone()]);
            let messages = entries.into_iter().map(|it| it.message);
            messages.collect::<Vec<_>>().join(", ")
        };
        assert_eq!(shown(query(None, 9)), "lc 8, sel 1, sel 2, lc 9, sel 3");
        assert_eq!(shown(query(None, 2)), "lc 9, sel 3");
        assert_eq!(shown(query(Some("11:00:00"), 9)), "lc 9, sel 3");
        assert_eq!(shown(query(Some("13:00:00"), 9)), "");
    }

    #[test]
    fn entries_without_a_clock_keep_their_order() {
        let newest_first = vec![entry("sel", "11", ""), entry("sel", "10", "")];
        let entries = query(None, 9).select(vec![newest_first]);
        let ids: Vec<_> = entries.iter().map(|it| it.id.as_str()).collect();
        assert_eq!(ids, ["10", "11"]);
    }

    #[test]
    fn only_event_logs_are_read_unless_another_log_is_named() {
        let service = |id: &str, enabled: bool| {
            let value = json!({"Id": id, "ServiceEnabled": enabled});
            LogService::read(&format!("/redfish/v1/Managers/1/LogServices/{id}"), &value)
        };
        let named = LogQuery {
            log: Some("postcodes".to_owned()),
            ..query(None, 9)
        };
        for (id, enabled, is_default, is_named) in [
            ("SEL", true, true, false),
            ("IML", true, true, false),
            ("Lclog", true, true, false),
            ("EventLog", false, false, false),
            ("HostLogger", true, false, false),
            ("PostCodes", true, false, true),
        ] {
            let service = service(id, enabled);
            assert_eq!(service.is_selected(&query(None, 9)), is_default, "{id}");
            assert_eq!(service.is_selected(&named), is_named, "{id}");
        }
        let entries = service("SEL", true).entries;
        assert_eq!(entries, "/redfish/v1/Managers/1/LogServices/SEL/Entries");
    }
}
