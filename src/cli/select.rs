use std::collections::BTreeSet;

use clap::Args;

use super::error::{CommandError, CommandResult};
use super::inventory::Known;
use crate::inventory::{Host, Inventory, nearest};
use crate::machine::HostRecord;

/// The hosts that a command works on.
#[derive(Debug, Default, Args)]
pub struct Select {
    /// Host names
    #[arg(value_name = "HOST")]
    pub hosts: Vec<String>,

    /// Select the hosts that have a label
    #[arg(short = 'l', long, value_name = "KEY=VALUE", conflicts_with = "all")]
    pub selector: Vec<String>,

    /// Select all hosts
    #[arg(long, conflicts_with = "hosts")]
    pub all: bool,
}

impl Select {
    /// Selects every host.
    pub fn everything() -> Self {
        Self {
            all: true,
            ..Self::default()
        }
    }

    /// Reports whether a host is selected by its name, and not only by a label or `--all`.
    pub fn names(&self, host: &str) -> bool {
        self.hosts.iter().any(|name| name == host)
    }

    /// Finds hosts of the inventory, sorted by name.
    pub fn find<'i>(&self, inventory: &'i Inventory) -> CommandResult<Vec<&'i Host>> {
        let names: BTreeSet<&str> = inventory.hosts.keys().map(String::as_str).collect();
        let found = self.pick(&names, Some(inventory), "in the inventory")?;
        Ok(found
            .into_iter()
            .filter_map(|name| inventory.hosts.get(name))
            .collect())
    }

    /// Finds the names of hosts, including those that are no longer in the inventory.
    pub fn find_known<'k>(
        &self,
        known: &'k Known,
        records: &'k [HostRecord],
    ) -> CommandResult<Vec<&'k str>> {
        let named = known.hosts.iter().map(String::as_str);
        let names: BTreeSet<&str> = named
            .chain(records.iter().map(|record| record.host.as_str()))
            .collect();
        let place = "in the inventory or the store";
        let found = self.pick(&names, known.inventory.as_ref(), place)?;
        Ok(found.into_iter().collect())
    }

    fn pick<'n>(
        &self,
        names: &BTreeSet<&'n str>,
        inventory: Option<&Inventory>,
        place: &str,
    ) -> CommandResult<BTreeSet<&'n str>> {
        if self.all {
            return Ok(names.clone());
        }
        let mut found = BTreeSet::new();
        let mut errors = Vec::new();
        for name in &self.hosts {
            match names.get(name.as_str()) {
                Some(host) => {
                    found.insert(*host);
                }
                None => {
                    let hint = match nearest(name, names.iter().copied()) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => "run `pxectl host list` to list the hosts".to_owned(),
                    };
                    let text = format!("no host `{name}` {place}");
                    errors.push(CommandError::no(text).hint(hint));
                }
            }
        }
        for selector in &self.selector {
            let Some((key, value)) = selector.split_once('=') else {
                let text = format!("`{selector}` is not a selector");
                let error = CommandError::usage(text);
                return Err(error.hint("write a selector such as `role=worker`"));
            };
            let Some(inventory) = inventory else {
                let text = format!("cannot select `{selector}`: the inventory has errors");
                errors.push(CommandError::no(text).hint("use host names or `--all`"));
                continue;
            };
            let has_label = |name: &&str| {
                let host = inventory.hosts.get(*name);
                host.and_then(|host| host.labels.get(key))
                    .is_some_and(|it| it == value)
            };
            let labelled: Vec<&str> = names.iter().copied().filter(has_label).collect();
            if labelled.is_empty() {
                let text = format!("no host has the label `{selector}`");
                errors.push(CommandError::no(text).hint("set `labels` in the host's document"));
            }
            found.extend(labelled);
        }
        if let Some(error) = errors.into_iter().reduce(CommandError::and) {
            return Err(error);
        }
        if found.is_empty() {
            return Err(CommandError::usage("no hosts selected")
                .hint("use host names, `--selector KEY=VALUE` or `--all`"));
        }
        Ok(found)
    }
}
