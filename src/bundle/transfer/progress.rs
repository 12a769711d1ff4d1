use std::io::{self, Read};
use std::sync::Arc;

/// Receives the progress of a transfer, from several threads.
pub trait TransferProgress: Send + Sync {
    /// The transfer will copy `files` files with so many bytes, of the bundle's `total_files` files.
    fn begin(&self, files: usize, bytes: u64, total_files: usize);
    /// A file begins; it ends when the returned value is dropped.
    fn begin_file(&self, path: &str, bytes: u64) -> Arc<dyn FileProgress>;
    /// Shows a line of text, for example the reason for a retry.
    fn note(&self, text: &str);
}

/// Receives the progress of one file.
pub trait FileProgress: Send + Sync {
    /// So many bytes are done: fewer than before if the file starts again.
    fn set_position(&self, bytes: u64);
}

/// What a transfer copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransferSummary {
    /// How many blobs.
    pub blobs: usize,
    /// Their size in bytes.
    pub bytes: u64,
}

/// Reports how far a reader has got.
pub(super) struct ProgressReader<R> {
    content: R,
    position: u64,
    progress: Arc<dyn FileProgress>,
}

impl<R: Read> ProgressReader<R> {
    pub fn new(content: R, progress: Arc<dyn FileProgress>) -> Self {
        Self {
            content,
            position: 0,
            progress,
        }
    }
}

impl<R: Read> Read for ProgressReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(buffer)?;
        self.position += read as u64;
        self.progress.set_position(self.position);
        Ok(read)
    }
}
