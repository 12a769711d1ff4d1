//! Which of the systems behind an address is this host.

use super::BmcError;
use super::identity::{same_serial, same_uuid};
use super::resource::System;
use crate::inventory::Host;

/// How many systems are looked at; a blade chassis has fewer.
pub const MOST: usize = 64;

/// Chooses by path alone, before any of them is read: the one that the inventory names, or the only
/// one there is. `None`: each must be looked at.
///
/// # Errors
/// When there is none, or none of the name.
pub fn by_path(members: &[String], wanted: Option<&str>) -> Result<Option<String>, BmcError> {
    let named = |path: &&String| path.trim_end_matches('/').rsplit('/').next() == wanted;
    match (members, wanted) {
        ([], _) => Err(BmcError::NoSystem {
            what: "it manages no system".to_owned(),
            help: "a BMC that has just started knows none yet: try again in a minute".to_owned(),
        }),
        (_, Some(wanted)) => {
            let same_path = |path: &&String| path.as_str() == wanted;
            let found = members.iter().find(|path| named(path) || same_path(path));
            match found {
                Some(path) => Ok(Some(path.clone())),
                None => Err(BmcError::NoSystem {
                    what: format!("it manages no system `{wanted}`"),
                    help: format!("correct `bmc.system`: it has {}", list(members)),
                }),
            }
        }
        ([only], None) => Ok(Some(only.clone())),
        (_, None) => Ok(None),
    }
}

/// Chooses by what each says of itself: the one whose UUID or serial the inventory has.
///
/// # Errors
/// When none or several have it.
pub fn by_identity(systems: Vec<System>, host: &Host) -> Result<System, BmcError> {
    let is_it = |system: &System| {
        let uuid = host.uuid.zip(system.machine.uuid);
        let serials = [&system.machine.serial, &system.sku];
        let serial = host.serial.as_ref();
        let of_serial = |wanted: &String| {
            serials
                .iter()
                .filter_map(|it| it.as_ref())
                .any(|found| same_serial(wanted, found))
        };
        uuid.map_or_else(
            || serial.is_some_and(of_serial),
            |(wanted, found)| same_uuid(wanted, found),
        )
    };
    let paths: Vec<String> = systems.iter().map(|system| system.path.clone()).collect();
    let mut found = systems.into_iter().filter(is_it);
    match (found.next(), found.next()) {
        (Some(system), None) => Ok(system),
        (first, _) => Err(BmcError::NoSystem {
            what: format!(
                "it manages {} systems, and {} of this host's UUID or serial",
                paths.len(),
                if first.is_some() {
                    "more than one is"
                } else {
                    "none is"
                }
            ),
            help: format!("name one with `bmc.system`: it has {}", list(&paths)),
        }),
    }
}

fn list(paths: &[String]) -> String {
    let ids = paths
        .iter()
        .take(8)
        .filter_map(|path| path.trim_end_matches('/').rsplit('/').next());
    let ids: Vec<String> = ids
        .map(|id| format!("`{}`", crate::machine::cleaned(id, 64)))
        .collect();
    ids.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bmc::Machine;
    use crate::bmc::tests::host;

    #[test]
    fn a_system_is_chosen_by_its_name_or_because_it_is_alone() {
        let members = |names: &[&str]| -> Vec<String> {
            names
                .iter()
                .map(|name| format!("/redfish/v1/Systems/{name}"))
                .collect()
        };
        for (names, wanted, chosen) in [
            (&["437XR1138R2"][..], None, Ok(Some("437XR1138R2"))),
            (&["Self"], Some("Self"), Ok(Some("Self"))),
            (&["a", "b"], Some("b"), Ok(Some("b"))),
            (&["a", "b"], Some("/redfish/v1/Systems/b"), Ok(Some("b"))),
            (&["a", "b"], None, Ok(None)),
            (&["a"], Some("1"), Err(())),
            (&[], None, Err(())),
        ] {
            let chosen = chosen.map(|it| it.map(|name| format!("/redfish/v1/Systems/{name}")));
            let found = by_path(&members(names), wanted);
            assert_eq!(found.map_err(|_| ()), chosen, "{names:?} {wanted:?}");
        }
    }

    #[test]
    fn of_several_systems_the_one_of_this_host_is_chosen() {
        let system = |path: &str, serial: &str, uuid: Option<&str>| System {
            path: path.to_owned(),
            machine: Machine {
                serial: Some(serial.to_owned()),
                uuid: uuid.map(|uuid| uuid.parse().unwrap()),
                ..Machine::default()
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
