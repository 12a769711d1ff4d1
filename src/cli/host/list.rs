use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::Value;

use super::description::{host_json, session_note};
use super::open_store::OpenStore;
use crate::cli::Exit;
use crate::cli::error::CommandResult;
use crate::cli::inventory::Known;
use crate::cli::select::Select;
use crate::inventory::Host;
use crate::machine::Phase;
use crate::store::Store;

impl OpenStore<'_> {
    /// Lists hosts, including hosts that left the inventory.
    pub(super) fn list(&self, known: &Known, select: &Select) -> CommandResult {
        let records = self.store.hosts()?;
        let everything = select.hosts.is_empty() && select.selector.is_empty();
        let all = Select::everything();
        let select = if everything { &all } else { select };
        let names = select.find_known(known, &records)?;
        let standing = self.store.standing()?;
        let found = |name: &str| {
            let at = records
                .binary_search_by(|record| record.host.as_str().cmp(name))
                .ok()?;
            records.get(at)
        };
        if self.output.is_json() {
            let listed: Vec<Value> = names
                .iter()
                .map(|name| host_json(name, known.host(name), found(name)))
                .collect();
            self.output.json(&listed);
            return Ok(Exit::Done);
        }
        let mut table = Table::new();
        table
            .load_style(NOTHING)
            .set_header(["HOST", "PHASE", "PROFILE", "ADDRESS", "SINCE", "NOTE"]);
        for name in names {
            let (host, record) = (known.host(name), found(name));
            let phase = record.map_or(Phase::New, |record| record.phase);
            let address = host
                .and_then(Host::boot_nic)
                .and_then(|nic| nic.ip)
                .map(|ip| ip.to_string());
            let since =
                record.map(|record| record.changed_at.strftime("%Y-%m-%d %H:%M:%SZ").to_string());
            table.add_row([
                name.to_owned(),
                phase.to_string(),
                host.map(|host| host.profile.clone()).unwrap_or_default(),
                address.unwrap_or_default(),
                since.unwrap_or_default(),
                record
                    .map(|record| session_note(record, &standing))
                    .unwrap_or_default(),
            ]);
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        self.output.result(&format!("{}\n", table.trim_fmt()));
        Ok(Exit::Done)
    }
}
