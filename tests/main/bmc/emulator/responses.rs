//! The responses of an emulated BMC: logins, changes and resources.

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::logs;
use super::machine::{EmulatedController, SettingsResource, WaitingChange};
use super::profile::{Media, PostSign, Rule, Sessions};
use super::resources::{resource, root};
use super::settings;

/// A request, as far as an emulated BMC reads it.
#[derive(Clone, Debug, Default)]
pub struct EmulatorRequest {
    pub method: String,
    pub path: String,
    pub query: String,
    pub authorization: Option<String>,
    pub token: Option<String>,
    pub if_match: Option<String>,
    pub body: Value,
}

/// A response.
#[derive(Clone, Debug)]
pub struct EmulatorResponse {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl EmulatorResponse {
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
        Self::error_with_id(status, "Base.1.8.GeneralError", message)
    }

    pub fn error_with_id(status: u16, id: &str, message: &str) -> Self {
        let body = json!({"error": {
            "code": "Base.1.8.GeneralError",
            "message": "A general error has occurred. See ExtendedInfo for more information.",
            "@Message.ExtendedInfo": [{
                "MessageId": id,
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

/// Responds to one request. With `ignores_changes`, reports success and changes nothing.
pub fn answer(
    controller: &mut EmulatedController,
    request: &EmulatorRequest,
    ignores_changes: bool,
) -> EmulatorResponse {
    let path = request.path.trim_end_matches('/');
    if let Some(documents) = &controller.documents {
        let found = documents.get(path).filter(|_| request.method == "GET");
        return match (request.method.as_str(), found) {
            (_, Some(document)) => EmulatorResponse::json(200, document),
            ("GET", None) => EmulatorResponse::error(404, "The resource was not found."),
            _ => EmulatorResponse::error(405, "These documents can only be read."),
        };
    }
    if path == "/redfish" && request.method == "GET" {
        return EmulatorResponse::json(200, &json!({"v1": "/redfish/v1/"}));
    }
    if path == "/redfish/v1" && request.method == "GET" {
        return EmulatorResponse::json(200, &root(controller));
    }
    let sessions = controller.profile.sessions;
    if let Sessions::At(at) | Sessions::NoLocation(at) | Sessions::Full(at) = sessions
        && path == at
        && request.method == "POST"
    {
        return log_in(controller, request, at);
    }
    if let Some(refused) = unknown(controller, request) {
        return refused;
    }
    let changes = matches!(request.method.as_str(), "PATCH" | "POST");
    if changes && let Some(status) = controller.refuses_in_post() {
        let message = match controller.profile.post {
            PostSign::Message => "The operation cannot be done: the server is in POST.",
            PostSign::Progress | PostSign::Hpe => "The request failed.",
        };
        return EmulatorResponse::error(status, message);
    }
    if changes && let Some(operations) = controller.operations.clone() {
        controller.waiting = Some(WaitingChange {
            method: request.method.clone(),
            path: path.to_owned(),
            body: request.body.clone(),
            reads: operations.reads,
        });
        return EmulatorResponse::empty(202).with("location", MONITOR.to_owned());
    }
    if path == MONITOR {
        return monitor(controller, ignores_changes);
    }
    if request.method == "GET"
        && let Some(log) = logs::resource(&controller.logs, path, &request.query)
    {
        return EmulatorResponse::json(200, &log);
    }
    match request.method.as_str() {
        "GET" => match resource(controller, path) {
            Some((body, etag)) => {
                let reply = EmulatorResponse::json(200, &body);
                match etag {
                    Some(etag) => reply.with("etag", etag),
                    None => reply,
                }
            }
            None => EmulatorResponse::error(404, "The resource was not found."),
        },
        "PATCH" => patch(controller, request, path, ignores_changes),
        "POST" => post(controller, request, path, ignores_changes),
        "DELETE" => match controller.sessions.remove(path) {
            Some(_) => EmulatorResponse::empty(204),
            None => EmulatorResponse::error(404, "There is no such session."),
        },
        _ => EmulatorResponse::error(405, "The method is not allowed."),
    }
}

/// The path of the task monitor.
const MONITOR: &str = "/redfish/v1/TaskService/TaskMonitors/1";

/// Returns the state of the change that waits, and carries it out at the end.
fn monitor(controller: &mut EmulatedController, ignores_changes: bool) -> EmulatorResponse {
    let Some(change) = controller.waiting.take() else {
        return EmulatorResponse::error(404, "There is no such task.");
    };
    if let Some(reads) = change.reads.checked_sub(1) {
        controller.waiting = Some(WaitingChange { reads, ..change });
        let task = json!({"Id": "1", "TaskState": "Running", "PercentComplete": 50});
        return EmulatorResponse::json(202, &task);
    }
    let failure = controller.operations.as_ref().and_then(|it| it.failure);
    if let Some(message) = failure {
        let task = json!({
            "Id": "1", "TaskState": "Exception", "TaskStatus": "Critical",
            "Messages": [{"MessageId": "Base.1.8.OperationFailed", "Message": message}],
        });
        return EmulatorResponse::json(200, &task);
    }
    let request = EmulatorRequest {
        method: change.method,
        body: change.body,
        ..EmulatorRequest::default()
    };
    match request.method.as_str() {
        "PATCH" => patch(controller, &request, &change.path, ignores_changes),
        _ => post(controller, &request, &change.path, ignores_changes),
    }
}

fn log_in(
    controller: &mut EmulatedController,
    request: &EmulatorRequest,
    at: &str,
) -> EmulatorResponse {
    if matches!(controller.profile.sessions, Sessions::Full(_)) {
        return EmulatorResponse::error(503, "The session limit has been exceeded.");
    }
    let text = |name: &str| request.body[name].as_str().unwrap_or_default().to_owned();
    let (username, password) = (text("UserName"), text("Password"));
    if !controller.check_login(&username, &password) {
        // Some BMCs repeat what they were sent.
        let message = format!("The value {password} for Password, or {username}, is wrong.");
        let mut reply = EmulatorResponse::error(controller.profile.bad_login, &message);
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
    let reply = EmulatorResponse::json(201, &body).with("x-auth-token", token);
    match controller.profile.sessions {
        Sessions::NoLocation(_) => reply,
        _ => reply.with("location", session),
    }
}

/// Refuses requests without valid credentials.
fn unknown(
    controller: &mut EmulatedController,
    request: &EmulatorRequest,
) -> Option<EmulatorResponse> {
    if let Some(token) = &request.token {
        let known = controller.sessions.values().any(|it| it == token);
        return (!known).then(|| EmulatorResponse::error(401, "The session is not valid."));
    }
    let Some(basic) = request.authorization.as_deref() else {
        return Some(EmulatorResponse::error(401, "There is no valid session."));
    };
    let pair = basic.strip_prefix("Basic ").unwrap_or_default();
    let pair = BASE64.decode(pair.as_bytes()).unwrap_or_default();
    let pair = String::from_utf8_lossy(&pair).into_owned();
    let (username, password) = pair.split_once(':').unwrap_or_default();
    let known = controller.check_login(username, password);
    let message = format!("The account {username} with {password} is not known.");
    (!known).then(|| EmulatorResponse::error(401, &message))
}

fn patch(
    controller: &mut EmulatedController,
    request: &EmulatorRequest,
    path: &str,
    ignores_changes: bool,
) -> EmulatorResponse {
    let profile = controller.profile;
    if let Some(at) = media_index(controller, path)
        && profile.media == Media::ManagerByPatch
    {
        if !ignores_changes {
            let image = request.body["Image"].as_str().filter(|it| !it.is_empty());
            controller.machines[at].image = image.map(str::to_owned);
        }
        return EmulatorResponse::empty(204);
    }
    if let Some(at) = path
        .strip_suffix("/Bios/Settings")
        .and_then(|it| machine_index(controller, it))
    {
        return settings::change(&mut controller.machines[at], &request.body);
    }
    if let Some(at) = path
        .strip_suffix("/SD")
        .and_then(|it| machine_index(controller, it))
    {
        controller.machines[at].patch_settings(&request.body["Boot"]);
        return EmulatorResponse::empty(204);
    }
    let Some(at) = machine_index(controller, path) else {
        return EmulatorResponse::error(404, "The resource was not found.");
    };
    let machine = &mut controller.machines[at];
    if machine.settings_resource == Some(SettingsResource::Named) {
        let message = format!(
            "Support of this Operation for Boot Properties is moved to FutureState URI({path}/SD)"
        );
        let id = "Ami.1.0.OperationSupportedInFutureStateURI";
        return EmulatorResponse::error_with_id(400, id, &message);
    }
    if profile.rules.contains(&Rule::NotFoundUntilRead) && !machine.options_read {
        return EmulatorResponse::error(404, "The resource was not found.");
    }
    if let Some(status) = machine.wrong_version(&profile, request.if_match.as_deref()) {
        return EmulatorResponse::error(status, "The version of the resource is another.");
    }
    let fields = request.body.as_object().map(|it| it.keys().count());
    if fields != Some(1) || !request.body["Boot"].is_object() {
        return EmulatorResponse::error(400, "Only Boot can be changed here.");
    }
    if ignores_changes {
        return EmulatorResponse::json(200, &json!({}));
    }
    match machine.patch(&profile, &request.body["Boot"]) {
        Ok(()) => EmulatorResponse::empty(204),
        Err(message) => EmulatorResponse::error(400, &message),
    }
}

fn post(
    controller: &mut EmulatedController,
    request: &EmulatorRequest,
    path: &str,
    ignores_changes: bool,
) -> EmulatorResponse {
    let profile = controller.profile;
    if let Some(system) = path.strip_suffix("/Actions/ComputerSystem.Reset")
        && let Some(at) = machine_index(controller, system)
    {
        let kind = request.body["ResetType"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if !profile.resets.contains(&kind.as_str()) {
            return EmulatorResponse::error(400, "The value of ResetType is not acceptable.");
        }
        let machine = &mut controller.machines[at];
        if machine.refused_resets.contains(&kind.as_str()) {
            return EmulatorResponse::error(400, "The action is not supported by the chassis.");
        }
        // Most BMCs refuse to reset a machine that is off.
        if machine.power == "Off" && matches!(kind.as_str(), "ForceRestart" | "PowerCycle") {
            return EmulatorResponse::error(409, "The machine does not run.");
        }
        if !ignores_changes {
            machine.reset(&kind);
        }
        return EmulatorResponse::empty(204);
    }
    for (action, inserts) in [("InsertMedia", true), ("EjectMedia", false)] {
        let suffix = format!("/Actions/VirtualMedia.{action}");
        let Some(at) = path
            .strip_suffix(&suffix)
            .and_then(|it| media_index(controller, it))
        else {
            continue;
        };
        let image = request.body["Image"].as_str();
        if inserts && image.is_none() {
            return EmulatorResponse::error(400, "Image is required.");
        }
        if inserts && controller.machines[at].image.is_some() {
            return EmulatorResponse::error(409, "There is a medium already.");
        }
        if !ignores_changes {
            controller.machines[at].image = image.filter(|_| inserts).map(str::to_owned);
        }
        return EmulatorResponse::empty(204);
    }
    EmulatorResponse::error(404, "The resource was not found.")
}

/// Returns the index of the machine that a path names.
fn machine_index(controller: &EmulatedController, path: &str) -> Option<usize> {
    let id = path.strip_prefix("/redfish/v1/Systems/")?;
    controller.machines.iter().position(|it| it.id == id)
}

/// Returns the index of the machine whose virtual CD drive a path names.
fn media_index(controller: &EmulatedController, path: &str) -> Option<usize> {
    let owner = path.strip_suffix("/VirtualMedia/Cd")?;
    match controller.profile.media {
        Media::System => machine_index(controller, owner),
        Media::None => None,
        Media::Manager | Media::ManagerByPatch => {
            let manager = format!("/redfish/v1/Managers/{}", controller.profile.manager);
            (owner == manager).then_some(0)
        }
    }
}
