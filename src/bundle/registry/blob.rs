use std::io::{self, Read};

use reqwest::StatusCode;
use reqwest::blocking::Response;

use super::client::Registry;
use super::error::{RegistryError, describe};
use crate::bundle::oci::Descriptor;
use crate::retry;

const CONNECTION_LOST: &str = "connection lost";

/// The content of a blob in a registry. When the connection breaks, reading resumes where it broke.
pub struct RegistryBlob<'r, 'w> {
    registry: &'r Registry<'w>,
    blob: Descriptor,
    response: Response,
    position: u64,
    /// How often the connection broke since the last byte arrived.
    breaks: u32,
}

impl<'w> Registry<'w> {
    /// Opens a blob for reading.
    ///
    /// # Errors
    /// When the request fails.
    pub fn open(&self, blob: &Descriptor) -> Result<RegistryBlob<'_, 'w>, RegistryError> {
        Ok(RegistryBlob {
            registry: self,
            response: self.request_blob(blob, 0)?,
            blob: blob.clone(),
            position: 0,
            breaks: 0,
        })
    }
}

impl RegistryBlob<'_, '_> {
    /// Reopens the blob at the byte where the connection broke, within the limit of retries.
    fn resume(&mut self, reason: &str) -> io::Result<()> {
        let mut reason = reason.to_owned();
        loop {
            self.breaks += 1;
            let host = &self.registry.address.host;
            if self.breaks > self.registry.options.retries {
                return Err(io::Error::other(RegistryError::Unreachable {
                    host: host.clone(),
                    reason,
                    tls: None,
                }));
            }
            (self.registry.on_retry)(&format!(
                "registry `{host}`: {reason}, resuming at byte {}",
                self.position
            ));
            if self.registry.stop.wait(retry::delay(self.breaks, None)) {
                return Err(io::Error::other(RegistryError::Stopped));
            }
            let response = self.registry.request_blob(&self.blob, self.position);
            self.response = response.map_err(io::Error::other)?;
            if self.response.status() == StatusCode::PARTIAL_CONTENT {
                return Ok(());
            }
            // A server without range requests sends the first bytes again.
            let mut repeated = (&mut self.response).take(self.position);
            match io::copy(&mut repeated, &mut io::sink()) {
                Ok(skipped) if skipped == self.position => return Ok(()),
                Ok(_) => reason = CONNECTION_LOST.to_owned(),
                Err(error) => reason = describe_read(&error),
            }
        }
    }
}

impl Read for RegistryBlob<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.registry.stop.is_stopped() {
                return Err(io::Error::other(RegistryError::Stopped));
            }
            let reason = match self.response.read(buffer) {
                Ok(0) if self.position >= self.blob.size || buffer.is_empty() => return Ok(0),
                Ok(0) => CONNECTION_LOST.to_owned(),
                Ok(read) => {
                    self.position += read as u64;
                    self.breaks = 0;
                    if self.position > self.blob.size {
                        return Err(io::Error::other(self.registry.invalid_response(format!(
                            "blob {} has more than {} bytes",
                            self.blob.digest, self.blob.size
                        ))));
                    }
                    return Ok(read);
                }
                Err(error) => describe_read(&error),
            };
            self.resume(&reason)?;
        }
    }
}

/// Describes why a response body cannot be read to its end.
fn describe_read(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(error) => describe(error),
        None => error.to_string(),
    }
}
