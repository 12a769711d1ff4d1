use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::description::exit_for;
use super::open_store::OpenStore;
use crate::cli::confirm::{confirmed, some_of};
use crate::cli::duration::{duration_text, parse_deadline};
use crate::cli::error::CommandResult;
use crate::cli::inventory::{Good, bundles, warn_without_server};
use crate::cli::select::Select;
use crate::cli::{Exit, Global};
use crate::decide::install_under_way;
use crate::inventory::{Host, USUAL_DEADLINE};
use crate::machine::HostRecord;
use crate::provision::{Arming, provision};
use crate::store::Store;

/// Options of `host provision`.
#[derive(Debug, Args)]
pub struct ProvisionOptions {
    /// Time limit of the install, from boot to end, at least 1m [default: `provisioning.deadline` of the
    /// site]
    #[arg(long, value_name = "TIME", value_parser = parse_deadline)]
    deadline: Option<Duration>,
    /// Arm several hosts without a prompt
    #[arg(short, long)]
    yes: bool,
    /// Arm hosts even if their bundle is retired
    #[arg(long)]
    allow_retired: bool,
}

impl OpenStore<'_> {
    pub(super) fn provision(
        &self,
        global: &Global,
        good: &Good,
        select: &Select,
        options: &ProvisionOptions,
    ) -> CommandResult {
        let inventory = &good.inventory;
        let hosts = select.find(inventory)?;
        let deadline = options
            .deadline
            .unwrap_or(inventory.site.provisioning.deadline);
        if deadline > USUAL_DEADLINE {
            let what = format!(
                "the hosts stay armed for {}, and are overwritten whenever they boot from the \
                 network until then",
                duration_text(deadline)
            );
            let help = "use `--deadline` with the time that an install takes, such as `45m`; \
                        `pxectl host cancel` disarms hosts";
            self.output.warning(&what, help);
        }
        let how = Arming {
            deadline,
            allow_retired: options.allow_retired,
        };
        if hosts.len() > 1 && !options.yes && !self.confirmed(&hosts, deadline)? {
            return Ok(Exit::No);
        }
        self.warn_of_suspended_installs(&hosts)?;
        let bundles = bundles(global, good)?;
        let outcomes = provision(
            inventory,
            &bundles,
            &self.store,
            &hosts,
            how,
            &mut |bundle| {
                self.output
                    .note(&format!("verifying the files of bundle `{bundle}`"));
            },
        )?;
        let armed = outcomes
            .iter()
            .filter(|(_, outcome)| outcome.is_ok())
            .count();
        let mut listed = Vec::new();
        for (name, outcome) in &outcomes {
            match outcome {
                Ok(session) => {
                    listed.push(json!({ "host": name, "armed": true, "session": session.id, "deadline": session.deadline }));
                    if !self.output.is_json() {
                        let text = format!(
                            "{name}: armed until {:.0} (session {})\n",
                            session.deadline, session.id
                        );
                        self.output.result(&text);
                    }
                }
                Err(why) => {
                    listed.push(json!({ "host": name, "armed": false, "reason": why.to_string() }));
                    self.output
                        .error(&format!("`{name}` was not armed: {why}"), why.help());
                }
            }
        }
        if self.output.is_json() {
            self.output.json(&listed);
        }
        if armed > 0 {
            warn_without_server(&self.store, &self.directory, self.output);
        }
        Ok(exit_for(armed, outcomes.len()))
    }

    /// Warns about installers that may still be at work in a session that arming replaces.
    fn warn_of_suspended_installs(&self, hosts: &[&Host]) -> CommandResult<()> {
        let standing = self.store.standing()?;
        let records = self.store.open_hosts()?;
        let is_named = |record: &&HostRecord| hosts.iter().any(|host| host.name == record.host);
        let at_work: Vec<&str> = records
            .iter()
            .filter(is_named)
            .filter(|record| {
                install_under_way(record, &standing).is_some_and(|it| it.suspended.is_some())
            })
            .map(|record| record.host.as_str())
            .collect();
        if !at_work.is_empty() {
            let what = format!(
                "an installer may still be at work on {}: its session was suspended, and arming \
                 replaces it",
                some_of(&at_work)
            );
            let help = "its reports no longer count; make sure that it has ended before the \
                        machine boots again";
            self.output.warning(&what, help);
        }
        Ok(())
    }

    fn confirmed(&self, hosts: &[&Host], deadline: Duration) -> CommandResult<bool> {
        let names: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
        let what = format!(
            "{} hosts will be overwritten when they boot within {}: {}",
            hosts.len(),
            duration_text(deadline),
            some_of(&names)
        );
        let help = "use `--yes` to arm several hosts without a prompt";
        Ok(confirmed(self.output, &what, "Arm them?", help)?)
    }
}
