use std::io::{self, Read};

use reqwest::StatusCode;
use reqwest::blocking::Response;

use super::client::Registry;
use super::diagnose::chain;
use crate::bundle::oci::Descriptor;
use crate::bundle::transfer::TransferError;
use crate::retry;

const BROKEN: &str = "the connection broke off";

/// A blob of a registry, read from its beginning to its end: where the connection breaks, it is read
/// on from there.
pub struct RegistryBlob<'r, 'w> {
    registry: &'r Registry<'w>,
    blob: Descriptor,
    response: Response,
    position: u64,
    /// How often it broke since an octet came through.
    breaks: u32,
}

impl<'w> Registry<'w> {
    /// Opens a blob, which is read to its end through broken connections.
    ///
    /// # Errors
    /// When the registry refuses.
    pub fn open(&self, blob: &Descriptor) -> Result<RegistryBlob<'_, 'w>, TransferError> {
        RegistryBlob::open(self, blob)
    }
}

impl<'r, 'w> RegistryBlob<'r, 'w> {
    fn open(registry: &'r Registry<'w>, blob: &Descriptor) -> Result<Self, TransferError> {
        let response = registry.blob(blob, 0)?;
        Ok(Self {
            registry,
            blob: blob.clone(),
            response,
            position: 0,
            breaks: 0,
        })
    }

    /// Opens it again at the octet where it broke, as often as it takes.
    fn resume(&mut self, why: &str) -> io::Result<()> {
        let mut why = why.to_owned();
        loop {
            self.breaks += 1;
            let host = &self.registry.address.host;
            if self.breaks > self.registry.options.retries {
                return Err(io::Error::other(format!("the registry `{host}`: {why}")));
            }
            (self.registry.waiting)(&format!(
                "the registry `{host}`: {why}; going on at octet {}",
                self.position
            ));
            if self.registry.stop.wait(retry::delay(self.breaks, None)) {
                return Err(io::Error::other(TransferError::Stopped));
            }
            let response = self.registry.blob(&self.blob, self.position);
            self.response = response.map_err(io::Error::other)?;
            if self.response.status() == StatusCode::PARTIAL_CONTENT {
                return Ok(());
            }
            // The server knows no ranges: what we have already is read once more.
            let mut again = (&mut self.response).take(self.position);
            match io::copy(&mut again, &mut io::sink()) {
                Ok(read) if read == self.position => return Ok(()),
                Ok(_) => why = BROKEN.to_owned(),
                Err(error) => why = spelled(&error),
            }
        }
    }
}

/// Says why an answer could not be read to its end.
fn spelled(error: &io::Error) -> String {
    match error.get_ref().and_then(|it| it.downcast_ref()) {
        Some(error) => chain(error),
        None => error.to_string(),
    }
}

impl Read for RegistryBlob<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.registry.stop.is_stopped() {
                return Err(io::Error::other(TransferError::Stopped));
            }
            let why = match self.response.read(buffer) {
                Ok(0) if self.position >= self.blob.size || buffer.is_empty() => return Ok(0),
                Ok(0) => BROKEN.to_owned(),
                Ok(read) => {
                    self.position += read as u64;
                    self.breaks = 0;
                    if self.position > self.blob.size {
                        return Err(io::Error::other(format!(
                            "it has more than {} octets",
                            self.blob.size
                        )));
                    }
                    return Ok(read);
                }
                Err(error) => spelled(&error),
            };
            self.resume(&why)?;
        }
    }
}
