//! BMCs that speak IPMI over LAN, through the program `ipmitool`.

mod client;
mod controller;
mod text;

pub use client::IpmiClient;
pub use controller::IpmiController;
pub use text::IpmiText;
