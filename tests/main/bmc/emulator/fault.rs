//! Faults of a BMC that do not depend on its vendor.

use std::time::Duration;

use super::responses::{EmulatorRequest, EmulatorResponse};

/// The faults of one BMC; none at first.
#[derive(Debug, Default)]
pub struct Faults {
    /// The time that each response takes.
    pub latency: Duration,
    /// Whether the BMC reports success and changes nothing.
    pub ignores_changes: bool,
    /// The path of a fault, and the fault.
    pub fault: Option<(&'static str, Fault)>,
    /// The number of responses after which the BMC closes the connection and presents its other
    /// certificate.
    pub rotates_after: Option<usize>,
}

/// One fault.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Truncated JSON.
    Malformed,
    /// JSON of something else.
    Unexpected,
    /// An endless body.
    Huge,
    /// A redirect to the same path, again and again.
    RedirectLoop,
    /// A redirect to another server.
    RedirectElsewhere(String),
    /// A redirect of each change to the same path with a slash at its end, with a status.
    RedirectChange(u16),
    /// A denial with status 403, a message identifier and a message.
    Denied(&'static str, &'static str),
    /// The connection breaks in the middle of the response.
    Cut,
    /// The connection breaks in the middle of this many responses.
    CutTimes(usize),
    /// This many responses with a status, and how long to wait.
    Status(usize, u16, Option<u64>),
    /// A refusal with a status, which quotes the URI or the password from the request.
    QuotesSecret(u16),
    /// A refusal with a status, which quotes the username and the password from the request in some
    /// encoding, in a body of some kind.
    QuotesEncoded(u16, BodyKind, fn(&str, &str) -> String),
}

/// The kind of body of a refusal.
#[derive(Clone, Copy, Debug)]
pub enum BodyKind {
    Json,
    Text,
}

/// What the server does instead of a normal response.
#[derive(Debug)]
pub enum FaultResponse {
    Response(EmulatorResponse),
    Endless,
    Cut,
}

impl Faults {
    /// Returns what happens instead of a normal response, if anything.
    pub fn fault_response(&mut self, request: &EmulatorRequest) -> Option<FaultResponse> {
        let (at, fault) = self.fault.as_mut()?;
        if !request.path.starts_with(*at) {
            return None;
        }
        let body = |body: &[u8]| EmulatorResponse {
            status: 200,
            headers: vec![("content-type", "application/json".to_owned())],
            body: body.to_vec(),
        };
        let redirect = |to: String| {
            let mut reply = EmulatorResponse::empty(307);
            reply.headers.push(("location", to));
            reply
        };
        Some(match fault {
            Fault::Malformed => FaultResponse::Response(body(b"{\"Id\": \"1\", \"Boot\": {")),
            Fault::Unexpected => FaultResponse::Response(body(b"[\"<html>\", 7, null]")),
            Fault::Huge => FaultResponse::Endless,
            Fault::RedirectLoop => FaultResponse::Response(redirect(request.path.clone())),
            Fault::RedirectElsewhere(to) => {
                FaultResponse::Response(redirect(format!("{to}{}", request.path)))
            }
            Fault::RedirectChange(status) => {
                if request.method == "GET" || request.path.ends_with('/') {
                    return None;
                }
                let mut reply = redirect(format!("{}/", request.path));
                reply.status = *status;
                FaultResponse::Response(reply)
            }
            Fault::Denied(id, message) => {
                FaultResponse::Response(EmulatorResponse::error_with_id(403, id, message))
            }
            Fault::Cut => FaultResponse::Cut,
            Fault::CutTimes(left) => {
                *left = left.checked_sub(1)?;
                FaultResponse::Cut
            }
            Fault::QuotesSecret(status) => {
                let sent = [
                    &request.body["Boot"]["HttpBootUri"],
                    &request.body["Password"],
                ];
                let sent = sent.iter().find_map(|it| it.as_str())?;
                let message = format!("The value {sent} is not in the list of acceptable values.");
                FaultResponse::Response(EmulatorResponse::error(*status, &message))
            }
            Fault::QuotesEncoded(status, kind, encode) => {
                let sent = |name: &str| request.body[name].as_str();
                let (user, password) = (sent("UserName")?, sent("Password")?);
                let message = format!("No such account: {}, is it?", encode(user, password));
                FaultResponse::Response(match kind {
                    BodyKind::Json => EmulatorResponse::error(*status, &message),
                    BodyKind::Text => EmulatorResponse {
                        status: *status,
                        headers: vec![("content-type", "text/plain".to_owned())],
                        body: message.into_bytes(),
                    },
                })
            }
            Fault::Status(left, status, wait) => {
                *left = left.checked_sub(1)?;
                let mut reply = EmulatorResponse::error(*status, "Come again later.");
                if let Some(wait) = wait {
                    reply.headers.push(("retry-after", wait.to_string()));
                }
                FaultResponse::Response(reply)
            }
        })
    }
}
