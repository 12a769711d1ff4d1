use std::time::Duration;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, LOCATION};
use serde_json::Value;

use crate::bmc::error::{BmcError, after_colon};
use crate::bmc::error_body::DenialCause;
use crate::bmc::fields::Fields;
use crate::bmc::request::ChangeMethod;
use crate::clock::wall_time;
use crate::retry;

/// The credentials of a request.
#[derive(Clone, Debug)]
pub enum Authorization {
    /// No credentials.
    Anonymous,
    /// The token of a session.
    Token(HeaderValue),
    /// Username and password.
    Basic(HeaderValue),
}

/// One request to a BMC.
#[derive(Clone, Debug)]
pub struct RedfishRequest<'a> {
    /// The method.
    pub method: Method,
    /// The path.
    pub path: &'a str,
    /// The JSON body.
    pub body: Option<&'a Value>,
    /// The credentials.
    pub authorization: &'a Authorization,
    /// The entity tag that the resource must still have.
    pub if_match: Option<&'a str>,
    /// Whether to retry while the BMC is busy, instead of returning that response.
    pub retry_if_busy: bool,
}

/// One response of a BMC, with any status.
#[derive(Clone, Debug, Default)]
pub struct RedfishResponse {
    /// The status.
    pub status: u16,
    /// The body; null if there is none, or if it is not JSON.
    pub body: Value,
    /// The printable message of a refusal; empty for a success.
    pub message: String,
    /// The entity tag from the header or the body.
    pub etag: Option<String>,
    /// The location of a new resource, or the target of a redirect.
    pub location: Option<String>,
    /// The token of a new session.
    pub token: Option<HeaderValue>,
    /// How long the BMC asks to wait.
    pub retry_after: Option<Duration>,
}

impl From<ChangeMethod> for Method {
    fn from(method: ChangeMethod) -> Self {
        match method {
            ChangeMethod::Patch => Self::PATCH,
            ChangeMethod::Post => Self::POST,
        }
    }
}

impl RedfishResponse {
    /// Parses a response. A requested resource must be a JSON object. The body of a refusal may be
    /// anything.
    ///
    /// # Errors
    /// [`BmcError::Malformed`].
    pub fn parse(
        request: &RedfishRequest<'_>,
        status: u16,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Self, BmcError> {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let is_resource = request.method == Method::GET && status == 200;
        let malformed = |reason: String| BmcError::Malformed {
            path: request.path.to_owned(),
            reason,
        };
        let body = match serde_json::from_slice::<Value>(body) {
            Ok(value) if is_resource && !value.is_object() => {
                return Err(malformed("not a JSON object".to_owned()));
            }
            Ok(value) => value,
            Err(error) if is_resource => return Err(malformed(format!("invalid JSON: {error}"))),
            Err(_) if status >= 400 => Value::String(plain_text(headers, body)),
            Err(_) => Value::Null,
        };
        let etag_in_body = Fields::of(&body).raw("@odata.etag");
        Ok(Self {
            status,
            message: String::new(),
            etag: header(ETAG.as_str()).or(etag_in_body).map(str::to_owned),
            location: header(LOCATION.as_str()).map(str::to_owned),
            token: headers.get("X-Auth-Token").cloned(),
            retry_after: retry::retry_after(headers, wall_time()),
            body,
        })
    }

    /// Reports whether the request succeeded or was accepted.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Returns the path of the location. The header may hold a whole URL; only its path counts,
    /// because requests go to this BMC alone.
    pub fn location_path(&self) -> Option<String> {
        let location = self.location.as_deref()?;
        let path = match location.split_once("://") {
            Some((_, rest)) => &rest[rest.find('/')?..],
            None => location,
        };
        path.starts_with('/').then(|| path.to_owned())
    }

    /// Makes the error for a refused request.
    pub fn refusal(&self, method: &Method, path: &str) -> BmcError {
        if DenialCause::find(&self.body) == DenialCause::License {
            return BmcError::LicenseRequired {
                action: format!("send `{method} {path}`{}", after_colon(&self.message)),
            };
        }
        BmcError::Refused {
            method: method.to_string(),
            path: path.to_owned(),
            status: self.status,
            message: self.message.clone(),
        }
    }
}

/// Returns the body of a plain-text refusal. A page of HTML holds no message.
fn plain_text(headers: &HeaderMap, body: &[u8]) -> String {
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    if content_type.is_some_and(|content_type| content_type.starts_with(b"text/plain")) {
        // Keep the whole text: half of a secret could not be recognized.
        String::from_utf8_lossy(body).into_owned()
    } else {
        String::new()
    }
}
