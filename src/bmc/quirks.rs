//! Vendor differences: one table, matched against the vendor and model that a BMC and its system
//! report. A new vendor is a new row.

use super::resource::{ServiceRoot, System};

/// How one kind of BMC differs from the standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quirks {
    /// The name of the row.
    pub name: &'static str,
    /// The BMC forgets the boot mode unless each change includes it.
    pub needs_mode: bool,
    /// The BMC may not support `Once`; `Continuous` is the last resort.
    pub may_need_continuous: bool,
    /// The BMC accepts boot settings only at the settings resource.
    pub settings_first: bool,
    /// The boot options must be read before the boot settings exist.
    pub must_read_boot_options: bool,
    /// The SKU is the serial number that the firmware shows.
    pub serial_is_sku: bool,
    /// The BMC rejects the target `None` together with `Disabled`.
    pub disable_without_target: bool,
    /// Virtual media need every property, not only the image.
    pub media_needs_all_properties: bool,
    /// The firmware settings for a static address of HTTP boot, if they are known.
    pub static_address: Option<StaticAddressSettings>,
}

/// The names of the firmware settings for a static address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaticAddressSettings {
    /// The setting for DHCP, and the value that disables it.
    pub no_dhcp: (&'static str, &'static str),
    /// The IP address.
    pub address: &'static str,
    /// The subnet mask.
    pub mask: &'static str,
    /// The gateway.
    pub gateway: &'static str,
    /// The first name server.
    pub dns: &'static str,
    /// The boot URL.
    pub url: &'static str,
}

/// The behavior that the standard requires.
const STANDARD: Quirks = Quirks {
    name: "standard",
    needs_mode: false,
    may_need_continuous: false,
    settings_first: false,
    must_read_boot_options: false,
    serial_is_sku: false,
    disable_without_target: false,
    media_needs_all_properties: false,
    static_address: None,
};

/// One row of the table. A name of the vendor and the model must match, in any case.
struct VendorRow {
    /// The names of the vendor and of its BMCs.
    vendor: &'static [&'static str],
    /// A pattern for the product in the service root or the model in the system; empty for any.
    model: &'static str,
    quirks: Quirks,
}

const DELL: &[&str] = &["dell", "idrac"];

/// The table. The first matching row applies.
const TABLE: &[VendorRow] = &[
    // Thirteenth generation: PowerEdge R730, T630, C6320, M630, FC430…
    VendorRow {
        vendor: DELL,
        model: "poweredge ?#30",
        quirks: Quirks {
            name: "dell-13g",
            serial_is_sku: true,
            needs_mode: true,
            ..STANDARD
        },
    },
    VendorRow {
        vendor: DELL,
        model: "",
        quirks: Quirks {
            name: "dell",
            serial_is_sku: true,
            ..STANDARD
        },
    },
    VendorRow {
        vendor: &["hp", "hpe", "hewlett", "ilo"],
        model: "",
        quirks: Quirks {
            name: "hpe",
            disable_without_target: true,
            // Names from the ROM-based setup, never tried on hardware. A name that the firmware
            // does not show is refused before anything is sent.
            static_address: Some(StaticAddressSettings {
                no_dhcp: ("Dhcpv4", "Disabled"),
                address: "Ipv4Address",
                mask: "Ipv4SubnetMask",
                gateway: "Ipv4Gateway",
                dns: "Ipv4PrimaryDNS",
                url: "UrlBootFile",
            }),
            ..STANDARD
        },
    },
    VendorRow {
        vendor: &["supermicro"],
        model: "",
        quirks: Quirks {
            name: "supermicro",
            needs_mode: true,
            may_need_continuous: true,
            ..STANDARD
        },
    },
    VendorRow {
        vendor: &["lenovo", "xclarity"],
        model: "",
        quirks: Quirks {
            name: "lenovo",
            must_read_boot_options: true,
            ..STANDARD
        },
    },
    // MegaRAC: GIGABYTE, ASRock Rack and many others.
    VendorRow {
        vendor: &["ami", "megarac"],
        model: "",
        quirks: Quirks {
            name: "ami",
            settings_first: true,
            media_needs_all_properties: true,
            ..STANDARD
        },
    },
];

/// Finds the quirks of a BMC. Names of the BMC itself take precedence over names in the system
/// resource, and these over the manufacturer: the maker of a board may buy its BMC from another
/// vendor, and many systems report no manufacturer.
pub fn quirks(root: &ServiceRoot, system: &System) -> Quirks {
    let root_names = [&root.vendor, &root.product].into_iter().flatten();
    let levels: [Vec<&String>; 3] = [
        root_names.chain(&root.extensions).collect(),
        // A path such as `/redfish/v1/Managers/iDRAC.Embedded.1` names the BMC, too.
        system
            .extensions
            .iter()
            .chain(&system.links.managers)
            .collect(),
        system.machine.manufacturer.iter().collect(),
    ];
    let product = root.product.clone().unwrap_or_default();
    let model = system.machine.model.clone().unwrap_or_default();
    let models = format!("{product}\n{model}").to_ascii_lowercase();
    let row = levels.iter().find_map(|names| {
        TABLE.iter().find(|row| {
            names.iter().any(|name| names_vendor(name, row.vendor))
                && (row.model.is_empty() || matches(&models, row.model))
        })
    });
    row.map_or(STANDARD, |row| row.quirks)
}

/// The longest name that counts only as a whole word: `ami` is not in `Amiga`.
const SHORT_NAME: usize = 4;

/// Reports whether a text contains one of the names of a vendor.
fn names_vendor(text: &str, names: &[&str]) -> bool {
    let lower = text.to_ascii_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    // `Super Micro Computer, Inc.`
    let joined = words.concat();
    names
        .iter()
        .any(|name| words.contains(name) || (name.len() > SHORT_NAME && joined.contains(name)))
}

/// Reports whether the text contains a pattern, in which `#` is a digit and `?` is one or more
/// letters.
fn matches(text: &str, pattern: &str) -> bool {
    text.lines().any(|line| {
        (0..line.len()).any(|at| matches_here(&line.as_bytes()[at..], pattern.as_bytes()))
    })
}

fn matches_here(text: &[u8], pattern: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, _) => true,
        (Some((b'?', rest)), _) => {
            let letters = text.iter().take_while(|byte| byte.is_ascii_alphabetic());
            (1..=letters.count()).any(|count| matches_here(&text[count..], rest))
        }
        (Some((b'#', rest)), Some((first, text))) => {
            first.is_ascii_digit() && matches_here(text, rest)
        }
        (Some((expected, rest)), Some((first, text))) => {
            expected == first && matches_here(text, rest)
        }
        (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::bmc::status::MachineStatus;

    #[test]
    fn vendor_row_is_found_by_vendor_and_model() {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        for (vendor, product, manufacturer, model, name) in [
            ("HPE", "ProLiant DL360 Gen10", "HPE", "ProLiant", "hpe"),
            ("Hp", "", "", "", "hpe"),
            ("Dell", "iDRAC", "Dell Inc.", "PowerEdge R640", "dell"),
            ("", "", "Dell Inc.", "PowerEdge R730", "dell-13g"),
            ("", "", "Dell Inc.", "PowerEdge C6320", "dell"),
            ("", "", "Dell Inc.", "PowerEdge FC430", "dell-13g"),
            ("Supermicro", "", "Supermicro", "SYS-1029P", "supermicro"),
            ("", "", "Super Micro Computer, Inc.", "", "supermicro"),
            ("Lenovo", "", "Lenovo", "ThinkSystem SR650", "lenovo"),
            ("AMI", "AMI Redfish Server", "GIGABYTE", "R282", "ami"),
            // The BMC takes precedence over the maker of the machine.
            ("AMI", "", "Lenovo", "ThinkSystem SR635", "ami"),
            ("", "iLO 5", "", "", "hpe"),
            ("", "Lenovo XClarity Controller", "", "", "lenovo"),
            ("", "", "Amiga", "", "standard"),
            ("", "", "Hpcorp", "", "standard"),
            ("", "", "Sushy Emulator", "", "standard"),
            ("", "", "", "", "standard"),
        ] {
            let root = ServiceRoot {
                vendor: some(vendor),
                product: some(product),
                ..ServiceRoot::default()
            };
            let system = System {
                machine: MachineStatus {
                    manufacturer: some(manufacturer),
                    model: some(model),
                    ..MachineStatus::default()
                },
                ..System::default()
            };
            let found = quirks(&root, &system).name;
            assert_eq!(found, name, "{vendor} {product} {manufacturer} {model}");
        }
    }

    #[test]
    fn vendor_row_is_found_without_a_manufacturer() {
        for (root, system, name) in [
            (json!({"Oem": {"Hpe": {}}}), json!({}), "hpe"),
            (
                json!({"Oem": {"Ami": {}}}),
                json!({"Manufacturer": "GIGABYTE"}),
                "ami",
            ),
            (
                json!({"Oem": {"Other": {}, "Supermicro": {}}}),
                json!({}),
                "supermicro",
            ),
            (json!({}), json!({"Oem": {"Lenovo": {}}}), "lenovo"),
            (
                json!({}),
                json!({"Model": "PowerEdge R630", "Oem": {"Dell": {}}}),
                "dell-13g",
            ),
            (
                json!({}),
                json!({"Links": {"ManagedBy": [
                    {"@odata.id": "/redfish/v1/Managers/iDRAC.Embedded.1"}]}}),
                "dell",
            ),
            (json!({}), json!({"Manufacturer": null}), "standard"),
        ] {
            let (found_root, found_system) =
                (ServiceRoot::read(&root), System::read("/s", &system));
            assert_eq!(
                quirks(&found_root, &found_system).name,
                name,
                "{root} {system}"
            );
        }
    }
}
