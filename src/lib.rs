//! `pxectl` network-boots racks of bare machines into installed hosts, from a flat directory of
//! YAML files in git.
//!
//! Data flows one way, and each module imports only modules above it in this list.
//! Everything above the line is pure: values in, values out, no socket, no clock, no disk.
//!
//! | module | what it does |
//! |---|---|
//! | [`machine`] | the words everyone shares: addresses, UUIDs, architectures, phases, records |
//!
//! Below this line modules touch the outside world.
//!
//! | module | what it does |
//! |---|---|
//! | [`store`] | what happened: host records, sessions, events; leases in a database of their own |

#![warn(missing_docs)]

pub mod machine;
pub mod store;
