use std::fmt::{self, Write};

use jiff::Timestamp;

use super::finding::Finding;
use super::machine::TimelineEntry;
use super::report::{MachineReport, Report, Totals, milliseconds};

/// How wide the text is.
const WIDTH: usize = 100;
/// Where the text of an entry begins.
const INDENT: usize = 25;
/// Where a live line goes on.
const LIVE_INDENT: usize = 12;

/// Prints the timelines, then the findings with what to do, then what was counted.
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

/// Prints in one line what was counted, and names what was left out.
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
            "{packets} packets: {dhcp} of DHCP, {tftp} of TFTP, {tcp} of TCP, {others} others"
        )?;
        for (count, what) in [
            (self.malformed, "could not be read"),
            (
                self.machines_evicted,
                "machines were forgotten for want of room",
            ),
            (
                self.transfers_evicted,
                "transfers were forgotten for want of room",
            ),
            (self.findings_left_out, "findings found no room"),
            (self.lines_left_out, "lines were not printed in time"),
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

/// One line of a timeline beside those of other machines, folded as the report folds its own.
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
    /// Writes it with the time since a moment, in at most a hundred columns.
    pub fn folded(&self, since: Timestamp) -> String {
        LiveLine(self, milliseconds(since, self.at)).to_string()
    }
}

/// Prints one fault, with the rule and the fix below it.
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

/// What is told as a list of options, which are kept whole.
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

/// Breaks a line after commas, and between words where a part is longer than a line; what follows the
/// first line is indented. Words that are longer than a line stand as they are: they may be copied.
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

/// A line that is filled.
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

    /// Begins the next line, unless nothing stands on this one yet.
    fn end(&mut self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.length > self.indent {
            writeln!(f, "{}", self.text.trim_end())?;
            self.text = " ".repeat(self.indent);
            self.length = self.indent;
        }
        Ok(())
    }
}
