//! Captures of real firmware: the reports of `capture`, and a comparison with Wireshark's decoding.

mod fixture;
mod replay;
mod wireshark;
