use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::report::summary;
use crate::bmc::HostReport;
use crate::cli::output::Output;
use crate::machine::shown_line;

/// The most hosts to show at a time. More would not fit on a screen.
const MAX_BARS: usize = 16;

/// The widest column of host names, in characters.
const MAX_NAME_WIDTH: usize = 32;
const TICK: Duration = Duration::from_millis(250);

/// The progress of all hosts: bars on a terminal, otherwise a line for each finished host.
pub struct Progress {
    bars: Option<Bars>,
    is_quiet: bool,
    count: usize,
    finished: Mutex<usize>,
}

struct Bars {
    all: MultiProgress,
    total: ProgressBar,
    hosts: Mutex<BTreeMap<String, ProgressBar>>,
    style: ProgressStyle,
}

impl Progress {
    /// Starts to show the progress of hosts.
    pub fn new<'h>(output: &Output, hosts: impl Iterator<Item = &'h str> + Clone) -> Self {
        let count = hosts.clone().count();
        let bars = output.shows_progress().then(|| {
            let target = ProgressDrawTarget::stderr_with_hz(8);
            let all = MultiProgress::with_draw_target(target);
            // The total comes first, because bars that do not fit on the terminal are cut off at
            // the end.
            let total = all.add(ProgressBar::new(count as u64));
            total.set_style(style("{bar:24} {pos}/{len} hosts, {elapsed}"));
            // Draw it before any host: its own thread may start late on a busy system.
            total.tick();
            total.enable_steady_tick(TICK);
            let widest = hosts.map(|name| name.chars().count()).max();
            let width = widest.unwrap_or_default().min(MAX_NAME_WIDTH);
            Bars {
                all,
                total,
                hosts: Mutex::default(),
                style: style(&format!("{{spinner}} {{prefix:{width}}}  {{wide_msg}}")),
            }
        });
        Self {
            bars,
            is_quiet: output.is_quiet(),
            count,
            finished: Mutex::default(),
        }
    }

    /// Shows no progress, only warnings.
    pub fn hidden(output: &Output) -> Self {
        Self {
            bars: None,
            is_quiet: output.is_quiet(),
            count: 0,
            finished: Mutex::default(),
        }
    }

    /// Shows the current activity of a host.
    pub fn report(&self, host: &str, activity: &str) {
        let Some(bars) = &self.bars else {
            return;
        };
        let mut hosts = locked(&bars.hosts);
        if let Some(bar) = hosts.get(host) {
            bar.set_message(shown_line(activity).into_owned());
        } else if hosts.len() < MAX_BARS {
            // Sort by name, not by the order of the responses.
            let previous_host = hosts.range(..host.to_owned()).next_back();
            let bar_above = previous_host.map_or(&bars.total, |(_, bar)| bar);
            let new_bar = ProgressBar::new_spinner()
                .with_style(bars.style.clone())
                .with_prefix(host.to_owned())
                .with_message(shown_line(activity).into_owned());
            let bar = bars.all.insert_after(bar_above, new_bar);
            bar.enable_steady_tick(TICK);
            hosts.insert(host.to_owned(), bar);
        }
    }

    /// Shows that a host has finished.
    pub fn finish(&self, report: &HostReport) {
        if let Some(bars) = &self.bars {
            if let Some(bar) = locked(&bars.hosts).remove(&report.host) {
                bar.finish_and_clear();
            }
            bars.total.inc(1);
            return;
        }
        let mut finished = locked(&self.finished);
        *finished += 1;
        let summary = summary(report);
        if !self.is_quiet && self.count > 1 && !summary.is_empty() {
            let line = format!("{finished}/{} {}: {summary}", self.count, report.host);
            Output::line_to_stderr(&line);
        }
    }

    /// Prints a warning above the bars.
    pub fn warn(&self, message: &str, help: &str) {
        let print = || {
            if !self.is_quiet {
                Output::line_to_stderr(&format!("warning: {message}\n  = help: {help}"));
            }
        };
        match &self.bars {
            Some(bars) => bars.all.suspend(print),
            None => print(),
        }
    }

    /// Removes the bars.
    pub fn end(&self) {
        if let Some(bars) = &self.bars {
            for bar in std::mem::take(&mut *locked(&bars.hosts)).into_values() {
                bar.finish_and_clear();
            }
            bars.total.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
