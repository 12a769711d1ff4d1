//! Requests to one controller, with limits: how large, how long, how often, and where to.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_MATCH, LOCATION,
};
use reqwest::{Client, Method, Url};
use serde_json::Value;

use super::trust::Verifier;
use super::{BmcError, Context};
use crate::machine::cleaned;
use crate::retry;

/// The largest answer that is read, in octets.
pub const LARGEST: usize = 4 * 1024 * 1024;
/// How long a controller may take to accept a connection.
const CONNECT_TIME: Duration = Duration::from_secs(8);
/// How long it may take to answer one request: many are slow.
const ANSWER_TIME: Duration = Duration::from_secs(45);
/// How often something is sent that brings no answer.
const TRIES: u32 = 4;
const REDIRECTS: usize = 3;
/// How long a request may take whose answer is of no interest.
const LAST_TIME: Duration = Duration::from_secs(5);

/// Who a request says it comes from.
#[derive(Clone, Debug)]
pub enum Authorization {
    /// Nobody.
    Nobody,
    /// A session, by its token.
    Token(HeaderValue),
    /// An account, by its password.
    Basic(HeaderValue),
}

/// One request.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: Method,
    /// The path.
    pub path: &'a str,
    /// The JSON body.
    pub body: Option<&'a Value>,
    /// Who sends it.
    pub authorization: &'a Authorization,
    /// The entity tag that the resource must still have.
    pub if_match: Option<&'a str>,
    /// Whether a controller that is busy is asked again; else its answer is taken.
    pub is_patient: bool,
}

/// One answer, whatever its status.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body; null where there is none, or none that is JSON.
    pub body: Value,
    /// What a refusal says, as it may be shown; empty for an answer that is none.
    pub said: String,
    /// The entity tag, of the header or the body.
    pub etag: Option<String>,
    /// Where something new is; a path on this controller.
    pub location: Option<String>,
    /// The token of a new session.
    pub token: Option<HeaderValue>,
    /// How long it asks to wait.
    retry_after: Option<Duration>,
}

impl Answer {
    /// Reports whether it was done, or begun.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Makes the error of an answer that is none.
    pub fn refused(&self, method: &Method, path: &str) -> BmcError {
        BmcError::Refused {
            method: method.to_string(),
            path: path.to_owned(),
            status: self.status,
            said: self.said.clone(),
        }
    }
}

/// The way to one controller.
pub struct Transport {
    client: Client,
    base: Url,
    shown: String,
    verifier: Option<Arc<Verifier>>,
    context: Arc<Context>,
}

/// Why there was no answer.
enum Fault {
    /// Another try may bring one.
    Passing {
        error: BmcError,
        /// Whether the request may have been carried out.
        was_sent: bool,
    },
    /// None will.
    Final(BmcError),
}

impl Transport {
    /// Makes the way to `base`, such as `https://10.21.0.58`; nothing is sent yet.
    ///
    /// # Errors
    /// When the address is none, and when the system gives no client.
    pub fn new(
        base: &str,
        verifier: Option<Arc<Verifier>>,
        context: Arc<Context>,
    ) -> Result<Self, BmcError> {
        let unusable = |reason: String| BmcError::Unreachable {
            url: base.to_owned(),
            reason,
        };
        let builder = Client::builder()
            .connect_timeout(CONNECT_TIME)
            .timeout(ANSWER_TIME)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .http1_only()
            .pool_max_idle_per_host(1)
            // Controllers close what is idle without saying so.
            .pool_idle_timeout(Duration::from_secs(10))
            .user_agent(concat!("pxectl/", env!("CARGO_PKG_VERSION")));
        let builder = match &verifier {
            Some(verifier) => {
                let tls = verifier
                    .client()
                    .map_err(|error| unusable(error.to_string()))?;
                builder.tls_backend_preconfigured(tls)
            }
            None => {
                // reqwest wants a provider where TLS is not spoken either.
                let _ = rustls::crypto::ring::default_provider().install_default();
                builder.tls_certs_only([])
            }
        };
        Ok(Self {
            client: builder.build().map_err(|error| unusable(deepest(&error)))?,
            base: Url::parse(base).map_err(|error| unusable(error.to_string()))?,
            shown: base.to_owned(),
            verifier,
            context,
        })
    }

    /// Returns the address, for messages.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Returns what checks certificates; none without TLS.
    pub fn verifier(&self) -> Option<&Verifier> {
        self.verifier.as_deref()
    }

    /// Sends a request until it is answered, within the deadline. What may have been carried out
    /// and is not the same twice is sent once.
    ///
    /// # Errors
    /// See [`BmcError`]; a refusal is an answer.
    pub async fn send(&self, request: &Request<'_>) -> Result<Answer, BmcError> {
        let is_repeatable = request.method != Method::POST;
        let mut tries = 0;
        loop {
            tries += 1;
            let (error, asked) = match self.follow(request).await {
                Ok(answer) => match answer.status {
                    429 | 503 if request.is_patient => (None, answer.retry_after),
                    408 | 500 | 502 | 504 if is_repeatable && tries < TRIES => {
                        (None, answer.retry_after)
                    }
                    _ => return Ok(answer),
                },
                Err(Fault::Final(error)) => return Err(error),
                Err(Fault::Passing { error, was_sent }) => {
                    if tries >= TRIES || (was_sent && !is_repeatable) {
                        return Err(error);
                    }
                    (Some(error), None)
                }
            };
            let wait = retry::delay(tries, asked);
            self.context.says(match error {
                Some(_) => "does not answer, is asked again",
                None => "is busy, is asked again",
            });
            let paused = self.context.pause(wait.min(Duration::from_secs(15))).await;
            // What failed says more than that the time is over.
            paused.map_err(|late| error.unwrap_or(late))?;
        }
    }

    /// Sends a request once, also when the time is over: the caller bounds it. Its answer is of no
    /// interest.
    pub async fn send_last(&self, request: &Request<'_>) {
        if let Ok(url) = self.url(request.path) {
            let _ = self.once(request, url, LAST_TIME).await;
        }
    }

    /// Sends a request once, and follows where it leads.
    async fn follow(&self, request: &Request<'_>) -> Result<Answer, Fault> {
        let mut url = self.url(request.path).map_err(Fault::Final)?;
        for _ in 0..=REDIRECTS {
            let Some(left) = self.context.left() else {
                return Err(Fault::Final(self.context.late()));
            };
            let answer = self.once(request, url.clone(), left).await?;
            let moved = match answer.status {
                307 | 308 => true,
                301..=303 => request.method == Method::GET,
                _ => false,
            };
            if !moved {
                return Ok(answer);
            }
            let to = answer.location.unwrap_or_default();
            url = self.next(request.path, &url, &to).map_err(Fault::Final)?;
        }
        Err(Fault::Final(BmcError::Redirected {
            path: request.path.to_owned(),
            to: self.shown_place(url.path()),
            why: "it sends us on for ever",
        }))
    }

    /// Judges where a redirect leads: credentials stay with the controller that they are for.
    fn next(&self, path: &str, from: &Url, to: &str) -> Result<Url, BmcError> {
        let refused = |why| BmcError::Redirected {
            path: path.to_owned(),
            to: self.shown_place(to),
            why,
        };
        if to.is_empty() {
            return Err(refused("it does not say where to"));
        }
        let url = from.join(to).map_err(|_| refused("that is no address"))?;
        if from.scheme() == "https" && url.scheme() != "https" {
            return Err(refused("it leads from TLS to plain HTTP"));
        }
        if url.origin() != self.base.origin() {
            return Err(refused("it leads to another server"));
        }
        Ok(url)
    }

    /// Returns where the controller sends us, as it may be shown.
    fn shown_place(&self, place: &str) -> String {
        cleaned(&self.context.repeated(place), 120)
    }

    fn url(&self, path: &str) -> Result<Url, BmcError> {
        let refused = || BmcError::Malformed {
            path: self.shown_place(path),
            reason: "it leads to no path of this BMC".to_owned(),
        };
        let url = self.base.join(path).map_err(|_| refused())?;
        match path.starts_with('/') && url.origin() == self.base.origin() {
            true => Ok(url),
            false => Err(refused()),
        }
    }

    async fn once(&self, request: &Request<'_>, url: Url, left: Duration) -> Result<Answer, Fault> {
        let mut built = self
            .client
            .request(request.method.clone(), url)
            .timeout(left.min(ANSWER_TIME))
            .header(ACCEPT, "application/json")
            .header("OData-Version", "4.0");
        built = match request.authorization {
            Authorization::Nobody => built,
            Authorization::Token(token) => built.header("X-Auth-Token", token.clone()),
            Authorization::Basic(basic) => built.header(AUTHORIZATION, basic.clone()),
        };
        if let Some(tag) = request.if_match {
            built = built.header(IF_MATCH, tag);
        }
        if let Some(body) = request.body {
            built = built
                .header(CONTENT_TYPE, "application/json")
                .body(body.to_string());
        }
        let mut response = built.send().await.map_err(|error| self.unsent(&error))?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let mut octets = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(piece)) if octets.len() + piece.len() > LARGEST => {
                    return Err(Fault::Final(BmcError::TooLarge {
                        path: request.path.to_owned(),
                        limit: LARGEST,
                    }));
                }
                Ok(Some(piece)) => octets.extend_from_slice(&piece),
                Ok(None) => break,
                Err(error) => return Err(self.unsent(&error)),
            }
        }
        let mut answer = answer(request, status, &headers, &octets).map_err(Fault::Final)?;
        if !answer.is_success() {
            answer.said = self.context.refusal(&answer.body);
        }
        Ok(answer)
    }

    /// Judges a request that got no whole answer.
    fn unsent(&self, error: &reqwest::Error) -> Fault {
        let refused = self
            .verifier()
            .and_then(|verifier| verifier.seen()?.refused);
        if let Some((what, help)) = refused {
            return Fault::Final(BmcError::Certificate { what, help });
        }
        // The last request was given no more time than was left.
        if error.is_timeout() && self.context.left().is_none() {
            return Fault::Final(self.context.late());
        }
        let reason = match error.is_timeout() {
            true => "it does not answer in time".to_owned(),
            false => deepest(error),
        };
        let url = self.shown.clone();
        if tls_error(error) {
            return Fault::Final(BmcError::Tls { url, reason });
        }
        Fault::Passing {
            error: BmcError::Unreachable { url, reason },
            was_sent: !error.is_connect(),
        }
    }
}

/// Reads an answer. What is asked for must be JSON; what is said beside a refusal may be anything.
fn answer(
    request: &Request<'_>,
    status: u16,
    headers: &HeaderMap,
    octets: &[u8],
) -> Result<Answer, BmcError> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let parsed = serde_json::from_slice::<Value>(octets);
    let is_wanted = request.method == Method::GET && status == 200;
    let malformed = |reason: String| BmcError::Malformed {
        path: request.path.to_owned(),
        reason,
    };
    let body = match parsed {
        Ok(body) if is_wanted && !body.is_object() => {
            return Err(malformed("it is no JSON object".to_owned()));
        }
        Ok(body) => body,
        Err(error) if is_wanted => return Err(malformed(format!("it is no JSON: {error}"))),
        Err(_) if status >= 400 => Value::String(plain(headers, octets)),
        Err(_) => Value::Null,
    };
    let tag = super::fields::Fields::of(&body).raw("@odata.etag");
    Ok(Answer {
        status,
        said: String::new(),
        etag: text(ETAG.as_str()).or(tag).map(str::to_owned),
        location: text(LOCATION.as_str()).map(str::to_owned),
        token: headers.get("X-Auth-Token").cloned(),
        retry_after: retry::retry_after(headers, Timestamp::now()),
        body,
    })
}

/// Returns what is said in plain words beside a refusal; a page of HTML says nothing.
fn plain(headers: &HeaderMap, octets: &[u8]) -> String {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    match kind.is_some_and(|kind| kind.starts_with(b"text/plain")) {
        // All of it: half of a secret would not be known for one.
        true => String::from_utf8_lossy(octets).into_owned(),
        false => String::new(),
    }
}

/// Finds whether TLS itself failed, and not the connection below it.
fn tls_error(error: &reqwest::Error) -> bool {
    let mut error: &dyn std::error::Error = error;
    loop {
        if error.is::<rustls::Error>() {
            return true;
        }
        // A TLS error travels inside one or two of I/O, which do not show it as their source.
        let inner = error.downcast_ref::<std::io::Error>();
        if let Some(inner) = inner.and_then(std::io::Error::get_ref) {
            error = inner;
            continue;
        }
        match error.source() {
            Some(source) => error = source,
            None => return false,
        }
    }
}

fn deepest(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    cleaned(&error.to_string(), 160)
}

#[cfg(test)]
mod tests;
