//! What a controller answers to a request: log-ins, changes, and else what it shows.

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::machine::Controller;
use super::profile::{Media, PostSign, Rule, Sessions};
use super::resources::{resource, root};
use super::settings;

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
    if let Some(at) = path
        .strip_suffix("/Bios/Settings")
        .and_then(|it| place(controller, it))
    {
        return settings::change(&mut controller.machines[at], &ask.body);
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
