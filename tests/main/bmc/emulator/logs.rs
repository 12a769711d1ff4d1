//! The event logs of a BMC: in pages, with or without their entries, oldest or newest first.

use serde_json::{Value, json};

/// One event log.
#[derive(Clone, Debug)]
pub struct EmulatedLog {
    pub name: &'static str,
    /// Whether the log belongs to the manager, not to the first system.
    pub at_manager: bool,
    /// The entries, in the order of the BMC.
    pub entries: Vec<Value>,
    /// The number of entries on a page.
    pub page: usize,
    /// Whether a collection has its entries, not only references to them.
    pub has_entries: bool,
    /// Whether `$skip` is supported.
    pub can_skip: bool,
}

impl EmulatedLog {
    /// Makes a log of the first system with all entries on one page.
    pub fn new(name: &'static str, entries: Vec<Value>) -> Self {
        Self {
            name,
            at_manager: false,
            entries,
            page: 1000,
            has_entries: true,
            can_skip: false,
        }
    }
}

/// Makes an entry; `time` is a time of one day.
pub fn log_entry(id: usize, time: &str, severity: &str, message: &str) -> Value {
    json!({
        "Id": id.to_string(),
        "Created": format!("2026-11-29T{time}Z"),
        "EntryType": "Event",
        "Severity": severity,
        "Message": message,
        "MessageId": "Event.1.0.Event",
    })
}

/// Returns a collection of logs, a log, its entries or an entry.
pub fn resource(logs: &[EmulatedLog], path: &str, query: &str) -> Option<Value> {
    let (owner, rest) = path.split_once("/LogServices")?;
    let at_manager = owner.starts_with("/redfish/v1/Managers/");
    let own = format!("{owner}/LogServices");
    let mut logs = logs.iter();
    if rest.is_empty() {
        let members = logs.filter(|log| log.at_manager == at_manager);
        let members = members.map(|log| json!({"@odata.id": format!("{own}/{}", log.name)}));
        return Some(json!({"@odata.id": path, "Members": members.collect::<Vec<_>>()}));
    }
    let rest = rest.strip_prefix('/')?;
    let (name, rest) = rest.split_once('/').unwrap_or((rest, ""));
    let log = logs.find(|log| log.at_manager == at_manager && log.name == name)?;
    let entries = format!("{own}/{name}/Entries");
    match rest {
        "" => Some(json!({
            "@odata.id": path, "Id": name, "ServiceEnabled": true,
            "Entries": {"@odata.id": entries},
        })),
        "Entries" => Some(page(log, &entries, query)),
        _ => {
            let id = rest.strip_prefix("Entries/")?;
            log.entries.iter().find(|entry| entry["Id"] == id).cloned()
        }
    }
}

fn page(log: &EmulatedLog, path: &str, query: &str) -> Value {
    let number = |name: &str| query.strip_prefix(name)?.parse::<usize>().ok();
    let skipped = number("$skip=").filter(|_| log.can_skip);
    let start = skipped.or_else(|| number("$skiptoken=")).unwrap_or(0);
    let members = log.entries.iter().skip(start).take(log.page);
    let members = members.map(|entry| match log.has_entries {
        true => entry.clone(),
        false => json!({"@odata.id": format!("{path}/{}", entry["Id"].as_str().unwrap_or("0"))}),
    });
    let mut page = json!({
        "@odata.id": path,
        "Members@odata.count": log.entries.len(),
        "Members": members.collect::<Vec<_>>(),
    });
    let next = start + log.page;
    if next < log.entries.len() {
        page["Members@odata.nextLink"] = json!(format!("{path}?$skiptoken={next}"));
    }
    page
}
