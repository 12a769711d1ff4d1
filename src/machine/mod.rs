//! The types that every layer shares: machines, and what the store remembers about them.

mod address;
mod architecture;
mod clock;
mod controller;
mod cpu;
mod digest;
mod event;
mod infiniband;
mod lease;
mod mask;
mod phase;
mod record;
mod secret;
mod secret_name;
mod text;
mod uuid;

pub use address::{HardwareAddress, MacAddress, ParseMacError};
pub use architecture::{Architecture, Firmware, ParseArchitectureError, UnknownArchitecture};
pub use clock::{BootId, BootTime, ClockReading};
pub use controller::{CertificateNote, ControllerRecord, ControllerTrust};
pub use cpu::CpuArchitecture;
pub use digest::{ParseDigestError, Sha256Digest};
pub use event::{Event, EventKind, StoredEvent};
pub use infiniband::{ParsePortGuidError, PortGuid};
pub use lease::{Lease, LeaseChange};
pub use mask::{
    escaped_json, is_base64url, is_invisible, is_place_of_secret, masked, secret_runs, secrets_in,
    shown_line, shown_lines, united,
};
pub use phase::{ParsePhaseError, Phase};
pub use record::{
    HostRecord, ParseSessionEndError, ParseSessionIdError, Session, SessionEnd, SessionId,
};
pub use secret::{MASK, Secret};
pub use secret_name::{is_secret_name, may_be_secret_name};
pub use text::{IDENTITY_LIMIT, cleaned};
pub use uuid::{ParseUuidError, SystemUuid};

/// Reports whether an identity string is one that vendors leave in place of a real value.
///
/// Such values (`Default string`, `To be filled by O.E.M.`, a run of zeros or `F`s, …) are shared by
/// thousands of machines, so they count as absent.
pub fn is_placeholder(text: &str) -> bool {
    const WORDS: [&str; 13] = [
        "default string",
        "not specified",
        "not available",
        "not applicable",
        "no asset tag",
        "no asset information",
        "system serial number",
        "none",
        "unknown",
        "n/a",
        "empty",
        "invalid",
        "0123456789",
    ];
    let text = text.trim().to_ascii_lowercase();
    let mut characters = text.chars();
    let first = characters.next();
    let one_character = first.is_none_or(|first| {
        matches!(first, '0' | 'f' | '.' | '-' | 'x' | ' ') && characters.all(|c| c == first)
    });
    one_character || text.starts_with("to be filled") || WORDS.contains(&text.as_str())
}

#[cfg(test)]
mod tests {
    use super::is_placeholder;

    #[test]
    fn vendor_placeholders_count_as_absent() {
        for text in [
            "",
            "  ",
            "0",
            "00000000",
            "FFFF",
            "Default string",
            "To Be Filled By O.E.M.",
            "None",
        ] {
            assert!(is_placeholder(text), "{text:?}");
        }
        for text in ["C7X9K2", "A-0008", "7", "F00F"] {
            assert!(!is_placeholder(text), "{text:?}");
        }
    }
}
