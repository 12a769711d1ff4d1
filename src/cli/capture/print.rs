use std::cell::Cell;

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::capture::{CaptureOutcome, Counts};
use crate::cli::output::Output;
use crate::conversation::{Report, SummaryRow, TimelineLine};
use crate::inventory::plural;

/// The maximum width of a table.
const WIDTH: u16 = 100;

/// Prints the events and the report of a capture.
pub struct Printer<'a> {
    pub output: &'a Output,
    /// Whether events are printed as they happen.
    pub is_live: bool,
    /// Whether to print only the summary table.
    pub is_summary: bool,
    /// Whether standard output carries the capture itself.
    pub is_aside: bool,
    /// The time of the first line, from which live lines count.
    pub began: Cell<Option<Timestamp>>,
}

impl Printer<'_> {
    /// Prints one line of a timeline as it happens. Returns `false` if the reader of the output is gone.
    pub fn line(&self, line: &TimelineLine) -> bool {
        if self.is_summary {
            return true;
        }
        if self.output.is_json() {
            return self.object("event", line);
        }
        // A file is reported machine by machine, at the end.
        let began = self.began.get().unwrap_or(line.at);
        self.began.set(Some(began));
        !self.is_live || self.text(&line.folded(began))
    }

    /// Prints the report, the counters, and the errors of `source`.
    pub fn end(&self, ended: &CaptureOutcome, source: &str) {
        let CaptureOutcome { report, counts, .. } = ended;
        match (self.output.is_json(), self.is_summary) {
            (true, true) => {
                for row in report.summary() {
                    self.object("summary", &row);
                }
            }
            (true, false) => {
                for machine in &report.machines {
                    self.object("machine", machine);
                }
                for finding in &report.findings {
                    self.object("finding", finding);
                }
            }
            (false, true) => self.table(&report.summary()),
            (false, false) => {
                if self.is_live && !report.machines.is_empty() {
                    self.text("\n");
                }
                self.text(&report.to_string());
            }
        }
        if self.output.is_json() {
            let totals = json!({ "capture": counts, "report": report.totals });
            self.object("end", &totals);
        }
        self.remarks(report, counts, source);
    }

    /// Prints the counters and the errors of the source to standard error.
    fn remarks(&self, report: &Report, counts: &Counts, source: &str) {
        for fault in &counts.faults {
            self.output.warning(
                &format!("{source}: {fault}"),
                "the report covers the readable packets only",
            );
        }
        if counts.faults_left_out > 0 {
            let text = format!(
                "{source}: {}",
                counted(counts.faults_left_out, "more error")
            );
            self.output.note(&text);
        }
        for (reason, count) in &counts.malformed_reasons {
            self.output.note(&format!(
                "{} not parsed: {reason}",
                counted(*count, "frame")
            ));
        }
        let mut text = format!(
            "{}, {}, {}",
            counted(counts.frames, "frame"),
            counted(counts.packets, "packet"),
            plural(report.machines.len(), "machine")
        );
        for (count, what) in [
            (counts.left_out, "left out"),
            (counts.malformed, "malformed"),
            (counts.fragments_lost, "incomplete datagrams"),
            (counts.missed, "missed by the capturing machine"),
        ] {
            if count > 0 {
                text.push_str(&format!(", {count} {what}"));
            }
        }
        if let Some(dropped) = counts.dropped {
            text.push_str(&format!(", {dropped} dropped by the kernel"));
        }
        self.output.note(&text);
    }

    fn table(&self, rows: &[SummaryRow]) {
        let mut table = Table::new();
        // Cells wrap, so that the table fits a screen.
        table
            .load_style(NOTHING)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(WIDTH)
            .set_header(SummaryRow::HEADS);
        for row in rows {
            table.add_row(row.cells());
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        self.text(&format!("{}\n", table.trim_fmt()));
    }

    /// Prints an object on one line, with its type.
    fn object(&self, kind: &str, value: &impl Serialize) -> bool {
        let object = match serde_json::to_value(value) {
            Ok(Value::Object(fields)) => {
                let kind = ("type".to_owned(), Value::from(kind));
                Value::Object(std::iter::once(kind).chain(fields).collect())
            }
            _ => return true,
        };
        self.text(&Output::json_line(object))
    }

    fn text(&self, text: &str) -> bool {
        if self.is_aside {
            self.output.stderr(text);
            true
        } else {
            self.output.stream(text)
        }
    }
}

fn counted(count: u64, noun: &str) -> String {
    plural(usize::try_from(count).unwrap_or(usize::MAX), noun)
}
