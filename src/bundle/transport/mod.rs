//! Bundles on their way: to and from another directory, a registry, or a tar file for a site that no
//! wire leads to.
//!
//! Only blobs that are missing travel, each checked by its digest; the name comes last. So what
//! breaks off leaves whole blobs at most, and no name that leads to less than all of them.

mod archive;
mod error;
mod image;
mod place;
mod publish;
mod pull;

pub use archive::{ArchiveReader, ArchiveWriter};
pub use error::TransferError;
pub use place::{ParsePlaceError, Place};
pub use publish::publish;
pub use pull::{PullOptions, Pulled, pull};

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

/// Who is told how a transfer goes. Octets are told of from other threads too.
pub trait Watch: Send + Sync {
    /// So many files of so many octets will travel, of those that the bundle has.
    fn begins(&self, files: usize, octets: u64, of_files: usize);
    /// A file begins.
    fn file(&self, path: &str, octets: u64);
    /// So many octets more have been read.
    fn advanced(&self, octets: u64);
    /// Something is worth knowing, such as why it takes so long.
    fn note(&self, text: &str);
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
struct Watched<R> {
    content: R,
    watch: Arc<dyn Watch>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(buffer)?;
        self.watch.advanced(read as u64);
        Ok(read)
    }
}

fn watched(file: File, watch: &Arc<dyn Watch>) -> Box<dyn Read + Send> {
    Box::new(Watched {
        content: file,
        watch: Arc::clone(watch),
    })
}
