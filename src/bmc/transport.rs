//! HTTP requests to one BMC, with limits on size, time, retries and redirects.

mod message;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, IF_MATCH};
use reqwest::{Client, Method, Url};

use super::context::TaskContext;
use super::error::BmcError;
use super::trust::CertificateVerifier;
use crate::machine::cleaned;
use crate::retry;

pub use message::{Authorization, RedfishRequest, RedfishResponse};

/// The size limit of a response body, in bytes.
pub const MAX_BODY: usize = 4 * 1024 * 1024;
/// The time limit for opening a connection.
const CONNECT_TIME: Duration = Duration::from_secs(8);
/// The time limit for the response to one request. Many BMCs are slow.
const RESPONSE_TIME: Duration = Duration::from_secs(45);
/// The time limit for a request whose response does not matter.
const LAST_REQUEST_TIME: Duration = Duration::from_secs(5);
/// How often to send a request that gets no response.
const MAX_TRIES: u32 = 4;
/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(15);
/// The most redirects to follow.
const MAX_REDIRECTS: usize = 3;

/// A connection to one BMC.
pub struct Transport {
    client: Client,
    base: Url,
    /// The base URL as the inventory spells it.
    url: String,
    verifier: Option<Arc<CertificateVerifier>>,
    context: Arc<TaskContext>,
}

/// Why a request got no response.
enum TransportFailure {
    /// A retry may succeed.
    Transient {
        error: BmcError,
        /// Whether the BMC may have carried out the request.
        was_sent: bool,
    },
    /// No retry can succeed.
    Permanent(BmcError),
}

impl Transport {
    /// Prepares a connection to `base`, such as `https://10.21.0.58`, without sending anything.
    ///
    /// # Errors
    /// When the URL is invalid, or no HTTP client can be built.
    pub fn new(
        base: &str,
        verifier: Option<Arc<CertificateVerifier>>,
        context: Arc<TaskContext>,
    ) -> Result<Self, BmcError> {
        let unreachable = |reason: String| BmcError::Unreachable {
            url: base.to_owned(),
            reason,
        };
        let builder = Client::builder()
            .connect_timeout(CONNECT_TIME)
            .timeout(RESPONSE_TIME)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .http1_only()
            .pool_max_idle_per_host(1)
            // BMCs close idle connections without notice.
            .pool_idle_timeout(Duration::from_secs(10))
            .user_agent(concat!("pxectl/", env!("CARGO_PKG_VERSION")));
        let builder = match &verifier {
            Some(verifier) => {
                let tls = verifier
                    .client_config()
                    .map_err(|error| unreachable(error.to_string()))?;
                builder.tls_backend_preconfigured(tls)
            }
            None => {
                // reqwest needs a crypto provider even without TLS.
                let _ = rustls::crypto::ring::default_provider().install_default();
                builder.tls_certs_only([])
            }
        };
        Ok(Self {
            client: builder
                .build()
                .map_err(|error| unreachable(root_cause(&error)))?,
            base: Url::parse(base).map_err(|error| unreachable(error.to_string()))?,
            url: base.to_owned(),
            verifier,
            context,
        })
    }

    /// Returns the base URL for messages.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the certificate verifier; `None` without TLS.
    pub fn verifier(&self) -> Option<&CertificateVerifier> {
        self.verifier.as_deref()
    }

    /// Sends a request until it gets a response, within the deadline. Sends a request once if it
    /// may have been carried out and must not be repeated.
    ///
    /// # Errors
    /// See [`BmcError`]. A refusal is a response.
    pub async fn send(&self, request: &RedfishRequest<'_>) -> Result<RedfishResponse, BmcError> {
        let is_repeatable = request.method != Method::POST;
        let mut tries = 0;
        loop {
            tries += 1;
            let (error, retry_after) = match self.follow(request).await {
                Ok(response) => match response.status {
                    429 | 503 if request.retry_if_busy => (None, response.retry_after),
                    408 | 500 | 502 | 504 if is_repeatable && tries < MAX_TRIES => {
                        (None, response.retry_after)
                    }
                    _ => return Ok(response),
                },
                Err(TransportFailure::Permanent(error)) => return Err(error),
                Err(TransportFailure::Transient { error, was_sent }) => {
                    if tries >= MAX_TRIES || (was_sent && !is_repeatable) {
                        return Err(error);
                    }
                    (Some(error), None)
                }
            };
            let wait = retry::delay(tries, retry_after);
            self.context.report_progress(match error {
                Some(_) => "no response, retrying",
                None => "the BMC is busy, retrying",
            });
            let paused = self.context.pause(wait.min(LONGEST_WAIT)).await;
            // The failure is more informative than the passed deadline.
            paused.map_err(|deadline| error.unwrap_or(deadline))?;
        }
    }

    /// Sends a request once and ignores the response, even after the deadline. The caller limits
    /// its time.
    pub async fn send_once(&self, request: &RedfishRequest<'_>) {
        if let Ok(url) = self.absolute_url(request.path) {
            let _ = self.exchange(request, url, LAST_REQUEST_TIME).await;
        }
    }

    /// Sends a request once and follows redirects.
    async fn follow(
        &self,
        request: &RedfishRequest<'_>,
    ) -> Result<RedfishResponse, TransportFailure> {
        let mut url = self
            .absolute_url(request.path)
            .map_err(TransportFailure::Permanent)?;
        for _ in 0..=MAX_REDIRECTS {
            let Some(remaining) = self.context.remaining() else {
                let error = self.context.deadline_error();
                return Err(TransportFailure::Permanent(error));
            };
            let response = self.exchange(request, url.clone(), remaining).await?;
            // A BMC that redirects has not carried out the request, so the same request is sent
            // again. Status 303 names another resource with the result of a finished request.
            let is_redirect = match response.status {
                301 | 302 | 307 | 308 => true,
                303 => request.method == Method::GET,
                _ => false,
            };
            if !is_redirect {
                return Ok(response);
            }
            let location = response.location.unwrap_or_default();
            url = self
                .redirect_target(request.path, &url, &location)
                .map_err(TransportFailure::Permanent)?;
        }
        Err(TransportFailure::Permanent(BmcError::Redirected {
            path: request.path.to_owned(),
            to: self.printable_url(url.path()),
            reason: "too many redirects",
        }))
    }

    /// Checks the target of a redirect. Credentials go only to the BMC that they are for.
    fn redirect_target(&self, path: &str, from: &Url, location: &str) -> Result<Url, BmcError> {
        let refused = |reason| BmcError::Redirected {
            path: path.to_owned(),
            to: self.printable_url(location),
            reason,
        };
        if location.is_empty() {
            return Err(refused("the redirect has no target"));
        }
        let url = from
            .join(location)
            .map_err(|_| refused("the target is not a URL"))?;
        if from.scheme() == "https" && url.scheme() != "https" {
            return Err(refused("the target is plain HTTP"));
        }
        if url.origin() != self.base.origin() {
            return Err(refused("the target is another server"));
        }
        Ok(url)
    }

    /// Returns a path or URL from the BMC in a form that may be printed.
    fn printable_url(&self, url: &str) -> String {
        cleaned(&self.context.printable(url), 120)
    }

    fn absolute_url(&self, path: &str) -> Result<Url, BmcError> {
        let url = self.base.join(path).ok();
        let is_own = |url: &Url| path.starts_with('/') && url.origin() == self.base.origin();
        url.filter(is_own).ok_or_else(|| BmcError::Malformed {
            path: self.printable_url(path),
            reason: "not a path of this BMC".to_owned(),
        })
    }

    async fn exchange(
        &self,
        request: &RedfishRequest<'_>,
        url: Url,
        time_limit: Duration,
    ) -> Result<RedfishResponse, TransportFailure> {
        let mut builder = self
            .client
            .request(request.method.clone(), url)
            .timeout(time_limit.min(RESPONSE_TIME))
            .header(ACCEPT, "application/json")
            .header("OData-Version", "4.0");
        builder = match request.authorization {
            Authorization::Anonymous => builder,
            Authorization::Token(token) => builder.header("X-Auth-Token", token.clone()),
            Authorization::Basic(basic) => builder.header(AUTHORIZATION, basic.clone()),
        };
        if let Some(etag) = request.if_match {
            builder = builder.header(IF_MATCH, etag);
        }
        if let Some(body) = request.body {
            builder = builder
                .header(CONTENT_TYPE, "application/json")
                .body(body.to_string());
        }
        let mut response = builder.send().await.map_err(|error| self.failure(&error))?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| self.failure(&error))?
        {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(TransportFailure::Permanent(BmcError::TooLarge {
                    path: request.path.to_owned(),
                    limit: MAX_BODY,
                }));
            }
            body.extend_from_slice(&chunk);
        }
        let mut response = RedfishResponse::parse(request, status, &headers, &body)
            .map_err(TransportFailure::Permanent)?;
        if !response.is_success() {
            response.message = self.context.printable_error(&response.body);
        }
        Ok(response)
    }

    /// Classifies the failure of a request that got no complete response.
    fn failure(&self, error: &reqwest::Error) -> TransportFailure {
        let refusal = self
            .verifier()
            .and_then(|verifier| verifier.presented()?.refusal);
        if let Some(refusal) = refusal {
            return TransportFailure::Permanent(BmcError::Certificate {
                message: refusal.message,
                help: refusal.help,
            });
        }
        // The time limit of the last request is the time that was left.
        if error.is_timeout() && self.context.remaining().is_none() {
            return TransportFailure::Permanent(self.context.deadline_error());
        }
        let reason = if error.is_timeout() {
            "no response in time".to_owned()
        } else {
            root_cause(error)
        };
        let url = self.url.clone();
        if is_tls_error(error) {
            return TransportFailure::Permanent(BmcError::Tls { url, reason });
        }
        TransportFailure::Transient {
            error: BmcError::Unreachable { url, reason },
            was_sent: !error.is_connect(),
        }
    }
}

/// Reports whether TLS failed, not the connection below it.
fn is_tls_error(error: &reqwest::Error) -> bool {
    let mut error: &dyn Error = error;
    loop {
        if error.is::<rustls::Error>() {
            return true;
        }
        // A TLS error is wrapped in one or two I/O errors, which do not return it as their source.
        let io_error = error.downcast_ref::<std::io::Error>();
        if let Some(inner) = io_error.and_then(std::io::Error::get_ref) {
            error = inner;
            continue;
        }
        match error.source() {
            Some(source) => error = source,
            None => return false,
        }
    }
}

/// Returns the message of the innermost error.
fn root_cause(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    cleaned(&error.to_string(), 160)
}

#[cfg(test)]
mod tests;
