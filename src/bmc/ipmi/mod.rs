//! BMCs that speak IPMI over LAN, through the program `ipmitool`.

mod client;
mod console;
mod controller;
mod sel;
mod text;

pub use client::IpmiClient;
pub use console::open_sol_console;
pub use controller::IpmiController;
pub use sel::parse_sel;
pub use text::IpmiText;
