//! `pxectl serve` as real processes: what machines get over real sockets, what the log says, and
//! what is left on the disk.

mod client;
mod durability;
mod files;
mod hostile;
mod preflight;
mod rack;
mod reload;
mod server;
mod sessions;
mod split;
mod transfers;
mod web;
mod wireshark;

use std::time::Duration;

/// How long anything that must happen may take.
const PATIENCE: Duration = Duration::from_secs(30);
