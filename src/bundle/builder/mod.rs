//! Building bundles: files from here, from the web and out of images, each verified before it
//! counts; and fetching what a bundle pins and the store lacks.

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
pub mod presets;
mod progress;
mod signature;
mod web;

pub use build_bundle::build;
pub use error::BuildError;
pub use fetch::{FetchFrom, fetch};
pub use progress::{Progress, Step};
pub use web::Web;
