use std::io::Read;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::blocking::{Client, Response};
use reqwest::redirect::Policy;

use super::error::BuildError;
use super::progress::Progress;
use crate::bundle::parallel::Stop;
use crate::bundle::store::BundleStoreError;
use crate::retry;

/// How long a server may take to accept a connection.
const CONNECT_TIME: Duration = Duration::from_secs(15);
/// How long a server may be silent.
const SILENCE: Duration = Duration::from_secs(60);
/// How many places a server may send us on to.
const REDIRECTS: usize = 10;

/// A client of HTTP that tries again.
pub struct Web {
    pub(super) client: Client,
    /// How often something that brings nothing is tried again.
    retries: u32,
    pub(super) stop: Stop,
}

/// Why an attempt failed.
pub(super) enum Fault {
    /// Another may succeed.
    Passing {
        reason: String,
        /// How long the server asks to wait.
        after: Option<Duration>,
        /// Whether it brought something.
        progress: bool,
    },
    /// Another would fail too.
    Final(BuildError),
}

impl From<BundleStoreError> for Fault {
    fn from(error: BundleStoreError) -> Self {
        Self::Final(error.into())
    }
}

impl Web {
    /// Makes a client that tries again `retries` times.
    ///
    /// # Errors
    /// When the system gives it no sockets.
    pub fn new(retries: u32) -> Result<Self, BuildError> {
        // It is there already where another part of the program has installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            Client::builder()
                .connect_timeout(CONNECT_TIME)
                .timeout(SILENCE)
                .user_agent(concat!("pxectl/", env!("CARGO_PKG_VERSION")))
                .redirect(Policy::custom(|attempt| {
                    let previous = attempt.previous();
                    let was_secure = previous.last().is_some_and(|url| url.scheme() == "https");
                    if previous.len() > REDIRECTS {
                        attempt.error("it sends us on for ever")
                    } else if was_secure && attempt.url().scheme() != "https" {
                        attempt.error("it sends us from https to http")
                    } else {
                        attempt.follow()
                    }
                }))
        };
        // Where the system has no certificates, what needs none still works.
        let client = builder()
            .build()
            .or_else(|_| builder().tls_certs_only([]).build());
        let client = client.map_err(|error| BuildError::Unreachable {
            url: "any".to_owned(),
            reason: described(error),
        })?;
        Ok(Self {
            client,
            retries,
            stop: Stop::default(),
        })
    }

    /// Gets something small.
    ///
    /// # Errors
    /// When the server refuses or fails again and again, and when it is larger than `limit` octets.
    pub fn read(
        &self,
        url: &str,
        limit: u64,
        progress: &dyn Progress,
    ) -> Result<Vec<u8>, BuildError> {
        self.again(url, progress, || {
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
                return Err(Fault::Final(BuildError::TooLarge { what, limit }));
            }
            Ok(content)
        })
    }

    /// Tries till it succeeds, fails for good, or has failed too often without bringing anything.
    pub(super) fn again<T>(
        &self,
        url: &str,
        progress: &dyn Progress,
        mut attempt: impl FnMut() -> Result<T, Fault>,
    ) -> Result<T, BuildError> {
        let mut failures = 0;
        loop {
            let (reason, after, brought) = match attempt() {
                Ok(value) => return Ok(value),
                Err(Fault::Final(error)) => return Err(error),
                Err(Fault::Passing {
                    reason,
                    after,
                    progress,
                }) => (reason, after, progress),
            };
            failures = if brought { 1 } else { failures + 1 };
            let shown = without_credentials(url);
            if failures > self.retries {
                return Err(BuildError::Unreachable { url: shown, reason });
            }
            let wait = retry::delay(failures, after);
            progress.note(&format!(
                "{shown}: {reason}; again in {} s",
                wait.as_secs_f32()
            ));
            if self.stop.wait(wait) {
                return Err(BuildError::Stopped);
            }
        }
    }
}

/// Lets an answer through that brings what was asked for.
pub(super) fn accepted(url: &str, response: Response) -> Result<Response, Fault> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    if !retry::is_passing(status.as_u16()) {
        return Err(Fault::Final(BuildError::Refused {
            url: without_credentials(url),
            status: status.as_u16(),
        }));
    }
    Err(Fault::Passing {
        reason: format!("the server answers {}", status.as_u16()),
        after: retry::asked(response.headers(), Timestamp::now()),
        progress: false,
    })
}

/// Judges a request that got no answer.
pub(super) fn unsent(url: &str, error: reqwest::Error) -> Fault {
    if error.is_builder() || error.is_redirect() {
        return Fault::Final(BuildError::Unreachable {
            url: without_credentials(url),
            reason: described(error),
        });
    }
    Fault::Passing {
        reason: described(error),
        after: None,
        progress: false,
    }
}

/// Judges an answer that broke off.
pub(super) fn broken(error: &std::io::Error, progress: bool) -> Fault {
    Fault::Passing {
        reason: format!("the answer broke off: {}", deepest(error)),
        after: None,
        progress,
    }
}

fn described(error: reqwest::Error) -> String {
    let error = error.without_url();
    let (said, cause) = (error.to_string(), deepest(&error));
    if said == cause {
        said
    } else {
        format!("{said}: {cause}")
    }
}

fn deepest(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// Takes the user and the password out of a URL: it is shown, logged and written into git.
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
    fn no_password_is_ever_shown() {
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
