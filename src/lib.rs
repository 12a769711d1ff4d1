//! `pxectl` network-boots racks of bare machines into installed hosts, from a flat directory of
//! YAML files in git.
//!
//! Data flows one way, and each module imports only modules above it in this list. Everything above
//! the line is pure: values in, values out, no socket, no clock, no disk.
//!
//! | module | what it does |
//! |---|---|
//! | [`machine`] | the words everyone shares: addresses, UUIDs, architectures, phases, records |
//! | [`wire`] | bytes <-> values: DHCP messages, TFTP packets, frames |
//! | [`installer`] | one file for each installer kind: requirements, arguments, seeds, disks, callbacks |
//! | [`loader`] | one file for each loader family: recognition, scripts, templates, requested files |
//! | [`inventory`] | YAML text -> a typed inventory, and diagnostics with `file:line:column` |
//! | [`token`] | boot tokens and session capabilities, made with the store's key |
//! | [`decide`] | what a machine boots now, and why; how phases change |
//! | [`render`] | an inventory and a decision -> boot scripts and seeds |
//! | [`clients`] | models of firmware and loaders: which offer they take, what they ask for next |
//! | [`lint`] | rendered text and boot files -> diagnostics |
//! | [`conversation`] | packets of a boot -> who answered, who won, and what is wrong |
//! | [`respond`] | protocol state machines: (now, input) -> outputs, for DHCP, TFTP and HTTP |
//! | — | — |
//! | [`clock`] | the wall clock, as a time that every part of the program can hold |
//! | [`retry`] | which failed requests to repeat, and how long to wait first |
//! | [`shutdown`] | the shutdown request, which wakes every poll loop |
//! | [`store`] | what happened: host records, sessions and events; leases in a database of their own |
//! | [`bundle`] | artifacts: an OCI image layout on disk; build, sign, registries |
//! | [`workspace`] | the inventory directory on disk: one stable snapshot, reload |
//! | [`bmc`] | management controllers: Redfish, and IPMI where there is nothing better |
//! | [`provision`] | arms hosts: verifies, freezes, opens a session |
//! | [`serve`] | recv -> respond -> send: DHCP, TFTP, HTTP, each on threads of its own |
//! | [`capture`] | watches a wire, or reads what others have captured, and tells what it saw |
//! | [`rehearse`] | plays the firmware of a host through its boot chain |
//! | [`cli`] | one file per command: arguments -> typed options -> one call -> print |

#![warn(missing_docs)]

pub mod bmc;
pub mod bundle;
pub mod capture;
pub mod cli;
pub mod clients;
pub mod clock;
pub mod conversation;
pub mod decide;
pub mod installer;
pub mod inventory;
pub mod lint;
pub mod loader;
pub mod machine;
pub mod provision;
pub mod rehearse;
pub mod render;
pub mod respond;
pub mod retry;
pub mod serve;
pub mod shutdown;
pub mod store;
pub mod token;
pub mod wire;
pub mod workspace;
