//! Machines on one Ethernet segment, each in a network namespace of its own: `pxectl serve all`, a
//! real dnsmasq that owns the addresses, a client that speaks as firmware does, and clients that
//! nobody here wrote.
//!
//! These tests need root, `ip`, dnsmasq and the clients; `tests/run` installs them. Where something is missing
//! they say so and prove nothing, unless `PXECTL_REQUIRE_FIRMWARE=1` makes the lack a failure.

mod client;
mod clients;
mod load;
mod machines;
mod others;
mod probe;
mod proxy;
mod segment;
mod spoof;
mod wireshark;
