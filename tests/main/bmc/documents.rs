//! Documents of real BMCs, which other projects keep for their own tests. `tests/run` fetches them;
//! they are not kept here, and are served unchanged and read-only. If a set has a system and
//! nothing around it, the test adds the few links that lead there.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::bmc::emulator::Emulator;
use crate::bmc::emulator::profile::CONTOSO;
use crate::bmc::installed::installed;
use crate::bmc::rack::HostDocument;
use crate::support::rack::Rack;
use crate::support::requirements::missing;

/// The documents of one machine.
struct DocumentSet {
    name: &'static str,
    /// The directory below `target/`.
    directory: &'static str,
    /// Files that take precedence over others with the same address.
    first: &'static [&'static str],
    /// Files of other resources that have one of the addresses.
    without: &'static [&'static str],
    /// The texts that `status` and `inventory` must show.
    shown: &'static [&'static str],
    /// The Secure Boot state and the boot options that `status` must show.
    firmware: &'static [&'static str],
    /// The path of the system, to which a dry run of `boot` would send a change.
    system: &'static str,
    /// A boot command and its target that differ from the override in the documents.
    boot: (&'static str, &'static str),
}

const PXE: (&str, &str) = ("boot-pxe", "Pxe");
const DISK: (&str, &str) = ("boot-disk", "Hdd");

const SUSHY: &str = "python/lib/python3.11/site-packages/sushy/tests/unit/json_samples";
const DELL: &str = "python/lib/python3.11/site-packages/sushy_oem_idrac/tests/unit/json_samples";
const CRATE: &str = "documents/libredfish";

const SETS: &[DocumentSet] = &[
    // The DMTF's `public-rackmount`, from DSP2043.
    DocumentSet {
        name: "dmtf",
        directory: SUSHY,
        first: &[
            "root.json",
            "system.json",
            "manager.json",
            "storage_collection.json",
        ],
        without: &["settings", "bare_minimum_root.json"],
        shown: &["Contoso", "3500"],
        firmware: &["disabled"],
        system: "/redfish/v1/Systems/437XR1138R2",
        boot: DISK,
    },
    DocumentSet {
        name: "dmtf-2022",
        directory: SUSHY,
        first: &["root.json", "systemv1_20.json", "managerv1_18.json"],
        without: &["settings", "bare_minimum_root.json"],
        shown: &["Contoso", "3500"],
        firmware: &["disabled"],
        system: "/redfish/v1/Systems/437XR1138R2",
        boot: DISK,
    },
    DocumentSet {
        name: "dell-r640",
        directory: DELL,
        first: &["system.json"],
        without: &["storage_controller.json"],
        shown: &["Dell Inc.", "PowerEdge R640"],
        firmware: &[],
        system: "/redfish/v1/Systems/System.Embedded.1",
        boot: PXE,
    },
    DocumentSet {
        name: "dell",
        directory: CRATE,
        first: &["system_dell.json", "manager_dell.json"],
        without: &["system_bluefield", "lenovo", "supermicro", "hp"],
        shown: &["Dell Inc.", "PowerEdge"],
        firmware: &["Boot0003, Boot0000, Boot0001"],
        system: "/redfish/v1/Systems/System.Embedded.1",
        boot: PXE,
    },
    DocumentSet {
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
        shown: &["Lenovo", "ThinkSystem"],
        firmware: &["Boot0004, Network (Boot0003)"],
        system: "/redfish/v1/Systems/1",
        boot: PXE,
    },
    DocumentSet {
        name: "bluefield",
        directory: CRATE,
        first: &["system_bluefield_boot_valid.json"],
        without: &["dell", "supermicro", "hp", "lenovo", "systems.json"],
        shown: &[],
        firmware: &["Boot0000, Boot0001"],
        system: "/redfish/v1/Systems/Bluefield",
        boot: PXE,
    },
];

impl DocumentSet {
    /// Reads the documents by their addresses, and returns the path of the system.
    fn read(&self) -> (HashMap<String, Value>, String) {
        let entries = fs::read_dir(installed(self.directory)).expect("documents");
        let mut paths: Vec<PathBuf> = entries.map(|it| it.expect("an entry").path()).collect();
        paths.sort_by_key(|path| {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let rank = self.first.iter().position(|first| *first == name);
            (rank.unwrap_or(usize::MAX), name)
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
fn documents_of_real_bmcs_are_understood() {
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
        let mut host = HostDocument::of(&bmc, 0);
        host.uuid = own["UUID"].as_str().unwrap_or(&host.uuid).to_owned();
        let serial = match own["Manufacturer"].as_str() {
            Some("Dell Inc.") => &own["SKU"],
            _ => &own["SerialNumber"],
        };
        let serial = serial.as_str().filter(|serial| !serial.trim().is_empty());
        host.serial = serial.unwrap_or(&host.serial).trim().to_owned();
        bmc.controller(|controller| controller.documents = Some(documents));
        let name = host.name.clone();
        let rack = Rack::with_hosts(&[host]);

        let run = |words: &[&str]| {
            let output = rack.bmc(&[words, &[&name]].concat());
            // NICs and disks that differ from the Host document are a finding.
            let expected = i32::from(output.all().contains("\n- "));
            assert_eq!(
                output.status,
                Some(expected),
                "{} {words:?}: {}",
                set.name,
                output.all()
            );
            output.assert_exit(expected);
            output
        };
        let status = run(&["status"]);
        assert!(
            !status.all().contains("another machine"),
            "{}: {}",
            set.name,
            status.all()
        );
        for text in set.firmware {
            assert!(
                status.stdout.contains(text),
                "{}: `{text}` in {}",
                set.name,
                status.stdout
            );
        }
        let inventory = run(&["inventory"]);
        for text in set.shown {
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
        let requests = bmc.requests();
        // A session may be requested, but nothing else is sent.
        let changes = bmc.changes();
        assert!(
            changes.is_empty(),
            "{}: {changes:?} {}",
            set.name,
            requests.len()
        );
    }
}
