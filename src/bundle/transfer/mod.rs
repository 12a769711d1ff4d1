//! Bundles on their way: to and from another directory, a registry, or a tar file for a site that no
//! wire leads to.
//!
//! Only blobs that are missing travel, each checked by its digest; the name comes last. So what
//! breaks off leaves whole blobs at most, and no name that leads to less than all of them.

mod archive_reader;
mod archive_writer;
mod error;
mod image;
mod location;
mod outgoing_file;
mod progress;
mod publish;
mod pull;
mod source;

pub use archive_reader::ArchiveReader;
pub use archive_writer::ArchiveWriter;
pub use error::TransferError;
pub use location::{ParsePlaceError, Place};
pub use progress::{Part, Travelled, Watch};
pub use publish::publish;
pub use pull::{Pulled, pull};
pub use source::PullOptions;
