//! Playing the firmware of a host through its whole boot chain, without the hardware: the client
//! models of [`crate::clients`] over real sockets.

mod chain;
mod dhcp;
mod fetched;
mod http;
mod other;
mod rom;
mod servers;
mod tftp;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::Serialize;

pub use chain::rehearse;
pub use rom::Rom;
pub use servers::RehearsalServers;

/// Where the servers of a rehearsal answer. What is served names other addresses, those of the
/// site: they are mapped to these, and not a byte of what is served is changed.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// DHCP, for each network of the site.
    pub dhcp: BTreeMap<String, DhcpEndpoint>,
    /// TFTP.
    pub tftp: SocketAddr,
    /// HTTP: the root of the site's URLs, and where it answers.
    pub http: (String, SocketAddr),
    /// The address that the site hands out as its server.
    pub server: Ipv4Addr,
}

/// Where DHCP for one network answers.
#[derive(Clone, Copy, Debug)]
pub struct DhcpEndpoint {
    /// What machines reach at port 67.
    pub at: SocketAddr,
    /// What they reach at port 4011, if anything: it matters where another server owns the addresses.
    pub boot_server: Option<SocketAddr>,
}

/// How far a rehearsal goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Up to the script: nothing of a session is fetched, so no attempt begins.
    Script,
    /// To the end: kernel, seeds, callbacks, and the boot after that.
    Whole,
}

/// One step of a chain, done.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// Which step.
    pub name: &'static str,
    /// How long it took, in microseconds.
    #[serde(rename = "microseconds", serialize_with = "microseconds")]
    pub took: Duration,
    /// What came of it.
    pub detail: String,
}

/// Where and why a chain stopped.
#[derive(Clone, Debug, Serialize)]
pub struct Stop {
    /// Which step.
    pub name: &'static str,
    /// Why.
    pub reason: String,
    /// What to look at next.
    pub help: String,
}

/// What came of one host's rehearsal.
#[derive(Clone, Debug, Serialize)]
pub struct Rehearsal {
    /// The host.
    pub host: String,
    /// What it booted with: see [`Rom`].
    pub firmware: String,
    /// The steps that were done, in order.
    pub steps: Vec<Step>,
    /// Where it stopped, unless it went to the end.
    pub stop: Option<Stop>,
}

impl Rehearsal {
    /// Takes back the help that names a store which the rehearsal takes away with it.
    pub fn store_is_gone(&mut self) {
        if let Some(stop) = &mut self.stop
            && stop.help == chain::where_it_stands(&self.host)
        {
            stop.help = "compare what the screen shows with the host's record; `--firmware` plays \
                a host as other firmware than its `arch` says"
                .to_owned();
        }
    }

    /// Gives the reason that this host could not be armed, where its chain stopped for want of that:
    /// when its script sent it to its local disk. Reports whether it did.
    pub fn was_not_armed(&mut self, why: &str, help: &str) -> bool {
        let at_disk = self.steps.last().is_some_and(|step| step.name == "disk");
        let Some(stop) = self.stop.as_mut().filter(|_| at_disk) else {
            return false;
        };
        stop.reason = format!("{} could not be armed: {why}", self.host);
        stop.help = help.to_owned();
        true
    }
}

fn microseconds<S: serde::Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(took.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_was_not_armed_says_why_unless_its_chain_stopped_before_that_mattered() {
        for (last, expected) in [
            ("disk", "worker-01 could not be armed: no blob"),
            ("script", "sent nowhere"),
        ] {
            let mut rehearsal = Rehearsal {
                host: "worker-01".to_owned(),
                firmware: "uefi-x64".to_owned(),
                steps: vec![Step {
                    name: last,
                    took: Duration::ZERO,
                    detail: String::new(),
                }],
                stop: Some(Stop {
                    name: "script",
                    reason: "sent nowhere".to_owned(),
                    help: String::new(),
                }),
            };
            assert_eq!(
                rehearsal.was_not_armed("no blob", "copy it"),
                last == "disk"
            );
            assert_eq!(rehearsal.stop.unwrap().reason, expected);
        }
    }
}
