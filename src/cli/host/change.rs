//! Changes the phases of several hosts by one rule.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::description::exit_for;
use super::open_store::OpenStore;
use crate::cli::Exit;
use crate::cli::error::CommandResult;
use crate::cli::inventory::{Known, warn_without_server};
use crate::cli::select::Select;
use crate::decide::Refusal;
use crate::machine::{Event, EventKind, HostRecord, Phase};
use crate::store::{HostUpdate, Store};

/// The rule of a change: host name, record and decision time -> the new record.
type ChangeRule<'c> =
    dyn Fn(&str, Option<&HostRecord>, Timestamp) -> Result<HostRecord, Refusal> + 'c;

/// A change of hosts, and its words in messages and events.
pub(super) struct HostChange<'c> {
    pub(super) kind: EventKind,
    /// What was done to a host, such as `cancelled`.
    pub(super) done: &'static str,
    /// Why the change does not apply to the other hosts, such as `not armed`.
    pub(super) otherwise: &'static str,
    pub(super) rule: &'c ChangeRule<'c>,
}

/// The result of a change for one host.
struct HostOutcome {
    name: String,
    result: Result<Phase, Refusal>,
    /// The operator named the host, and did not select it by a label or `--all`.
    is_named: bool,
}

impl HostOutcome {
    /// Reports whether the change has no meaning for a host that was selected together with others:
    /// `cancel --all` cancels the hosts that are armed.
    fn does_not_apply(&self) -> bool {
        let is_inapplicable = matches!(
            self.result,
            Err(Refusal::NotArmed(_) | Refusal::NotAside(_))
        );
        is_inapplicable && !self.is_named
    }
}

impl OpenStore<'_> {
    /// Changes hosts in one transaction, including hosts that left the inventory.
    pub(super) fn change(
        &self,
        known: &Known,
        select: &Select,
        change: &HostChange<'_>,
    ) -> CommandResult {
        let records = self.store.hosts()?;
        let names = select.find_known(known, &records)?;
        let mut outcomes = Vec::new();
        self.store.update(&names, &mut |name, record, standing| {
            let changed = (change.rule)(name, record, standing.now());
            let (result, update) = match changed {
                Ok(record) => (
                    Ok(record.phase),
                    Some(host_update(record, change, standing.now())),
                ),
                Err(refusal) => (Err(refusal), None),
            };
            outcomes.push(HostOutcome {
                name: name.to_owned(),
                result,
                is_named: select.names(name),
            });
            update
        })?;
        if self.output.is_json() {
            let listed: Vec<Value> = outcomes
                .iter()
                .map(|HostOutcome { name, result, .. }| match result {
                    Ok(phase) => json!({ "host": name, "phase": phase }),
                    Err(refusal) => json!({ "host": name, "reason": refusal.to_string() }),
                })
                .collect();
            self.output.json(&listed);
        }
        Ok(self.report(change, &outcomes))
    }

    /// Prints the results, and returns how to exit.
    fn report(&self, change: &HostChange<'_>, outcomes: &[HostOutcome]) -> Exit {
        let done = change.done;
        for outcome in outcomes.iter().filter(|outcome| !outcome.does_not_apply()) {
            let name = &outcome.name;
            match &outcome.result {
                Ok(phase) if !self.output.is_json() => self
                    .output
                    .result(&format!("{name}: {done}, its phase is {phase}\n")),
                Ok(_) => {}
                Err(refusal) => self
                    .output
                    .error(&format!("`{name}` was not {done}: {refusal}"), ""),
            }
        }
        let changed = outcomes.iter().filter(|it| it.result.is_ok()).count();
        let skipped = outcomes.iter().filter(|it| it.does_not_apply()).count();
        if skipped > 0 {
            let hosts = if skipped == 1 {
                "host was"
            } else {
                "hosts were"
            };
            self.output
                .note(&format!("{skipped} {hosts} {}", change.otherwise));
        }
        if changed > 0 {
            warn_without_server(&self.store, &self.directory, self.output);
        }
        exit_for(changed, outcomes.len() - skipped)
    }
}

fn host_update(record: HostRecord, change: &HostChange<'_>, now: Timestamp) -> HostUpdate {
    let event = Event {
        at: now,
        kind: change.kind,
        host: Some(record.host.clone()),
        mac: None,
        session: record.session.as_ref().map(|session| session.id),
        message: record
            .reason
            .clone()
            .unwrap_or_else(|| change.done.to_owned()),
    };
    HostUpdate {
        record,
        plan: None,
        events: vec![event],
    }
}
