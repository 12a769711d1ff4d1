//! Bytes <-> values: DHCP messages, TFTP packets, and the frames that carry them.
//!
//! Nothing here decides anything: it reads what a client sent, and writes what a server answers.

pub mod arp;
pub mod dhcp;
pub mod frame;
pub mod tftp;
