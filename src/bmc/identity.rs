//! Whether the machine behind a BMC is the expected one.

use super::error::BmcError;
use super::status::MachineStatus;
use crate::inventory::Host;
use crate::machine::{ControllerRecord, SystemUuid, is_placeholder};

/// Compares a machine with the inventory, and with the machine that was recorded behind this BMC.
/// A value that either side lacks always matches.
///
/// # Errors
/// [`BmcError::OtherMachine`] lists every value that differs.
pub fn check(
    host: &Host,
    record: Option<&ControllerRecord>,
    machine: &MachineStatus,
) -> Result<(), BmcError> {
    let mut differences = Vec::new();
    let mut compare = |origin: &str, serial: Option<&str>, uuid: Option<SystemUuid>| {
        if let (Some(expected), Some(found)) = (serial, &machine.serial)
            && !same_serial(expected, found)
        {
            differences.push(format!("serial `{found}` ({origin} `{expected}`)"));
        }
        if let (Some(expected), Some(found)) = (uuid, machine.uuid)
            && !same_uuid(expected, found)
        {
            differences.push(format!("UUID `{found}` ({origin} `{expected}`)"));
        }
    };
    compare("the inventory has", host.serial.as_deref(), host.uuid);
    // The inventory takes precedence over the record, because it may have been corrected since.
    if let Some(record) = record {
        let serial = record.serial.as_deref().filter(|_| host.serial.is_none());
        let uuid = record.uuid.filter(|_| host.uuid.is_none());
        compare("previously", serial, uuid);
    }
    if differences.is_empty() {
        return Ok(());
    }
    Err(BmcError::OtherMachine {
        host: host.name.clone(),
        differences,
    })
}

/// Compares serial numbers without regard to case. A placeholder equals everything.
pub fn same_serial(left: &str, right: &str) -> bool {
    let (left, right) = (left.trim(), right.trim());
    is_placeholder(left) || is_placeholder(right) || left.eq_ignore_ascii_case(right)
}

/// Compares UUIDs in either byte order. A placeholder equals everything.
pub fn same_uuid(left: SystemUuid, right: SystemUuid) -> bool {
    left.is_placeholder() || right.is_placeholder() || left.same_machine(right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bmc::tests::host;

    const UUID: &str = "4c4c4544-0046-3410-8037-b8c04f4d5931";
    const SWAPPED: &str = "44454c4c-4600-1034-8037-b8c04f4d5931";
    const OTHER: &str = "4c4c4544-0046-3410-8037-b8c04f4d5932";

    #[test]
    fn other_machine_is_detected_by_serial_or_uuid() {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let uuid = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap());
        for (inventory, record, found, difference) in [
            (("", ""), None, ("C7", UUID), None),
            (("C7", UUID), None, ("c7 ", UUID), None),
            (("C7", UUID), None, ("C7", SWAPPED), None),
            (("C7", UUID), None, ("", ""), None),
            (("C7", UUID), None, ("Default string", OTHER), Some("UUID")),
            (
                ("C7", ""),
                None,
                ("C8", UUID),
                Some("serial `C8` (the inventory has `C7`)"),
            ),
            (
                ("", ""),
                Some(("C7", UUID)),
                ("C8", UUID),
                Some("serial `C8` (previously `C7`)"),
            ),
            (("", ""), Some(("C7", UUID)), ("C7", SWAPPED), None),
            (
                ("", ""),
                Some(("C7", UUID)),
                ("C7", OTHER),
                Some("previously"),
            ),
            // The inventory was corrected after the record.
            (("C8", OTHER), Some(("C7", UUID)), ("C8", OTHER), None),
        ] {
            let mut host = host();
            (host.serial, host.uuid) = (some(inventory.0), uuid(inventory.1));
            let record = record.map(|(serial, id)| {
                let mut record =
                    ControllerRecord::new("a", String::new(), jiff::Timestamp::UNIX_EPOCH);
                (record.serial, record.uuid) = (some(serial), uuid(id));
                record
            });
            let machine = MachineStatus {
                serial: some(found.0),
                uuid: uuid(found.1),
                ..MachineStatus::default()
            };
            let message = check(&host, record.as_ref(), &machine)
                .err()
                .map(|it| it.to_string());
            match difference {
                None => assert_eq!(message, None, "{inventory:?} {found:?}"),
                Some(difference) => assert!(
                    message.as_ref().is_some_and(|it| it.contains(difference)),
                    "{message:?}"
                ),
            }
        }
    }
}
