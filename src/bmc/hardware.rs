//! The hardware of a machine, as its BMC reports it.

use serde::Serialize;
use serde_json::Value;

use super::fields::Fields;
use crate::machine::{MacAddress, SystemUuid, is_placeholder};

/// The hardware of one machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Hardware {
    /// The manufacturer.
    pub manufacturer: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// The serial number.
    pub serial: Option<String>,
    /// The SMBIOS UUID.
    pub uuid: Option<SystemUuid>,
    /// The firmware version.
    pub bios: Option<String>,
    /// The network interfaces, sorted by identifier.
    pub nics: Vec<HardwareNic>,
    /// The disks, in the order of the BMC.
    pub disks: Vec<HardwareDisk>,
    /// The parts that cannot be read, with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
}

/// One network interface.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HardwareNic {
    /// The identifier that the BMC uses.
    pub id: String,
    /// The MAC address.
    pub mac: MacAddress,
    /// Whether the link is up, if the BMC reports it.
    pub link: Option<bool>,
}

/// One disk.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct HardwareDisk {
    /// The model.
    pub model: Option<String>,
    /// The serial number.
    pub serial: Option<String>,
    /// The World Wide Name, as `0x…`.
    pub wwn: Option<String>,
    /// The size in bytes.
    pub size: Option<u64>,
}

impl HardwareNic {
    /// Reads an interface. Returns `None` if it has no valid MAC address.
    pub fn read(value: &Value) -> Option<Self> {
        let fields = Fields::of(value);
        let mac = ["PermanentMACAddress", "MACAddress"]
            .iter()
            .find_map(|name| fields.raw(name)?.trim().parse::<MacAddress>().ok())
            .filter(|mac| mac.is_unicast() && mac.octets() != [0; 6])?;
        let link = fields
            .text("LinkStatus")
            .map(|text| text.to_ascii_lowercase());
        Some(Self {
            id: fields.text("Id").unwrap_or_default(),
            mac,
            link: link.and_then(|text| match text.as_str() {
                "linkup" | "up" => Some(true),
                "linkdown" | "down" | "nolink" => Some(false),
                _ => None,
            }),
        })
    }
}

impl HardwareDisk {
    /// Reads a drive, or a device of simple storage. Returns `None` for an empty bay.
    pub fn read(value: &Value) -> Option<Self> {
        let fields = Fields::of(value);
        let is_absent = fields.object("Status").text("State").as_deref() == Some("Absent");
        let identity = |name: &str| fields.text(name).filter(|text| !is_placeholder(text));
        let names = fields.items("Identifiers").iter().map(Fields::of);
        let wwn = names
            .filter(|name| {
                let format = name.text("DurableNameFormat");
                format.is_none_or(|format| ["NAA", "EUI", "FC_WWN"].contains(&format.as_str()))
            })
            .find_map(|name| wwn(&name.text("DurableName")?));
        let disk = Self {
            model: identity("Model"),
            serial: identity("SerialNumber"),
            wwn,
            size: fields
                .number("CapacityBytes")
                .filter(|size| *size > 0.0)
                .map(|size| size as u64),
        };
        (!is_absent && (disk.model.is_some() || disk.serial.is_some() || disk.size.is_some()))
            .then_some(disk)
    }
}

/// Formats a World Wide Name as the kernel does: `0x` and 16 or 32 lower-case digits.
fn wwn(text: &str) -> Option<String> {
    let lower = text.trim().to_ascii_lowercase();
    let without_prefix = ["naa.", "eui.", "0x"]
        .iter()
        .find_map(|prefix| lower.strip_prefix(prefix))
        .unwrap_or(&lower);
    let digits: String = without_prefix.split([':', '-']).collect();
    let is_valid =
        [16, 32].contains(&digits.len()) && digits.bytes().all(|it| it.is_ascii_hexdigit());
    is_valid.then(|| format!("0x{digits}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn interfaces_and_disks_are_read_in_each_vendors_form() {
        for (value, mac) in [
            (
                json!({"MACAddress": "52:54:00:12:34:56"}),
                Some("52:54:00:12:34:56"),
            ),
            (
                json!({"MACAddress": "52-54-00-12-34-56"}),
                Some("52:54:00:12:34:56"),
            ),
            (
                json!({"MACAddress": "02:00:00:00:00:01", "PermanentMACAddress": "52:54:00:12:34:56"}),
                Some("52:54:00:12:34:56"),
            ),
            (json!({"MACAddress": "00:00:00:00:00:00"}), None),
            (json!({"MACAddress": ""}), None),
            (json!({"MACAddress": null}), None),
        ] {
            let found = HardwareNic::read(&value).map(|nic| nic.mac.to_string());
            assert_eq!(found.as_deref(), mac, "{value}");
        }
        let disk = json!({"Model": "M", "SerialNumber": "S1", "CapacityBytes": "480103981056",
            "Identifiers": [{"DurableName": "5000C500A1B2C3D4", "DurableNameFormat": "NAA"}]});
        let disk = HardwareDisk::read(&disk).unwrap();
        assert_eq!(disk.wwn.as_deref(), Some("0x5000c500a1b2c3d4"));
        assert_eq!(disk.size, Some(480_103_981_056));
        assert_eq!(
            HardwareDisk::read(&json!({"Status": {"State": "Absent"}, "Model": "M"})),
            None
        );
        assert_eq!(HardwareDisk::read(&json!({"Name": "Bay 1"})), None);
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_resources_never_panic(text in "\\{\"(MACAddress|Identifiers|Status|CapacityBytes)\":[\\[\\]{}\":a-f0-9,.-]{0,40}\\}") {
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                let _ = (HardwareNic::read(&value), HardwareDisk::read(&value));
            }
        }
    }
}
