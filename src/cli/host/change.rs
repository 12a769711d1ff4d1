use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Work, exit_for};
use crate::cli::error::CommandResult;
use crate::cli::inventory::{Known, warn_without_server};
use crate::cli::select::Select;
use crate::decide::Refusal;
use crate::machine::{Event, EventKind, HostRecord};
use crate::store::{HostUpdate, Store};

pub(super) type Change<'c> =
    dyn Fn(&str, Option<&HostRecord>, Timestamp) -> Result<HostRecord, Refusal> + 'c;

impl Work<'_> {
    /// Changes hosts by one rule, in one transaction; hosts that left the inventory too.
    pub(super) fn change(
        &self,
        known: &Known,
        select: &Select,
        kind: EventKind,
        done: &str,
        change: &Change<'_>,
    ) -> CommandResult {
        let records = self.store.hosts()?;
        let names = select.find_known(known, &records)?;
        let mut outcomes = Vec::new();
        self.store
            .update(
                &names,
                &mut |name, record, standing| match change(name, record, standing.now()) {
                    Ok(record) => {
                        let message = record.reason.clone().unwrap_or_else(|| done.to_owned());
                        let session = record.session.as_ref().map(|session| session.id);
                        let event = Event {
                            at: standing.now(),
                            kind,
                            host: Some(name.to_owned()),
                            mac: None,
                            session,
                            message,
                        };
                        outcomes.push((name.to_owned(), Ok(record.phase)));
                        Some(HostUpdate {
                            record,
                            plan: None,
                            events: vec![event],
                        })
                    }
                    Err(refusal) => {
                        outcomes.push((name.to_owned(), Err(refusal)));
                        None
                    }
                },
            )?;
        let good = outcomes
            .iter()
            .filter(|(_, outcome)| outcome.is_ok())
            .count();
        for (name, outcome) in &outcomes {
            match outcome {
                Ok(phase) if !self.output.is_json() => self
                    .output
                    .result(&format!("{name}: {done}, its phase is {phase}\n")),
                Ok(_) => {}
                Err(refusal) => self
                    .output
                    .error(&format!("`{name}` was not {done}: {refusal}"), ""),
            }
        }
        if self.output.is_json() {
            let listed: Vec<Value> = outcomes
                .iter()
                .map(|(name, outcome)| match outcome {
                    Ok(phase) => json!({ "host": name, "phase": phase }),
                    Err(refusal) => json!({ "host": name, "reason": refusal.to_string() }),
                })
                .collect();
            self.output.json(&listed);
        }
        if good > 0 {
            warn_without_server(&self.store, &self.directory, self.output);
        }
        Ok(exit_for(good, outcomes.len()))
    }
}
