//! Bytes <-> values: DHCP messages, TFTP packets, HTTP heads, the frames that carry them, and the
//! formats of installer images.
//!
//! This module makes no decisions: it parses requests and writes responses.

pub mod arp;
mod byte_order;
pub mod capture_file;
mod captured_frame;
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
