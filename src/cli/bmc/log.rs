use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use clap::Args;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::options::ReachOptions;
use super::report::{json_of, print_messages};
use super::rounds::{Rounds, exit_with_findings};
use crate::bmc::{BmcTask, HostReport, LogEntry, LogQuery, LogSink};
use crate::cli::Global;
use crate::cli::error::CommandResult;
use crate::cli::output::Output;
use crate::cli::select::Select;

/// The time limit of a command that follows a log until it is interrupted.
const FOLLOW_TIME: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Options of `bmc log`.
#[derive(Clone, Debug, Args)]
pub struct LogOptions {
    /// Show entries since a time, such as `2h`, `2026-11-29` or `2026-11-29T12:00:00Z`
    #[arg(long, value_name = "TIME", value_parser = parse_since)]
    since: Option<Timestamp>,

    /// Number of newest entries to show for each host
    #[arg(short = 'n', long, value_name = "COUNT", default_value = "100",
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    lines: u32,

    /// Read only the log with this name, such as `SEL` or `IML`
    #[arg(long, value_name = "NAME")]
    log: Option<String>,

    /// Show new entries as they appear, until interrupted
    #[arg(short, long)]
    follow: bool,
}

/// An entry and its host.
struct HostEntry<'r> {
    host: &'r str,
    entry: &'r LogEntry,
}

/// Shows the event logs of BMCs.
pub fn run(
    global: &Global,
    output: &Output,
    select: &Select,
    reach: &ReachOptions,
    options: &LogOptions,
) -> CommandResult {
    let mut reach = reach.clone();
    if options.follow {
        reach.timeout = FOLLOW_TIME;
    }
    let rounds = Rounds::open(global, output, select, &reach)?;
    let reports = if options.follow {
        follow(&rounds, options)?
    } else {
        rounds.visit(|_| Ok(BmcTask::Log(options.query(None))))?
    };
    print_messages(&reports, output);
    if !options.follow {
        print(&rounds, &reports);
    }
    let mut pairs = rounds.targets.iter().zip(&reports);
    let has_other_machine = pairs.any(|(target, report)| report.is_other_machine(target));
    Ok(exit_with_findings(&reports, has_other_machine))
}

impl LogOptions {
    fn query(&self, follow: Option<LogSink>) -> LogQuery {
        LogQuery {
            log: self.log.clone(),
            since: self.since,
            lines: self.lines as usize,
            follow,
        }
    }
}

/// Prints new entries as they appear, until the command is interrupted or its reader is gone.
fn follow(rounds: &Rounds<'_>, options: &LogOptions) -> CommandResult<Vec<HostReport>> {
    let (sender, receiver) = mpsc::channel::<(String, Vec<LogEntry>)>();
    let sink = LogSink(Arc::new(move |host: &str, entries: Vec<LogEntry>| {
        sender.send((host.to_owned(), entries)).is_ok()
    }));
    let query = options.query(Some(sink));
    let width = host_width(rounds);
    let output = rounds.output;
    thread::scope(|scope| {
        scope.spawn(move || {
            for (host, entries) in receiver {
                let text: String = entries
                    .iter()
                    .map(|entry| HostEntry { host: &host, entry })
                    .map(|entry| {
                        if output.is_json() {
                            Output::json_line(entry.json())
                        } else {
                            entry.line(width)
                        }
                    })
                    .collect();
                if !output.stream(&text) {
                    break;
                }
            }
        });
        // The printing thread ends when the last task has dropped its sink.
        let query = query;
        rounds.visit_without_progress(|_| Ok(BmcTask::Log(query.clone())))
    })
}

/// Prints the entries of all hosts, the newest last.
fn print(rounds: &Rounds<'_>, reports: &[HostReport]) {
    if rounds.output.is_json() {
        let listed = reports.iter().map(|report| {
            let mut value = json_of(report);
            value["entries"] = json!(report.result.as_ref().map_or(&[][..], |it| &it.log));
            value
        });
        let listed: Vec<Value> = listed.collect();
        return rounds.output.json(&listed);
    }
    let mut timed = Vec::new();
    for report in reports {
        let mut last = Timestamp::MIN;
        for entry in report.result.iter().flat_map(|result| &result.log) {
            // An entry without a time belongs after the one before it.
            last = entry.time.unwrap_or(last);
            let host = report.host.as_str();
            timed.push((last, HostEntry { host, entry }));
        }
    }
    timed.sort_by_key(|(time, _)| *time);
    let width = host_width(rounds);
    let lines = timed.iter().map(|(_, entry)| entry.line(width));
    rounds.output.result(&lines.collect::<String>());
}

/// Returns the width of the column of host names, or `None` if there is one host.
fn host_width(rounds: &Rounds<'_>) -> Option<usize> {
    let names = rounds.targets.iter().map(|target| &target.host.name);
    let width = names.map(|name| name.chars().count()).max();
    width.filter(|_| rounds.targets.len() > 1)
}

impl HostEntry<'_> {
    fn line(&self, host_width: Option<usize>) -> String {
        let Self { host, entry } = self;
        let host = host_width.map_or_else(String::new, |width| format!("{host:width$}  "));
        let time = match entry.time {
            Some(time) => time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            None => "-".to_owned(),
        };
        let severity = entry.severity.as_deref().unwrap_or("-");
        format!(
            "{time:20}  {host}{severity:8}  {}: {}\n",
            entry.log, entry.message
        )
    }

    fn json(&self) -> Value {
        let mut value = json!(self.entry);
        value["host"] = self.host.into();
        value
    }
}

fn parse_since(text: &str) -> Result<Timestamp, String> {
    time_since(text, crate::clock::wall_time())
}

/// Parses a time, a duration before `now`, or a day in UTC.
fn time_since(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let before_now = || {
        let duration: SignedDuration = text.parse().ok()?;
        now.checked_sub(duration)
            .ok()
            .filter(|_| duration.is_positive())
    };
    let start_of_day = || {
        let date: Date = text.parse().ok()?;
        Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    let time = text.parse::<Timestamp>().ok();
    time.or_else(before_now)
        .or_else(start_of_day)
        .ok_or_else(|| "write a time such as `2h` or `2026-11-29T12:00:00Z`".to_owned())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::time_since;

    #[test]
    fn since_is_a_duration_a_time_or_a_day() {
        let now: Timestamp = "2026-11-29T12:00:00Z".parse().unwrap();
        let parsed = |text| time_since(text, now).map(|time| time.to_string());
        assert_eq!(parsed("2026-11-29"), Ok("2026-11-29T00:00:00Z".to_owned()));
        let with_offset = parsed("2026-11-29T12:00:00+02:00");
        assert_eq!(with_offset, Ok("2026-11-29T10:00:00Z".to_owned()));
        assert_eq!(parsed("2h"), Ok("2026-11-29T10:00:00Z".to_owned()));
        for invalid in ["", "yesterday", "-2h", "12:00"] {
            assert!(parsed(invalid).is_err(), "{invalid}");
        }
    }
}
