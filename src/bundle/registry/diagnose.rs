//! Why a registry does not do what it was asked, in words.

use std::error::Error;
use std::io::Read;

use reqwest::StatusCode;
use reqwest::blocking::Response;
use serde_json::Value;

use super::client::Registry;
use crate::bundle::transfer::TransferError;

/// How many octets of an error's explanation are read.
const SAID_LIMIT: u64 = 16 << 10;

impl Registry<'_> {
    /// Says what an answer means that is not the one that was hoped for.
    pub(super) fn refused(&self, response: Response, what: &str) -> TransferError {
        let host = self.address.host.clone();
        match response.status() {
            StatusCode::UNAUTHORIZED => TransferError::Unauthorized {
                host,
                as_user: self.credentials.is_some(),
            },
            StatusCode::FORBIDDEN => TransferError::Forbidden {
                host,
                what: if self.pushes {
                    format!("write to `{}`", self.address.repository)
                } else {
                    format!("read `{}`", self.address.repository)
                },
            },
            StatusCode::NOT_FOUND => TransferError::NotFound {
                place: self.address.to_string(),
                what: what.to_owned(),
            },
            status => TransferError::Refused {
                host,
                status: status.as_u16(),
                what: what.to_owned(),
                said: said(response),
            },
        }
    }

    /// Says that nothing can be done with it.
    pub(super) fn unreachable(&self, reason: &dyn std::fmt::Display) -> TransferError {
        TransferError::Unreachable {
            host: self.address.host.clone(),
            reason: reason.to_string(),
        }
    }
}

/// Takes the first message out of a registry's answer.
///
/// Source: OCI distribution specification 1.1, "Error Codes".
fn said(response: Response) -> String {
    let mut text = Vec::new();
    let _ = response.take(SAID_LIMIT).read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text);
    let said = match serde_json::from_str::<Value>(&text) {
        Ok(answer) => {
            let first = &answer["errors"][0];
            let said = first["message"].as_str().or(first["code"].as_str());
            said.unwrap_or_default().to_owned()
        }
        // What stands before it may say something in a line; a page does not help.
        Err(_) if text.trim_start().starts_with('<') => String::new(),
        Err(_) => text.lines().next().unwrap_or_default().trim().to_owned(),
    };
    said.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// Writes an error with what caused it, without the URL: its query may hold a token.
pub(super) fn chain(error: &reqwest::Error) -> String {
    let mut text = match (error.is_timeout(), error.is_connect()) {
        (true, _) => "it says nothing".to_owned(),
        (_, true) => "cannot connect".to_owned(),
        _ => "the connection broke".to_owned(),
    };
    let mut cause = error.source();
    let mut last = None;
    while let Some(error) = cause {
        last = Some(error.to_string());
        cause = error.source();
    }
    if let Some(last) = last {
        text = format!("{text}: {last}");
    }
    text
}

/// Reports whether a request that failed would fail again: it is none, or TLS has refused the other.
pub(super) fn is_for_good(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<rustls::Error>() {
            return true;
        }
        // What an I/O error is made of is not its source.
        let made_of = error.downcast_ref::<std::io::Error>();
        let made_of = made_of.and_then(|error| error.get_ref());
        cause = match made_of {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    error.is_builder()
}
