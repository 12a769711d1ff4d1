use std::net::Ipv4Addr;

use jiff::Timestamp;
use serde::Serialize;

use super::MacAddress;

/// An address that a DHCPACK promised to a machine, or that must not be promised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lease {
    /// The address.
    pub address: Ipv4Addr,
    /// The network of the site that the address belongs to.
    pub network: String,
    /// The holder; an address that a client declined has none.
    pub holder: Option<MacAddress>,
    /// When the promise, or the quarantine of a declined address, ends.
    pub expires: Timestamp,
}

impl Lease {
    /// Reports whether the lease is active at `now`.
    pub fn is_active(&self, now: Timestamp) -> bool {
        now < self.expires
    }

    /// Reports whether a client declined the address because another machine answers there.
    pub fn is_declined(&self) -> bool {
        self.holder.is_none()
    }
}

/// One change of the leases, to be made durable before the answer that promises it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseChange {
    /// The lease is active, and replaces any other lease of its address.
    Hold(Lease),
    /// The address is free again.
    Release(Ipv4Addr),
}
