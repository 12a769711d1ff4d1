//! Bytes to values and back: the packets of the protocols that `pxectl` speaks.

pub mod tftp;
