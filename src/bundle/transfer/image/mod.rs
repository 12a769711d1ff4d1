//! Images with boot files, as metalman's users build them: `FROM scratch`, with the files below
//! `/disk/`, and with a `metadata.yaml` that names the file for DHCP.

mod tree;
mod unpack;

#[cfg(test)]
mod tests;

pub use unpack::{UnpackedImage, unpack};
