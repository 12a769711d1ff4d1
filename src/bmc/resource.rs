//! Redfish resources as controllers really send them: with nulls, with names in another case, with
//! numbers as text, and with half of what the schema promises.

use serde_json::{Map, Value};

use super::{BootOverride, Machine, PowerState};
use crate::machine::{SystemUuid, cleaned, is_placeholder};

/// The longest text of a controller that is kept; more is no name of anything.
const LONGEST: usize = 256;

/// One JSON object, read leniently.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(&'a Map<String, Value>);

/// What an object without fields looks like.
static NOTHING: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);

impl<'a> Fields<'a> {
    /// Reads a value; anything but an object has no fields.
    pub fn of(value: &'a Value) -> Self {
        Self(value.as_object().unwrap_or(&NOTHING))
    }

    /// Returns a field, its name in any case; null is none.
    pub fn value(self, name: &str) -> Option<&'a Value> {
        let any_case = || {
            let mut all = self.0.iter();
            all.find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value)
        };
        let found = self.0.get(name).or_else(any_case);
        found.filter(|value| !value.is_null())
    }

    /// Returns a text or a number, trimmed and made fit to be shown; nothing where it is empty.
    pub fn text(self, name: &str) -> Option<String> {
        let text = match self.value(name)? {
            Value::String(text) => cleaned(text.trim(), LONGEST),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        (!text.is_empty()).then_some(text)
    }

    /// Returns a text as it is.
    pub fn raw(self, name: &str) -> Option<&'a str> {
        self.value(name)?.as_str()
    }

    /// Returns `true` or `false`, be it a text.
    pub fn boolean(self, name: &str) -> Option<bool> {
        match self.value(name)? {
            Value::Bool(value) => Some(*value),
            Value::String(text) => text.to_ascii_lowercase().parse().ok(),
            _ => None,
        }
    }

    /// Returns a number, be it a text.
    pub fn number(self, name: &str) -> Option<f64> {
        match self.value(name)? {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// Returns the fields of an object; none where it is missing.
    pub fn object(self, name: &str) -> Fields<'a> {
        self.value(name).map_or(Self(&NOTHING), Fields::of)
    }

    /// Returns the items of a list; a single value counts as one.
    pub fn items(self, name: &str) -> &'a [Value] {
        match self.value(name) {
            Some(Value::Array(items)) => items,
            Some(value) => std::slice::from_ref(value),
            None => &[],
        }
    }

    /// Returns the texts of a list.
    pub fn texts(self, name: &str) -> Vec<String> {
        let texts = self.items(name).iter().filter_map(Value::as_str);
        texts.map(|text| cleaned(text, LONGEST)).collect()
    }

    /// Returns where a reference leads: `{"@odata.id": …}`, or the path itself.
    pub fn link(self, name: &str) -> Option<String> {
        link(self.value(name)?)
    }

    /// Returns where every reference of a list leads.
    pub fn links(self, name: &str) -> Vec<String> {
        self.items(name).iter().filter_map(link).collect()
    }
}

fn link(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.as_str(),
        other => Fields::of(other).raw("@odata.id")?,
    };
    let good = text.len() <= 2048 && !text.contains(|c: char| c.is_control() || c == ' ');
    (good && text.starts_with('/') && !text.starts_with("//")).then(|| text.to_owned())
}

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
    oem.keys().next().map(|name| cleaned(name, LONGEST))
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
                    uri: boot.raw("HttpBootUri").map(str::to_owned),
                },
                health: fields.object("Status").text("Health"),
                in_post: progress == Progress::SelfTest,
            },
            sku: identity("SKU"),
            asset: identity("AssetTag"),
            bios: fields.text("BiosVersion"),
            targets: boot.texts("BootSourceOverrideTarget@Redfish.AllowableValues"),
            has_http_uri: has_key(boot, "HttpBootUri"),
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

/// Reports whether a key is there, be it null.
fn has_key(fields: Fields<'_>, name: &str) -> bool {
    fields.0.keys().any(|key| key.eq_ignore_ascii_case(name))
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

/// Returns the paths of the members of a collection.
pub fn members(value: &Value) -> Vec<String> {
    Fields::of(value).links("Members")
}

/// Returns what an error body says, made fit to be shown: its messages, else its summary, else its
/// identifiers. Some put the list beside the error, and some send words without JSON.
///
/// Source: DSP0266 §8.6, error responses.
pub fn error_text(value: &Value) -> String {
    const LIST: &str = "@Message.ExtendedInfo";
    if let Value::String(text) = value {
        return cleaned(text.trim(), LONGEST);
    }
    let top = Fields::of(value);
    let error = top.object("error");
    let items = || error.items(LIST).iter().chain(top.items(LIST));
    let of = |name: &str| {
        let mut said: Vec<String> = Vec::new();
        for text in items().filter_map(|item| Fields::of(item).text(name)) {
            if !said.contains(&text) {
                said.push(text);
            }
        }
        said
    };
    let summary = error
        .text("message")
        .or_else(|| top.text("error"))
        .or_else(|| top.text("message"));
    // The standard's own summary says only to look at the list.
    let refers = |text: &String| text.contains("ExtendedInfo") || text.contains("ExtendedError");
    let mut said = of("Message");
    if said.is_empty() {
        said.extend(summary.clone().filter(|text| !refers(text)));
    }
    if said.is_empty() {
        said = of("MessageId");
    }
    if said.is_empty() {
        said.extend(error.text("code").or(summary));
    }
    said.truncate(3);
    said.join("; ")
}

/// Reports whether an error body says that an account or its password is wrong.
pub fn says_wrong_password(value: &Value) -> bool {
    const SIGNS: [&str; 4] = [
        "UnauthorizedLoginAttempt",
        "InvalidUsernameOrPassword",
        "LoginFailed",
        "AuthenticationFailed",
    ];
    error_says(value, &SIGNS)
}

/// Reports whether an error body says that the machine cannot be changed just now.
pub fn says_not_now(value: &Value) -> bool {
    const SIGNS: [&str; 9] = [
        "DuringSystemPOST",
        "during POST",
        "in POST",
        "is in POST",
        "ResourceInStandby",
        "ServiceTemporarilyUnavailable",
        "ServiceInUnknownState",
        "ResourceInUse",
        "not ready",
    ];
    error_says(value, &SIGNS)
}

/// Looks for one of some words in the messages and identifiers of an error.
fn error_says(value: &Value, signs: &[&str]) -> bool {
    let error = Fields::of(value).object("error");
    let items = error.items("@Message.ExtendedInfo").iter().map(Fields::of);
    let mut texts = items
        .chain([error])
        .flat_map(|item| ["Message", "MessageId", "code"].map(|name| item.raw(name)))
        .flatten();
    texts.any(|text| signs.iter().any(|sign| text.contains(sign)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_read_whatever_their_shape() {
        let value = json!({
            "a": null, "serialnumber": " C7X9K2 ", "Count": "12", "Size": 3, "Flag": "True",
            "Bad": "\u{1b}[2J$(x)", "Empty": " ",
        });
        let fields = Fields::of(&value);
        assert_eq!(fields.text("a"), None);
        assert_eq!(fields.text("SerialNumber").as_deref(), Some("C7X9K2"));
        assert_eq!(fields.number("Count"), Some(12.0));
        assert_eq!(fields.text("Size").as_deref(), Some("3"));
        assert_eq!(fields.boolean("Flag"), Some(true));
        assert_eq!(fields.text("Bad").as_deref(), Some("[2J(x)"));
        assert_eq!(fields.text("Empty"), None);
        assert_eq!(Fields::of(&json!([1])).text("0"), None);
    }

    #[test]
    fn a_reference_leads_nowhere_but_to_a_path() {
        for (value, path) in [
            (
                json!({"@odata.id": "/redfish/v1/Systems"}),
                Some("/redfish/v1/Systems"),
            ),
            (json!("/a"), Some("/a")),
            (json!({"@odata.id": "https://elsewhere/a"}), None),
            (json!({"@odata.id": "//elsewhere/a"}), None),
            (json!({"@odata.id": "/a b"}), None),
            (json!({"@odata.id": 3}), None),
            (json!(null), None),
        ] {
            assert_eq!(link(&value).as_deref(), path, "{value}");
        }
    }

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

    #[test]
    fn an_error_says_why_and_whether_to_come_again() {
        let post = json!({"error": {"code": "iLO.0.10.ExtendedInfo", "@Message.ExtendedInfo":
            [{"MessageId": "iLO.2.14.UnableToModifyDuringSystemPOST"}]}});
        assert_eq!(error_text(&post), "iLO.2.14.UnableToModifyDuringSystemPOST");
        assert!(says_not_now(&post));
        let plain =
            json!({"error": {"code": "Base.1.0.GeneralError", "message": "no such property"}});
        assert_eq!(error_text(&plain), "no such property");
        assert!(!says_not_now(&plain));
        for (body, says) in [
            // sushy-tools: a summary that says it, beside a list of identifiers.
            (
                json!({"error": {"code": "Base.1.0.GeneralError", "message": "Failed to attach it.",
                    "@Message.ExtendedInfo": [{"MessageId": "Base.1.0.GeneralError"}]}}),
                "Failed to attach it.",
            ),
            (
                json!({"error": {"code": "C", "message": "See @Message.ExtendedInfo.",
                    "@Message.ExtendedInfo": [{"MessageId": "Base.1.0.PropertyUnknown"}]}}),
                "Base.1.0.PropertyUnknown",
            ),
            (
                json!({"@Message.ExtendedInfo": [{"Message": "Beside it.", "MessageId": "M"}]}),
                "Beside it.",
            ),
            (json!({"error": "A text."}), "A text."),
            (json!({"message": "Without a list."}), "Without a list."),
            (json!("In\nplain words."), "Inplain words."),
            (json!({}), ""),
            (json!(null), ""),
        ] {
            assert_eq!(error_text(&body), says, "{body}");
        }
        assert_eq!(error_text(&json!("x".repeat(9999))).len(), LONGEST);
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
        );
    }
}
