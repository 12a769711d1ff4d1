//! `pxectl serve` as real processes: what machines get over real sockets, what the log says, and
//! what is left on the disk.

mod access;
mod client;
mod cloud_init;
mod connections;
mod durability;
mod exhaustion;
mod files;
mod floods;
mod forged;
mod hostile;
mod hung;
mod lineage;
mod machine_paths;
mod model;
mod preflight;
mod private;
mod rack;
mod reload;
mod rollback;
mod second_address;
mod secrets;
mod server;
mod sessions;
mod signatures;
mod split;
mod storage;
mod time;
mod transfers;
mod web;

use std::time::Duration;

/// How long anything that must happen may take.
const PATIENCE: Duration = Duration::from_secs(30);
