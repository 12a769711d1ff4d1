//! Captures of real firmware: the reports of `capture`, and a comparison with Wireshark's decoding.

mod fixture;
#[path = "../shared/fixture_updates.rs"]
mod fixture_updates;
mod replay;
mod wireshark;
