//! A DHCP server as a state machine: (inventory, now, message) -> what to make durable and what to
//! send.
//!
//! One function per message type, after RFC 2131 §4.3. The shell makes [`Response::commit`] durable
//! before it sends [`Response::reply`].

mod boot;
mod filter;
mod leases;
mod others;
mod probes;
mod proxy;
mod reply;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};

use jiff::Timestamp;

use crate::inventory::{DhcpMode, Host, Inventory, Network, Nic, UnknownPolicy};
use crate::machine::{Architecture, Lease, LeaseChange, MacAddress, SystemUuid};
use crate::token::StoreKey;
use crate::wire::dhcp::{DhcpMessage, MessageType, Operation, OptionCode, TransactionId};

pub use boot::BootFile;
use leases::LeaseTable;
pub use others::{OtherServers, chosen_server, other_server, search};
pub use probes::ProbesDue;
pub use proxy::{BOOT_SERVER_PORT, respond_as_boot_server};

/// The port on which servers and relays listen.
pub const SERVER_PORT: u16 = 67;
/// The port on which clients listen.
pub const CLIENT_PORT: u16 = 68;

/// Where a message came in.
#[derive(Clone, Copy, Debug)]
pub struct Ingress<'a> {
    /// The network of the interface; none where it has none in the inventory.
    pub network: Option<&'a str>,
    /// The address of ours that machines on that interface reach.
    pub address: Ipv4Addr,
}

/// What came of one message.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// What must be durable before the reply is sent.
    pub commit: Option<LeaseChange>,
    /// The reply, or why there is none.
    pub reply: Result<Reply, Ignored>,
    /// What the exchange was about, for the log.
    pub exchange: Exchange,
}

/// A message to send, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The message.
    pub message: DhcpMessage,
    /// The longest datagram that the client takes.
    pub limit: usize,
    /// Where it goes.
    pub delivery: Delivery,
}

/// Where a reply goes. Source: RFC 2131 §4.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// To the relay that the request came through.
    Relay(SocketAddrV4),
    /// To an address that the client answers ARP for.
    Unicast(SocketAddrV4),
    /// To everybody on the interface.
    Broadcast,
    /// To a client whose IP stack is not up: by its hardware address, without ARP.
    Hardware {
        /// The client's Ethernet address.
        mac: MacAddress,
        /// The address that it was just given.
        address: Ipv4Addr,
    },
    /// Back to the address and port that the request came from.
    Sender,
}

/// What an exchange was about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// What the client sent.
    pub request: Option<MessageType>,
    /// Its transaction.
    pub transaction_id: TransactionId,
    /// Its Ethernet address.
    pub mac: Option<MacAddress>,
    /// The host that owns the Ethernet address.
    pub host: Option<String>,
    /// The client architecture.
    pub architecture: Option<Architecture>,
    /// The boot file that it was given; never with its token.
    pub boot_file: Option<BootFile>,
    /// What is remarkable about it, for people.
    pub remark: Option<String>,
}

/// Why a message gets no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// It is a server's.
    NotARequest,
    /// It is no DHCP message (BOOTP), or of a type that only servers send.
    MessageType(Option<MessageType>),
    /// `chaddr` holds no Ethernet address.
    HardwareAddress(String),
    /// It came in where no network of the inventory is.
    NoNetwork(Option<Ipv4Addr>),
    /// A filter of the site or the network refuses it, because of this.
    Filtered(String),
    /// The site does not answer machines that it does not know.
    UnknownMachine,
    /// The network has no pool.
    NoPool(String),
    /// Every address of the pool is taken.
    PoolExhausted(String),
    /// It answers another server.
    OtherServer(Ipv4Addr),
    /// Such a message is never answered: a RELEASE or a DECLINE.
    NeverAnswered,
    /// It is about an address, and another server owns those of the network.
    AddressesElsewhere(String),
    /// Another server owns the addresses of the network, and the client does not boot from it.
    NoNetworkBoot(String),
    /// We own the addresses of the network, so nobody need ask on port 4011.
    NoProxy(String),
    /// Another server owns the addresses, and we have nothing to boot for it, because of this.
    NothingToBoot(String),
}

/// The DHCP server: what it has promised, and to whom.
#[derive(Debug)]
pub struct DhcpResponder {
    leases: LeaseTable,
}

/// What every handler needs to know of a request.
struct Asked<'a> {
    inventory: &'a Inventory,
    key: &'a StoreKey,
    now: Timestamp,
    message: &'a DhcpMessage,
    mac: MacAddress,
    network: &'a Network,
    /// The host and interface that own the Ethernet address, on whatever network.
    known: Option<(&'a Host, &'a Nic)>,
    /// The address by which the client knows us.
    server: Ipv4Addr,
}

impl Asked<'_> {
    /// Returns the address that the inventory reserves for the client on this network.
    fn reserved(&self) -> Option<Ipv4Addr> {
        self.known
            .filter(|(_, nic)| nic.network == self.network.name)
            .and_then(|(_, nic)| nic.ip)
    }

    fn uuid(&self) -> Option<SystemUuid> {
        self.message
            .options
            .system_uuid()
            .filter(|uuid| !uuid.is_placeholder())
    }
}

/// What a handler decided; the reply's exchange is filled in by its caller.
struct Verdict {
    commit: Option<LeaseChange>,
    reply: Result<(DhcpMessage, Option<BootFile>), Ignored>,
    remark: Option<String>,
}

impl Verdict {
    fn ignored(why: Ignored) -> Self {
        Self {
            commit: None,
            reply: Err(why),
            remark: None,
        }
    }

    fn answered(reply: DhcpMessage, boot_file: BootFile) -> Self {
        Self {
            commit: None,
            reply: Ok((reply, Some(boot_file))),
            remark: None,
        }
    }

    fn refused(asked: &Asked<'_>, why: &str) -> Self {
        Self {
            commit: None,
            reply: Ok((reply::nak(asked, why), None)),
            remark: Some(why.to_owned()),
        }
    }

    /// Fills in where the reply goes, and what the log says of the exchange.
    fn into_response(
        self,
        asked: &Asked<'_>,
        mut exchange: Exchange,
        delivery: impl FnOnce(&DhcpMessage) -> Delivery,
    ) -> Response {
        let reply = self.reply.map(|(message, boot_file)| {
            exchange.boot_file = boot_file;
            Reply {
                limit: asked.message.options.datagram_limit(),
                delivery: delivery(&message),
                message,
            }
        });
        exchange.remark = self
            .remark
            .or_else(|| wrong_network(asked))
            .or_else(|| no_loader(asked).filter(|_| reply.is_ok() && exchange.boot_file.is_none()));
        Response {
            commit: self.commit,
            reply,
            exchange,
        }
    }
}

impl Response {
    fn ignored(why: Ignored, exchange: Exchange) -> Self {
        Self {
            commit: None,
            reply: Err(why),
            exchange,
        }
    }
}

impl DhcpResponder {
    /// Starts with the leases that the store holds.
    pub fn new(leases: impl IntoIterator<Item = Lease>) -> Self {
        Self {
            leases: LeaseTable::new(leases),
        }
    }

    /// Lists the leases that are in force at `now`.
    pub fn leases(&self, now: Timestamp) -> impl Iterator<Item = &Lease> {
        self.leases.active(now)
    }

    /// Answers one message.
    pub fn respond(
        &mut self,
        inventory: &Inventory,
        key: &StoreKey,
        ingress: Ingress<'_>,
        message: &DhcpMessage,
        now: Timestamp,
    ) -> Response {
        let known = known(inventory, message);
        let exchange = exchange(message, known);
        let asked = match asked(inventory, key, ingress, message, known, now) {
            Ok(asked) => asked,
            Err(why) => return Response::ignored(why, exchange),
        };
        if asked.network.mode == DhcpMode::Proxy {
            return proxy::respond(&asked, exchange);
        }
        let verdict = match message.options.message_type() {
            Some(MessageType::Discover) => self.discover(&asked),
            Some(MessageType::Request) => self.request(&asked),
            Some(MessageType::Decline) => self.decline(&asked),
            Some(MessageType::Release) => self.release(&asked),
            Some(MessageType::Inform) => self.inform(&asked),
            other => Verdict::ignored(Ignored::MessageType(other)),
        };
        verdict.into_response(&asked, exchange, |reply| {
            delivery(message, reply, asked.mac)
        })
    }

    /// Offers an address, and holds it for the client for a while. Source: RFC 2131 §4.3.1.
    fn discover(&mut self, asked: &Asked<'_>) -> Verdict {
        let address = match self.choose(asked) {
            Ok(address) => address,
            Err(why) => return Verdict::ignored(why),
        };
        // What git reserves goes before what was leased; whoever holds it yet is worth a word.
        let other = self.leases.holder(address).filter(|holder| {
            *holder != asked.mac && !self.leases.is_free_for(address, asked.mac, asked.now)
        });
        let remark =
            other.map(|other| format!("{address} is reserved for it, and still leased to {other}"));
        self.leases
            .offer(asked.mac, &asked.network.name, address, asked.now);
        let (reply, boot_file) = reply::offer(asked, address);
        Verdict {
            commit: None,
            reply: Ok((reply, boot_file)),
            remark,
        }
    }

    /// Grants or refuses an address. Source: RFC 2131 §4.3.2.
    fn request(&mut self, asked: &Asked<'_>) -> Verdict {
        let options = &asked.message.options;
        let ciaddr = asked.message.client_address;
        let selecting = options.server_identifier();
        if let Some(server) = selecting.filter(|server| *server != asked.server) {
            self.leases.withdraw(asked.mac, &asked.network.name);
            return Verdict::ignored(Ignored::OtherServer(server));
        }
        let wanted = options
            .requested_address()
            .or((!ciaddr.is_unspecified()).then_some(ciaddr));
        let Some(wanted) = wanted else {
            return Verdict::refused(asked, "the request names no address");
        };
        if !asked.network.subnet.is_host(wanted) {
            return Verdict::refused(
                asked,
                &format!("{wanted} does not belong to {}", asked.network.subnet),
            );
        }
        if let Some(reserved) = asked.reserved().filter(|reserved| *reserved != wanted) {
            return Verdict::refused(
                asked,
                &format!("{wanted} is not its address; {reserved} is reserved for it"),
            );
        }
        if asked.reserved().is_none() {
            if asked.known.is_none() && asked.inventory.site.unknown == UnknownPolicy::Ignore {
                return Verdict::ignored(Ignored::UnknownMachine);
            }
            // We alone own the subnet, so an address that we would not give is refused at once, and
            // the client asks anew. Source: RFC 2131 §4.3.2, INIT-REBOOT.
            if !asked
                .network
                .pool
                .as_ref()
                .is_some_and(|pool| pool.contains(wanted))
            {
                return Verdict::refused(asked, &format!("{wanted} lies outside the pool"));
            }
            if !self.leases.is_free_for(wanted, asked.mac, asked.now) {
                return Verdict::refused(asked, &format!("{wanted} is taken"));
            }
        }
        let lease = Lease {
            address: wanted,
            network: asked.network.name.clone(),
            holder: Some(asked.mac),
            expires: asked.now + asked.network.lease_time,
        };
        self.leases.hold(lease.clone());
        let (reply, boot_file) = reply::acknowledge(asked, wanted);
        Verdict {
            commit: Some(LeaseChange::Hold(lease)),
            reply: Ok((reply, boot_file)),
            remark: None,
        }
    }

    /// Keeps an address aside that another machine answers on. Source: RFC 2131 §4.3.3.
    fn decline(&mut self, asked: &Asked<'_>) -> Verdict {
        let address = asked.message.options.requested_address();
        let mut verdict = Verdict::ignored(Ignored::NeverAnswered);
        let Some(address) = address else {
            return verdict;
        };
        if asked.reserved() == Some(address) {
            verdict.remark = Some(format!(
                "{address} is reserved for it, and another machine answers there"
            ));
        } else if self.leases.holder(address) == Some(asked.mac) {
            let lease = self.leases.decline(address, &asked.network.name, asked.now);
            verdict.remark = Some(format!(
                "another machine answers on {address}; it is set aside for an hour"
            ));
            verdict.commit = Some(LeaseChange::Hold(lease));
        }
        verdict
    }

    /// Takes an address back. Source: RFC 2131 §4.3.4.
    fn release(&mut self, asked: &Asked<'_>) -> Verdict {
        let address = asked.message.client_address;
        let mut verdict = Verdict::ignored(Ignored::NeverAnswered);
        if self.leases.holder(address) == Some(asked.mac) {
            self.leases.release(address);
            verdict.remark = Some(format!("{address} is free again"));
            verdict.commit = Some(LeaseChange::Release(address));
        }
        verdict
    }

    /// Answers a client that has its address from elsewhere. Source: RFC 2131 §4.3.5.
    fn inform(&mut self, asked: &Asked<'_>) -> Verdict {
        if asked.known.is_none() && asked.inventory.site.unknown == UnknownPolicy::Ignore {
            return Verdict::ignored(Ignored::UnknownMachine);
        }
        let (reply, boot_file) = reply::inform(asked);
        Verdict {
            commit: None,
            reply: Ok((reply, boot_file)),
            remark: None,
        }
    }

    /// Chooses the address for a client: the one reserved for it, or one of the pool.
    fn choose(&mut self, asked: &Asked<'_>) -> Result<Ipv4Addr, Ignored> {
        if let Some(reserved) = asked.reserved() {
            return Ok(reserved);
        }
        if asked.known.is_none() && asked.inventory.site.unknown == UnknownPolicy::Ignore {
            return Err(Ignored::UnknownMachine);
        }
        let network = asked.network;
        let pool = network
            .pool
            .as_ref()
            .ok_or_else(|| Ignored::NoPool(network.name.clone()))?;
        let wanted = asked.message.options.requested_address();
        self.leases
            .choose(pool, asked.mac, &network.name, wanted, asked.now)
            .ok_or_else(|| Ignored::PoolExhausted(network.name.clone()))
    }
}

/// Finds the host and interface that own the Ethernet address of a message.
fn known<'a>(inventory: &'a Inventory, message: &DhcpMessage) -> Option<(&'a Host, &'a Nic)> {
    let mac = message.hardware_address.mac()?;
    let host = inventory.host_by_mac(mac)?;
    Some((host, host.nic(mac)?))
}

fn exchange(message: &DhcpMessage, known: Option<(&Host, &Nic)>) -> Exchange {
    Exchange {
        request: message.options.message_type(),
        transaction_id: message.transaction_id,
        mac: message.hardware_address.mac(),
        host: known.map(|(host, _)| host.name.clone()),
        architecture: message.options.architecture(),
        boot_file: None,
        remark: None,
    }
}

fn asked<'a>(
    inventory: &'a Inventory,
    key: &'a StoreKey,
    ingress: Ingress<'_>,
    message: &'a DhcpMessage,
    known: Option<(&'a Host, &'a Nic)>,
    now: Timestamp,
) -> Result<Asked<'a>, Ignored> {
    if message.operation != Operation::Request {
        return Err(Ignored::NotARequest);
    }
    let mac = message
        .hardware_address
        .mac()
        .filter(|mac| mac.is_unicast());
    let mac = mac.ok_or_else(|| Ignored::HardwareAddress(message.hardware_address.to_string()))?;
    // Where the client is: what the relay says, else the relay's own address, else the interface.
    // Source: RFC 3527 §3 (82.5), RFC 3011 §2 (118).
    let options = &message.options;
    let relay = Some(message.relay_address).filter(|relay| !relay.is_unspecified());
    // What only relays say is believed of relays only.
    let relayed = |said: Option<Ipv4Addr>| said.filter(|_| relay.is_some());
    let link = relayed(options.link_selection())
        .or_else(|| relayed(options.subnet_selection()))
        .or(relay);
    let network = match link {
        Some(link) => inventory.site.network_of(link),
        None => routed_network(inventory, message).or_else(|| {
            ingress
                .network
                .and_then(|name| inventory.site.network(name))
        }),
    };
    let network = network.ok_or(Ignored::NoNetwork(link))?;
    for filter in [&inventory.site.filter, &network.filter] {
        if let Some(why) = filter::refuses(filter, mac, options) {
            return Err(Ignored::Filtered(why));
        }
    }
    // Source: RFC 5107 §4: the relay may name an address by which the client knows us. A proxy is
    // asked on port 4011, where no relay listens.
    let server = relayed(options.server_identifier_override())
        .filter(|_| network.mode == DhcpMode::Authoritative)
        .unwrap_or(ingress.address);
    Ok(Asked {
        inventory,
        key,
        now,
        message,
        mac,
        network,
        known,
        server,
    })
}

/// Says why a client that wants to boot from the network is told nothing to boot.
fn no_loader(asked: &Asked<'_>) -> Option<String> {
    let options = &asked.message.options;
    let wants = options.is_pxe_client() || options.is_http_client();
    if !wants {
        return None;
    }
    let codes = options.client_architectures();
    Some(match options.architecture() {
        Some(architecture) => format!(
            "the site has no loader for `{}`",
            architecture.without_http()
        ),
        None => format!(
            "its architecture {codes:?} is not known, and the site has no loader for `bios`"
        ),
    })
}

/// Finds the network of a client that has an address and sends to us by way of a router, past its
/// relay: one that only relays connect to us. Source: RFC 2131 §4.3.2, RENEWING.
fn routed_network<'a>(inventory: &'a Inventory, message: &DhcpMessage) -> Option<&'a Network> {
    inventory
        .site
        .network_of(message.client_address)
        .filter(|network| network.interface.is_none())
}

fn wrong_network(asked: &Asked<'_>) -> Option<String> {
    let (_, nic) = asked
        .known
        .filter(|(_, nic)| nic.network != asked.network.name)?;
    Some(format!(
        "it is plugged into `{}`, the inventory says `{}`",
        asked.network.name, nic.network
    ))
}

/// Works out where a reply goes. Source: RFC 2131 §4.1.
fn delivery(request: &DhcpMessage, reply: &DhcpMessage, mac: MacAddress) -> Delivery {
    let nak = reply.options.message_type() == Some(MessageType::Nak);
    if !request.relay_address.is_unspecified() {
        return Delivery::Relay(SocketAddrV4::new(request.relay_address, SERVER_PORT));
    }
    if nak {
        return Delivery::Broadcast;
    }
    if !request.client_address.is_unspecified() {
        return Delivery::Unicast(SocketAddrV4::new(request.client_address, CLIENT_PORT));
    }
    if request.broadcast || reply.your_address.is_unspecified() {
        return Delivery::Broadcast;
    }
    Delivery::Hardware {
        mac,
        address: reply.your_address,
    }
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotARequest => f.write_str("it is a server's message"),
            Self::MessageType(None) => f.write_str("it is BOOTP without a DHCP message type"),
            Self::MessageType(Some(other)) => write!(f, "clients do not send {other:?}"),
            Self::HardwareAddress(seen) => {
                write!(f, "`chaddr` holds `{seen}`, which is no Ethernet address")
            }
            Self::NoNetwork(None) => f.write_str("its interface has no network in the inventory"),
            Self::NoNetwork(Some(link)) => write!(
                f,
                "the relay's `{link}` lies in no network of the inventory"
            ),
            Self::UnknownMachine => f.write_str(
                "the machine is not in the inventory, and the site says `unknown: ignore`",
            ),
            Self::NoPool(network) => {
                write!(
                    f,
                    "no address is reserved for it on `{network}`, which has no pool"
                )
            }
            Self::PoolExhausted(network) => {
                write!(f, "every address of the pool of `{network}` is taken")
            }
            Self::OtherServer(server) => write!(f, "it chose the server {server}"),
            Self::NeverAnswered => f.write_str("such a message gets no answer"),
            Self::AddressesElsewhere(network) => {
                write!(f, "another server owns the addresses of `{network}`")
            }
            Self::NoNetworkBoot(network) => write!(
                f,
                "another server owns the addresses of `{network}`, and it does not boot from the network"
            ),
            Self::NoProxy(network) => write!(
                f,
                "port 4011 serves `mode: proxy` only, and we own the addresses of `{network}`"
            ),
            Self::NothingToBoot(why) | Self::Filtered(why) => f.write_str(why),
        }
    }
}

/// Returns the parts of an option list that every reply repeats as the client sent them.
const ECHOED: [OptionCode; 3] = [
    // Source: RFC 6842 §3.
    OptionCode::ClientIdentifier,
    // GRUB builds the name of its configuration from the ACK's copy.
    OptionCode::ClientMachineIdentifier,
    // Source: RFC 3046 §2.2: octet for octet; the layout puts it last.
    OptionCode::RelayAgentInformation,
];
