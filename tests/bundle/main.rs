//! `pxectl bundle build` and `fetch` against real parts: nginx, gpg, minisign, xorriso, tar, skopeo.

mod broken;
mod downloads;
mod faults;
mod fetch;
mod images;
mod keys;
mod nginx;
mod presets;
mod publishers;
#[path = "../shared/requirements.rs"]
mod requirements;
mod signatures;
mod terminal;
mod workshop;

/// How long anything may take on a machine that does much else.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);
