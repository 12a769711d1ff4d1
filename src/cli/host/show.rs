use serde_json::json;

use super::description::{host_json, session_note};
use super::open_store::OpenStore;
use crate::cli::Exit;
use crate::cli::error::CommandResult;
use crate::cli::inventory::Known;
use crate::cli::select::Select;
use crate::machine::Phase;
use crate::store::{EventQuery, Store};

impl OpenStore<'_> {
    /// Shows a host, even if it left the inventory.
    pub(super) fn show(&self, known: &Known, name: &str) -> CommandResult {
        let select = Select {
            hosts: vec![name.to_owned()],
            ..Select::default()
        };
        let mut records = self.store.hosts()?;
        select.find_known(known, &records)?;
        records.retain(|record| record.host == name);
        let record = records.pop();
        let host = known.host(name);
        let query = EventQuery {
            after: 0,
            host: Some(name.to_owned()),
            limit: 10,
            latest: true,
        };
        let latest = &self.store.events(&query)?;
        if self.output.is_json() {
            let mut shown = host_json(name, host, record.as_ref());
            shown["events"] = json!(latest);
            self.output.json(&shown);
            return Ok(Exit::Done);
        }
        let standing = self.store.standing()?;
        let phase = record.as_ref().map_or(Phase::New, |record| record.phase);
        let mut text = format!("{name}: {phase}\n");
        if let Some(host) = host {
            text.push_str(&format!("  profile   {}\n", host.profile));
            text.push_str(&format!("  arch      {}\n", host.arch));
        }
        for nic in host.iter().flat_map(|host| &host.nics) {
            let ip = nic
                .ip
                .map(|ip| ip.to_string())
                .unwrap_or_else(|| "from the pool".into());
            let boot = if nic.boot { ", boots" } else { "" };
            text.push_str(&format!(
                "  nic       {} on {}, {ip}{boot}\n",
                nic.mac, nic.network
            ));
        }
        if let Some(record) = &record {
            if let Some(reason) = &record.reason {
                text.push_str(&format!("  reason    {reason}\n"));
            }
            if let Some(session) = &record.session {
                text.push_str(&format!(
                    "  session   {}, {}\n",
                    session.id,
                    session_note(record, &standing)
                ));
            }
        }
        for event in latest {
            let at = event.event.at.strftime("%Y-%m-%d %H:%M:%SZ");
            text.push_str(&format!(
                "  {at}  {:<10} {}\n",
                event.event.kind, event.event.message
            ));
        }
        self.output.result(&text);
        Ok(Exit::Done)
    }
}
