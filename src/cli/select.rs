use std::collections::BTreeSet;

use clap::Args;

use super::Exit;
use super::inventory::Known;
use super::output::Output;
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

    /// Finds hosts of the inventory, sorted by name. Prints an error if it cannot.
    pub fn find<'i>(
        &self,
        inventory: &'i Inventory,
        output: &Output,
    ) -> Result<Vec<&'i Host>, Exit> {
        let names: BTreeSet<&str> = inventory.hosts.keys().map(String::as_str).collect();
        let found = self.pick(&names, Some(inventory), "in the inventory", output)?;
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
        output: &Output,
    ) -> Result<Vec<&'k str>, Exit> {
        let named = known.hosts.iter().map(String::as_str);
        let names: BTreeSet<&str> = named
            .chain(records.iter().map(|record| record.host.as_str()))
            .collect();
        let place = "in the inventory or the store";
        let found = self.pick(&names, known.inventory.as_ref(), place, output)?;
        Ok(found.into_iter().collect())
    }

    fn pick<'n>(
        &self,
        names: &BTreeSet<&'n str>,
        inventory: Option<&Inventory>,
        place: &str,
        output: &Output,
    ) -> Result<BTreeSet<&'n str>, Exit> {
        if self.all {
            return Ok(names.clone());
        }
        let mut found = BTreeSet::new();
        let mut good = true;
        for name in &self.hosts {
            match names.get(name.as_str()) {
                Some(host) => {
                    found.insert(*host);
                }
                None => {
                    let help = match nearest(name, names.iter().copied()) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => "run `pxectl host list` to list the hosts".to_owned(),
                    };
                    output.error(&format!("no host `{name}` {place}"), &help);
                    good = false;
                }
            }
        }
        for selector in &self.selector {
            let Some((key, value)) = selector.split_once('=') else {
                output.error(
                    &format!("`{selector}` is not a selector"),
                    "write a selector such as `role=worker`",
                );
                return Err(Exit::Usage);
            };
            let Some(inventory) = inventory else {
                output.error(
                    &format!("cannot select `{selector}`: the inventory has errors"),
                    "use host names or `--all`",
                );
                good = false;
                continue;
            };
            let labelled: Vec<&str> = names
                .iter()
                .copied()
                .filter(|name| {
                    let host = inventory.hosts.get(*name);
                    host.and_then(|host| host.labels.get(key))
                        .is_some_and(|v| v == value)
                })
                .collect();
            if labelled.is_empty() {
                output.error(
                    &format!("no host has the label `{selector}`"),
                    "set `labels` in the host's document",
                );
                good = false;
            }
            found.extend(labelled);
        }
        if good && found.is_empty() {
            output.error(
                "no hosts selected",
                "use host names, `--selector KEY=VALUE` or `--all`",
            );
            return Err(Exit::Usage);
        }
        if good { Ok(found) } else { Err(Exit::No) }
    }
}
