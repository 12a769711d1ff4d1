use std::fmt::{self, Write};

use jiff::Timestamp;

use super::finding::Finding;
use super::machine::TimelineEntry;
use super::report::{MachineReport, Report, Totals, milliseconds};

/// The width of the text in columns.
const WIDTH: usize = 100;
/// The column in which the text of an entry begins.
const INDENT: usize = 25;
/// The column in which the continuation of a live line begins.
const LIVE_INDENT: usize = 12;

/// Prints the timelines, then the findings with their fixes, then the counters.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for machine in &self.machines {
            writeln!(f, "{machine}")?;
        }
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        writeln!(f, "{}", self.totals)
    }
}

/// Prints the counters in one line.
impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            packets,
            dhcp,
            tftp,
            tcp,
            others,
            ..
        } = self;
        write!(
            f,
            "{packets} packets: {dhcp} DHCP, {tftp} TFTP, {tcp} TCP, {others} other"
        )?;
        for (count, what) in [
            (self.malformed, "could not be parsed"),
            (
                self.machines_evicted,
                "machines forgotten (the table is full)",
            ),
            (
                self.transfers_evicted,
                "transfers forgotten (the table is full)",
            ),
            (
                self.findings_left_out,
                "findings left out (the list is full)",
            ),
            (self.lines_left_out, "lines dropped (not printed in time)"),
        ] {
            if count > 0 {
                write!(f, "; {count} {what}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for MachineReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut head = vec![self.name.clone()];
        head.extend(self.macs.iter().map(ToString::to_string));
        head.dedup();
        head.extend(self.architecture.map(|it| it.to_string()));
        head.extend(self.uuid.map(|it| it.to_string()));
        write_wrapped(f, &head.join("  "), 0, false)?;
        let began = self.timeline.first().map(|entry| entry.at);
        if let Some(began) = began {
            writeln!(f, "  from {}", began.strftime("%Y-%m-%d %H:%M:%S%.3f UTC"))?;
        }
        let mut stage = None;
        for entry in &self.timeline {
            if stage != Some(entry.stage) {
                stage = Some(entry.stage);
                if let Some(stage) = self.stages.get(entry.stage) {
                    writeln!(f, "  {}", stage.name)?;
                }
            }
            let passed = milliseconds(began.unwrap_or(entry.at), entry.at);
            write_entry(f, entry, passed)?;
        }
        if self.timeline_left_out > 0 {
            writeln!(f, "  and {} more", self.timeline_left_out)?;
        }
        Ok(())
    }
}

fn write_entry(f: &mut fmt::Formatter<'_>, entry: &TimelineEntry, passed: i64) -> fmt::Result {
    let time = format!("+{}.{:03}", passed / 1000, passed % 1000);
    let mark = if entry.is_finding { '!' } else { ' ' };
    let mut text = String::new();
    write!(text, "{time:>9} {mark} {:<12} {}", entry.what, entry.text)?;
    write_wrapped(f, &text, INDENT, LISTS.contains(&entry.what))
}

/// One live line of a timeline, wrapped like the lines of the report.
struct LiveLine<'l>(&'l super::TimelineLine, i64);

impl fmt::Display for LiveLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(line, passed) = *self;
        let time = format!("+{}.{:03}", passed / 1000, passed % 1000);
        let text = format!("{time:>9} {} {} {}", line.machine, line.what, line.text);
        write_wrapped(f, &text, LIVE_INDENT, LISTS.contains(&line.what))
    }
}

impl super::TimelineLine {
    /// Formats the line with the time since the first line, wrapped at 100 columns.
    pub fn folded(&self, since: Timestamp) -> String {
        LiveLine(self, milliseconds(since, self.at)).to_string()
    }
}

/// Prints one finding, with the rule and the fix below it.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = self.machine.as_deref().map(|name| format!("{name}: "));
        let times = match self.count {
            1 => String::new(),
            count => format!(" ({count} times)"),
        };
        let head = format!(
            "{}[{}]: {}{}{times}",
            self.severity,
            self.name,
            of.unwrap_or_default(),
            self.seen
        );
        write_wrapped(f, &head, 4, false)?;
        write_wrapped(f, &format!("  = rule: {}", self.name.rule()), 10, false)?;
        write_wrapped(f, &format!("  = help: {}", self.name.fix()), 10, false)
    }
}

/// The events whose text is a list of options, which are not broken in the middle.
const LISTS: [&str; 8] = [
    "discover",
    "offer",
    "proxy offer",
    "ack",
    "boot ack",
    "request",
    "inform",
    "bootp",
];

/// Wraps text after commas, or between words if a part is longer than a line; continuation lines are
/// indented. Words longer than a line stay whole, so that they can be copied.
fn write_wrapped(
    f: &mut fmt::Formatter<'_>,
    text: &str,
    indent: usize,
    is_list: bool,
) -> fmt::Result {
    for (index, text) in text.split('\n').enumerate() {
        let mut line = WrappedLine {
            text: String::new(),
            length: 0,
            indent,
        };
        if index > 0 {
            line.push(&" ".repeat(indent));
        }
        let between = if is_list && index == 0 { ", " } else { " " };
        write_parts(f, text.split_inclusive(between), line)?;
    }
    Ok(())
}

fn write_parts<'t>(
    f: &mut fmt::Formatter<'_>,
    parts: impl Iterator<Item = &'t str>,
    mut line: WrappedLine,
) -> fmt::Result {
    let indent = line.indent;
    for part in parts {
        let width = part.trim_end().chars().count();
        if line.length + width <= WIDTH {
            line.push(part);
            continue;
        }
        let has_room = line.length + width / 2 <= WIDTH && width > WIDTH - indent;
        if !has_room {
            line.end(f)?;
        }
        for word in part.split_inclusive(' ') {
            if line.length + word.trim_end().chars().count() > WIDTH {
                line.end(f)?;
            }
            line.push(word);
        }
    }
    writeln!(f, "{}", line.text.trim_end())
}

/// The current line of wrapped text.
struct WrappedLine {
    text: String,
    length: usize,
    indent: usize,
}

impl WrappedLine {
    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.length += text.chars().count();
    }

    /// Starts the next line, unless this one is empty.
    fn end(&mut self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.length > self.indent {
            writeln!(f, "{}", self.text.trim_end())?;
            self.text = " ".repeat(self.indent);
            self.length = self.indent;
        }
        Ok(())
    }
}
