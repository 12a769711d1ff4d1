//! The resources of an emulated BMC and its machines.

use serde_json::{Value, json};

use super::machine::{EmulatedController, EmulatedMachine, SettingsResource};
use super::profile::{Etag, Media, PostSign, Sessions, ValueList};
use super::settings;

fn link(path: &str) -> Value {
    json!({"@odata.id": path})
}

fn collection(path: &str, members: &[String]) -> Value {
    let members: Vec<Value> = members.iter().map(|it| link(it)).collect();
    json!({
        "@odata.id": path,
        "Name": "Collection",
        "Members@odata.count": members.len(),
        "Members": members,
    })
}

pub fn root(controller: &EmulatedController) -> Value {
    let profile = &controller.profile;
    let mut root = json!({
        "@odata.id": "/redfish/v1/",
        "@odata.type": "#ServiceRoot.v1_5_0.ServiceRoot",
        "Id": "RootService",
        "Name": "Root Service",
        "RedfishVersion": "1.6.0",
        "Systems": link("/redfish/v1/Systems"),
        "Managers": link("/redfish/v1/Managers"),
    });
    if let Some(vendor) = profile.vendor {
        root["Vendor"] = json!(vendor);
    }
    if !profile.product.is_empty() {
        root["Product"] = json!(profile.product);
    }
    if let Sessions::At(at) | Sessions::NoLocation(at) | Sessions::Full(at) = profile.sessions {
        root["Links"] = json!({"Sessions": link(at)});
        root["SessionService"] = link("/redfish/v1/SessionService");
    }
    root
}

/// Returns a resource, and its version if it has one.
pub fn resource(
    controller: &mut EmulatedController,
    path: &str,
) -> Option<(Value, Option<String>)> {
    let profile = controller.profile;
    let manager = format!("/redfish/v1/Managers/{}", profile.manager);
    let plain = |value| Some((value, None));
    match path {
        "/redfish/v1/Systems" => {
            let ids = controller.machines.iter();
            let members: Vec<String> = ids.map(|it| format!("{path}/{}", it.id)).collect();
            return plain(collection(path, &members));
        }
        "/redfish/v1/Managers" => return plain(collection(path, &[manager])),
        "/redfish/v1/SessionService" if profile.sessions != Sessions::Missing => {
            return plain(
                json!({"@odata.id": path, "Id": "SessionService", "ServiceEnabled": true}),
            );
        }
        _ => {}
    }
    if let Some(rest) = path.strip_prefix(&manager) {
        return plain(manager_resource(controller, path, rest)?);
    }
    let rest = path.strip_prefix("/redfish/v1/Systems/")?;
    let (id, rest) = rest.split_once('/').unwrap_or((rest, ""));
    let at = controller.machines.iter().position(|it| it.id == id)?;
    let own = format!("/redfish/v1/Systems/{id}");
    match rest {
        "" => {
            let etag = profile.etag != Etag::Missing;
            let etag = etag.then(|| format!("W/\"{}\"", controller.machines[at].etag));
            let mut system = system(controller, at, &own);
            if let Some(etag) = &etag {
                system["@odata.etag"] = json!(etag);
            }
            return Some((system, etag));
        }
        "BootOptions" => controller.machines[at].options_read = true,
        _ => {}
    }
    let machine = &controller.machines[at];
    plain(match rest {
        "BootOptions" => {
            let references = machine.boot_order.iter();
            let members: Vec<_> = references.map(|(id, _)| format!("{path}/{id}")).collect();
            collection(path, &members)
        }
        "SecureBoot" => {
            let (next, current) = machine.secure_boot?;
            json!({
                "@odata.id": path,
                "Id": "SecureBoot",
                "SecureBootEnable": next,
                "SecureBootCurrentBoot": if current { "Enabled" } else { "Disabled" },
                "SecureBootMode": "UserMode",
            })
        }
        "SD" if machine.settings_resource.is_some() => {
            let boot = machine.pending_boot.as_ref().unwrap_or(&machine.boot);
            json!({
                "@odata.id": path,
                "Boot": {
                    "BootSourceOverrideEnabled": boot.enabled,
                    "BootSourceOverrideTarget": boot.target,
                    "BootSourceOverrideMode": boot.mode,
                },
            })
        }
        "EthernetInterfaces" => collection(path, &[format!("{path}/NIC.1")]),
        "EthernetInterfaces/NIC.1" => json!({
            "@odata.id": path,
            "Id": "NIC.1",
            "MACAddress": machine.mac.to_uppercase(),
            "PermanentMACAddress": machine.mac.to_uppercase(),
            "SpeedMbps": 25000,
            "LinkStatus": "LinkUp",
        }),
        "Storage" => collection(path, &[format!("{path}/RAID.1")]),
        "Storage/RAID.1" => json!({
            "@odata.id": path,
            "Id": "RAID.1",
            "Drives": [link(&format!("{own}/Storage/RAID.1/Drives/0"))],
        }),
        "Storage/RAID.1/Drives/0" => json!({
            "@odata.id": path,
            "Id": "0",
            "Model": "MZ7LH480",
            "SerialNumber": format!("D-{}", machine.serial),
            "CapacityBytes": 480_103_981_056_u64,
            "MediaType": "SSD",
            "Protocol": "SATA",
            "Identifiers": [{"DurableNameFormat": "NAA", "DurableName": "5000C500A1B2C301"}],
        }),
        "ResetActionInfo" if profile.listed == ValueList::ActionInfo => json!({
            "@odata.id": path,
            "Parameters": [{"Name": "ResetType", "AllowableValues": profile.resets}],
        }),
        "Bios" | "Bios/Settings" => settings::resource(machine, path)?,
        option if option.starts_with("BootOptions/") => {
            let id = option.strip_prefix("BootOptions/")?;
            let (id, name) = machine.boot_order.iter().find(|it| it.0 == id)?;
            json!({
                "@odata.id": path, "Id": id, "BootOptionReference": id, "DisplayName": name,
            })
        }
        "VirtualMedia" if profile.media == Media::System => {
            collection(path, &[format!("{path}/Cd")])
        }
        "VirtualMedia/Cd" if profile.media == Media::System => medium(machine, path, true),
        _ => return None,
    })
}

fn manager_resource(controller: &EmulatedController, path: &str, rest: &str) -> Option<Value> {
    let has_media = matches!(
        controller.profile.media,
        Media::Manager | Media::ManagerByPatch
    );
    let actions = controller.profile.media == Media::Manager;
    Some(match rest {
        "" => {
            let systems = controller.machines.iter();
            let systems = systems.map(|it| link(&format!("/redfish/v1/Systems/{}", it.id)));
            let mut manager = json!({
                "@odata.id": path,
                "Id": controller.profile.manager,
                "ManagerType": "BMC",
                "Model": controller.profile.product,
                "FirmwareVersion": "2.65",
                "Links": {"ManagerForServers": systems.collect::<Vec<_>>()},
            });
            if has_media {
                manager["VirtualMedia"] = link(&format!("{path}/VirtualMedia"));
            }
            if controller.logs.iter().any(|log| log.at_manager) {
                manager["LogServices"] = link(&format!("{path}/LogServices"));
            }
            if !controller.protocols.is_null() {
                manager["NetworkProtocol"] = link(&format!("{path}/NetworkProtocol"));
            }
            manager
        }
        "/NetworkProtocol" if !controller.protocols.is_null() => controller.protocols.clone(),
        "/VirtualMedia" if has_media => {
            collection(path, &[format!("{path}/Floppy"), format!("{path}/Cd")])
        }
        "/VirtualMedia/Floppy" if has_media => json!({
            "@odata.id": path,
            "Id": "Floppy",
            "MediaTypes": ["Floppy", "USBStick"],
            "Inserted": false,
        }),
        "/VirtualMedia/Cd" if has_media => medium(&controller.machines[0], path, actions),
        _ => return None,
    })
}

fn medium(machine: &EmulatedMachine, path: &str, actions: bool) -> Value {
    let mut medium = json!({
        "@odata.id": path,
        "Id": "Cd",
        "MediaTypes": ["CD", "DVD"],
        "Image": machine.image,
        "Inserted": machine.image.is_some(),
        "WriteProtected": true,
    });
    if actions {
        let action = |name: &str| json!({"target": format!("{path}/Actions/VirtualMedia.{name}")});
        medium["Actions"] = json!({
            "#VirtualMedia.InsertMedia": action("InsertMedia"),
            "#VirtualMedia.EjectMedia": action("EjectMedia"),
        });
    }
    medium
}

fn system(controller: &mut EmulatedController, at: usize, path: &str) -> Value {
    let (profile, in_post) = (controller.profile, controller.is_in_post());
    let has_logs = at == 0 && controller.logs.iter().any(|log| !log.at_manager);
    let machine = &mut controller.machines[at];
    let (power, boot) = (machine.reported_power(), machine.reported_boot());
    let mut reset = json!({"target": format!("{path}/Actions/ComputerSystem.Reset")});
    match profile.listed {
        ValueList::Allowable => reset["ResetType@Redfish.AllowableValues"] = json!(profile.resets),
        ValueList::ActionInfo => {
            reset["@Redfish.ActionInfo"] = json!(format!("{path}/ResetActionInfo"));
        }
        ValueList::Nowhere => {}
    }
    let mut system = json!({
        "@odata.id": path,
        "@odata.type": "#ComputerSystem.v1_10_0.ComputerSystem",
        "Id": machine.id,
        "Name": "System",
        "Manufacturer": profile.manufacturer,
        "Model": profile.model,
        "UUID": machine.uuid,
        "SerialNumber": machine.serial,
        "SKU": "8675309",
        "PowerState": power,
        "Status": machine.status,
        "Boot": {
            "BootSourceOverrideEnabled": boot.enabled,
            "BootSourceOverrideTarget": boot.target,
            "BootSourceOverrideMode": boot.mode,
            "BootOptions": link(&format!("{path}/BootOptions")),
        },
        "EthernetInterfaces": link(&format!("{path}/EthernetInterfaces")),
        "Storage": link(&format!("{path}/Storage")),
        "Links": {"ManagedBy": [link(&format!("/redfish/v1/Managers/{}", profile.manager))]},
        "Actions": {"#ComputerSystem.Reset": reset},
    });
    let has_settings = machine.settings_resource == Some(SettingsResource::Listed);
    let order: Vec<_> = machine.boot_order.iter().map(|(id, _)| *id).collect();
    for (name, value) in [
        (
            "SecureBoot",
            machine
                .secure_boot
                .map(|_| link(&format!("{path}/SecureBoot"))),
        ),
        (
            "LogServices",
            has_logs.then(|| link(&format!("{path}/LogServices"))),
        ),
        (
            "SerialConsole",
            Some(machine.serial_console.clone()).filter(|it| !it.is_null()),
        ),
        (
            "@Redfish.Settings",
            has_settings.then(|| json!({"SettingsObject": link(&format!("{path}/SD"))})),
        ),
    ] {
        if let Some(value) = value {
            system[name] = value;
        }
    }
    if !order.is_empty() {
        system["Boot"]["BootOrder"] = json!(order);
    }
    if profile.listed == ValueList::Allowable {
        system["Boot"]["BootSourceOverrideTarget@Redfish.AllowableValues"] = json!(profile.targets);
    }
    if profile.targets.contains(&"UefiHttp") {
        system["Boot"]["HttpBootUri"] = json!(boot.uri);
    }
    if profile.serial_in_sku {
        system["SKU"] = json!(machine.serial);
        system["SerialNumber"] = json!(format!("CN7475{}0001", machine.serial));
    }
    match (profile.post, in_post) {
        (PostSign::Progress, true) => {
            system["BootProgress"] = json!({"LastState": "MemoryInitializationStarted"});
        }
        (PostSign::Progress, false) => {
            system["BootProgress"] = json!({"LastState": "OSRunning"});
        }
        (PostSign::Hpe, _) => {
            let state = if in_post { "InPost" } else { "FinishedPost" };
            system["Oem"] = json!({"Hpe": {"PostState": state}});
        }
        (PostSign::Message, _) => {}
    }
    if !profile.settings.is_empty() {
        system["Bios"] = link(&format!("{path}/Bios"));
    }
    if profile.media == Media::System {
        system["VirtualMedia"] = link(&format!("{path}/VirtualMedia"));
    }
    system
}
