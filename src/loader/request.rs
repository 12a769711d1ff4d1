use crate::machine::{IDENTITY_LIMIT, SystemUuid, cleaned};

/// What a request means to the loaders of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestMatch {
    /// It is not a request for a script of this family.
    Other,
    /// It requests a script that this machine never gets, such as the script of another machine.
    Foreign,
    /// It requests a script. There is no report if the path contains nothing about the machine.
    Script(Option<LoaderReport>),
}

/// The values that a loader reports about its machine in the path of its request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoaderReport {
    /// The loader's own name of its platform, such as `x86_64-efi`; empty if it reports none.
    pub platform: String,
    /// The SMBIOS UUID.
    pub uuid: Option<SystemUuid>,
    /// The SMBIOS serial number.
    pub serial: Option<String>,
    /// The SMBIOS asset tag.
    pub asset: Option<String>,
}

/// The placeholder for a missing value in a path.
const ABSENT: &str = "-";

/// Reads a value of a path.
pub(super) fn read_value(text: &str) -> Option<String> {
    let text = cleaned(text, IDENTITY_LIMIT);
    (text != ABSENT && !text.is_empty()).then_some(text)
}

/// Writes a value of a path.
pub(super) fn value_or_absent(value: Option<&str>) -> &str {
    value.unwrap_or(ABSENT)
}
