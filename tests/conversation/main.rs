//! What was captured of real firmware, told as `capture` tells it, and as Wireshark reads it.

mod fixture;
mod replay;
