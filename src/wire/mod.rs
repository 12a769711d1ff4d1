//! Bytes <-> values: DHCP messages, TFTP packets, heads of HTTP, the frames that carry them, and the
//! images that installers are published in.
//!
//! Nothing here decides anything: it reads what a client sent, and writes what a server answers.

pub mod arp;
pub mod capture_file;
pub mod dhcp;
pub mod fragments;
pub mod frame;
pub mod http;
pub mod iso9660;
pub mod packet;
pub mod path;
pub mod pcap;
pub mod pcapng;
pub mod tar;
pub mod tftp;
