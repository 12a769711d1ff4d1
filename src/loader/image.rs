//! Images that contain everything that they boot, and request nothing.

use super::{LoaderFamily, shim};

pub(super) const FAMILY: LoaderFamily = LoaderFamily {
    name: "image",
    label: "an image",
    file_name_words: &[".iso", ".img"],
    uses_machine_path: false,
    needs_http_volume: false,
    second_stage_name: shim::second_stage_name,
    modules: |_| Vec::new(),
};
