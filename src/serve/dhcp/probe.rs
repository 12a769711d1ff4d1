//! Probes by ARP whether an address is in use, on a separate thread.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::IntoRawFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use pnet::datalink::{self, Channel, ChannelType, DataLinkReceiver, DataLinkSender};
use socket2::{Domain, SockFilter, Socket, Type};

use super::port::{InterfaceIdentity, interface};
use crate::machine::MacAddress;
use crate::wire::arp;

/// Time to wait for replies after each of [`TRIES`] probes.
const PATIENCE: Duration = Duration::from_millis(300);
const TRIES: u32 = 2;
/// Interval at which the listening thread checks its deadline.
const HEARTBEAT: Duration = Duration::from_millis(50);

/// Probes addresses on one network. Its thread ends after the prober is dropped.
pub struct Prober {
    network: String,
    interface: InterfaceIdentity,
    requests: Sender<Vec<Ipv4Addr>>,
    results: Receiver<ProbeResult>,
}

/// Result of one probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeResult {
    /// The address.
    pub address: Ipv4Addr,
    /// The machine that uses it, if any.
    pub answered: Option<MacAddress>,
}

impl Prober {
    /// Starts a prober on the interface of a network.
    ///
    /// # Errors
    /// Fails when the interface is missing or the system refuses.
    pub fn start(network: &str, identity: InterfaceIdentity) -> anyhow::Result<Self> {
        let name = &identity.name;
        let context = || format!("cannot probe addresses on `{name}`");
        let interface = interface(name).with_context(context)?;
        let Some(mac) = identity.mac else {
            bail!("interface `{name}` has no Ethernet address");
        };
        let socket = Socket::new(Domain::PACKET, Type::RAW, None).with_context(context)?;
        socket.attach_filter(&only_arp()).with_context(context)?;
        let config = datalink::Config {
            socket_fd: Some(socket.into_raw_fd()),
            // For an existing socket, pnet only sets the protocol.
            channel_type: ChannelType::Layer3(arp::ETHER_TYPE),
            promiscuous: false,
            read_timeout: Some(HEARTBEAT),
            ..datalink::Config::default()
        };
        let Channel::Ethernet(sender, receiver) =
            datalink::channel(&interface, config).with_context(context)?
        else {
            bail!("interface `{name}` is not an Ethernet interface");
        };
        let (requests, received) = channel::<Vec<Ipv4Addr>>();
        let (result_sender, results) = channel();
        let mut wire = Wire {
            mac,
            sender,
            receiver,
        };
        std::thread::spawn(move || {
            while let Ok(addresses) = received.recv() {
                for probed in wire.probe(&addresses) {
                    if result_sender.send(probed).is_err() {
                        return;
                    }
                }
            }
        });
        let network = network.to_owned();
        Ok(Self {
            network,
            interface: identity,
            requests,
            results,
        })
    }

    /// Returns the probed network.
    pub fn network(&self) -> &str {
        &self.network
    }

    /// Returns the interface on which it probes.
    pub(super) fn interface(&self) -> &InterfaceIdentity {
        &self.interface
    }

    /// Requests probes of these addresses; never waits.
    pub fn request(&self, addresses: Vec<Ipv4Addr>) {
        // If the thread has ended, addresses are offered without probing.
        let _ = self.requests.send(addresses);
    }

    /// Lists the results since the last call.
    pub fn results(&self) -> impl Iterator<Item = ProbeResult> {
        self.results.try_iter()
    }
}

struct Wire {
    mac: MacAddress,
    sender: Box<dyn DataLinkSender>,
    receiver: Box<dyn DataLinkReceiver>,
}

impl Wire {
    /// Probes all addresses at once. Omits addresses for which no probe could be sent.
    fn probe(&mut self, addresses: &[Ipv4Addr]) -> Vec<ProbeResult> {
        let mut found: BTreeMap<Ipv4Addr, Option<MacAddress>> = BTreeMap::new();
        for _ in 0..TRIES {
            for address in addresses {
                let frame = arp::probe(self.mac, *address);
                if let Some(Ok(())) = self.sender.send_to(&frame, None) {
                    found.entry(*address).or_default();
                }
            }
            let deadline = Instant::now() + PATIENCE;
            while Instant::now() < deadline {
                match self.receiver.next() {
                    Ok(frame) => {
                        let sender = arp::sender(frame).filter(|(mac, _)| *mac != self.mac);
                        if let Some((mac, address)) = sender
                            && let Some(answered) = found.get_mut(&address)
                        {
                            *answered = Some(mac);
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
                    // The interface is down, so nothing is known about any address.
                    Err(_) => return Vec::new(),
                }
            }
        }
        let probed = |(address, answered)| ProbeResult { address, answered };
        found.into_iter().map(probed).collect()
    }
}

/// Returns a filter that accepts only ARP, so that a busy interface costs nothing.
fn only_arp() -> [SockFilter; 4] {
    const LOAD_HALF_WORD: u16 = 0x28;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    [
        SockFilter::new(LOAD_HALF_WORD, 0, 0, 12),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, u32::from(arp::ETHER_TYPE)),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}
