//! What a controller answers to a request: resources, log-ins, changes.

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::machine::{Controller, Machine};
use super::profile::{Etag, Listed, Media, PostSign, Rule, Sessions};

/// A request, as far as a controller looks at it.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    pub method: String,
    pub path: String,
    pub authorization: Option<String>,
    pub token: Option<String>,
    pub if_match: Option<String>,
    pub body: Value,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            headers: vec![("content-type", "application/json".to_owned())],
            body: body.to_string().into_bytes(),
        }
    }

    pub fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub fn error(status: u16, message: &str) -> Self {
        let body = json!({"error": {
            "code": "Base.1.8.GeneralError",
            "message": "A general error has occurred. See ExtendedInfo for more information.",
            "@Message.ExtendedInfo": [{
                "MessageId": "Base.1.8.GeneralError",
                "Message": message,
                "Severity": "Critical",
            }],
        }});
        Self::json(status, &body)
    }

    fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// Answers one request. `lies` makes it report success and change nothing.
pub fn answer(controller: &mut Controller, ask: &Ask, lies: bool) -> Reply {
    let path = ask.path.trim_end_matches('/');
    if let Some(documents) = &controller.documents {
        let found = documents.get(path).filter(|_| ask.method == "GET");
        return match (ask.method.as_str(), found) {
            (_, Some(document)) => Reply::json(200, document),
            ("GET", None) => Reply::error(404, "The resource was not found."),
            _ => Reply::error(405, "These documents can only be read."),
        };
    }
    if path == "/redfish" && ask.method == "GET" {
        return Reply::json(200, &json!({"v1": "/redfish/v1/"}));
    }
    if path == "/redfish/v1" && ask.method == "GET" {
        return Reply::json(200, &root(controller));
    }
    let sessions = controller.profile.sessions;
    if let Sessions::At(at) | Sessions::NoLocation(at) | Sessions::Full(at) = sessions
        && path == at
        && ask.method == "POST"
    {
        return log_in(controller, ask, at);
    }
    if let Some(refused) = unknown(controller, ask) {
        return refused;
    }
    let changes = matches!(ask.method.as_str(), "PATCH" | "POST");
    if changes && let Some(status) = controller.refuses_in_post() {
        let message = match controller.profile.post {
            PostSign::Message => "The operation cannot be done: the server is in POST.",
            PostSign::Progress | PostSign::Hpe => "The request failed.",
        };
        return Reply::error(status, message);
    }
    match ask.method.as_str() {
        "GET" => match resource(controller, path) {
            Some((body, etag)) => {
                let reply = Reply::json(200, &body);
                match etag {
                    Some(etag) => reply.with("etag", etag),
                    None => reply,
                }
            }
            None => Reply::error(404, "The resource was not found."),
        },
        "PATCH" => patch(controller, ask, path, lies),
        "POST" => post(controller, ask, path, lies),
        "DELETE" => match controller.sessions.remove(path) {
            Some(_) => Reply::empty(204),
            None => Reply::error(404, "There is no such session."),
        },
        _ => Reply::error(405, "The method is not allowed."),
    }
}

fn log_in(controller: &mut Controller, ask: &Ask, at: &str) -> Reply {
    if matches!(controller.profile.sessions, Sessions::Full(_)) {
        return Reply::error(503, "The session limit has been exceeded.");
    }
    let text = |name: &str| ask.body[name].as_str().unwrap_or_default().to_owned();
    let (username, password) = (text("UserName"), text("Password"));
    if !controller.knows(&username, &password) {
        // Some repeat what they were sent.
        let message = format!("The value {password} for Password, or {username}, is wrong.");
        let mut reply = Reply::error(controller.profile.bad_login, &message);
        if reply.status == 400 {
            let body = String::from_utf8_lossy(&reply.body).into_owned();
            let id = "iLO.2.14.UnauthorizedLoginAttempt";
            reply.body = body.replace("Base.1.8.GeneralError", id).into_bytes();
        }
        return reply;
    }
    controller.opened += 1;
    let (number, at) = (controller.opened, at.to_owned());
    let (session, token) = (format!("{at}/{number}"), format!("token-{number}"));
    controller.sessions.insert(session.clone(), token.clone());
    let body = json!({"@odata.id": session, "Id": number.to_string(), "UserName": username});
    let reply = Reply::json(201, &body).with("x-auth-token", token);
    match controller.profile.sessions {
        Sessions::NoLocation(_) => reply,
        _ => reply.with("location", session),
    }
}

/// Refuses who is not logged in.
fn unknown(controller: &mut Controller, ask: &Ask) -> Option<Reply> {
    if let Some(token) = &ask.token {
        let known = controller.sessions.values().any(|it| it == token);
        return (!known).then(|| Reply::error(401, "The session is not valid."));
    }
    let Some(basic) = ask.authorization.as_deref() else {
        return Some(Reply::error(401, "There is no valid session."));
    };
    let pair = basic.strip_prefix("Basic ").unwrap_or_default();
    let pair = BASE64.decode(pair.as_bytes()).unwrap_or_default();
    let pair = String::from_utf8_lossy(&pair).into_owned();
    let (username, password) = pair.split_once(':').unwrap_or_default();
    let known = controller.knows(username, password);
    let message = format!("The account {username} with {password} is not known.");
    (!known).then(|| Reply::error(401, &message))
}

fn patch(controller: &mut Controller, ask: &Ask, path: &str, lies: bool) -> Reply {
    let profile = controller.profile;
    if let Some(at) = media_place(controller, path)
        && profile.media == Media::ManagerByPatch
    {
        if !lies {
            let image = ask.body["Image"].as_str().filter(|it| !it.is_empty());
            controller.machines[at].image = image.map(str::to_owned);
        }
        return Reply::empty(204);
    }
    let Some(at) = place(controller, path) else {
        return Reply::error(404, "The resource was not found.");
    };
    let machine = &mut controller.machines[at];
    if profile.rules.contains(&Rule::NotFoundUntilRead) && !machine.options_read {
        return Reply::error(404, "The resource was not found.");
    }
    if let Some(status) = machine.wrong_version(&profile, ask.if_match.as_deref()) {
        return Reply::error(status, "The version of the resource is another.");
    }
    let fields = ask.body.as_object().map(|it| it.keys().count());
    if fields != Some(1) || !ask.body["Boot"].is_object() {
        return Reply::error(400, "Only Boot can be changed here.");
    }
    if lies {
        return Reply::json(200, &json!({}));
    }
    match machine.patch(&profile, &ask.body["Boot"]) {
        Ok(()) => Reply::empty(204),
        Err(message) => Reply::error(400, &message),
    }
}

fn post(controller: &mut Controller, ask: &Ask, path: &str, lies: bool) -> Reply {
    let profile = controller.profile;
    if let Some(system) = path.strip_suffix("/Actions/ComputerSystem.Reset")
        && let Some(at) = place(controller, system)
    {
        let kind = ask.body["ResetType"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if !profile.resets.contains(&kind.as_str()) {
            return Reply::error(400, "The value of ResetType is not acceptable.");
        }
        let machine = &mut controller.machines[at];
        // Resetting what does not run is refused by most.
        if machine.power == "Off" && matches!(kind.as_str(), "ForceRestart" | "PowerCycle") {
            return Reply::error(409, "The machine does not run.");
        }
        if !lies {
            machine.reset(&kind);
        }
        return Reply::empty(204);
    }
    for (action, inserts) in [("InsertMedia", true), ("EjectMedia", false)] {
        let suffix = format!("/Actions/VirtualMedia.{action}");
        let Some(at) = path
            .strip_suffix(&suffix)
            .and_then(|it| media_place(controller, it))
        else {
            continue;
        };
        let image = ask.body["Image"].as_str();
        if inserts && image.is_none() {
            return Reply::error(400, "Image is required.");
        }
        if inserts && controller.machines[at].image.is_some() {
            return Reply::error(409, "There is a medium already.");
        }
        if !lies {
            controller.machines[at].image = image.filter(|_| inserts).map(str::to_owned);
        }
        return Reply::empty(204);
    }
    Reply::error(404, "The resource was not found.")
}

/// Which machine a path names.
fn place(controller: &Controller, path: &str) -> Option<usize> {
    let id = path.strip_prefix("/redfish/v1/Systems/")?;
    controller.machines.iter().position(|it| it.id == id)
}

/// Whose virtual CD a path names.
fn media_place(controller: &Controller, path: &str) -> Option<usize> {
    let owner = path.strip_suffix("/VirtualMedia/Cd")?;
    match controller.profile.media {
        Media::System => place(controller, owner),
        Media::None => None,
        Media::Manager | Media::ManagerByPatch => {
            let manager = format!("/redfish/v1/Managers/{}", controller.profile.manager);
            (owner == manager).then_some(0)
        }
    }
}

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

fn root(controller: &Controller) -> Value {
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

/// Finds a resource, and its version where it has one.
fn resource(controller: &mut Controller, path: &str) -> Option<(Value, Option<String>)> {
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
        "BootOptions" => collection(path, &[]),
        // As sushy-tools does, an interface is listed twice.
        "EthernetInterfaces" => {
            collection(path, &["NIC.1", "NIC.1b"].map(|it| format!("{path}/{it}")))
        }
        "EthernetInterfaces/NIC.1" | "EthernetInterfaces/NIC.1b" => json!({
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
        "ResetActionInfo" if profile.listed == Listed::ActionInfo => json!({
            "@odata.id": path,
            "Parameters": [{"Name": "ResetType", "AllowableValues": profile.resets}],
        }),
        "VirtualMedia" if profile.media == Media::System => {
            collection(path, &[format!("{path}/Cd")])
        }
        "VirtualMedia/Cd" if profile.media == Media::System => medium(machine, path, true),
        _ => return None,
    })
}

fn manager_resource(controller: &Controller, path: &str, rest: &str) -> Option<Value> {
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
            manager
        }
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

fn medium(machine: &Machine, path: &str, actions: bool) -> Value {
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

fn system(controller: &mut Controller, at: usize, path: &str) -> Value {
    let (profile, in_post) = (controller.profile, controller.is_in_post());
    let machine = &mut controller.machines[at];
    let (power, boot) = (machine.seen_power(), machine.seen_boot());
    let mut reset = json!({"target": format!("{path}/Actions/ComputerSystem.Reset")});
    match profile.listed {
        Listed::Allowable => reset["ResetType@Redfish.AllowableValues"] = json!(profile.resets),
        Listed::ActionInfo => {
            reset["@Redfish.ActionInfo"] = json!(format!("{path}/ResetActionInfo"));
        }
        Listed::Nowhere => {}
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
        "Status": {"State": "Enabled", "Health": "OK"},
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
    if profile.listed == Listed::Allowable {
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
    if profile.media == Media::System {
        system["VirtualMedia"] = link(&format!("{path}/VirtualMedia"));
    }
    system
}
