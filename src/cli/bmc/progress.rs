use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::report::result_text;
use crate::bmc::Report;
use crate::cli::output::Output;
use crate::machine::shown_line;

/// How many hosts are shown at a time; more would not fit on a screen.
const MOST: usize = 16;

/// The longest name that moves what stands behind it.
const LONGEST: usize = 32;
const TICK: Duration = Duration::from_millis(250);

/// Shows what is done to each host: bars on a terminal, a line for each that is done elsewhere.
pub struct Progress {
    bars: Option<Bars>,
    is_quiet: bool,
    count: usize,
    done: Mutex<usize>,
}

struct Bars {
    all: MultiProgress,
    total: ProgressBar,
    hosts: Mutex<BTreeMap<String, ProgressBar>>,
    style: ProgressStyle,
}

impl Progress {
    /// Starts to show what is done to hosts of these names.
    pub fn new<'h>(output: &Output, hosts: impl Iterator<Item = &'h str> + Clone) -> Self {
        let count = hosts.clone().count();
        let bars = output.shows_progress().then(|| {
            let target = ProgressDrawTarget::stderr_with_hz(8);
            let all = MultiProgress::with_draw_target(target);
            // It stands first: what does not fit on the terminal is left out at the end.
            let total = all.add(ProgressBar::new(count as u64));
            total.set_style(style("{bar:24} {pos}/{len} hosts, {elapsed}"));
            total.enable_steady_tick(TICK);
            let width = hosts.map(|name| name.chars().count()).max();
            let width = width.unwrap_or_default().min(LONGEST);
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
            done: Mutex::default(),
        }
    }

    /// Shows what the task of a host does now.
    pub fn says(&self, host: &str, what: &str) {
        let Some(bars) = &self.bars else {
            return;
        };
        let mut hosts = locked(&bars.hosts);
        if let Some(bar) = hosts.get(host) {
            bar.set_message(shown_line(what).into_owned());
        } else if hosts.len() < MOST {
            // In the order of their names, whoever answers first.
            let before = hosts.range(..host.to_owned()).next_back();
            let before = before.map_or(&bars.total, |(_, bar)| bar);
            let bar = ProgressBar::new_spinner()
                .with_style(bars.style.clone())
                .with_prefix(host.to_owned())
                .with_message(shown_line(what).into_owned());
            let bar = bars.all.insert_after(before, bar);
            bar.enable_steady_tick(TICK);
            hosts.insert(host.to_owned(), bar);
        }
    }

    /// Shows that a host is done.
    pub fn finished(&self, report: &Report) {
        if let Some(bars) = &self.bars {
            if let Some(bar) = locked(&bars.hosts).remove(&report.host) {
                bar.finish_and_clear();
            }
            bars.total.inc(1);
            return;
        }
        let mut done = locked(&self.done);
        *done += 1;
        let text = result_text(report);
        if !self.is_quiet && self.count > 1 && !text.is_empty() {
            let line = format!("{}/{} {}: {text}", *done, self.count, report.host);
            Output::line_to_stderr(&line);
        }
    }

    /// Warns between the bars.
    pub fn warn(&self, what: &str, help: &str) {
        let print = || {
            if !self.is_quiet {
                Output::line_to_stderr(&format!("warning: {what}\n  = help: {help}"));
            }
        };
        match &self.bars {
            Some(bars) => bars.all.suspend(print),
            None => print(),
        }
    }

    /// Takes the bars away.
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
