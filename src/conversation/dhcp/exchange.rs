use std::net::Ipv4Addr;

use jiff::{SignedDuration, Timestamp};

use crate::clients::dhcp::{BootSource, Client, Selection};
use crate::conversation::recorder::StartPoint;
use crate::machine::HardwareAddress;
use crate::wire::dhcp::{DhcpMessage, TransactionId};
use crate::wire::packet::VlanTags;

/// How many exchanges of a machine are open at once, and how many offers of one are kept.
pub(super) const EXCHANGES: usize = 4;
pub(super) const OFFERS: usize = 8;
const VLANS: usize = 4;
/// No client asks again so soon.
const COPY: SignedDuration = SignedDuration::from_millis(20);

/// The exchanges of one machine.
#[derive(Debug, Default)]
pub(in crate::conversation) struct Exchanges {
    pub open: Vec<Exchange>,
    /// What was asked on port 4011, the latest.
    pub asked: Option<BootServerRequest>,
}

/// One transaction, from DHCPDISCOVER to DHCPACK.
#[derive(Debug)]
pub(in crate::conversation) struct Exchange {
    pub transaction: TransactionId,
    pub hardware: HardwareAddress,
    /// When it began, and when its last question was seen.
    pub began: StartPoint,
    pub last_question: Timestamp,
    pub client: Option<Client>,
    /// How many DHCPDISCOVERs came, copies of relays left out.
    pub discovers: u32,
    pub offers: Vec<DhcpMessage>,
    /// The first words of each offer, to tell an acknowledgement that says the same.
    pub offered: Vec<String>,
    /// When the first offer came.
    pub first_offer: Option<StartPoint>,
    /// When an address was requested, and of which server.
    pub requested: Option<StartPoint>,
    pub requested_of: Option<Ipv4Addr>,
    /// A server acknowledged it.
    pub is_answered: bool,
    /// The server that refused it last; another may acknowledge it all the same.
    pub refused_by: Option<Ipv4Addr>,
    /// The longest datagram that the client takes.
    pub limit: Option<usize>,
    /// Where the question was seen.
    pub vlans: Vec<VlanTags>,
    /// Option 82, as the relay sent it on.
    pub relay_information: Option<Vec<u8>>,
    /// What the client cannot boot, by its model: it is a fault unless it boots all the same.
    pub unbootable: Option<String>,
    /// What came to nothing in it is told already.
    pub is_told: bool,
}

/// A request to port 4011.
#[derive(Debug)]
pub(in crate::conversation) struct BootServerRequest {
    pub transaction: TransactionId,
    pub server: Ipv4Addr,
    /// When it was asked first; `None` where only an offer sends the client there.
    pub at: Option<StartPoint>,
    /// When the client was told to ask.
    pub due: StartPoint,
    pub times: u32,
    pub is_answered: bool,
}

impl Exchange {
    pub fn new(message: &DhcpMessage, client: Option<Client>, began: StartPoint) -> Self {
        Self {
            transaction: message.transaction_id,
            hardware: message.hardware_address,
            began,
            last_question: began.at,
            client,
            discovers: 0,
            offers: Vec::new(),
            offered: Vec::new(),
            first_offer: None,
            requested: None,
            requested_of: None,
            is_answered: false,
            refused_by: None,
            limit: Some(message.options.datagram_limit()),
            vlans: Vec::new(),
            relay_information: None,
            unbootable: None,
            is_told: false,
        }
    }

    /// Remembers the VLAN of a question.
    pub fn seen_on(&mut self, vlans: VlanTags) {
        if self.vlans.len() < VLANS && !self.vlans.contains(&vlans) {
            self.vlans.push(vlans);
        }
    }

    /// Reports whether a question comes too soon after the last one to be asked again: a bridge and its
    /// port show one packet twice.
    pub fn is_repeat(&self, now: Timestamp) -> bool {
        let is_first = self.discovers == 0 && self.requested.is_none();
        !is_first && now.duration_since(self.last_question) < COPY
    }

    /// Returns what the model of the client takes, among the offers so far.
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

/// Returns by what a server is known: option 54, else where its message came from.
pub(super) fn server_of(message: &DhcpMessage, source: Ipv4Addr) -> Ipv4Addr {
    message.options.server_identifier().unwrap_or(source)
}

/// Names where a boot file comes from.
pub(super) fn source_words(source: &BootSource<'_>) -> String {
    match source {
        BootSource::Acknowledgement => "its DHCPACK names the boot file".to_owned(),
        BootSource::Proxy(offer) => match offer.options.server_identifier() {
            Some(server) => format!("the boot file is the proxy's, {server}"),
            None => "the boot file is the proxy's".to_owned(),
        },
        BootSource::BootServer(server) => format!("{server}:4011 is asked for the boot file"),
    }
}
