//! Finds the system of a host among the systems behind one BMC address.

use super::error::BmcError;
use super::identity::{same_serial, same_uuid};
use super::resource::System;
use crate::inventory::Host;
use crate::machine::cleaned;

/// The most systems to read. A blade chassis has fewer.
pub const MAX_SYSTEMS: usize = 64;
/// The most systems to list in a message.
const MAX_LISTED: usize = 8;

/// Chooses a system by its path alone, before any system is read: the one that the inventory names,
/// or the only one. Returns `None` if each must be read.
///
/// # Errors
/// When there is no system, or no system with that name.
pub fn by_path(members: &[String], name: Option<&str>) -> Result<Option<String>, BmcError> {
    if members.is_empty() {
        return Err(BmcError::NoSystem {
            message: "the BMC manages no system".to_owned(),
            help: "a BMC that has just started lists no systems: try again in a minute".to_owned(),
        });
    }
    let Some(name) = name else {
        return Ok(match members {
            [only] => Some(only.clone()),
            _ => None,
        });
    };
    let is_named = |path: &&String| path.as_str() == name || id(path) == name;
    match members.iter().find(is_named) {
        Some(path) => Ok(Some(path.clone())),
        None => Err(BmcError::NoSystem {
            message: format!("the BMC manages no system `{name}`"),
            help: format!("set `bmc.system` to one of {}", listed(members)),
        }),
    }
}

/// Chooses the system whose UUID, or else serial number, the inventory has.
///
/// # Errors
/// When no system matches, or more than one.
pub fn by_identity(systems: Vec<System>, host: &Host) -> Result<System, BmcError> {
    let paths: Vec<String> = systems.iter().map(|system| system.path.clone()).collect();
    let mut matching = systems
        .into_iter()
        .filter(|system| is_system_of(system, host));
    match (matching.next(), matching.next()) {
        (Some(system), None) => Ok(system),
        (first, _) => Err(BmcError::NoSystem {
            message: format!(
                "the BMC manages {} systems, and {} has the UUID or serial number of this host",
                paths.len(),
                if first.is_some() {
                    "more than one"
                } else {
                    "no system"
                }
            ),
            help: format!("set `bmc.system` to one of {}", listed(&paths)),
        }),
    }
}

fn is_system_of(system: &System, host: &Host) -> bool {
    if let (Some(expected), Some(found)) = (host.uuid, system.machine.uuid) {
        return same_uuid(expected, found);
    }
    let Some(expected) = &host.serial else {
        return false;
    };
    [&system.machine.serial, &system.sku]
        .into_iter()
        .flatten()
        .any(|found| same_serial(expected, found))
}

/// Returns the last part of a path.
fn id(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    path.rsplit('/').next().unwrap_or_default()
}

fn listed(paths: &[String]) -> String {
    let quoted = |path: &String| format!("`{}`", cleaned(id(path), 64));
    let ids: Vec<String> = paths.iter().take(MAX_LISTED).map(quoted).collect();
    ids.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bmc::status::MachineStatus;
    use crate::bmc::tests::host;

    #[test]
    fn named_or_only_system_is_chosen() {
        let members = |names: &[&str]| -> Vec<String> {
            names
                .iter()
                .map(|name| format!("/redfish/v1/Systems/{name}"))
                .collect()
        };
        for (names, name, chosen) in [
            (&["437XR1138R2"][..], None, Ok(Some("437XR1138R2"))),
            (&["Self"], Some("Self"), Ok(Some("Self"))),
            (&["a", "b"], Some("b"), Ok(Some("b"))),
            (&["a", "b"], Some("/redfish/v1/Systems/b"), Ok(Some("b"))),
            (&["a", "b"], None, Ok(None)),
            (&["a"], Some("1"), Err(())),
            (&[], None, Err(())),
        ] {
            let chosen = chosen.map(|it| it.map(|name| format!("/redfish/v1/Systems/{name}")));
            let found = by_path(&members(names), name);
            assert_eq!(found.map_err(|_| ()), chosen, "{names:?} {name:?}");
        }
    }

    #[test]
    fn system_with_the_identity_of_the_host_is_chosen() {
        let system = |path: &str, serial: &str, uuid: Option<&str>| System {
            path: path.to_owned(),
            machine: MachineStatus {
                serial: Some(serial.to_owned()),
                uuid: uuid.map(|uuid| uuid.parse().unwrap()),
                ..MachineStatus::default()
            },
            ..System::default()
        };
        let (one, other) = (
            "4c4c4544-0046-3410-8037-b8c04f4d5931",
            "44454c4c-4600-1034-8037-b8c04f4d5900",
        );
        let mut host = host();
        host.serial = Some("C7".to_owned());
        host.uuid = Some(one.parse().unwrap());
        let found = by_identity(
            vec![
                system("/a", "C7", Some(other)),
                system("/b", "C8", Some(one)),
            ],
            &host,
        );
        assert_eq!(found.unwrap().path, "/b");
        let found = by_identity(
            vec![system("/a", "C7", None), system("/b", "C8", None)],
            &host,
        );
        assert_eq!(found.unwrap().path, "/a");
        for systems in [
            vec![system("/a", "C8", None), system("/b", "C9", None)],
            vec![system("/a", "C7", None), system("/b", "C7", None)],
        ] {
            assert!(by_identity(systems, &host).is_err());
        }
    }
}
