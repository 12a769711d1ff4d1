//! Compares the hardware of a machine with its `Host` document.

use serde::Serialize;

use super::hardware::{Hardware, HardwareDisk};
use super::identity::{same_serial, same_uuid};
use crate::inventory::{Correction, DiskSelector, Host};
use crate::machine::MacAddress;

/// One value on which the inventory and the machine disagree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HardwareDifference {
    /// The key of the `Host` document.
    pub key: String,
    /// The value in the inventory, if it has one.
    pub inventory: Option<String>,
    /// The value of the machine, if it has one.
    pub machine: Option<String>,
}

/// The differences, and the corrections that are beyond doubt.
#[derive(Default)]
struct Comparison {
    differences: Vec<HardwareDifference>,
    corrections: Vec<Correction>,
}

/// Lists the differences between the inventory and the machine, and the corrections of the document
/// that are beyond doubt.
pub fn compare(host: &Host, hardware: &Hardware) -> (Vec<HardwareDifference>, Vec<Correction>) {
    let mut comparison = Comparison::default();
    if let Some(found) = &hardware.serial
        && host
            .serial
            .as_ref()
            .is_none_or(|serial| !same_serial(serial, found))
    {
        comparison.correct_key("serial", host.serial.clone(), found.clone());
    }
    if let Some(found) = hardware.uuid
        && host.uuid.is_none_or(|uuid| !same_uuid(uuid, found))
    {
        comparison.correct_key("uuid", host.uuid.map(String::from), found.to_string());
    }
    if !hardware.nics.is_empty() {
        comparison.compare_nics(host, hardware);
    }
    if let Some(selector) = &host.disk
        && !hardware.disks.is_empty()
    {
        comparison.compare_disk(selector, &hardware.disks);
    }
    (comparison.differences, comparison.corrections)
}

impl Comparison {
    fn add(&mut self, key: &str, inventory: Option<String>, machine: Option<String>) {
        self.differences.push(HardwareDifference {
            key: key.to_owned(),
            inventory,
            machine,
        });
    }

    fn correct_key(&mut self, key: &'static str, inventory: Option<String>, value: String) {
        self.add(key, inventory, Some(value.clone()));
        self.corrections.push(Correction::Key { key, value });
    }

    fn compare_nics(&mut self, host: &Host, hardware: &Hardware) {
        let exists = |mac: MacAddress| hardware.nics.iter().any(|nic| nic.mac == mac);
        let missing: Vec<_> = host.nics.iter().filter(|nic| !exists(nic.mac)).collect();
        // The host cannot boot from a port whose link is down.
        let unlisted: Vec<_> = hardware
            .nics
            .iter()
            .filter(|nic| host.nic(nic.mac).is_none() && nic.link != Some(false))
            .collect();
        for nic in &missing {
            let replacement = match (missing.as_slice(), unlisted.as_slice()) {
                ([_], [only]) => Some(only.mac),
                _ => None,
            };
            self.add(
                "nics.mac",
                Some(nic.mac.to_string()),
                replacement.map(String::from),
            );
            let correction = replacement.map(|to| Correction::Mac { from: nic.mac, to });
            self.corrections.extend(correction);
        }
    }

    fn compare_disk(&mut self, selector: &DiskSelector, disks: &[HardwareDisk]) {
        type DiskValue = fn(&HardwareDisk) -> Option<&String>;
        let (key, expected, value_of): (_, _, DiskValue) = match selector {
            DiskSelector::Wwn(value) => ("wwn", value, |disk| disk.wwn.as_ref()),
            DiskSelector::Serial(value) => ("serial", value, |disk| disk.serial.as_ref()),
            DiskSelector::Model { model, min_size } => {
                let count = disks
                    .iter()
                    .filter(|disk| matches_model(disk, model, *min_size))
                    .count();
                if count != 1 {
                    let found = format!("{count} such disks");
                    self.add("disk.model", Some(model.clone()), Some(found));
                }
                return;
            }
            // The path is a name of the kernel, which no BMC knows.
            DiskSelector::ByPath(_) => return,
        };
        let values: Vec<_> = disks.iter().filter_map(value_of).collect();
        let is_expected = |value: &&String| value.eq_ignore_ascii_case(expected);
        if values.len() < disks.len() || values.iter().any(is_expected) {
            return;
        }
        // A single disk must be the intended one. With several, the intended one is unknown.
        let found = match values.as_slice() {
            [only] => {
                let value = (*only).clone();
                self.corrections.push(Correction::Disk { key, value });
                (*only).clone()
            }
            values => {
                let values: Vec<_> = values.iter().map(|value| value.as_str()).collect();
                format!("one of {}", values.join(", "))
            }
        };
        self.add(&format!("disk.{key}"), Some(expected.clone()), Some(found));
    }
}

fn matches_model(disk: &HardwareDisk, model: &str, min_size: u64) -> bool {
    disk.model.as_ref().is_none_or(|it| it.contains(model))
        && disk.size.is_none_or(|size| size >= min_size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bmc::hardware::HardwareNic;
    use crate::bmc::tests::host;

    fn nic(mac: &str, link: Option<bool>) -> HardwareNic {
        HardwareNic {
            id: "1".to_owned(),
            mac: mac.parse().unwrap(),
            link,
        }
    }

    fn disk(serial: &str) -> HardwareDisk {
        HardwareDisk {
            model: Some("M".to_owned()),
            serial: Some(serial.to_owned()),
            ..HardwareDisk::default()
        }
    }

    #[test]
    fn differences_are_listed_and_corrected_only_without_doubt() {
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
            let mut hardware = Hardware {
                serial: host.serial.clone(),
                uuid: host.uuid,
                nics: vec![nic(ours, Some(true))],
                disks: vec![disk("S1"), disk("S9")],
                ..Hardware::default()
            };
            change(&mut hardware);
            let (differences, corrected) = compare(&host, &hardware);
            let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
            let listed: Vec<_> = differences
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
            assert_eq!(listed, expected);
            assert_eq!(corrected.len(), corrections, "{expected:?}");
        }
    }

    #[test]
    fn value_that_the_inventory_lacks_is_found() {
        let mut host = host();
        (host.serial, host.uuid, host.disk) = (None, None, None);
        let hardware = Hardware {
            serial: Some("C8".to_owned()),
            ..Hardware::default()
        };
        let (differences, corrections) = compare(&host, &hardware);
        assert_eq!(differences[0].inventory, None);
        assert_eq!(corrections.len(), 1);
    }
}
