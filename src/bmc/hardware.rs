//! What a controller says is in its machine, compared with what the inventory says.

use serde::Serialize;
use serde_json::Value;

use super::fields::Fields;
use super::identity::{same_serial, same_uuid};
use crate::inventory::{Correction, DiskSelector, Host};
use crate::machine::{MacAddress, SystemUuid, is_placeholder};

/// What is in a machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Hardware {
    /// Who made it.
    pub manufacturer: Option<String>,
    /// Its model.
    pub model: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// Its UUID.
    pub uuid: Option<SystemUuid>,
    /// The version of its firmware.
    pub bios: Option<String>,
    /// Its interfaces, in order.
    pub nics: Vec<SeenNic>,
    /// Its disks, in order.
    pub disks: Vec<SeenDisk>,
    /// What could not be read, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
}

/// One interface.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SeenNic {
    /// The controller's name for it.
    pub id: String,
    /// Its Ethernet address.
    pub mac: MacAddress,
    /// Whether a cable is in it, where that is known.
    pub link: Option<bool>,
}

/// One disk.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SeenDisk {
    /// Its model.
    pub model: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// Its World Wide Name, as `0x…`.
    pub wwn: Option<String>,
    /// Its size in octets.
    pub size: Option<u64>,
}

/// One value on which the inventory and the machine disagree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The key of the `Host` document.
    pub key: String,
    /// What the inventory says; none where it says nothing.
    pub inventory: Option<String>,
    /// What the machine says; none where there is no such thing.
    pub machine: Option<String>,
}

impl SeenNic {
    /// Reads an interface; none without an Ethernet address.
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

impl SeenDisk {
    /// Reads a drive, or a device of simple storage; none where it is an empty bay.
    pub fn read(value: &Value) -> Option<Self> {
        let fields = Fields::of(value);
        let absent = fields.object("Status").text("State").as_deref() == Some("Absent");
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
        (!absent && (disk.model.is_some() || disk.serial.is_some() || disk.size.is_some()))
            .then_some(disk)
    }
}

/// Writes a World Wide Name as the kernel does: `0x` and 16 or 32 lower-case digits.
fn wwn(text: &str) -> Option<String> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = ["naa.", "eui.", "0x"]
        .iter()
        .find_map(|prefix| lower.strip_prefix(prefix))
        .unwrap_or(&lower);
    let digits: String = digits.split([':', '-']).collect();
    let good = [16, 32].contains(&digits.len()) && digits.bytes().all(|it| it.is_ascii_hexdigit());
    good.then(|| format!("0x{digits}"))
}

/// Lists where the inventory and the machine disagree, and how the document is corrected: only
/// where there is no doubt what is meant.
pub fn compare(host: &Host, seen: &Hardware) -> (Vec<Difference>, Vec<Correction>) {
    let mut differences = Vec::new();
    let mut corrections = Vec::new();
    let mut differ = |key: &str, inventory: Option<String>, machine: Option<String>| {
        differences.push(Difference {
            key: key.to_owned(),
            inventory,
            machine,
        });
    };
    if let Some(found) = &seen.serial
        && host
            .serial
            .as_ref()
            .is_none_or(|serial| !same_serial(serial, found))
    {
        differ("serial", host.serial.clone(), Some(found.clone()));
        let value = found.clone();
        corrections.push(Correction::Key {
            key: "serial",
            value,
        });
    }
    if let Some(found) = seen.uuid
        && host.uuid.is_none_or(|uuid| !same_uuid(uuid, found))
    {
        let value = found.to_string();
        differ("uuid", host.uuid.map(String::from), Some(value.clone()));
        corrections.push(Correction::Key { key: "uuid", value });
    }
    if !seen.nics.is_empty() {
        let known = |mac: MacAddress| seen.nics.iter().any(|nic| nic.mac == mac);
        let missing: Vec<_> = host.nics.iter().filter(|nic| !known(nic.mac)).collect();
        // A port that is down is none that this host could boot from.
        let free: Vec<_> = seen
            .nics
            .iter()
            .filter(|nic| host.nic(nic.mac).is_none() && nic.link != Some(false))
            .collect();
        for nic in &missing {
            let found = match (missing.as_slice(), free.as_slice()) {
                ([_], [only]) => Some(only.mac),
                _ => None,
            };
            differ(
                "nics.mac",
                Some(nic.mac.to_string()),
                found.map(String::from),
            );
            corrections.extend(found.map(|to| Correction::Mac { from: nic.mac, to }));
        }
    }
    if let Some(selector) = &host.disk
        && !seen.disks.is_empty()
    {
        compare_disk(selector, &seen.disks, &mut differ, &mut corrections);
    }
    (differences, corrections)
}

fn compare_disk(
    selector: &DiskSelector,
    disks: &[SeenDisk],
    differ: &mut impl FnMut(&str, Option<String>, Option<String>),
    corrections: &mut Vec<Correction>,
) {
    // The same key of the only disk is what was meant; of several, nobody knows which.
    type Told = fn(&SeenDisk) -> Option<&String>;
    let (key, value, told): (_, _, Told) = match selector {
        DiskSelector::Wwn(value) => ("wwn", value, |disk| disk.wwn.as_ref()),
        DiskSelector::Serial(value) => ("serial", value, |disk| disk.serial.as_ref()),
        DiskSelector::Model { model, min_size } => {
            let fits = |disk: &&SeenDisk| {
                let of_model = disk
                    .model
                    .as_ref()
                    .is_none_or(|it| it.contains(model.as_str()));
                of_model && disk.size.is_none_or(|size| size >= *min_size)
            };
            let count = disks.iter().filter(fits).count();
            if count != 1 {
                let found = format!("{count} such disks");
                differ("disk.model", Some(model.clone()), Some(found));
            }
            return;
        }
        // A path is the kernel's name, which no controller knows.
        DiskSelector::ByPath(_) => return,
    };
    let values: Vec<_> = disks.iter().filter_map(told).collect();
    let known = |it: &&String| it.eq_ignore_ascii_case(value);
    if values.len() < disks.len() || values.iter().any(known) {
        return;
    }
    let only = match values.as_slice() {
        [only] => Some((*only).clone()),
        _ => None,
    };
    let found = only.clone().or_else(|| {
        let all: Vec<_> = values.iter().map(|it| it.as_str()).collect();
        Some(format!("one of {}", all.join(", ")))
    });
    differ(&format!("disk.{key}"), Some(value.clone()), found);
    corrections.extend(only.map(|value| Correction::Disk { key, value }));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::bmc::tests::host;

    #[test]
    fn interfaces_and_disks_are_read_as_vendors_tell_them() {
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
            let found = SeenNic::read(&value).map(|nic| nic.mac.to_string());
            assert_eq!(found.as_deref(), mac, "{value}");
        }
        let disk = json!({"Model": "M", "SerialNumber": "S1", "CapacityBytes": "480103981056",
            "Identifiers": [{"DurableName": "5000C500A1B2C3D4", "DurableNameFormat": "NAA"}]});
        let disk = SeenDisk::read(&disk).unwrap();
        assert_eq!(disk.wwn.as_deref(), Some("0x5000c500a1b2c3d4"));
        assert_eq!(disk.size, Some(480_103_981_056));
        assert_eq!(
            SeenDisk::read(&json!({"Status": {"State": "Absent"}, "Model": "M"})),
            None
        );
        assert_eq!(SeenDisk::read(&json!({"Name": "Bay 1"})), None);
    }

    fn nic(mac: &str, link: Option<bool>) -> SeenNic {
        SeenNic {
            id: "1".to_owned(),
            mac: mac.parse().unwrap(),
            link,
        }
    }

    fn disk(serial: &str) -> SeenDisk {
        SeenDisk {
            model: Some("M".to_owned()),
            serial: Some(serial.to_owned()),
            ..SeenDisk::default()
        }
    }

    #[test]
    fn differences_are_told_and_corrected_only_without_doubt() {
        let ours = "52:54:00:12:34:56";
        type Change = fn(&mut Hardware);
        let table: [(Change, &[&str], usize); 10] = [
            (|_| {}, &[], 0),
            (|it| it.serial = Some("C7X9K2 ".to_owned()), &[], 0),
            (
                |it| it.serial = Some("C8".to_owned()),
                &["serial: C7X9K2 -> C8"],
                1,
            ),
            (
                |it| it.uuid = Some("44454c4c-4600-1034-8037-b8c04f4d5931".parse().unwrap()),
                &[],
                0,
            ),
            (|it| it.nics = Vec::new(), &[], 0),
            (
                |it| it.nics = vec![nic("52:54:00:12:34:57", None)],
                &["nics.mac: 52:54:00:12:34:56 -> 52:54:00:12:34:57"],
                1,
            ),
            (
                |it| {
                    it.nics = vec![
                        nic("52:54:00:12:34:57", None),
                        nic("52:54:00:12:34:58", Some(true)),
                    ];
                },
                &["nics.mac: 52:54:00:12:34:56 -> -"],
                0,
            ),
            (
                |it| {
                    it.nics = vec![
                        nic("52:54:00:12:34:57", Some(false)),
                        nic("52:54:00:12:34:58", Some(true)),
                    ];
                },
                &["nics.mac: 52:54:00:12:34:56 -> 52:54:00:12:34:58"],
                1,
            ),
            (
                |it| it.disks = vec![disk("S2")],
                &["disk.serial: S1 -> S2"],
                1,
            ),
            (
                |it| it.disks = vec![disk("S2"), disk("S3")],
                &["disk.serial: S1 -> one of S2, S3"],
                0,
            ),
        ];
        for (change, expected, corrections) in table {
            let mut host = host();
            host.serial = Some("C7X9K2".to_owned());
            host.uuid = Some("4c4c4544-0046-3410-8037-b8c04f4d5931".parse().unwrap());
            host.disk = Some(DiskSelector::Serial("S1".to_owned()));
            let mut seen = Hardware {
                serial: host.serial.clone(),
                uuid: host.uuid,
                nics: vec![nic(ours, Some(true))],
                disks: vec![disk("S1"), disk("S9")],
                ..Hardware::default()
            };
            change(&mut seen);
            let (differences, corrected) = compare(&host, &seen);
            let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
            let said: Vec<_> = differences
                .iter()
                .map(|it| {
                    format!(
                        "{}: {} -> {}",
                        it.key,
                        text(&it.inventory),
                        text(&it.machine)
                    )
                })
                .collect();
            assert_eq!(said, expected);
            assert_eq!(corrected.len(), corrections, "{expected:?}");
        }
    }

    #[test]
    fn what_the_inventory_does_not_say_is_found() {
        let mut host = host();
        (host.serial, host.uuid, host.disk) = (None, None, None);
        let seen = Hardware {
            serial: Some("C8".to_owned()),
            ..Hardware::default()
        };
        let (differences, corrections) = compare(&host, &seen);
        assert_eq!(differences[0].inventory, None);
        assert_eq!(corrections.len(), 1);
    }

    proptest::proptest! {
        #[test]
        fn no_resource_is_too_odd(text in "\\{\"(MACAddress|Identifiers|Status|CapacityBytes)\":[\\[\\]{}\":a-f0-9,.-]{0,40}\\}") {
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                let _ = (SeenNic::read(&value), SeenDisk::read(&value));
            }
        }
    }
}
