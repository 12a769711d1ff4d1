//! The firmware settings of a machine. Changes stay pending until the next start.

use serde_json::{Value, json};

use super::machine::EmulatedMachine;
use super::responses::EmulatorResponse;

/// Returns the settings, or those that wait for the next start.
pub fn resource(machine: &EmulatedMachine, path: &str) -> Option<Value> {
    let (name, settings) = if path.ends_with("/Settings") {
        ("Settings", &machine.pending)
    } else {
        ("Bios", &machine.settings)
    };
    if machine.settings.is_empty() {
        return None;
    }
    let mut resource = json!({"@odata.id": path, "Id": name, "Attributes": settings});
    if name == "Bios" {
        let settings_link = json!({"@odata.id": format!("{path}/Settings")});
        resource["@Redfish.Settings"] = json!({"SettingsObject": settings_link});
    }
    Some(resource)
}

/// Accepts settings for the next start. An unknown name refuses all of them.
pub fn change(machine: &mut EmulatedMachine, body: &Value) -> EmulatorResponse {
    let Some(expected) = body["Attributes"].as_object() else {
        return EmulatorResponse::error(400, "Attributes is required.");
    };
    if let Some(name) = expected
        .keys()
        .find(|it| !machine.settings.contains_key(*it))
    {
        return EmulatorResponse::error(400, &format!("There is no attribute {name}."));
    }
    for (name, value) in expected {
        let value = value.as_str().unwrap_or_default().to_owned();
        machine.pending.insert(name.clone(), value);
    }
    EmulatorResponse::empty(200)
}
