use std::io::{self, Read};
use std::sync::Arc;

/// Who is told how a transfer goes. It is told from several threads.
pub trait Watch: Send + Sync {
    /// So many files of so many octets will travel, of those that the bundle has.
    fn begins(&self, files: usize, octets: u64, of_files: usize);
    /// A file begins; it has ended when what is returned is dropped.
    fn file(&self, path: &str, octets: u64) -> Arc<dyn Part>;
    /// Something is worth knowing, such as why it takes so long.
    fn note(&self, text: &str);
}

/// A file that travels.
pub trait Part: Send + Sync {
    /// So many of its octets have been read: fewer than before, where it begins anew.
    fn at(&self, octets: u64);
}

/// What has travelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Travelled {
    /// How many blobs.
    pub blobs: usize,
    /// Their octets.
    pub octets: u64,
}

/// Tells of what is read through it.
pub(super) struct Watched<R> {
    content: R,
    position: u64,
    part: Arc<dyn Part>,
}

impl<R: Read> Watched<R> {
    pub fn new(content: R, part: Arc<dyn Part>) -> Self {
        Self {
            content,
            position: 0,
            part,
        }
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(buffer)?;
        self.position += read as u64;
        self.part.at(self.position);
        Ok(read)
    }
}
