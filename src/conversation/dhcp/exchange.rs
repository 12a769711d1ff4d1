use std::net::Ipv4Addr;

use jiff::{SignedDuration, Timestamp};

use crate::clients::dhcp::{BootSource, Client, Selection};
use crate::conversation::start_point::StartPoint;
use crate::machine::HardwareAddress;
use crate::wire::dhcp::{DhcpMessage, TransactionId};
use crate::wire::packet::VlanTags;

/// The most open exchanges of a machine, and the most offers that are kept of one.
pub(super) const EXCHANGES: usize = 4;
pub(super) const OFFERS: usize = 8;
const VLANS: usize = 4;
/// A request that repeats sooner than this is a copy: no client retries so soon.
const COPY: SignedDuration = SignedDuration::from_millis(20);

/// The exchanges of one machine.
#[derive(Debug, Default)]
pub(in crate::conversation) struct Exchanges {
    pub open: Vec<Exchange>,
    /// The latest request to port 4011.
    pub asked: Option<BootServerRequest>,
}

/// One transaction, from DHCPDISCOVER to DHCPACK.
#[derive(Debug)]
pub(in crate::conversation) struct Exchange {
    pub transaction: TransactionId,
    pub hardware: HardwareAddress,
    /// The start of the exchange, and the time of its last request.
    pub began: StartPoint,
    pub last_request: Timestamp,
    pub client: Option<Client>,
    /// The number of DHCPDISCOVERs, without the copies of relays.
    pub discovers: u32,
    pub offers: Vec<DhcpMessage>,
    /// Server, address and options of each offer, to recognize a DHCPACK with the same content.
    pub offered: Vec<(Ipv4Addr, Option<Ipv4Addr>, String)>,
    /// The first offer.
    pub first_offer: Option<StartPoint>,
    /// The first DHCPREQUEST, and the server that it names.
    pub requested: Option<StartPoint>,
    pub requested_from: Option<Ipv4Addr>,
    /// Whether a server sent a DHCPACK.
    pub is_answered: bool,
    /// The last server that sent a DHCPNAK; another server may still send a DHCPACK.
    pub refused_by: Option<Ipv4Addr>,
    /// The client's datagram limit.
    pub limit: Option<usize>,
    /// The VLANs on which the requests were captured.
    pub vlans: Vec<VlanTags>,
    /// Option 82 of the relayed request.
    pub relay_information: Option<Vec<u8>>,
    /// Why the client cannot boot, by its model. It becomes a finding unless the client boots anyway.
    pub unbootable: Option<String>,
    /// Its failures are recorded already.
    pub is_closed: bool,
}

/// A request to port 4011.
#[derive(Debug)]
pub(in crate::conversation) struct BootServerRequest {
    pub transaction: TransactionId,
    pub server: Ipv4Addr,
    /// The first request; `None` if only an offer sends the client there.
    pub sent: Option<StartPoint>,
    /// When the client received the offer that sends it there.
    pub expected: StartPoint,
    pub attempts: u32,
    pub is_answered: bool,
}

impl Exchange {
    pub fn new(message: &DhcpMessage, client: Option<Client>, began: StartPoint) -> Self {
        Self {
            transaction: message.transaction_id,
            hardware: message.hardware_address,
            began,
            last_request: began.at,
            client,
            discovers: 0,
            offers: Vec::new(),
            offered: Vec::new(),
            first_offer: None,
            requested: None,
            requested_from: None,
            is_answered: false,
            refused_by: None,
            limit: Some(message.options.datagram_limit()),
            vlans: Vec::new(),
            relay_information: None,
            unbootable: None,
            is_closed: false,
        }
    }

    /// Remembers the VLAN of a request.
    pub fn seen_on(&mut self, vlans: VlanTags) {
        if self.vlans.len() < VLANS && !self.vlans.contains(&vlans) {
            self.vlans.push(vlans);
        }
    }

    /// Reports whether a request follows the last one too soon to be a retry: a bridge and its port show
    /// one packet twice.
    pub fn is_repeat(&self, now: Timestamp) -> bool {
        let is_first = self.discovers == 0 && self.requested.is_none();
        !is_first && now.duration_since(self.last_request) < COPY
    }

    /// Returns the offer that the client accepts by its model, among the offers so far.
    pub fn selection(&self) -> Option<Selection<'_>> {
        self.client.as_ref()?.select(&self.offers).ok()
    }
}

impl Exchanges {
    /// Finds the exchange that a message belongs to.
    pub fn find(&mut self, message: &DhcpMessage) -> Option<&mut Exchange> {
        self.open.iter_mut().rev().find(|it| {
            it.transaction == message.transaction_id && it.hardware == message.hardware_address
        })
    }
}

/// Returns the address that identifies a server: option 54, else the source address.
pub(super) fn server_of(message: &DhcpMessage, source: Ipv4Addr) -> Ipv4Addr {
    message.options.server_identifier().unwrap_or(source)
}

/// Describes the source of the boot file's name.
pub(super) fn source_words(source: &BootSource<'_>) -> String {
    match source {
        BootSource::Acknowledgement => "the DHCPACK names the boot file".to_owned(),
        BootSource::Proxy(offer) => match offer.options.server_identifier() {
            Some(server) => format!("the proxy {server} names the boot file"),
            None => "the proxy names the boot file".to_owned(),
        },
        BootSource::BootServer(server) => {
            format!("the client asks {server}:4011 for the boot file")
        }
    }
}
