//! iPXE: it gets an address by DHCP, and runs a script that it fetches by HTTP.

use super::request::RequestMatch;
use super::{BuiltinTemplate, LoaderFamily, ScriptFamily, shim};

pub(super) const FAMILY: LoaderFamily = LoaderFamily {
    name: "ipxe",
    label: "iPXE",
    file_name_words: &[],
    // It runs DHCP again, and gets the URL of its script.
    uses_machine_path: false,
    needs_http_volume: false,
    second_stage_name: shim::second_stage_name,
    modules: |_| Vec::new(),
};

pub(super) const SCRIPTS: ScriptFamily = ScriptFamily {
    script_name: "boot.ipxe",
    install: (
        "install.ipxe.hbs",
        include_str!("templates/install.ipxe.hbs"),
    ),
    local: ("local.ipxe.hbs", include_str!("templates/local.ipxe.hbs")),
    hold: ("hold.ipxe.hbs", include_str!("templates/hold.ipxe.hbs")),
    identify: Some(IDENTIFY),
    can_be_signed: false,
    starts_scripts: true,
    requests_again: true,
    recognize: |_, parts| match parts {
        [.., AUTOEXEC] => RequestMatch::Script(None),
        _ => RequestMatch::Other,
    },
    request_path: |_, _| AUTOEXEC.to_owned(),
    // The path has no report: iPXE reports its machine in the query of `/boot.ipxe`.
    architecture: |_| None,
    file_location: |server, name| format!("{}/files/{name}", server.base_url),
    bundle_location: |server, path| format!("{}/{path}", server.base_url),
};

/// The name of the template that makes iPXE report its machine.
pub const IDENTIFY_TEMPLATE: &str = IDENTIFY.0;

const IDENTIFY: BuiltinTemplate = (
    "identify.ipxe.hbs",
    include_str!("templates/identify.ipxe.hbs"),
);

/// The script that iPXE looks for beside itself.
const AUTOEXEC: &str = "autoexec.ipxe";
