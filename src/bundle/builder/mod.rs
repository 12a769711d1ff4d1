//! Builds bundles from local files, downloads, and files in images, each of them verified; and fetches the
//! files of a bundle that the store lacks.

mod archive;
mod build_bundle;
mod checksums;
mod context;
mod decompress;
mod download;
mod error;
mod expected;
mod fetch;
mod location;
mod obtain;
mod outdated;
pub mod presets;
mod progress;
mod signature;
mod url_path;
mod version;
mod web;

pub use build_bundle::build;
pub use checksums::{ChecksumError, Checksums};
pub use error::BuildError;
pub use fetch::{FetchFrom, fetch};
pub use outdated::{NewerRelease, ReleaseState, SpecOfBundle, check_releases};
pub use progress::{BuildProgress, BuildStep};
pub use web::WebClient;
