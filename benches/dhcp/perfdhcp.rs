//! Runs of perfdhcp, the client.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::shared::link::{CLIENT_INTERFACE, Link};

/// How many clients ask, one after another and then again.
const CLIENTS: u32 = 50_000;
/// How long it asks, in seconds.
const PERIOD: u32 = 4;

/// The client on its machine.
pub struct Perfdhcp<'a> {
    link: &'a Link,
    program: &'a Path,
}

/// What came of one run.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// 4-way exchanges that were completed in a second.
    pub rate: f64,
    /// How many exchanges were completed.
    pub completed: u64,
    /// How many DISCOVERs were sent.
    asked: u64,
}

impl Run {
    /// Returns the share of the exchanges that began and were not completed.
    pub fn lost(&self) -> f64 {
        1.0 - self.completed as f64 / self.asked.max(1) as f64
    }

    /// Returns what one exchange took of all that was used.
    pub fn each(&self, used: Duration) -> Duration {
        used.div_f64(self.completed.max(1) as f64)
    }
}

impl<'a> Perfdhcp<'a> {
    pub fn new(link: &'a Link, program: &'a Path) -> Self {
        Self { link, program }
    }

    /// Asks for so many exchanges a second.
    ///
    /// # Errors
    /// When it fails, or reports in a way that we do not know.
    pub fn run(&self, rate: u32) -> anyhow::Result<Run> {
        let mut command = self.link.on_client(self.program);
        command.args(["-4", "-l", CLIENT_INTERFACE]);
        for (option, value) in [("-r", rate), ("-R", CLIENTS), ("-p", PERIOD)] {
            command.args([option, &value.to_string()]);
        }
        let output = command.output().context("cannot run perfdhcp")?;
        let said = String::from_utf8_lossy(&output.stdout);
        // Source: perfdhcp(8), "Exit status": 3 is some exchanges that were not completed.
        if !matches!(output.status.code(), Some(0 | 3)) {
            let why = String::from_utf8_lossy(&output.stderr);
            bail!("perfdhcp ended with {}: {why}{said}", output.status);
        }
        parse(&said).with_context(|| format!("perfdhcp says what we do not know: {said}"))
    }
}

/// Reads its report.
fn parse(said: &str) -> Option<Run> {
    let value = |line: &str, name: &str| -> Option<String> {
        let rest = line.trim().strip_prefix(name)?.trim_start();
        Some(rest.split([' ', ',']).next()?.to_owned())
    };
    let first = |name: &str| said.lines().find_map(|line| value(line, name));
    // The exchanges of OFFERs come first, those of ACKs last.
    let mut received = said
        .lines()
        .rev()
        .filter_map(|line| value(line, "received packets:"));
    Some(Run {
        rate: first("Rate:")?.parse().ok()?,
        completed: received.next()?.parse().ok()?,
        asked: first("sent packets:")?.parse().ok()?,
    })
}
