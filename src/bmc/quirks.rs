//! What differs between vendors: one table, chosen by what a controller and its system say of
//! themselves. A new vendor is a new row.

use super::resource::{ServiceRoot, System};

/// How one kind of controller differs from the standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quirks {
    /// The name of the row, for `status -v` and messages.
    pub name: &'static str,
    /// It forgets the mode of the boot unless it is sent along.
    pub sends_mode: bool,
    /// It may not take `Once`; `Continuous` is the last resort.
    pub may_need_continuous: bool,
    /// It takes boot settings at the settings resource only.
    pub settings_first: bool,
    /// What must be read before boot settings exist for it.
    pub reads_boot_options: bool,
    /// The serial number that firmware shows is the SKU.
    pub serial_is_sku: bool,
    /// It rejects the target `None` together with `Disabled`.
    pub disables_without_target: bool,
    /// What virtual media must be given besides the image.
    pub media_wants_all: bool,
    /// The firmware's settings that give HTTP boot a static address, in the order of
    /// [`StaticNames`]; none where they are not known.
    pub static_address: Option<StaticNames>,
}

/// The names of firmware settings for a static address before an operating system runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaticNames {
    /// The setting that turns DHCP off, and the value that does.
    pub no_dhcp: (&'static str, &'static str),
    /// The address.
    pub address: &'static str,
    /// The mask of its subnet.
    pub mask: &'static str,
    /// The gateway.
    pub gateway: &'static str,
    /// The first name server.
    pub dns: &'static str,
    /// The URL.
    pub url: &'static str,
}

/// What the standard says.
const STANDARD: Quirks = Quirks {
    name: "standard",
    sends_mode: false,
    may_need_continuous: false,
    settings_first: false,
    reads_boot_options: false,
    serial_is_sku: false,
    disables_without_target: false,
    media_wants_all: false,
    static_address: None,
};

/// What a row looks at: all texts that it names must be found, in any case.
struct Row {
    /// In the vendor of the service root or the manufacturer of the system.
    vendor: &'static str,
    /// In the product of the service root or the model of the system; empty for any.
    model: &'static str,
    quirks: Quirks,
}

/// The one table; the first row that fits is taken.
const TABLE: &[Row] = &[
    // Thirteenth generation: PowerEdge R730, T630, C6320, M630, FC430…
    Row {
        vendor: "dell",
        model: "poweredge ?#30",
        quirks: Quirks {
            name: "dell-13g",
            serial_is_sku: true,
            sends_mode: true,
            ..STANDARD
        },
    },
    Row {
        vendor: "dell",
        model: "",
        quirks: Quirks {
            name: "dell",
            serial_is_sku: true,
            ..STANDARD
        },
    },
    Row {
        vendor: "hp",
        model: "",
        quirks: Quirks {
            name: "hpe",
            disables_without_target: true,
            // The names of the ROM-based settings; never tried on a machine. One that a firmware
            // does not show is refused before anything is sent.
            static_address: Some(StaticNames {
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
    Row {
        vendor: "supermicro",
        model: "",
        quirks: Quirks {
            name: "supermicro",
            sends_mode: true,
            may_need_continuous: true,
            ..STANDARD
        },
    },
    Row {
        vendor: "lenovo",
        model: "",
        quirks: Quirks {
            name: "lenovo",
            reads_boot_options: true,
            ..STANDARD
        },
    },
    // MegaRAC: GIGABYTE, ASRock Rack and many others.
    Row {
        vendor: "ami",
        model: "",
        quirks: Quirks {
            name: "ami",
            settings_first: true,
            media_wants_all: true,
            ..STANDARD
        },
    },
];

/// Finds the quirks of a controller by what it says.
pub fn quirks(root: &ServiceRoot, system: &System) -> Quirks {
    let words = |texts: [&Option<String>; 2]| {
        let texts = texts.map(|text| text.clone().unwrap_or_default());
        texts.join("\n").to_ascii_lowercase()
    };
    let vendor = words([&root.vendor, &system.machine.manufacturer]);
    let model = words([&root.product, &system.machine.model]);
    let row = TABLE.iter().find(|row| {
        has_word(&vendor, row.vendor) && (row.model.is_empty() || matches(&model, row.model))
    });
    row.map_or(STANDARD, |row| row.quirks)
}

/// Reports whether a word begins with `wanted`: `hp` is in `HPE` and not in `graphpad`.
fn has_word(text: &str, wanted: &str) -> bool {
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
    // `ami` is short enough to begin other names.
    words.any(|word| match wanted {
        "ami" => word == wanted,
        _ => word.starts_with(wanted),
    })
}

/// Reports whether the model holds a pattern, in which `#` is a digit and `?` some letters.
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
        (Some((wanted, rest)), Some((first, text))) => wanted == first && matches_here(text, rest),
        (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bmc::Machine;

    #[test]
    fn a_controller_is_known_by_what_it_says() {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        for (vendor, product, manufacturer, model, name) in [
            (
                "HPE",
                "ProLiant DL360 Gen10",
                "HPE",
                "ProLiant DL360 Gen10",
                "hpe",
            ),
            ("Hp", "", "", "", "hpe"),
            ("Dell", "iDRAC", "Dell Inc.", "PowerEdge R640", "dell"),
            ("", "", "Dell Inc.", "PowerEdge R730", "dell-13g"),
            ("", "", "Dell Inc.", "PowerEdge C6320", "dell"),
            ("", "", "Dell Inc.", "PowerEdge FC430", "dell-13g"),
            ("Supermicro", "", "Supermicro", "SYS-1029P", "supermicro"),
            ("Lenovo", "", "Lenovo", "ThinkSystem SR650", "lenovo"),
            ("AMI", "AMI Redfish Server", "GIGABYTE", "R282", "ami"),
            ("", "", "Amiga", "", "standard"),
            ("", "", "Sushy Emulator", "", "standard"),
            ("", "", "", "", "standard"),
        ] {
            let root = ServiceRoot {
                vendor: some(vendor),
                product: some(product),
                ..ServiceRoot::default()
            };
            let system = System {
                machine: Machine {
                    manufacturer: some(manufacturer),
                    model: some(model),
                    ..Machine::default()
                },
                ..System::default()
            };
            assert_eq!(
                quirks(&root, &system).name,
                name,
                "{vendor} {manufacturer} {model}"
            );
        }
    }
}
