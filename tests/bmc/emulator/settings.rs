//! The settings of a machine's firmware: shown as they are, changed where they are pending.

use serde_json::{Value, json};

use super::answers::Reply;
use super::machine::Machine;

/// Shows the settings, or those that wait for the next start.
pub fn shown(machine: &Machine, path: &str) -> Option<Value> {
    let (name, settings) = match path.ends_with("/Settings") {
        true => ("Settings", &machine.pending),
        false => ("Bios", &machine.settings),
    };
    if machine.settings.is_empty() {
        return None;
    }
    let mut shown = json!({"@odata.id": path, "Id": name, "Attributes": settings});
    if name == "Bios" {
        let place = json!({"@odata.id": format!("{path}/Settings")});
        shown["@Redfish.Settings"] = json!({"SettingsObject": place});
    }
    Some(shown)
}

/// Takes settings for the next start; one that it does not have is refused, with all others.
pub fn change(machine: &mut Machine, body: &Value) -> Reply {
    let Some(wanted) = body["Attributes"].as_object() else {
        return Reply::error(400, "Attributes is required.");
    };
    if let Some(name) = wanted.keys().find(|it| !machine.settings.contains_key(*it)) {
        return Reply::error(400, &format!("There is no attribute {name}."));
    }
    for (name, value) in wanted {
        let value = value.as_str().unwrap_or_default().to_owned();
        machine.pending.insert(name.clone(), value);
    }
    Reply::empty(200)
}
