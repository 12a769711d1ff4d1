//! The Redfish resources that every command reads: the service root and the system.

use serde_json::Value;

use super::fields::{Fields, MAX_TEXT};
use super::status::{BootOverride, MachineStatus, PowerState};
use crate::machine::{Secret, SystemUuid, cleaned, is_placeholder};

/// The service root: the vendor of the BMC, and the paths of its collections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceRoot {
    /// `HPE`, `Dell`, `Supermicro`, …
    pub vendor: Option<String>,
    /// `iLO 6`, `Integrated Dell Remote Access Controller`, …
    pub product: Option<String>,
    /// The names of the vendor extensions, which are the only vendor names of old services.
    pub extensions: Vec<String>,
    /// The path of the collection of systems.
    pub systems: String,
    /// The path of the collection of managers.
    pub managers: String,
    /// The path of the collection of sessions; `None` if the BMC has no sessions.
    pub sessions: Option<String>,
    /// Whether the BMC can send a collection together with its members.
    pub can_expand: bool,
}

impl ServiceRoot {
    /// Reads the service root. Missing paths get their usual values.
    pub fn read(value: &Value) -> Self {
        let fields = Fields::of(value);
        let path = |name: &str| {
            let link = fields.link(name);
            link.unwrap_or_else(|| format!("/redfish/v1/{name}"))
        };
        let below_service = || {
            let service = fields.link("SessionService")?;
            Some(format!("{}/Sessions", service.trim_end_matches('/')))
        };
        Self {
            vendor: fields.text("Vendor"),
            product: fields.text("Product"),
            extensions: extensions(fields),
            systems: path("Systems"),
            managers: path("Managers"),
            can_expand: fields
                .object("ProtocolFeaturesSupported")
                .object("ExpandQuery")
                .boolean("NoLinks")
                .unwrap_or_default(),
            sessions: fields
                .object("Links")
                .link("Sessions")
                .or_else(below_service),
        }
    }
}

/// Returns the names of the vendor extensions of a resource.
fn extensions(fields: Fields<'_>) -> Vec<String> {
    let extensions = fields.value("Oem").and_then(Value::as_object);
    let names = extensions.into_iter().flat_map(|it| it.keys());
    names.map(|name| cleaned(name, MAX_TEXT)).collect()
}

/// A system resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct System {
    /// The path.
    pub path: String,
    /// The status of the machine.
    pub machine: MachineStatus,
    /// The stock-keeping unit: the service tag on Dell machines.
    pub sku: Option<String>,
    /// The names of the vendor extensions.
    pub extensions: Vec<String>,
    /// The firmware version.
    pub bios: Option<String>,
    /// The identifiers of the boot order.
    pub boot_order: Vec<String>,
    /// The supported boot targets; empty if the BMC does not list them.
    pub boot_targets: Vec<String>,
    /// Whether the system has a property for the URI of HTTP boot.
    pub has_http_uri: bool,
    /// The path for settings that the system resource itself does not accept.
    pub settings: Option<String>,
    /// The reset action.
    pub reset: Option<ResetAction>,
    /// The entity tag.
    pub etag: Option<String>,
    /// The paths of related resources.
    pub links: SystemLinks,
}

/// The reset action of a system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResetAction {
    /// The path to send the action to.
    pub target: String,
    /// The supported reset types; empty if they are not listed here.
    pub reset_types: Vec<String>,
    /// The path of the resource that lists the reset types instead.
    pub action_info: Option<String>,
}

/// The paths of resources related to a system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SystemLinks {
    /// The network interfaces.
    pub interfaces: Option<String>,
    /// The storage controllers.
    pub storage: Option<String>,
    /// The disks, in older services.
    pub simple_storage: Option<String>,
    /// The virtual media, in newer services.
    pub media: Option<String>,
    /// The boot options.
    pub boot_options: Option<String>,
    /// The firmware settings.
    pub bios: Option<String>,
    /// Secure Boot.
    pub secure_boot: Option<String>,
    /// The event logs, in newer services.
    pub logs: Option<String>,
    /// The managers.
    pub managers: Vec<String>,
}

impl System {
    /// Reads a system that was found at `path`.
    pub fn read(path: &str, value: &Value) -> Self {
        let fields = Fields::of(value);
        let boot = fields.object("Boot");
        let identity = |name: &str| fields.text(name).filter(|text| !is_placeholder(text));
        let uuid = fields.raw("UUID").and_then(|text| text.trim().parse().ok());
        let reset = fields.object("Actions").object("#ComputerSystem.Reset");
        let status = fields.object("Status");
        Self {
            path: path.to_owned(),
            machine: MachineStatus {
                power: power_state(fields.raw("PowerState")),
                manufacturer: identity("Manufacturer"),
                model: identity("Model"),
                serial: identity("SerialNumber"),
                uuid: uuid.filter(|uuid: &SystemUuid| !uuid.is_placeholder()),
                boot: BootOverride {
                    enabled: boot.text("BootSourceOverrideEnabled"),
                    target: boot.text("BootSourceOverrideTarget"),
                    mode: boot.text("BootSourceOverrideMode"),
                    uri: boot.raw("HttpBootUri").map(Secret::from),
                },
                // Some BMCs report the health of the system only together with its parts.
                health: status
                    .text("Health")
                    .or_else(|| status.text("HealthRollup")),
                in_post: is_in_post(fields),
                secure_boot: None,
                boot_order: Vec::new(),
            },
            sku: identity("SKU"),
            extensions: extensions(fields),
            bios: fields.text("BiosVersion"),
            boot_order: boot.texts("BootOrder"),
            boot_targets: boot.texts("BootSourceOverrideTarget@Redfish.AllowableValues"),
            has_http_uri: boot.has("HttpBootUri"),
            settings: fields.object("@Redfish.Settings").link("SettingsObject"),
            reset: reset.link("target").map(|target| ResetAction {
                target,
                reset_types: reset.texts("ResetType@Redfish.AllowableValues"),
                action_info: reset.link("@Redfish.ActionInfo"),
            }),
            etag: fields.raw("@odata.etag").map(str::to_owned),
            links: SystemLinks {
                interfaces: fields.link("EthernetInterfaces"),
                storage: fields.link("Storage"),
                simple_storage: fields.link("SimpleStorage"),
                media: fields.link("VirtualMedia"),
                boot_options: boot.link("BootOptions"),
                bios: fields.link("Bios"),
                secure_boot: fields.link("SecureBoot"),
                logs: fields.link("LogServices"),
                managers: fields.object("Links").links("ManagedBy"),
            },
        }
    }
}

fn power_state(text: Option<&str>) -> PowerState {
    match text.map(str::to_ascii_lowercase).as_deref() {
        Some("on" | "reset") => PowerState::On,
        Some("off") => PowerState::Off,
        Some("poweringon") => PowerState::PoweringOn,
        Some("poweringoff") => PowerState::PoweringOff,
        _ => PowerState::Unknown,
    }
}

/// Reports whether the system is in its power-on self-test, as far as it reports its boot progress.
/// Source: DSP0268, ComputerSystem, `BootProgress.LastState`; HPE's `Oem.Hpe.PostState`.
fn is_in_post(fields: Fields<'_>) -> bool {
    let oem = fields.object("Oem");
    let post_state = |vendor: &str| oem.object(vendor).text("PostState");
    if let Some(state) = post_state("Hpe").or_else(|| post_state("Hp")) {
        return matches!(state.as_str(), "InPost" | "InPostDiscoveryComplete");
    }
    match fields.object("BootProgress").text("LastState").as_deref() {
        Some("OSBootStarted" | "OSRunning" | "SetupEntered" | "None" | "OEM") | None => false,
        Some(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::bmc::error_body::{error_text, is_temporary, is_wrong_password};
    use crate::bmc::fields::members;

    #[test]
    fn service_root_may_lack_properties() {
        let root = ServiceRoot::read(&json!({
            "Oem": {"Hpe": {}}, "Links": {"Sessions": {"@odata.id": "/s"}},
        }));
        assert_eq!(root.extensions, ["Hpe"]);
        assert_eq!(root.systems, "/redfish/v1/Systems");
        assert_eq!(root.sessions.as_deref(), Some("/s"));
        let root = ServiceRoot::read(&json!({"SessionService": {"@odata.id": "/x/"}}));
        assert_eq!(root.sessions.as_deref(), Some("/x/Sessions"));
        assert_eq!(ServiceRoot::read(&json!([])).sessions, None);
    }

    #[test]
    fn system_is_read_without_placeholders() {
        let system = System::read(
            "/s/1",
            &json!({
                "SerialNumber": "To be filled by O.E.M.", "UUID": "03000200-0400-0500-0006-000700080009",
                "PowerState": "on", "SKU": "C7X9K2",
                "Boot": {"BootSourceOverrideTarget": "Pxe", "HttpBootUri": null},
                "Actions": {"#ComputerSystem.Reset": {"target": "/r", "ResetType@Redfish.AllowableValues": ["On"]}},
                "Links": {"ManagedBy": [{"@odata.id": "/m/1"}]},
            }),
        );
        assert_eq!(system.machine.serial, None);
        assert_eq!(system.machine.uuid, None);
        assert_eq!(system.machine.power, PowerState::On);
        assert_eq!(system.sku.as_deref(), Some("C7X9K2"));
        assert!(system.has_http_uri);
        assert_eq!(system.reset.unwrap().reset_types, ["On"]);
        assert_eq!(system.links.managers, ["/m/1"]);
    }

    #[test]
    fn health_rollup_replaces_a_missing_health() {
        for (status, health) in [
            (
                json!({"Health": "OK", "HealthRollup": "Critical"}),
                Some("OK"),
            ),
            (
                json!({"Health": null, "HealthRollup": "Warning"}),
                Some("Warning"),
            ),
            (json!({"HealthRollup": "Critical"}), Some("Critical")),
            (json!({"State": "Enabled"}), None),
        ] {
            let system = System::read("/", &json!({ "Status": status }));
            assert_eq!(system.machine.health.as_deref(), health, "{status}");
        }
    }

    #[test]
    fn self_test_is_recognized_in_each_form() {
        for (value, in_post) in [
            (json!({}), false),
            (json!({"BootProgress": {"LastState": null}}), false),
            (
                json!({"BootProgress": {"LastState": "MemoryInitializationStarted"}}),
                true,
            ),
            (json!({"BootProgress": {"LastState": "OSRunning"}}), false),
            (json!({"Oem": {"Hpe": {"PostState": "InPost"}}}), true),
            (
                json!({"Oem": {"Hpe": {"PostState": "FinishedPost"}}}),
                false,
            ),
            (json!({"Oem": {"Hp": {"PostState": "Unknown"}}}), false),
        ] {
            let system = System::read("/", &value);
            assert_eq!(system.machine.in_post, in_post, "{value}");
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
            if let Ok(value) = serde_json::from_slice::<Value>(&bytes) {
                read_all(&value);
            }
        }

        #[test]
        fn arbitrary_json_never_panics(text in "(\\{\"(Boot|UUID|Actions|Members|error|Links)\":[\\[\\]{}\":a0-9,null]{0,40}\\})") {
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                read_all(&value);
            }
        }
    }

    fn read_all(value: &Value) {
        let _ = System::read("/", value);
        let _ = (
            ServiceRoot::read(value),
            members(value),
            error_text(value),
            is_temporary(value),
            is_wrong_password(value),
        );
    }
}
