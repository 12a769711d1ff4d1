//! The result of a rehearsal: the steps of a boot chain, and why it stopped.

use std::time::Duration;

use serde::Serialize;

/// How far a rehearsal goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Up to the boot script. Nothing of a session is fetched, so no attempt is used.
    Script,
    /// To the end: kernel, seeds, callbacks, and the boot after the install.
    Whole,
}

/// A completed step of a boot chain.
#[derive(Clone, Debug, Serialize)]
pub struct ChainStep {
    /// The name of the step.
    pub name: &'static str,
    /// How long it took, in microseconds.
    #[serde(rename = "microseconds", serialize_with = "microseconds")]
    pub took: Duration,
    /// Its result.
    pub detail: String,
}

/// The step at which a boot chain stopped, and why.
#[derive(Clone, Debug, Serialize)]
pub struct ChainFailure {
    /// The name of the step.
    pub name: &'static str,
    /// Why it failed.
    pub reason: String,
    /// What to check next; may be empty.
    pub help: String,
}

/// Why a step failed.
#[derive(Debug)]
pub(super) struct StepError {
    reason: String,
    help: String,
}

/// The rehearsal of one host.
#[derive(Clone, Debug, Serialize)]
pub struct Rehearsal {
    /// The host's name.
    pub host: String,
    /// What it booted with: see [`super::Rom`].
    pub firmware: String,
    /// The completed steps, in order.
    pub steps: Vec<ChainStep>,
    /// Why the chain stopped, unless it is complete.
    pub stop: Option<ChainFailure>,
}

impl StepError {
    /// Makes an error that has no advice.
    pub fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            help: String::new(),
        }
    }

    /// Sets what to check next.
    pub fn help(self, help: impl Into<String>) -> Self {
        let help = help.into();
        Self { help, ..self }
    }

    /// Names the step that failed.
    pub fn at(self, name: &'static str) -> ChainFailure {
        ChainFailure {
            name,
            reason: self.reason,
            help: self.help,
        }
    }
}

impl Rehearsal {
    /// Replaces help that names a store which no longer exists after the rehearsal.
    pub fn store_is_gone(&mut self) {
        if let Some(stop) = &mut self.stop
            && stop.help == host_status_help(&self.host)
        {
            stop.help =
                "compare the reason with the host's document; `--firmware` plays a host as \
                other firmware than its `arch`"
                    .to_owned();
        }
    }

    /// Sets why the host could not be armed, if that is why its chain stopped: its script sent it to
    /// its local disk. Reports whether it did so.
    pub fn was_not_armed(&mut self, why: &str, help: &str) -> bool {
        let at_disk = self.steps.last().is_some_and(|step| step.name == "disk");
        let Some(stop) = self.stop.as_mut().filter(|_| at_disk) else {
            return false;
        };
        stop.reason = format!("{} could not be armed: {why}", self.host);
        stop.help = help.to_owned();
        true
    }
}

/// Returns the command that shows why a host is held.
pub(super) fn host_status_help(host: &str) -> String {
    format!("`pxectl host show {host}` shows the host's phase and its last events")
}

fn microseconds<S: serde::Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(took.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unarmed_host_shows_why_unless_its_chain_stopped_earlier() {
        for (last, expected) in [
            ("disk", "worker-01 could not be armed: no blob"),
            ("script", "sent nowhere"),
        ] {
            let mut rehearsal = Rehearsal {
                host: "worker-01".to_owned(),
                firmware: "uefi-x64".to_owned(),
                steps: vec![ChainStep {
                    name: last,
                    took: Duration::ZERO,
                    detail: String::new(),
                }],
                stop: Some(StepError::new("sent nowhere").at("script")),
            };
            assert_eq!(
                rehearsal.was_not_armed("no blob", "copy it"),
                last == "disk"
            );
            assert_eq!(rehearsal.stop.unwrap().reason, expected);
        }
    }
}
