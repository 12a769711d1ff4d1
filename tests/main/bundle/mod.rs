//! `pxectl bundle build` and `fetch` with real programs: nginx, gpg, minisign, xorriso, tar, skopeo.

mod broken;
mod checksums;
mod downloads;
mod faults;
mod fetch;
mod images;
mod incomplete;
mod keys;
mod nginx;
mod outdated;
mod presets;
mod publishers;
mod signatures;
mod terminal;
mod workshop;

/// Time limit for every wait, on a busy machine.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);
