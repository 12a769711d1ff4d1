//! Asking by ARP whether anybody has an address, on a thread of its own.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::IntoRawFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use pnet::datalink::{self, Channel, ChannelType, DataLinkReceiver, DataLinkSender};
use socket2::{Domain, SockFilter, Socket, Type};

use super::port::interface;
use crate::machine::MacAddress;
use crate::wire::arp;

/// How long answers are waited for after each of [`TRIES`] questions.
const PATIENCE: Duration = Duration::from_millis(300);
const TRIES: u32 = 2;
/// How often a thread that listens looks at the clock.
const HEARTBEAT: Duration = Duration::from_millis(50);

/// Asks who has which address on one network. Its thread ends after this is dropped.
pub struct Prober {
    network: String,
    questions: Sender<Vec<Ipv4Addr>>,
    answers: Receiver<Probed>,
}

/// What came of one probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probed {
    /// The address.
    pub address: Ipv4Addr,
    /// Who answered on it.
    pub answered: Option<MacAddress>,
}

impl Prober {
    /// Starts to listen on the interface of a network.
    ///
    /// # Errors
    /// When the interface is missing or the system refuses.
    pub fn start(network: &str, name: &str) -> anyhow::Result<Self> {
        let context = || format!("cannot probe addresses on `{name}`");
        let interface = interface(name).with_context(context)?;
        let Some(mac) = interface.mac.map(|mac| MacAddress::new(mac.octets())) else {
            bail!("interface `{name}` has no Ethernet address");
        };
        let socket = Socket::new(Domain::PACKET, Type::RAW, None).with_context(context)?;
        socket.attach_filter(&only_arp()).with_context(context)?;
        let config = datalink::Config {
            socket_fd: Some(socket.into_raw_fd()),
            // Of the socket that it is given, pnet sets the protocol alone.
            channel_type: ChannelType::Layer3(arp::ETHER_TYPE),
            promiscuous: false,
            read_timeout: Some(HEARTBEAT),
            ..datalink::Config::default()
        };
        let Channel::Ethernet(sender, receiver) =
            datalink::channel(&interface, config).with_context(context)?
        else {
            bail!("interface `{name}` carries no Ethernet");
        };
        let (questions, asked) = channel::<Vec<Ipv4Addr>>();
        let (answered, answers) = channel();
        let mut wire = Wire {
            mac,
            sender,
            receiver,
        };
        std::thread::spawn(move || {
            while let Ok(addresses) = asked.recv() {
                for probed in wire.probe(&addresses) {
                    if answered.send(probed).is_err() {
                        return;
                    }
                }
            }
        });
        let network = network.to_owned();
        Ok(Self {
            network,
            questions,
            answers,
        })
    }

    /// Returns the network that it probes.
    pub fn network(&self) -> &str {
        &self.network
    }

    /// Asks for these soon; never waits.
    pub fn ask(&self, addresses: Vec<Ipv4Addr>) {
        // Where the thread has ended, addresses are given without a probe.
        let _ = self.questions.send(addresses);
    }

    /// Lists what has come of probes since the last time.
    pub fn answers(&self) -> impl Iterator<Item = Probed> {
        self.answers.try_iter()
    }
}

struct Wire {
    mac: MacAddress,
    sender: Box<dyn DataLinkSender>,
    receiver: Box<dyn DataLinkReceiver>,
}

impl Wire {
    /// Asks for all of them at once; what could not be asked is left out.
    fn probe(&mut self, addresses: &[Ipv4Addr]) -> Vec<Probed> {
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
                    // An interface that is down: nothing is known of any address.
                    Err(_) => return Vec::new(),
                }
            }
        }
        let probed = |(address, answered)| Probed { address, answered };
        found.into_iter().map(probed).collect()
    }
}

/// Lets ARP through, so that a busy interface costs nothing.
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
