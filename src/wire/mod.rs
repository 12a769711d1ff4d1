//! Bytes and values: what travels on the network, read without trust and written as real firmware
//! needs it.
//!
//! Nothing here decides; a message that cannot be read is an error that says what was seen.

pub mod dhcp;
pub mod frame;
