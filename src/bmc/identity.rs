//! Whether the machine behind an address is the one that is meant.

use super::{BmcError, Machine, Report, Target};
use crate::inventory::Host;
use crate::machine::{ControllerRecord, SystemUuid, is_placeholder};

/// Checks a machine against the inventory and against what was seen before behind this controller.
/// What one of them does not know disagrees with nobody.
///
/// # Errors
/// [`BmcError::OtherMachine`] names every value that disagrees.
pub fn check(host: &Host, kept: Option<&ControllerRecord>, seen: &Machine) -> Result<(), BmcError> {
    let mut faults = Vec::new();
    let mut compare = |by: &str, serial: Option<&str>, uuid: Option<SystemUuid>| {
        if let (Some(wanted), Some(found)) = (serial, &seen.serial)
            && !same_serial(wanted, found)
        {
            faults.push(format!("serial `{found}`, where {by} `{wanted}`"));
        }
        if let (Some(wanted), Some(found)) = (uuid, seen.uuid)
            && !same_uuid(wanted, found)
        {
            faults.push(format!("UUID `{found}`, where {by} `{wanted}`"));
        }
    };
    compare("the inventory says", host.serial.as_deref(), host.uuid);
    // What the inventory says goes before what was seen: it may have been corrected since.
    if let Some(kept) = kept {
        let serial = kept.serial.as_deref().filter(|_| host.serial.is_none());
        let uuid = kept.uuid.filter(|_| host.uuid.is_none());
        compare("it was", serial, uuid);
    }
    match faults.as_slice() {
        [] => Ok(()),
        faults => Err(BmcError::OtherMachine {
            what: format!("another machine is behind this BMC: {}", faults.join("; ")),
        }),
    }
}

/// Reports whether what was seen behind a controller is another machine than is meant.
pub fn is_another(target: &Target, report: &Report) -> bool {
    let seen = report.machine.as_ref();
    seen.is_some_and(|seen| check(&target.host, target.kept.as_ref(), seen).is_err())
}

/// Compares serial numbers as people write them; a placeholder equals everything.
pub fn same_serial(one: &str, other: &str) -> bool {
    let (one, other) = (one.trim(), other.trim());
    is_placeholder(one) || is_placeholder(other) || one.eq_ignore_ascii_case(other)
}

/// Compares UUIDs in either octet order; a placeholder equals everything.
pub fn same_uuid(one: SystemUuid, other: SystemUuid) -> bool {
    one.is_placeholder() || other.is_placeholder() || one.same_machine(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bmc::tests::host;

    const UUID: &str = "4c4c4544-0046-3410-8037-b8c04f4d5931";
    const SWAPPED: &str = "44454c4c-4600-1034-8037-b8c04f4d5931";
    const OTHER: &str = "4c4c4544-0046-3410-8037-b8c04f4d5932";

    #[test]
    fn another_machine_is_found_by_serial_or_uuid() {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let uuid = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap());
        for (inventory, kept, seen, fault) in [
            (("", ""), None, ("C7", UUID), None),
            (("C7", UUID), None, ("c7 ", UUID), None),
            (("C7", UUID), None, ("C7", SWAPPED), None),
            (("C7", UUID), None, ("", ""), None),
            (("C7", UUID), None, ("Default string", OTHER), Some("UUID")),
            (
                ("C7", ""),
                None,
                ("C8", UUID),
                Some("serial `C8`, where the inventory says `C7`"),
            ),
            (
                ("", ""),
                Some(("C7", UUID)),
                ("C8", UUID),
                Some("serial `C8`, where it was `C7`"),
            ),
            (("", ""), Some(("C7", UUID)), ("C7", SWAPPED), None),
            (
                ("", ""),
                Some(("C7", UUID)),
                ("C7", OTHER),
                Some("where it was"),
            ),
            // The inventory was corrected since.
            (("C8", OTHER), Some(("C7", UUID)), ("C8", OTHER), None),
        ] {
            let mut host = host();
            (host.serial, host.uuid) = (some(inventory.0), uuid(inventory.1));
            let kept = kept.map(|(serial, id)| {
                let mut record =
                    ControllerRecord::new("a", String::new(), jiff::Timestamp::UNIX_EPOCH);
                (record.serial, record.uuid) = (some(serial), uuid(id));
                record
            });
            let machine = Machine {
                serial: some(seen.0),
                uuid: uuid(seen.1),
                ..Machine::default()
            };
            let said = check(&host, kept.as_ref(), &machine)
                .err()
                .map(|it| it.to_string());
            match fault {
                None => assert_eq!(said, None, "{inventory:?} {seen:?}"),
                Some(fault) => assert!(
                    said.as_ref().is_some_and(|it| it.contains(fault)),
                    "{said:?}"
                ),
            }
        }
    }
}
