use std::io::Read;
use std::time::Duration;

use reqwest::blocking::Response;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use reqwest::{StatusCode, Url};

use super::body;
use super::client::{MakeRequest, Registry};
use super::error::RegistryError;
use crate::bundle::oci::Descriptor;
use crate::retry;

/// Time limit for an upload, besides the time that its bytes take.
const BASE_LIMIT: Duration = Duration::from_secs(600);
/// The lowest rate that the time limit allows for, in bytes per second.
const LOWEST_RATE: u64 = 32 << 10;

/// Content that can be uploaded.
pub trait UploadContent {
    /// What can go wrong while it is read.
    type Error: From<RegistryError>;

    /// Opens the content at its beginning, again for each attempt.
    ///
    /// # Errors
    /// When it cannot be opened.
    fn open(&self) -> Result<Box<dyn Read + Send>, Self::Error>;

    /// Returns why the last attempt could not read the content to its end, if that was so.
    fn failure(&self) -> Option<Self::Error>;
}

impl UploadContent for &'static [u8] {
    type Error = RegistryError;

    fn open(&self) -> Result<Box<dyn Read + Send>, RegistryError> {
        Ok(Box::new(*self))
    }

    fn failure(&self) -> Option<RegistryError> {
        None
    }
}

impl Registry<'_> {
    /// Uploads a blob.
    ///
    /// # Errors
    /// When the content cannot be read, or the request fails; the registry keeps no part of it then.
    pub fn put_blob<C: UploadContent>(
        &self,
        blob: &Descriptor,
        content: &C,
    ) -> Result<(), C::Error> {
        let object = format!("upload of {}", blob.digest);
        let start = self.url("blobs/uploads/")?;
        let mut failures = 0;
        let mut authorized = false;
        loop {
            let begin: MakeRequest<'_> =
                &|registry| Ok(registry.reading.post(start.clone()).body(""));
            let response = self.send(&object, begin)?;
            let response = self.expect(response, &object, &[StatusCode::ACCEPTED])?;
            let mut target = self.upload_location(&response, &object)?;
            target.query_pairs_mut().append_pair("digest", &blob.digest);
            // Another server must not see this registry's credentials.
            let is_same_server = target.origin() == start.origin();
            let request = self
                .writing
                .put(target)
                .timeout(time_limit(blob.size))
                .header(CONTENT_TYPE, "application/octet-stream");
            let request = match self.authorization().filter(|_| is_same_server) {
                Some(value) => request.header(AUTHORIZATION, value.expose()),
                None => request,
            };
            // A broken upload starts again: it is unknown how much of it arrived.
            let sent = body::send(request, content.open()?, blob.size)
                .map_err(|error| self.broken(&error))?;
            if let Some(failure) = content.failure() {
                return Err(failure);
            }
            match sent {
                // The token expired between the two requests.
                Ok(response) if response.status() == StatusCode::UNAUTHORIZED && !authorized => {
                    authorized = true;
                    self.authorize(&response)?;
                }
                Ok(response) if !retry::is_transient(response.status().as_u16()) => {
                    self.expect(response, &object, &[StatusCode::CREATED])?;
                    return Ok(());
                }
                failed => {
                    failures += 1;
                    self.wait_or_fail(failed, &object, failures)?;
                }
            }
        }
    }

    /// Uploads a manifest under a tag or its digest. The registry shows it as a whole or not at all.
    ///
    /// # Errors
    /// When the request fails.
    pub fn put_manifest(
        &self,
        reference: &str,
        media_type: &str,
        content: &[u8],
    ) -> Result<(), RegistryError> {
        let object = format!("manifest `{reference}`");
        let url = self.url(&format!("manifests/{reference}"))?;
        let request: MakeRequest<'_> = &|registry| {
            Ok(registry
                .reading
                .put(url.clone())
                .header(CONTENT_TYPE, media_type)
                .body(content.to_vec()))
        };
        let response = self.send(&object, request)?;
        self.expect(response, &object, &[StatusCode::CREATED])?;
        Ok(())
    }

    /// Returns the URL where an upload continues, which may be on another server.
    fn upload_location(&self, response: &Response, object: &str) -> Result<Url, RegistryError> {
        response
            .headers()
            .get(LOCATION)
            .and_then(|value| response.url().join(value.to_str().ok()?).ok())
            .filter(|url| self.options.plain_http || url.scheme() == "https")
            .ok_or_else(|| {
                self.invalid_response(format!("no usable `Location` to continue {object}"))
            })
    }
}

/// Returns how long an upload of so many bytes may take.
fn time_limit(bytes: u64) -> Duration {
    BASE_LIMIT + Duration::from_secs(bytes / LOWEST_RATE)
}
