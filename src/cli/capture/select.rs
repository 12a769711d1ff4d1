use super::Capture;
use crate::capture::Selection;
use crate::cli::output::Output;
use crate::inventory::{Host, Inventory, nearest};

impl Capture {
    /// Returns the selection, or prints the name of a host that does not exist.
    pub(super) fn selection(
        &self,
        inventory: Option<&Inventory>,
        output: &Output,
    ) -> Option<Selection> {
        let mut selection = Selection {
            macs: self.mac.iter().copied().collect(),
            transactions: self.xid.iter().copied().collect(),
            since: self.since,
            until: self.until,
            ..Selection::default()
        };
        let mut hosts: Vec<&Host> = Vec::new();
        for name in &self.host {
            let found = inventory.and_then(|it| it.hosts.get(name));
            if found.is_none() {
                let names = inventory.map(|it| it.hosts.keys().map(String::as_str));
                let near = names.and_then(|names| nearest(name, names));
                let help = match (inventory, near) {
                    (None, _) => {
                        "name the inventory with `-i DIR`, or select the machine with `--mac`"
                            .to_owned()
                    }
                    (_, Some(near)) => format!("did you mean `{near}`?"),
                    (_, None) => "run `pxectl host list` to list the hosts".to_owned(),
                };
                output.error(&format!("host `{name}` is not in the inventory"), &help);
            }
            hosts.push(found?);
        }
        for nic in hosts.iter().flat_map(|host| &host.nics) {
            selection.macs.insert(nic.mac);
            selection.addresses.extend(nic.ip);
        }
        // A machine that is selected by its address may be in the inventory, too.
        let all = inventory.iter().flat_map(|it| it.hosts.values());
        for nic in all.flat_map(|host| &host.nics) {
            if self.mac.contains(&nic.mac) {
                selection.addresses.extend(nic.ip);
            }
        }
        Some(selection)
    }
}
