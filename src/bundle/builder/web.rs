use std::io::Read;
use std::time::Duration;

use reqwest::blocking::{Client, Response};
use reqwest::redirect::Policy;

use super::error::BuildError;
use super::progress::BuildProgress;
use crate::bundle::parallel::StopSignal;
use crate::bundle::store::BundleStoreError;
use crate::clock::wall_time;
use crate::retry;

/// Time limit for a connection attempt.
const CONNECT_LIMIT: Duration = Duration::from_secs(15);
/// Time limit for silence on a connection.
const IDLE_LIMIT: Duration = Duration::from_secs(60);
/// How many redirects in a row are followed.
const REDIRECTS_LIMIT: usize = 10;

/// An HTTP client with retries.
pub struct WebClient {
    pub(super) client: Client,
    /// How often an attempt without progress is repeated.
    retries: u32,
    pub(super) stop: StopSignal,
}

/// Why an attempt failed.
pub(super) enum AttemptError {
    /// Another attempt may succeed.
    Retryable {
        reason: String,
        /// How long the server requests to wait.
        retry_after: Option<Duration>,
        /// Whether it received more bytes than all attempts before.
        made_progress: bool,
    },
    /// Another attempt would fail too.
    Final(BuildError),
}

impl From<BundleStoreError> for AttemptError {
    fn from(error: BundleStoreError) -> Self {
        Self::Final(error.into())
    }
}

impl WebClient {
    /// Creates a client that repeats a failed attempt `retries` times.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(retries: u32) -> Result<Self, BuildError> {
        // Another part of the program may have installed the same provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            Client::builder()
                .connect_timeout(CONNECT_LIMIT)
                .timeout(IDLE_LIMIT)
                .user_agent(concat!("pxectl/", env!("CARGO_PKG_VERSION")))
                .redirect(Policy::custom(|attempt| {
                    let previous = attempt.previous();
                    let was_secure = previous.last().is_some_and(|url| url.scheme() == "https");
                    if previous.len() > REDIRECTS_LIMIT {
                        attempt.error("too many redirects")
                    } else if was_secure && attempt.url().scheme() != "https" {
                        attempt.error("redirect from https to http")
                    } else {
                        attempt.follow()
                    }
                }))
        };
        // Without certificates of the system, plain HTTP still works.
        let client = builder()
            .build()
            .or_else(|_| builder().tls_certs_only([]).build())
            .map_err(|error| BuildError::Unreachable {
                url: "any".to_owned(),
                reason: described(error),
            })?;
        Ok(Self {
            client,
            retries,
            stop: StopSignal::default(),
        })
    }

    /// Downloads a small file.
    ///
    /// # Errors
    /// When the server refuses, when every attempt fails, or when the file exceeds `limit` bytes.
    pub fn read(
        &self,
        url: &str,
        limit: u64,
        progress: &dyn BuildProgress,
    ) -> Result<Vec<u8>, BuildError> {
        self.with_retries(url, progress, || {
            let response = self
                .client
                .get(url)
                .send()
                .map_err(|error| unsent(url, error))?;
            let response = accepted(url, response)?;
            let mut content = Vec::new();
            response
                .take(limit + 1)
                .read_to_end(&mut content)
                .map_err(|error| broken(&error, false))?;
            if content.len() as u64 > limit {
                let what = without_credentials(url);
                return Err(AttemptError::Final(BuildError::TooLarge { what, limit }));
            }
            Ok(content)
        })
    }

    /// Repeats an attempt until it succeeds, fails permanently, or has failed too often without progress.
    pub(super) fn with_retries<T>(
        &self,
        url: &str,
        progress: &dyn BuildProgress,
        mut attempt: impl FnMut() -> Result<T, AttemptError>,
    ) -> Result<T, BuildError> {
        let mut failures = 0;
        loop {
            let (reason, retry_after, made_progress) = match attempt() {
                Ok(value) => return Ok(value),
                Err(AttemptError::Final(error)) => return Err(error),
                Err(AttemptError::Retryable {
                    reason,
                    retry_after,
                    made_progress,
                }) => (reason, retry_after, made_progress),
            };
            failures = if made_progress { 1 } else { failures + 1 };
            let shown = without_credentials(url);
            if failures > self.retries {
                return Err(BuildError::Unreachable { url: shown, reason });
            }
            let wait = retry::delay(failures, retry_after);
            progress.note(&format!(
                "{shown}: {reason}, retrying in {} s",
                wait.as_secs_f32()
            ));
            if self.stop.wait(wait) {
                return Err(BuildError::Stopped);
            }
        }
    }
}

/// Returns a successful response, or else an error.
pub(super) fn accepted(url: &str, response: Response) -> Result<Response, AttemptError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    if !retry::is_transient(status.as_u16()) {
        return Err(AttemptError::Final(BuildError::Refused {
            url: without_credentials(url),
            status: status.as_u16(),
        }));
    }
    Err(AttemptError::Retryable {
        reason: format!("the server returned HTTP {}", status.as_u16()),
        retry_after: retry::retry_after(response.headers(), wall_time()),
        made_progress: false,
    })
}

/// Returns the error of a request without a response.
pub(super) fn unsent(url: &str, error: reqwest::Error) -> AttemptError {
    if error.is_builder() || error.is_redirect() {
        return AttemptError::Final(BuildError::Unreachable {
            url: without_credentials(url),
            reason: described(error),
        });
    }
    AttemptError::Retryable {
        reason: described(error),
        retry_after: None,
        made_progress: false,
    }
}

/// Returns the error of a response that broke off.
pub(super) fn broken(error: &std::io::Error, made_progress: bool) -> AttemptError {
    AttemptError::Retryable {
        reason: format!("the connection broke: {}", deepest(error)),
        retry_after: None,
        made_progress,
    }
}

fn described(error: reqwest::Error) -> String {
    let error = error.without_url();
    let text = error.to_string();
    let cause = deepest(&error);
    if text == cause {
        text
    } else {
        format!("{text}: {cause}")
    }
}

fn deepest(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// Removes the user and the password from a URL, which is shown, logged and committed to git.
pub fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_removed_from_urls() {
        for (url, shown) in [
            ("https://a:b@host/c@d", "https://host/c@d"),
            ("https://a:b%40c@host", "https://host"),
            ("https://a:b@c@host/x", "https://host/x"),
            ("http://host/a?b=c@d", "http://host/a?b=c@d"),
            ("/a@b", "/a@b"),
        ] {
            assert_eq!(without_credentials(url), shown);
        }
    }
}
