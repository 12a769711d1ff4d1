use std::io::{BufRead, IsTerminal};
use std::time::Duration;

use clap::Args;
use jiff::SignedDuration;
use serde_json::json;

use super::{Stop, Work, exit_for, fails, parse_duration, said};
use crate::cli::inventory::{Good, bundles};
use crate::cli::select::Select;
use crate::cli::{Exit, Global};
use crate::inventory::Host;
use crate::provision::{Arming, provision};

/// How hosts are to be armed.
#[derive(Debug, Args)]
pub struct Ask {
    /// How long the hosts are served their install; let it cover all of it [default:
    /// `provisioning.deadline` of the site]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    deadline: Option<Duration>,
    /// Do not ask, also when many hosts are armed
    #[arg(short, long)]
    yes: bool,
    /// Arm them also where their bundle is retired
    #[arg(long)]
    allow_retired: bool,
}

impl Work<'_> {
    pub(super) fn provision(
        &self,
        global: &Global,
        good: &Good,
        select: &Select,
        ask: &Ask,
    ) -> Result<Exit, Stop> {
        let inventory = &good.inventory;
        let hosts = select.find(inventory, self.output).map_err(said)?;
        let deadline = ask.deadline;
        let deadline = deadline.unwrap_or(inventory.site.provisioning.deadline);
        let how = Arming {
            deadline,
            allow_retired: ask.allow_retired,
        };
        if hosts.len() > 1 && !ask.yes && !self.confirmed(&hosts, deadline)? {
            return Ok(Exit::No);
        }
        let bundles = bundles(global, good).map_err(fails)?;
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
        )
        .map_err(fails)?;
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
            self.warn_without_server();
        }
        Ok(exit_for(armed, outcomes.len()))
    }

    fn confirmed(&self, hosts: &[&Host], deadline: Duration) -> Result<bool, Stop> {
        let names: Vec<&str> = hosts
            .iter()
            .take(8)
            .map(|host| host.name.as_str())
            .collect();
        let more = if hosts.len() > names.len() {
            format!(" and {} more", hosts.len() - names.len())
        } else {
            String::new()
        };
        let what = format!(
            "{} hosts will be overwritten when they boot within {}: {}{more}",
            hosts.len(),
            spelled(deadline),
            names.join(", ")
        );
        if !std::io::stdin().is_terminal() {
            self.output.error(
                &what,
                "give `--yes` to arm so many where nobody can be asked",
            );
            return Ok(false);
        }
        self.output.stderr(&format!("{what}\nArm them? [y/N] "));
        let mut answer = String::new();
        std::io::stdin()
            .lock()
            .read_line(&mut answer)
            .map_err(fails)?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }
}

/// Writes a length of time as people do: `45m`, `1h 30m`.
fn spelled(time: Duration) -> String {
    SignedDuration::try_from(time).map_or_else(|_| format!("{time:?}"), |time| format!("{time:#}"))
}
