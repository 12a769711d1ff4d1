use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::report::result_text;
use crate::bmc::Report;
use crate::cli::output::Output;

/// How many hosts are shown at a time; more would not fit on a screen.
const MOST: usize = 16;

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
    hosts: Mutex<HashMap<String, ProgressBar>>,
}

impl Progress {
    pub fn new(output: &Output, count: usize) -> Self {
        let bars = output.shows_progress().then(|| {
            let target = ProgressDrawTarget::stderr_with_hz(8);
            let all = MultiProgress::with_draw_target(target);
            let total = all.add(ProgressBar::new(count as u64));
            total.set_style(style("{bar:24} {pos}/{len} hosts {elapsed}"));
            Bars {
                all,
                total,
                hosts: Mutex::default(),
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
            bar.set_message(what.to_owned());
        } else if hosts.len() < MOST {
            let bar = ProgressBar::new_spinner();
            let bar = bars.all.insert_before(&bars.total, bar);
            bar.set_style(style("{spinner} {prefix}: {wide_msg}"));
            bar.set_prefix(host.to_owned());
            bar.set_message(what.to_owned());
            bar.enable_steady_tick(Duration::from_millis(250));
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
            for (_, bar) in locked(&bars.hosts).drain() {
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
