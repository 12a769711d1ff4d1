//! Images with boot files, as metalman's users build them: `FROM scratch`, with the files below
//! `/disk/`, and in `metadata.yaml` which of them DHCP hands out.

mod tree;
mod unpack;

#[cfg(test)]
mod tests;

pub use unpack::{Unpacked, unpack};
