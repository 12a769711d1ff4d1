//! One repository of a registry: requests, with credentials and retries.

use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use reqwest::blocking::{Client, RequestBuilder, Response};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use reqwest::{StatusCode, Url};

use super::address::RegistryAddress;
use super::credential_files;
use super::credentials::Credentials;
use super::diagnose::{chain, is_for_good};
use super::options::RegistryOptions;
use super::tls::Trust;
use crate::bundle::oci::{Descriptor, MANIFEST_LIMIT};
use crate::bundle::parallel::Stop;
use crate::bundle::transfer::TransferError;
use crate::machine::{Secret, Sha256Digest};
use crate::retry;

/// The types of manifests that we understand.
const MANIFEST_TYPES: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";
/// One repository of a registry. Several threads may use it at once.
pub struct Registry<'w> {
    pub(super) address: RegistryAddress,
    pub(super) options: RegistryOptions,
    /// Breaks off what says nothing for a while.
    pub(super) reading: Client,
    /// Lets an upload take as long as it takes.
    pub(super) writing: reqwest::Client,
    pub(super) credentials: Option<Credentials>,
    pub(super) authorization: Mutex<Option<Secret>>,
    pub(super) pushes: bool,
    pub(super) waiting: &'w (dyn Fn(&str) + Sync),
    pub(super) stop: Arc<Stop>,
}

/// A request that can be made again.
pub(super) type Make<'m> = &'m dyn Fn(&Registry<'_>) -> Result<RequestBuilder, TransferError>;

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
        waiting: &'w (dyn Fn(&str) + Sync),
    ) -> Result<Self, TransferError> {
        let trust = Trust::of(&address, &options)?;
        let (reading, writing) = trust.clients(&address)?;
        let credentials =
            credential_files::find(&address.host, &address.repository).map_err(|reason| {
                TransferError::Credentials {
                    host: address.host.clone(),
                    reason,
                }
            })?;
        Ok(Self {
            address,
            options,
            reading,
            writing,
            credentials,
            authorization: Mutex::default(),
            pushes,
            waiting,
            stop: Arc::default(),
        })
    }

    /// Returns what tells those who use it that they need not go on.
    pub fn stop(&self) -> &Arc<Stop> {
        &self.stop
    }

    /// Reads a manifest by tag or digest; none where there is none.
    ///
    /// # Errors
    /// When the registry refuses, or what it sends is not what was asked for.
    pub fn manifest(&self, reference: &str) -> Result<Option<(Vec<u8>, String)>, TransferError> {
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
    pub fn has(&self, blob: &Descriptor) -> Result<bool, TransferError> {
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

    /// Asks for a blob from an octet on.
    pub(super) fn blob(&self, blob: &Descriptor, from: u64) -> Result<Response, TransferError> {
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

    /// Makes a request, again where it may go better then, and with credentials where they are asked
    /// for. What the answer means is for the caller to say.
    pub(super) fn send(&self, what: &str, make: Make<'_>) -> Result<Response, TransferError> {
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
    pub(super) fn wait_or_fail(
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
        if tries > self.options.retries || failed.as_ref().is_err_and(is_for_good) {
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
        match self.stop.wait(delay) {
            true => Err(TransferError::Stopped),
            false => Ok(()),
        }
    }

    pub(super) fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match self.authorization() {
            Some(value) => request.header(AUTHORIZATION, value.expose()),
            None => request,
        }
    }

    pub(super) fn authorization(&self) -> Option<Secret> {
        let known = self.authorization.lock();
        known.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn url(&self, rest: &str) -> Result<Url, TransferError> {
        let scheme = if self.options.plain_http {
            "http"
        } else {
            "https"
        };
        let RegistryAddress { repository, .. } = &self.address;
        let host = self.address.endpoint();
        let text = format!("{scheme}://{host}/v2/{repository}/{rest}");
        Url::parse(&text).map_err(|error| self.unreachable(&format!("`{text}`: {error}")))
    }

    pub(super) fn expect(
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
}
