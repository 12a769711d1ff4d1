//! What several benchmarks need: two machines on one wire, and what a process costs.

// Not each of them needs everything.
#![allow(dead_code)]

pub mod link;
pub mod program;
pub mod usage;
