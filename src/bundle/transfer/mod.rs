//! Copies bundles to and from another directory, a registry, or a tar file for a site without a
//! network connection.
//!
//! A transfer copies only the blobs that the destination lacks, and verifies each by its digest. The name
//! comes last. So an interrupted transfer leaves complete blobs at most, and no name without all of its
//! blobs.

mod archive_reader;
mod archive_writer;
mod docker_archive;
mod error;
mod image;
mod layer_reader;
mod location;
mod outgoing_file;
mod progress;
mod publish;
mod pull;
mod source;
mod tar_files;

pub use archive_reader::ArchiveReader;
pub use archive_writer::ArchiveWriter;
pub use error::TransferError;
pub use location::{BundleLocation, ParseLocationError};
pub use progress::{FileProgress, TransferProgress, TransferSummary};
pub use publish::publish;
pub use pull::{PulledBundle, pull};
pub use source::PullOptions;
