//! The resources that every command reads: the root of the service, and the system.

use serde_json::Value;

use super::fields::Fields;
use super::{BootOverride, Machine, PowerState};
use crate::machine::{Secret, SystemUuid, cleaned, is_placeholder};

/// What the service root says: who made the controller, and where it begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceRoot {
    /// `HPE`, `Dell`, `Supermicro`, …
    pub vendor: Option<String>,
    /// `iLO 6`, `Integrated Dell Remote Access Controller`, …
    pub product: Option<String>,
    /// The collection of systems.
    pub systems: String,
    /// The collection of managers.
    pub managers: String,
    /// Where a session begins; none where there are no sessions.
    pub sessions: Option<String>,
}

impl ServiceRoot {
    /// Reads the root; places that it does not name are where everybody has them.
    pub fn read(value: &Value) -> Self {
        let fields = Fields::of(value);
        let sessions = fields.object("Links").link("Sessions");
        let service = fields.link("SessionService");
        Self {
            vendor: fields.text("Vendor").or_else(|| oem_name(fields)),
            product: fields.text("Product"),
            systems: fields
                .link("Systems")
                .unwrap_or_else(|| "/redfish/v1/Systems".to_owned()),
            managers: fields
                .link("Managers")
                .unwrap_or_else(|| "/redfish/v1/Managers".to_owned()),
            sessions: sessions
                .or_else(|| Some(format!("{}/Sessions", service?.trim_end_matches('/')))),
        }
    }
}

/// Old services name their vendor only by the object of extensions.
fn oem_name(fields: Fields<'_>) -> Option<String> {
    let oem = fields.value("Oem")?.as_object()?;
    oem.keys()
        .next()
        .map(|name| cleaned(name, super::fields::LONGEST))
}

/// What a system resource says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct System {
    /// Where it is.
    pub path: String,
    /// Its id.
    pub id: Option<String>,
    /// What is known of the machine.
    pub machine: Machine,
    /// Its stock-keeping unit: the service tag on Dell's machines.
    pub sku: Option<String>,
    /// The asset tag.
    pub asset: Option<String>,
    /// The firmware's version.
    pub bios: Option<String>,
    /// The targets that it says it can boot; empty where it does not say.
    pub targets: Vec<String>,
    /// Whether it has a place for the URI of HTTP boot.
    pub has_http_uri: bool,
    /// Where settings go that the system itself does not take.
    pub settings: Option<String>,
    /// How it is reset.
    pub reset: Option<ResetAction>,
    /// The entity tag.
    pub etag: Option<String>,
    /// Whether it tells how far its boot is.
    pub tells_progress: bool,
    /// Other resources.
    pub links: SystemLinks,
}

/// How a system is reset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResetAction {
    /// Where it is asked for.
    pub target: String,
    /// What may be asked for; empty where it does not say.
    pub allowed: Vec<String>,
    /// Where that is said, where it is not said here.
    pub info: Option<String>,
}

/// Where more is told of a system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SystemLinks {
    /// Its interfaces.
    pub interfaces: Option<String>,
    /// Its storage controllers.
    pub storage: Option<String>,
    /// Its disks, as older services tell them.
    pub simple_storage: Option<String>,
    /// Its virtual media, as newer services tell them.
    pub media: Option<String>,
    /// What it can boot.
    pub boot_options: Option<String>,
    /// Its firmware's settings.
    pub bios: Option<String>,
    /// Who manages it.
    pub managers: Vec<String>,
}

impl System {
    /// Reads a system that was found at `path`.
    pub fn read(path: &str, value: &Value) -> Self {
        let fields = Fields::of(value);
        let boot = fields.object("Boot");
        let identity = |name: &str| fields.text(name).filter(|text| !is_placeholder(text));
        let uuid = fields.raw("UUID").and_then(|text| text.trim().parse().ok());
        let action = fields.object("Actions").object("#ComputerSystem.Reset");
        let settings = fields.object("@Redfish.Settings").link("SettingsObject");
        let progress = Progress::read(fields);
        Self {
            path: path.to_owned(),
            id: fields.text("Id"),
            machine: Machine {
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
                health: fields.object("Status").text("Health"),
                in_post: progress == Progress::SelfTest,
            },
            sku: identity("SKU"),
            asset: identity("AssetTag"),
            bios: fields.text("BiosVersion"),
            targets: boot.texts("BootSourceOverrideTarget@Redfish.AllowableValues"),
            has_http_uri: boot.has("HttpBootUri"),
            settings,
            reset: action.link("target").map(|target| ResetAction {
                target,
                allowed: action.texts("ResetType@Redfish.AllowableValues"),
                info: action.link("@Redfish.ActionInfo"),
            }),
            etag: fields.raw("@odata.etag").map(str::to_owned),
            tells_progress: progress != Progress::Untold,
            links: SystemLinks {
                interfaces: fields.link("EthernetInterfaces"),
                storage: fields.link("Storage"),
                simple_storage: fields.link("SimpleStorage"),
                media: fields.link("VirtualMedia"),
                boot_options: boot.link("BootOptions"),
                bios: fields.link("Bios"),
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

/// How far the boot of a system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Untold,
    SelfTest,
    Beyond,
}

impl Progress {
    /// Source: DSP0268, ComputerSystem, `BootProgress.LastState`; HPE's `Oem.Hpe.PostState`.
    fn read(fields: Fields<'_>) -> Self {
        let hpe = fields.object("Oem").object("Hpe").text("PostState");
        let hp = || fields.object("Oem").object("Hp").text("PostState");
        if let Some(state) = hpe.or_else(hp) {
            return match state.as_str() {
                "InPost" | "InPostDiscoveryComplete" => Self::SelfTest,
                "Null" | "Unknown" => Self::Untold,
                _ => Self::Beyond,
            };
        }
        match fields.object("BootProgress").text("LastState").as_deref() {
            Some("OSBootStarted" | "OSRunning" | "SetupEntered" | "None" | "OEM") => Self::Beyond,
            Some(_) => Self::SelfTest,
            None => Self::Untold,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::bmc::fields::members;
    use crate::bmc::refusal::{error_text, says_not_now, says_wrong_password};

    #[test]
    fn the_root_may_say_little() {
        let root = ServiceRoot::read(&json!({
            "Oem": {"Hpe": {}}, "Links": {"Sessions": {"@odata.id": "/s"}},
        }));
        assert_eq!(root.vendor.as_deref(), Some("Hpe"));
        assert_eq!(root.systems, "/redfish/v1/Systems");
        assert_eq!(root.sessions.as_deref(), Some("/s"));
        let root = ServiceRoot::read(&json!({"SessionService": {"@odata.id": "/x/"}}));
        assert_eq!(root.sessions.as_deref(), Some("/x/Sessions"));
        assert_eq!(ServiceRoot::read(&json!([])).sessions, None);
    }

    #[test]
    fn a_system_is_read_and_placeholders_are_not() {
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
        assert!(system.has_http_uri && !system.tells_progress);
        assert_eq!(system.reset.unwrap().allowed, ["On"]);
        assert_eq!(system.links.managers, ["/m/1"]);
    }

    #[test]
    fn the_self_test_is_known_in_each_dialect() {
        for (value, in_post, told) in [
            (json!({}), false, false),
            (json!({"BootProgress": {"LastState": null}}), false, false),
            (
                json!({"BootProgress": {"LastState": "MemoryInitializationStarted"}}),
                true,
                true,
            ),
            (
                json!({"BootProgress": {"LastState": "OSRunning"}}),
                false,
                true,
            ),
            (json!({"Oem": {"Hpe": {"PostState": "InPost"}}}), true, true),
            (
                json!({"Oem": {"Hpe": {"PostState": "FinishedPost"}}}),
                false,
                true,
            ),
            (
                json!({"Oem": {"Hp": {"PostState": "Unknown"}}}),
                false,
                false,
            ),
        ] {
            let system = System::read("/", &value);
            assert_eq!(
                (system.machine.in_post, system.tells_progress),
                (in_post, told),
                "{value}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn no_answer_is_too_odd(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
            if let Ok(value) = serde_json::from_slice::<Value>(&bytes) {
                read_all(&value);
            }
        }

        #[test]
        fn no_json_is_too_odd(text in "(\\{\"(Boot|UUID|Actions|Members|error|Links)\":[\\[\\]{}\":a0-9,null]{0,40}\\})") {
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
            says_not_now(value),
            says_wrong_password(value),
        );
    }
}
