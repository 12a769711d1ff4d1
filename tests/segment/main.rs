//! Machines on Ethernet segments, each in a network namespace of its own: `pxectl serve all`, a real
//! dnsmasq that owns the addresses, real relays, VLANs, a real client of addresses (udhcpc), and one
//! that speaks as firmware does.
//!
//! These tests need root, and programs that `tests/run` installs. Where something is missing
//! they say so and prove nothing, unless `PXECTL_REQUIRE_FIRMWARE=1` makes the lack a failure.

mod capture;
mod client;
mod clients;
mod links;
mod load;
mod machines;
mod others;
mod outside;
mod probe;
#[path = "../support/program.rs"]
mod program;
#[path = "../support/program_log.rs"]
mod program_log;
mod proxy;
mod relay;
#[path = "../support/requirements.rs"]
mod requirements;
mod segment;
mod spoof;
mod udhcpc;
mod vlan;
mod wireshark;
