//! What was captured of real firmware, told as `capture` tells it, and decoded as Wireshark decodes it.

mod fixture;
mod replay;
mod wireshark;
