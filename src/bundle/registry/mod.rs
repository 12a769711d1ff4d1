//! An OCI registry, as far as bundles need one.
//!
//! Ours, because what a server asks for with 429 (`Retry-After`) does not come through the errors of
//! the crates that were looked at, nor can they go on with a broken download.
//!
//! Source: OCI distribution specification 1.1.

mod address;
mod authority;
mod blob;
mod challenge;
mod credentials;

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::blocking::{Body, Client, RequestBuilder, Response};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION};
use reqwest::{StatusCode, Url};
use serde_json::Value;

pub use address::{ParseRegistryAddressError, RegistryAddress};
pub use blob::RegistryBlob;
use credentials::Credentials;

use super::index::{Descriptor, MANIFEST_LIMIT};
use super::retry;
use super::transport::TransferError;
use crate::machine::Sha256Digest;

/// The types of manifests that we understand.
const MANIFEST_TYPES: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";
/// How long a connection may take to come up, and how long it may say nothing.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many octets of an error's explanation are read.
const SAID_LIMIT: u64 = 16 << 10;

/// How a registry is talked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistryOptions {
    /// Whether it is talked to without TLS.
    pub plain_http: bool,
    /// How often a request that failed is made again.
    pub retries: u32,
}

/// One repository of a registry.
pub struct Registry<'w> {
    address: RegistryAddress,
    options: RegistryOptions,
    /// Breaks off what says nothing for a while.
    reading: Client,
    /// Lets an upload take as long as it takes.
    writing: Client,
    credentials: Option<Credentials>,
    authorization: Option<String>,
    pushes: bool,
    waiting: &'w dyn Fn(&str),
}

/// A request that can be made again.
type Make<'m> = &'m dyn Fn(&Registry<'_>) -> Result<RequestBuilder, TransferError>;

impl<'w> Registry<'w> {
    /// Prepares to talk to a registry; nothing is sent yet. `pushes` says whether we want to write.
    /// `waiting` is told why a request is made again, and when.
    ///
    /// # Errors
    /// When the credentials for it cannot be read, or TLS cannot be set up.
    pub fn new(
        address: RegistryAddress,
        options: RegistryOptions,
        pushes: bool,
        waiting: &'w dyn Fn(&str),
    ) -> Result<Self, TransferError> {
        // Of two who do so the first one wins, with the same provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = |timeout: Option<Duration>| {
            let mut builder = Client::builder()
                .user_agent(concat!("pxectl/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(PATIENCE)
                .tcp_user_timeout(PATIENCE)
                .timeout(timeout)
                .https_only(!options.plain_http);
            if options.plain_http {
                // A machine without any certificates can still talk to it.
                builder = builder.tls_certs_only([]);
            }
            builder.build().map_err(|error| TransferError::Unreachable {
                host: address.host.clone(),
                reason: chain(&error),
            })
        };
        let (reading, writing) = (client(Some(PATIENCE))?, client(None)?);
        let credentials =
            Credentials::find(&address.host).map_err(|reason| TransferError::Credentials {
                host: address.host.clone(),
                reason,
            })?;
        Ok(Self {
            address,
            options,
            reading,
            writing,
            credentials,
            authorization: None,
            pushes,
            waiting,
        })
    }

    /// Reads a manifest by tag or digest; none where there is none.
    ///
    /// # Errors
    /// When the registry refuses, or what it sends is not what was asked for.
    pub fn manifest(
        &mut self,
        reference: &str,
    ) -> Result<Option<(Vec<u8>, String)>, TransferError> {
        let what = format!("the manifest `{reference}`");
        let url = self.url(&format!("manifests/{reference}"))?;
        let make: Make<'_> = &|registry| {
            Ok(registry
                .reading
                .get(url.clone())
                .header(ACCEPT, MANIFEST_TYPES))
        };
        let response = self.send(&what, make)?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let response = self.expect(response, &what, &[StatusCode::OK])?;
        let kind = response.headers().get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_owned();
        let mut bytes = Vec::new();
        let read = response.take(MANIFEST_LIMIT + 1).read_to_end(&mut bytes);
        read.map_err(|error| self.unreachable(&error))?;
        let digest = reference.strip_prefix("sha256:");
        let other = digest.is_some_and(|digest| digest != Sha256Digest::of(&bytes).to_string());
        if other || bytes.len() as u64 > MANIFEST_LIMIT {
            return Err(self.unreachable(&format!("{what} is not what was asked for")));
        }
        Ok(Some((bytes, kind)))
    }

    /// Reports whether the repository has a blob.
    ///
    /// # Errors
    /// When the registry refuses.
    pub fn has(&mut self, blob: &Descriptor) -> Result<bool, TransferError> {
        let what = format!("the blob {}", blob.digest);
        let url = self.url(&format!("blobs/{}", blob.digest))?;
        let response = self.send(&what, &|registry| Ok(registry.reading.head(url.clone())))?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(false),
            _ => self
                .expect(response, &what, &[StatusCode::OK])
                .map(|_| true),
        }
    }

    /// Opens a blob, which is read to its end through broken connections.
    ///
    /// # Errors
    /// When the registry refuses.
    pub fn open(&mut self, blob: &Descriptor) -> Result<RegistryBlob<'_, 'w>, TransferError> {
        RegistryBlob::open(self, blob)
    }

    /// Asks for a blob from an octet on.
    fn blob(&mut self, blob: &Descriptor, from: u64) -> Result<Response, TransferError> {
        let what = format!("the blob {}", blob.digest);
        let url = self.url(&format!("blobs/{}", blob.digest))?;
        let response = self.send(&what, &|registry| {
            let request = registry.reading.get(url.clone());
            Ok(match from {
                0 => request,
                from => request.header(reqwest::header::RANGE, format!("bytes={from}-")),
            })
        })?;
        self.expect(
            response,
            &what,
            &[StatusCode::OK, StatusCode::PARTIAL_CONTENT],
        )
    }

    /// Uploads a blob; `content` opens it, from its beginning, for each try.
    ///
    /// # Errors
    /// When it cannot be read, or the registry refuses; the registry keeps nothing of it then.
    pub fn put_blob(
        &mut self,
        blob: &Descriptor,
        content: &dyn Fn() -> Result<File, TransferError>,
        watched: &dyn Fn(File) -> Box<dyn Read + Send>,
    ) -> Result<(), TransferError> {
        let what = format!("the upload of {}", blob.digest);
        let start = self.url("blobs/uploads/")?;
        let mut tries = 0;
        loop {
            let begin: Make<'_> = &|registry| Ok(registry.reading.post(start.clone()).body(""));
            let response = self.send(&what, begin)?;
            let response = self.expect(response, &what, &[StatusCode::ACCEPTED])?;
            let mut place = self.location(&response, &what)?;
            place.query_pairs_mut().append_pair("digest", &blob.digest);
            let body = Body::sized(watched(content()?), blob.size);
            let request = self.authorized(
                self.writing
                    .put(place)
                    .header(CONTENT_TYPE, "application/octet-stream")
                    .body(body),
            );
            // An upload that broke is begun anew: how much of it arrived is not known.
            let failed = match request.send() {
                Ok(response) if !retry::is_passing(response.status().as_u16()) => {
                    return self
                        .expect(response, &what, &[StatusCode::CREATED])
                        .map(|_| ());
                }
                Ok(response) => Ok(response),
                Err(error) => Err(error),
            };
            tries += 1;
            self.wait_or_fail(failed, &what, tries)?;
        }
    }

    /// Uploads a manifest under a tag or its digest. The registry shows it at once and whole.
    ///
    /// # Errors
    /// When the registry refuses.
    pub fn put_manifest(
        &mut self,
        reference: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<(), TransferError> {
        let what = format!("the manifest `{reference}`");
        let url = self.url(&format!("manifests/{reference}"))?;
        let make: Make<'_> = &|registry| {
            Ok(registry
                .reading
                .put(url.clone())
                .header(CONTENT_TYPE, media_type)
                .body(bytes.to_vec()))
        };
        let response = self.send(&what, make)?;
        self.expect(response, &what, &[StatusCode::CREATED])
            .map(|_| ())
    }

    /// Makes a request, again where it may go better then, and with credentials where they are asked
    /// for. What the answer means is for the caller to say.
    fn send(&mut self, what: &str, make: Make<'_>) -> Result<Response, TransferError> {
        let mut tries = 0;
        let mut asked = false;
        loop {
            let sent = self.authorized(make(self)?).send();
            match sent {
                Ok(response) if response.status() == StatusCode::UNAUTHORIZED && !asked => {
                    asked = true;
                    self.authorize(&response)?;
                }
                Ok(response) if !retry::is_passing(response.status().as_u16()) => {
                    return Ok(response);
                }
                failed => {
                    tries += 1;
                    self.wait_or_fail(failed, what, tries)?;
                }
            }
        }
    }

    /// Waits until it is time for another try, or says why there is none.
    fn wait_or_fail(
        &self,
        failed: reqwest::Result<Response>,
        what: &str,
        tries: u32,
    ) -> Result<(), TransferError> {
        let host = &self.address.host;
        let (why, after) = match &failed {
            Ok(response) => {
                let after = retry::asked(response.headers(), Timestamp::now());
                (format!("answers {}", response.status().as_u16()), after)
            }
            Err(error) => (chain(error), None),
        };
        if tries > self.options.retries || failed.as_ref().is_err_and(|error| error.is_builder()) {
            return match failed {
                Ok(response) => Err(self.refused(response, what)),
                Err(error) => Err(self.unreachable(&chain(&error))),
            };
        }
        let delay = retry::delay(tries, after);
        let seconds = delay.as_secs_f64();
        (self.waiting)(&format!(
            "the registry `{host}`: {why}; trying again in {seconds:.1} s"
        ));
        std::thread::sleep(delay);
        Ok(())
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.authorization {
            Some(value) => request.header(AUTHORIZATION, value),
            None => request,
        }
    }

    /// Returns where an upload goes on: on the registry itself, or wherever it says.
    fn location(&self, response: &Response, what: &str) -> Result<Url, TransferError> {
        let location = response.headers().get(LOCATION);
        let location = location.and_then(|value| value.to_str().ok());
        let joined = location.and_then(|text| response.url().join(text).ok());
        let safe = |url: &Url| self.options.plain_http || url.scheme() == "https";
        joined
            .filter(safe)
            .ok_or_else(|| self.unreachable(&format!("it does not say where {what} goes on")))
    }

    fn url(&self, rest: &str) -> Result<Url, TransferError> {
        let scheme = if self.options.plain_http {
            "http"
        } else {
            "https"
        };
        let RegistryAddress {
            host, repository, ..
        } = &self.address;
        let text = format!("{scheme}://{host}/v2/{repository}/{rest}");
        Url::parse(&text).map_err(|error| self.unreachable(&format!("`{text}`: {error}")))
    }

    fn expect(
        &self,
        response: Response,
        what: &str,
        good: &[StatusCode],
    ) -> Result<Response, TransferError> {
        match good.contains(&response.status()) {
            true => Ok(response),
            false => Err(self.refused(response, what)),
        }
    }

    fn refused(&self, response: Response, what: &str) -> TransferError {
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

    fn unreachable(&self, reason: &dyn std::fmt::Display) -> TransferError {
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
    let answer: Value = serde_json::from_slice(&text).unwrap_or_default();
    let first = &answer["errors"][0];
    let said = first["message"].as_str().or(first["code"].as_str());
    let said = said.unwrap_or_default().chars();
    said.filter(|c| !c.is_control()).take(200).collect()
}

/// Writes an error with what caused it, without the URL: its query may hold a token.
fn chain(error: &reqwest::Error) -> String {
    let mut text = match (error.is_timeout(), error.is_connect()) {
        (true, _) => "it says nothing".to_owned(),
        (_, true) => "cannot connect".to_owned(),
        _ => "the connection broke".to_owned(),
    };
    let mut cause = std::error::Error::source(error);
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

#[cfg(test)]
mod tests {
    #[test]
    fn credentials_do_not_show_themselves() {
        let credentials = super::Credentials::Identity("secret".into());
        assert!(!format!("{credentials:?}").contains("secret"));
    }
}
