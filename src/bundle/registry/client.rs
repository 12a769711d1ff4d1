//! One repository of a registry: requests, with credentials and retries.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::blocking::{Client, RequestBuilder, Response};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RANGE};
use reqwest::{StatusCode, Url};

use super::address::RegistryAddress;
use super::credential_files;
use super::credentials::Credentials;
use super::error::{RegistryError, TlsFailure, describe, is_permanent};
use super::options::RegistryOptions;
use super::tls::TlsSettings;
use crate::bundle::oci::{Descriptor, MANIFEST_LIMIT};
use crate::bundle::parallel::StopSignal;
use crate::clock::wall_time;
use crate::machine::{Secret, Sha256Digest};
use crate::retry;

/// The media types of the manifests that pxectl understands.
const MANIFEST_TYPES: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";

/// One repository of a registry. Several threads may use it at the same time.
pub struct Registry<'w> {
    pub(super) address: RegistryAddress,
    pub(super) options: RegistryOptions,
    /// Ends a connection that stays silent for too long.
    pub(super) reading: Client,
    /// Has no time limit of its own: each upload sets one by its size.
    pub(super) writing: reqwest::Client,
    pub(super) credentials: Option<Credentials>,
    pub(super) authorization: Mutex<Option<Secret>>,
    pub(super) pushes: bool,
    pub(super) on_retry: &'w (dyn Fn(&str) + Sync),
    pub(super) stop: Arc<StopSignal>,
}

/// Builds a request, again for each attempt.
pub(super) type MakeRequest<'m> =
    &'m dyn Fn(&Registry<'_>) -> Result<RequestBuilder, RegistryError>;

impl<'w> Registry<'w> {
    /// Prepares to talk to a registry; sends nothing yet. `pushes` states whether to request
    /// permission to write. `on_retry` gets a line of text before each retry.
    ///
    /// # Errors
    /// When the credentials cannot be read, or TLS cannot be set up.
    pub fn new(
        address: RegistryAddress,
        options: RegistryOptions,
        pushes: bool,
        on_retry: &'w (dyn Fn(&str) + Sync),
    ) -> Result<Self, RegistryError> {
        let tls = TlsSettings::read(&address, &options)?;
        let (reading, writing) = tls.clients(&address)?;
        let credentials =
            credential_files::find(&address.host, &address.repository).map_err(|reason| {
                RegistryError::Credentials {
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
            on_retry,
            stop: Arc::default(),
        })
    }

    /// Returns the signal that stops every request of this client.
    pub fn stop(&self) -> &Arc<StopSignal> {
        &self.stop
    }

    /// Reads a manifest by tag or digest, with its media type; `None` if the repository has no such
    /// manifest.
    ///
    /// # Errors
    /// When the request fails, or the content has another digest than `reference`.
    pub fn manifest(&self, reference: &str) -> Result<Option<(Vec<u8>, String)>, RegistryError> {
        let object = format!("manifest `{reference}`");
        let url = self.url(&format!("manifests/{reference}"))?;
        let request: MakeRequest<'_> = &|registry| {
            Ok(registry
                .reading
                .get(url.clone())
                .header(ACCEPT, MANIFEST_TYPES))
        };
        let response = self.send(&object, request)?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let response = self.expect(response, &object, &[StatusCode::OK])?;
        let media_type = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok()?.split(';').next())
            .map_or_else(String::new, |media_type| media_type.trim().to_owned());
        let mut content = Vec::new();
        response
            .take(MANIFEST_LIMIT + 1)
            .read_to_end(&mut content)
            .map_err(|error| self.broken(&error))?;
        if content.len() as u64 > MANIFEST_LIMIT {
            return Err(self.invalid_response(format!("{object} exceeds 4 MiB")));
        }
        let digest = reference.strip_prefix("sha256:");
        if digest.is_some_and(|digest| digest != Sha256Digest::of(&content).to_string()) {
            return Err(self.invalid_response(format!("{object} has another digest")));
        }
        Ok(Some((content, media_type)))
    }

    /// Reports whether the repository has a blob.
    ///
    /// # Errors
    /// When the request fails.
    pub fn has(&self, blob: &Descriptor) -> Result<bool, RegistryError> {
        let object = format!("blob {}", blob.digest);
        let url = self.url(&format!("blobs/{}", blob.digest))?;
        let response = self.send(&object, &|registry| Ok(registry.reading.head(url.clone())))?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(false);
        }
        self.expect(response, &object, &[StatusCode::OK])?;
        Ok(true)
    }

    /// Requests a blob, starting at the byte `from`.
    pub(super) fn request_blob(
        &self,
        blob: &Descriptor,
        from: u64,
    ) -> Result<Response, RegistryError> {
        let object = format!("blob {}", blob.digest);
        let url = self.url(&format!("blobs/{}", blob.digest))?;
        let response = self.send(&object, &|registry| {
            let request = registry.reading.get(url.clone());
            Ok(if from == 0 {
                request
            } else {
                request.header(RANGE, format!("bytes={from}-"))
            })
        })?;
        self.expect(
            response,
            &object,
            &[StatusCode::OK, StatusCode::PARTIAL_CONTENT],
        )
    }

    /// Sends a request, repeats it while that may help, and authorizes it when the registry demands
    /// so. Returns the response whatever its status.
    pub(super) fn send(
        &self,
        object: &str,
        request: MakeRequest<'_>,
    ) -> Result<Response, RegistryError> {
        let mut failures = 0;
        let mut authorized = false;
        loop {
            match self.with_authorization(request(self)?).send() {
                Ok(response) if response.status() == StatusCode::UNAUTHORIZED && !authorized => {
                    authorized = true;
                    self.authorize(&response)?;
                }
                Ok(response) if !retry::is_transient(response.status().as_u16()) => {
                    return Ok(response);
                }
                failed => {
                    failures += 1;
                    self.wait_or_fail(failed, object, failures)?;
                }
            }
        }
    }

    /// Waits until the next attempt is due.
    ///
    /// # Errors
    /// Why there is no next attempt.
    pub(super) fn wait_or_fail(
        &self,
        failed: reqwest::Result<Response>,
        object: &str,
        failures: u32,
    ) -> Result<(), RegistryError> {
        if failures > self.options.retries || failed.as_ref().is_err_and(is_permanent) {
            return Err(match failed {
                Ok(response) => self.status_error(response, object),
                Err(error) => self.unreachable(&error),
            });
        }
        let (reason, retry_after) = match &failed {
            Ok(response) => (
                format!("HTTP {}", response.status().as_u16()),
                retry::retry_after(response.headers(), wall_time()),
            ),
            Err(error) => (describe(error), None),
        };
        let delay = retry::delay(failures, retry_after);
        (self.on_retry)(&format!(
            "registry `{}`: {reason}, retrying in {:.1} s",
            self.address.host,
            delay.as_secs_f64()
        ));
        if self.stop.wait(delay) {
            return Err(RegistryError::Stopped);
        }
        Ok(())
    }

    pub(super) fn unreachable(&self, error: &reqwest::Error) -> RegistryError {
        RegistryError::Unreachable {
            host: self.address.host.clone(),
            reason: describe(error),
            tls: TlsFailure::of(error),
        }
    }

    /// Returns the error for a response whose body broke off.
    pub(super) fn broken(&self, error: &io::Error) -> RegistryError {
        RegistryError::Unreachable {
            host: self.address.host.clone(),
            reason: error.to_string(),
            tls: TlsFailure::of(error),
        }
    }

    fn with_authorization(&self, request: RequestBuilder) -> RequestBuilder {
        match self.authorization() {
            Some(value) => request.header(AUTHORIZATION, value.expose()),
            None => request,
        }
    }

    pub(super) fn authorization(&self) -> Option<Secret> {
        let authorization = self.authorization.lock();
        authorization
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn url(&self, rest: &str) -> Result<Url, RegistryError> {
        let scheme = if self.options.plain_http {
            "http"
        } else {
            "https"
        };
        let repository = &self.address.repository;
        let text = format!(
            "{scheme}://{}/v2/{repository}/{rest}",
            self.address.endpoint()
        );
        Url::parse(&text).map_err(|error| RegistryError::Unreachable {
            host: self.address.host.clone(),
            reason: format!("invalid URL `{text}`: {error}"),
            tls: None,
        })
    }
}
