//! One host with its BMC, before any request.

use crate::clock::wall_time;
use crate::inventory::{Bmc, Host};
use crate::machine::{ControllerRecord, Event, EventKind, SessionId};

/// One host, its BMC, and what the store knows about them.
#[derive(Clone, Debug)]
pub struct BmcTarget {
    /// The host.
    pub host: Host,
    /// Its BMC, as the inventory describes it.
    pub bmc: Bmc,
    /// The store's record of the BMC.
    pub record: Option<ControllerRecord>,
    /// The open install session of an armed host. Events of the BMC belong to it.
    pub session: Option<SessionId>,
}

/// Makes an event about the BMC of a host.
pub fn controller_event(target: &BmcTarget, message: String) -> Event {
    Event {
        at: wall_time(),
        kind: EventKind::Controller,
        host: Some(target.host.name.clone()),
        mac: None,
        session: target.session,
        message,
    }
}
