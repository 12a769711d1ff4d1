//! (Inventory, decision) -> text: boot scripts and seeds. The same input renders to the same bytes.

mod builtin;
mod error;
mod image;
mod menu;
mod plan;
mod scan;
mod scripts;
mod seeds;
mod strict;
mod templates;

pub use error::{TemplateError, TemplatePosition};
pub use image::BootVolume;
pub use plan::{Plan, PlanError};
pub use scripts::{
    GrubOrigin, HoldScreen, Script, grub_stub, hold_script, identify_script, install_script,
    local_script, sample_errors,
};
pub use seeds::{SessionLinks, Variables, seed, seed_errors};
pub use templates::{Templates, unknown_variables};
