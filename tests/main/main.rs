//! All integration tests but those that need network segments (`segment`) or QEMU (`firmware`): one
//! binary, with one module for each area. What several areas use is in `tests/support/`.

mod architecture;
mod bmc;
mod bundle;
mod capture;
mod cli;
mod conversation;
mod docs;
mod fixtures;
mod fuzz;
mod loaders;
mod readme;
mod serve;
mod store;
#[path = "../support/mod.rs"]
mod support;
mod tftp;
mod transport;
