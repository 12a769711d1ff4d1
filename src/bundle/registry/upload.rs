use std::io::Read;
use std::time::Duration;

use reqwest::blocking::Response;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use reqwest::{StatusCode, Url};

use super::body;
use super::client::{Make, Registry};
use crate::bundle::oci::Descriptor;
use crate::bundle::transfer::TransferError;
use crate::retry;

/// How long a registry may take for an upload, beside the time that its octets take.
const PATIENCE: Duration = Duration::from_secs(600);
/// How many octets come through in a second at the least.
const SLOWEST: u64 = 32 << 10;

/// What is uploaded.
pub trait Content {
    /// Opens it at its beginning, for each try anew.
    ///
    /// # Errors
    /// When it is not there.
    fn open(&self) -> Result<Box<dyn Read + Send>, TransferError>;

    /// Returns why it could not be read to its end, where that is so.
    fn fault(&self) -> Option<TransferError>;
}

impl Content for &'static [u8] {
    fn open(&self) -> Result<Box<dyn Read + Send>, TransferError> {
        Ok(Box::new(*self))
    }

    fn fault(&self) -> Option<TransferError> {
        None
    }
}

impl Registry<'_> {
    /// Uploads a blob.
    ///
    /// # Errors
    /// When it cannot be read, or the registry refuses; the registry has nothing of it then.
    pub fn put_blob(&self, blob: &Descriptor, content: &dyn Content) -> Result<(), TransferError> {
        let what = format!("the upload of {}", blob.digest);
        let start = self.url("blobs/uploads/")?;
        let (mut tries, mut asked) = (0, false);
        loop {
            let begin: Make<'_> = &|registry| Ok(registry.reading.post(start.clone()).body(""));
            let response = self.send(&what, begin)?;
            let response = self.expect(response, &what, &[StatusCode::ACCEPTED])?;
            let mut place = self.location(&response, &what)?;
            place.query_pairs_mut().append_pair("digest", &blob.digest);
            // What lets us in here is nothing for others.
            let is_here = place.origin() == start.origin();
            let request = self.writing.put(place).timeout(longest(blob.size));
            let request = request.header(CONTENT_TYPE, "application/octet-stream");
            let request = match self.authorization().filter(|_| is_here) {
                Some(value) => request.header(AUTHORIZATION, value.expose()),
                None => request,
            };
            // An upload that broke is begun anew: how much of it arrived is not known.
            let sent = body::send(request, content.open()?, blob.size);
            let sent = sent.map_err(|error| self.unreachable(&error))?;
            if let Some(fault) = content.fault() {
                return Err(fault);
            }
            match sent {
                Ok(response) if response.status() == StatusCode::UNAUTHORIZED && !asked => {
                    // The token has run out between the two.
                    asked = true;
                    self.authorize(&response)?;
                }
                Ok(response) if !retry::is_passing(response.status().as_u16()) => {
                    return self
                        .expect(response, &what, &[StatusCode::CREATED])
                        .map(|_| ());
                }
                failed => {
                    tries += 1;
                    self.wait_or_fail(failed, &what, tries)?;
                }
            }
        }
    }

    /// Uploads a manifest under a tag or its digest. The registry shows it at once and whole.
    ///
    /// # Errors
    /// When the registry refuses.
    pub fn put_manifest(
        &self,
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
}

/// Says how long an upload may take.
fn longest(octets: u64) -> Duration {
    PATIENCE + Duration::from_secs(octets / SLOWEST)
}
