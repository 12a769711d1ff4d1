use clap::Args;

use super::Exit;
use super::output::Output;
use crate::inventory::{Host, Inventory, nearest};

/// Which hosts a command works on.
#[derive(Debug, Args)]
pub struct Select {
    /// The hosts, by name
    #[arg(value_name = "HOST")]
    pub hosts: Vec<String>,

    /// All hosts with a label
    #[arg(short = 'l', long, value_name = "KEY=VALUE", conflicts_with = "all")]
    pub selector: Vec<String>,

    /// All hosts
    #[arg(long, conflicts_with = "hosts")]
    pub all: bool,
}

impl Select {
    /// Finds the hosts, in the order of their names; prints why it cannot.
    pub fn find<'i>(
        &self,
        inventory: &'i Inventory,
        output: &Output,
    ) -> Result<Vec<&'i Host>, Exit> {
        if self.all {
            return Ok(inventory.hosts.values().collect());
        }
        let mut found = Vec::new();
        let mut good = true;
        for name in &self.hosts {
            match inventory.hosts.get(name) {
                Some(host) => found.push(host),
                None => {
                    let near = nearest(name, inventory.hosts.keys().map(String::as_str));
                    let help = match near {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => "`pxectl host list` lists the hosts".to_owned(),
                    };
                    output.error(&format!("no host `{name}` in the inventory"), &help);
                    good = false;
                }
            }
        }
        for selector in &self.selector {
            let Some((key, value)) = selector.split_once('=') else {
                output.error(
                    &format!("`{selector}` is no selector"),
                    "write one such as `role=worker`",
                );
                good = false;
                continue;
            };
            let before = found.len();
            found.extend(
                inventory
                    .hosts
                    .values()
                    .filter(|host| host.labels.get(key).is_some_and(|v| v == value)),
            );
            if found.len() == before {
                output.error(
                    &format!("no host has the label `{selector}`"),
                    "`labels:` of a host sets its labels",
                );
                good = false;
            }
        }
        if good && found.is_empty() {
            output.error(
                "no hosts are named",
                "name some, or give `--selector KEY=VALUE` or `--all`",
            );
            good = false;
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found.dedup_by(|a, b| a.name == b.name);
        if good { Ok(found) } else { Err(Exit::No) }
    }
}
