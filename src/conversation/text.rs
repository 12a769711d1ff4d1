use std::fmt::{self, Write};

use super::finding::Finding;
use super::machine::Entry;
use super::report::{MachineReport, Report, milliseconds};

/// How wide the text is.
const WIDTH: usize = 100;
/// Where the text of an entry begins.
const INDENT: usize = 29;

/// Prints the timelines, then the findings with what to do, then what was counted.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for machine in &self.machines {
            writeln!(f, "{machine}")?;
        }
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
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
        write_wrapped(f, &head.join("  "), 0)?;
        let began = self.timeline.first().map(|entry| entry.at);
        if let Some(began) = began {
            writeln!(f, "  from {began}")?;
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

fn write_entry(f: &mut fmt::Formatter<'_>, entry: &Entry, passed: i64) -> fmt::Result {
    let time = format!("+{}.{:03}", passed / 1000, passed % 1000);
    let mark = if entry.is_finding { '!' } else { ' ' };
    let mut text = String::new();
    write!(text, "{time:>10} {mark} {:<14}  {}", entry.what, entry.text)?;
    write_wrapped(f, &text, INDENT)
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
        write_wrapped(f, &head, 4)?;
        write_wrapped(f, &format!("  = rule: {}", self.name.rule()), 10)?;
        write_wrapped(f, &format!("  = help: {}", self.name.fix()), 10)
    }
}

/// Breaks a line between words; what follows the first line is indented.
fn write_wrapped(f: &mut fmt::Formatter<'_>, text: &str, indent: usize) -> fmt::Result {
    let mut line = String::new();
    let mut length = 0;
    // Words that are longer than a line stand as they are: they may be copied.
    for word in text.split_inclusive(' ') {
        let width = word.trim_end().chars().count();
        if length + width > WIDTH && length > indent {
            writeln!(f, "{}", line.trim_end())?;
            line = " ".repeat(indent);
            length = indent;
        }
        line.push_str(word);
        length += word.chars().count();
    }
    writeln!(f, "{}", line.trim_end())
}
