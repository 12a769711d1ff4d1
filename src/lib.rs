//! `pxectl` network-boots racks of bare machines into installed hosts, from a flat directory of
//! YAML files in git.
//!
//! Data flows one way, and each module imports only modules above it in this list.
//! Everything above the line is pure: values in, values out, no socket, no clock, no disk.
//!
//! | module | what it does |
//! |---|---|
//! | [`machine`] | the words everyone shares: addresses, UUIDs, architectures, phases, records |
//! | [`wire`] | bytes to values and back: DHCP messages, frames |
//! | [`clients`] | models of firmware and loaders: which offer they take, what they ask for next |

#![warn(missing_docs)]

pub mod clients;
pub mod machine;
pub mod wire;
