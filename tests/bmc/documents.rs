//! What real controllers answered, as other projects keep it to test themselves: fetched by
//! `tests/run`, never kept here, served as it is and read-only. Where a set has a system and nothing
//! around it, the few links that lead there are ours.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::emulator::Emulator;
use crate::emulator::profile::CONTOSO;
use crate::installed::installed;
use crate::rack::{HostKeys, Rack};
use crate::requirements::missing;

/// Some documents of one machine.
struct Set {
    name: &'static str,
    /// Below `target/`.
    directory: &'static str,
    /// Files that go before others of the same address.
    first: &'static [&'static str],
    /// Files that tell of something else, though they have an address.
    without: &'static [&'static str],
    /// What `status` and `inventory` must say of it.
    says: &'static [&'static str],
    /// Where its system is, to which a dry run of `boot` would send a change.
    system: &'static str,
    /// What it is to boot: something that it was not told to boot when it was asked.
    boot: (&'static str, &'static str),
}

const PXE: (&str, &str) = ("boot-pxe", "Pxe");
const DISK: (&str, &str) = ("boot-disk", "Hdd");

const SUSHY: &str = "python/lib/python3.11/site-packages/sushy/tests/unit/json_samples";
const DELL: &str = "python/lib/python3.11/site-packages/sushy_oem_idrac/tests/unit/json_samples";
const CRATE: &str = "documents/libredfish";

const SETS: &[Set] = &[
    // The DMTF's `public-rackmount`, from DSP2043.
    Set {
        name: "dmtf",
        directory: SUSHY,
        first: &[
            "root.json",
            "system.json",
            "manager.json",
            "storage_collection.json",
        ],
        without: &["settings", "bare_minimum_root.json"],
        says: &["Contoso", "3500"],
        system: "/redfish/v1/Systems/437XR1138R2",
        boot: DISK,
    },
    Set {
        name: "dmtf-2022",
        directory: SUSHY,
        first: &["root.json", "systemv1_20.json", "managerv1_18.json"],
        without: &["settings", "bare_minimum_root.json"],
        says: &["Contoso", "3500"],
        system: "/redfish/v1/Systems/437XR1138R2",
        boot: DISK,
    },
    Set {
        name: "dell-r640",
        directory: DELL,
        first: &["system.json"],
        without: &["storage_controller.json"],
        says: &["Dell Inc.", "PowerEdge R640"],
        system: "/redfish/v1/Systems/System.Embedded.1",
        boot: PXE,
    },
    Set {
        name: "dell",
        directory: CRATE,
        first: &["system_dell.json", "manager_dell.json"],
        without: &["system_bluefield", "lenovo", "supermicro", "hp"],
        says: &["Dell Inc.", "PowerEdge"],
        system: "/redfish/v1/Systems/System.Embedded.1",
        boot: PXE,
    },
    Set {
        name: "lenovo",
        directory: CRATE,
        first: &[
            "system_lenovo.json",
            "manager_lenovo.json",
            "ethernet_lenovo.json",
        ],
        without: &[
            "system_bluefield",
            "dell",
            "supermicro",
            "hp",
            "systems.json",
        ],
        says: &["Lenovo", "ThinkSystem"],
        system: "/redfish/v1/Systems/1",
        boot: PXE,
    },
    Set {
        name: "bluefield",
        directory: CRATE,
        first: &["system_bluefield_boot_valid.json"],
        without: &["dell", "supermicro", "hp", "lenovo", "systems.json"],
        says: &[],
        system: "/redfish/v1/Systems/Bluefield",
        boot: PXE,
    },
];

impl Set {
    /// Reads the files, by their addresses; and says where the system is.
    fn read(&self) -> (HashMap<String, Value>, String) {
        let entries = fs::read_dir(installed(self.directory)).expect("documents");
        let mut paths: Vec<PathBuf> = entries.map(|it| it.expect("an entry").path()).collect();
        paths.sort_by_key(|path| {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let place = self.first.iter().position(|first| *first == name);
            (place.unwrap_or(usize::MAX), name)
        });
        let mut documents = HashMap::new();
        for path in paths {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let text = fs::read_to_string(&path).unwrap_or_default();
            let Ok(document) = serde_json::from_str::<Value>(&text) else {
                continue;
            };
            let is_first = self.first.contains(&name.as_str());
            if !is_first && self.without.iter().any(|it| name.contains(it)) {
                continue;
            }
            if let Some(address) = document["@odata.id"].as_str() {
                let address = address.trim_end_matches('/').to_owned();
                documents.entry(address).or_insert(document);
            }
        }
        let link = |to: &str| json!({"@odata.id": to});
        let system = self.system.to_owned();
        assert!(
            documents.contains_key(&system),
            "{}: no `{system}`",
            self.name
        );
        documents.entry("/redfish/v1".to_owned()).or_insert(json!({
            "@odata.id": "/redfish/v1",
            "RedfishVersion": "1.6.0",
            "Systems": link("/redfish/v1/Systems"),
            "Managers": link("/redfish/v1/Managers"),
        }));
        documents
            .entry("/redfish/v1/Systems".to_owned())
            .or_insert(json!({
                "@odata.id": "/redfish/v1/Systems",
                "Members": [link(&system)],
            }));
        (documents, system)
    }
}

#[test]
fn what_real_controllers_answered_is_understood() {
    if missing(
        &SETS
            .iter()
            .map(|set| installed(set.directory))
            .collect::<Vec<_>>(),
    ) {
        return;
    }
    for set in SETS {
        let (documents, system) = set.read();
        let own = documents[&system].clone();
        let mut emulator = Emulator::start();
        let bmc = emulator.add(CONTOSO);
        let mut host = HostKeys::of(&bmc, 0);
        host.uuid = own["UUID"].as_str().unwrap_or(&host.uuid).to_owned();
        let serial = match own["Manufacturer"].as_str() {
            Some("Dell Inc.") => &own["SKU"],
            _ => &own["SerialNumber"],
        };
        let serial = serial.as_str().filter(|serial| !serial.trim().is_empty());
        host.serial = serial.unwrap_or(&host.serial).trim().to_owned();
        bmc.controller(|controller| controller.documents = Some(documents));
        let name = host.name.clone();
        let rack = Rack::new(&[host]);

        let run = |words: &[&str]| {
            let said = rack.bmc(&[words, &[&name]].concat());
            // Cards and disks that are not those of the Host document are a finding.
            let wanted = i32::from(said.all().contains("\n- "));
            assert_eq!(
                said.status,
                Some(wanted),
                "{} {words:?}: {}",
                set.name,
                said.all()
            );
            said.ended(wanted);
            said
        };
        let status = run(&["status"]);
        assert!(
            !status.all().contains("another machine"),
            "{}: {}",
            set.name,
            status.all()
        );
        let inventory = run(&["inventory"]);
        for text in set.says {
            assert!(
                inventory.all().contains(text),
                "{}: `{text}` in {}",
                set.name,
                inventory.all()
            );
        }
        let planned = run(&[set.boot.0, "--dry-run"]);
        for text in [
            "PATCH",
            set.system,
            set.boot.1,
            "POST",
            "ComputerSystem.Reset",
        ] {
            assert!(
                planned.all().contains(text),
                "{}: `{text}` in {}",
                set.name,
                planned.all()
            );
        }
        let asked = bmc.asked();
        // A session is asked for where the set has them, and nothing else is sent.
        let changes = bmc.changes();
        assert!(
            changes.is_empty(),
            "{}: {changes:?} {}",
            set.name,
            asked.len()
        );
    }
}
