//! What was captured of real firmware, told as `capture` tells it, and decoded as Wireshark decodes it.

mod fixture;
#[path = "../shared/fixture_updates.rs"]
mod fixture_updates;
mod replay;
mod wireshark;
