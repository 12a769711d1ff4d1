//! `pxectl` network-boots racks of bare machines into installed hosts, from a flat directory of
//! YAML files in git.
//!
//! Data flows one way, and each module imports only modules above it in this list.
//! Everything above the line is pure: values in, values out, no socket, no clock, no disk.
//!
//! | module | what it does |
//! |---|---|
//! | [`machine`] | the words everyone shares: addresses, UUIDs, architectures, phases, records |
//! | [`wire`] | bytes to values and back: TFTP packets |
//! | [`respond`] | protocols as state machines: the time and an input in, outputs out |
//!
//! | module | what it does |
//! |---|---|
//! | [`workspace`] | the directories on disk that are served and read |
//! | [`serve`] | the servers: receive, respond, send, each on threads of its own |

#![warn(missing_docs)]

pub mod machine;
pub mod respond;
pub mod serve;
pub mod wire;
pub mod workspace;
