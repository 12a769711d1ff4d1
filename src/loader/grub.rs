//! GRUB, alone or behind shim: it requests `grub.cfg`.

use super::request::{LoaderReport, RequestMatch, read_value, value_or_absent};
use super::{BuiltinTemplate, FileServer, LoaderFamily, ScriptFamily, shim};
use crate::machine::{Architecture, IDENTITY_LIMIT, MacAddress, cleaned};

pub(super) const FAMILY: LoaderFamily = LoaderFamily {
    name: "grub",
    label: "GRUB",
    file_name_words: &["shim", "grub", "bootnet"],
    uses_machine_path: true,
    // Signed builds do not support HTTP; in a volume they find their configuration.
    needs_http_volume: true,
    second_stage_name: shim::second_stage_name,
    modules: |_| Vec::new(),
};

pub(super) const SCRIPTS: ScriptFamily = ScriptFamily {
    script_name: CONFIGURATION,
    install: (
        "install.grub.hbs",
        include_str!("templates/install.grub.hbs"),
    ),
    local: ("local.grub.hbs", include_str!("templates/local.grub.hbs")),
    hold: ("hold.grub.hbs", include_str!("templates/hold.grub.hbs")),
    identify: Some(STUB),
    can_be_signed: true,
    starts_scripts: false,
    requests_again: false,
    recognize,
    request_path,
    architecture: |report| Architecture::from_grub(&report.platform),
    file_location,
    bundle_location: file_location,
};

/// The name of the template that makes GRUB report its machine.
pub const STUB_TEMPLATE: &str = STUB.0;

const STUB: BuiltinTemplate = ("stub.grub.hbs", include_str!("templates/stub.grub.hbs"));

/// The name under which GRUB looks for its configuration.
const CONFIGURATION: &str = "grub.cfg";

/// Recognizes a configuration. The stub makes GRUB request `<platform>/<uuid>/<serial>/<asset>/grub.cfg`.
fn recognize(_: MacAddress, parts: &[&str]) -> RequestMatch {
    match parts {
        [platform, uuid, serial, asset, CONFIGURATION] => {
            RequestMatch::Script(Some(LoaderReport {
                platform: cleaned(platform, IDENTITY_LIMIT),
                uuid: uuid.parse().ok(),
                serial: read_value(serial),
                asset: read_value(asset),
            }))
        }
        [.., CONFIGURATION] => RequestMatch::Script(None),
        _ => RequestMatch::Other,
    }
}

fn request_path(_: MacAddress, report: Option<&LoaderReport>) -> String {
    let Some(report) = report else {
        return CONFIGURATION.to_owned();
    };
    let uuid = report.uuid.map(|uuid| uuid.to_string());
    format!(
        "{}/{}/{}/{}/{CONFIGURATION}",
        report.platform,
        value_or_absent(uuid.as_deref()),
        value_or_absent(report.serial.as_deref()),
        value_or_absent(report.asset.as_deref()),
    )
}

/// Debian's signed GRUB has no HTTP.
fn file_location(server: &FileServer<'_>, name: &str) -> String {
    format!("(tftp,{})/{name}", server.address)
}
