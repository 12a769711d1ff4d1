//! What can be wrong with a controller beside its vendor.

use std::time::Duration;

use super::answers::{Ask, Reply};

/// The troubles of one controller; none at first.
#[derive(Debug, Default)]
pub struct Trouble {
    /// How long each answer takes.
    pub latency: Duration,
    /// Whether it reports success and changes nothing.
    pub lies: bool,
    /// Where it is unwell, and how.
    pub unwell: Option<(&'static str, Unwell)>,
    /// After how many more answers it closes the connection and shows its other certificate.
    pub rotates_after: Option<usize>,
}

/// One way of being unwell.
#[derive(Clone, Debug)]
pub enum Unwell {
    /// JSON that ends too soon.
    Malformed,
    /// JSON of something else.
    Strange,
    /// A body without end.
    Huge,
    /// A redirect to itself, again and again.
    Circle,
    /// A redirect to another place.
    Elsewhere(String),
    /// The connection breaks in the middle of the answer.
    Cut,
    /// The connection breaks in the middle of so many answers.
    CutTimes(usize),
    /// So many answers with a status, and how long to wait.
    Status(usize, u16, Option<u64>),
    /// A refusal with a status, which repeats the URI or the password that was sent.
    Repeats(u16),
    /// A refusal with a status, which repeats the user and the password that were sent, in some spelling
    /// and as a body of some kind.
    Spells(u16, Kind, fn(&str, &str) -> String),
}

/// What the body of a refusal is.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Json,
    Text,
}

/// What the server does instead of answering.
#[derive(Debug)]
pub enum Instead {
    Reply(Reply),
    Endless,
    Cut,
}

impl Trouble {
    /// Says what happens in place of an answer, if anything.
    pub fn instead(&mut self, ask: &Ask) -> Option<Instead> {
        let (at, unwell) = self.unwell.as_mut()?;
        if !ask.path.starts_with(*at) {
            return None;
        }
        let body = |body: &[u8]| Reply {
            status: 200,
            headers: vec![("content-type", "application/json".to_owned())],
            body: body.to_vec(),
        };
        let redirect = |to: String| {
            let mut reply = Reply::empty(307);
            reply.headers.push(("location", to));
            reply
        };
        Some(match unwell {
            Unwell::Malformed => Instead::Reply(body(b"{\"Id\": \"1\", \"Boot\": {")),
            Unwell::Strange => Instead::Reply(body(b"[\"<html>\", 7, null]")),
            Unwell::Huge => Instead::Endless,
            Unwell::Circle => Instead::Reply(redirect(ask.path.clone())),
            Unwell::Elsewhere(to) => Instead::Reply(redirect(format!("{to}{}", ask.path))),
            Unwell::Cut => Instead::Cut,
            Unwell::CutTimes(left) => {
                *left = left.checked_sub(1)?;
                Instead::Cut
            }
            Unwell::Repeats(status) => {
                let sent = [&ask.body["Boot"]["HttpBootUri"], &ask.body["Password"]];
                let sent = sent.iter().find_map(|it| it.as_str())?;
                let message = format!("The value {sent} is not in the list of acceptable values.");
                Instead::Reply(Reply::error(*status, &message))
            }
            Unwell::Spells(status, kind, spell) => {
                let sent = |name: &str| ask.body[name].as_str();
                let (user, password) = (sent("UserName")?, sent("Password")?);
                let message = format!("No such account: {}, is it?", spell(user, password));
                Instead::Reply(match kind {
                    Kind::Json => Reply::error(*status, &message),
                    Kind::Text => Reply {
                        status: *status,
                        headers: vec![("content-type", "text/plain".to_owned())],
                        body: message.into_bytes(),
                    },
                })
            }
            Unwell::Status(left, status, wait) => {
                *left = left.checked_sub(1)?;
                let mut reply = Reply::error(*status, "Come again later.");
                if let Some(wait) = wait {
                    reply.headers.push(("retry-after", wait.to_string()));
                }
                Instead::Reply(reply)
            }
        })
    }
}
