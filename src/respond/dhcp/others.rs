use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;

use super::ignore_reason::IgnoreReason;
use super::response::Response;
use crate::inventory::{DhcpMode, Network};
use crate::machine::MacAddress;
use crate::wire::dhcp::{DhcpMessage, MessageType, Operation, OptionCode, TransactionId};

/// How long to wait before reporting the same server again.
const QUIET: Duration = Duration::from_secs(3600);
/// The largest number of servers remembered: anyone can invent servers.
const REMEMBERED: usize = 64;

/// Other DHCP servers that were noticed on networks whose addresses we own.
#[derive(Debug, Default)]
pub struct OtherServers(HashMap<(String, Ipv4Addr), Timestamp>);

impl OtherServers {
    /// Records a server on a network, and reports whether to log it: not on a proxy network, and not more
    /// than once per [`QUIET`].
    pub fn notice(&mut self, network: &Network, server: Ipv4Addr, now: Timestamp) -> bool {
        if network.mode == DhcpMode::Proxy {
            return false;
        }
        self.0.retain(|_, reported| now < *reported + QUIET);
        let key = (network.name.clone(), server);
        if self.0.contains_key(&key) || self.0.len() >= REMEMBERED {
            return false;
        }
        self.0.insert(key, now);
        true
    }
}

/// Returns the other server that offers or grants an address in a message.
pub fn other_server(message: &DhcpMessage, ours: &[Ipv4Addr]) -> Option<Ipv4Addr> {
    let gives = matches!(
        message.options.message_type(),
        Some(MessageType::Offer | MessageType::Ack | MessageType::Nak)
    );
    let server = message.options.server_identifier()?;
    (message.operation == Operation::Reply && gives && !ours.contains(&server)).then_some(server)
}

/// Returns the server that a client chose instead of this one.
pub fn chosen_server(response: &Response) -> Option<Ipv4Addr> {
    match response.reply {
        Err(IgnoreReason::OtherServer(server)) => Some(server),
        _ => None,
    }
}

/// Builds a DHCPDISCOVER that finds other servers; the offered address is not used.
pub fn search(mac: MacAddress, transaction_id: TransactionId) -> DhcpMessage {
    let mut message = DhcpMessage::new(Operation::Request, mac, transaction_id);
    message.broadcast = true;
    message.options.set_message_type(MessageType::Discover);
    let requested = [OptionCode::SubnetMask, OptionCode::Router].map(u8::from);
    let code = OptionCode::ParameterRequestList;
    message.options.set_raw(code, requested);
    message
}

#[cfg(test)]
mod tests {

    use super::super::{DhcpResponder, Ingress};
    use super::*;
    use crate::inventory::Site;
    use crate::inventory::site_builder::SiteBuilder;
    use crate::token::StoreKey;

    const US: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 10);
    const OTHER: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 2);
    const MAC: MacAddress = MacAddress::new([2, 0, 0, 0, 0, 1]);

    fn site() -> Site {
        let networks = "[{name: prov0, subnet: 10.20.0.0/24}, {name: prov1, subnet: 10.30.0.0/24}, \
                        {name: office, subnet: 10.40.0.0/24, mode: proxy}]";
        let site = SiteBuilder::new(&format!("loaders: {{}}\nnetworks: {networks}"));
        site.build().site
    }

    #[test]
    fn another_server_is_reported_once_an_hour_per_network_and_never_on_a_proxy_network() {
        let (site, mut others) = (site(), OtherServers::default());
        let mut notice = |network: &str, seconds: i64| {
            let now = Timestamp::from_second(1_800_000_000 + seconds).unwrap();
            others.notice(site.network(network).unwrap(), OTHER, now)
        };
        for (network, seconds, expected) in [
            ("prov0", 0, true),
            ("prov0", 1, false),
            ("prov1", 2, true),
            ("prov0", 3599, false),
            ("prov0", 3600, true),
            ("office", 3600, false),
        ] {
            assert_eq!(notice(network, seconds), expected, "{network} {seconds}");
        }
    }

    #[test]
    fn invented_servers_take_little_memory() {
        let (site, mut others) = (site(), OtherServers::default());
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let reported = (0..1000_u32).filter(|number| {
            let server = Ipv4Addr::from_bits(OTHER.to_bits() + number);
            others.notice(&site.networks[0], server, now)
        });
        assert_eq!(reported.count(), REMEMBERED);
    }

    #[test]
    fn a_client_that_chose_another_server_reveals_that_server() {
        let network = "networks: [{name: prov0, subnet: 10.20.0.0/24}]";
        let inventory = SiteBuilder::new(&format!("loaders: {{}}\n{network}")).build();
        let mut request = search(MAC, TransactionId(7));
        request.options.set_message_type(MessageType::Request);
        let code = OptionCode::ServerIdentifier;
        for (server, expected) in [(OTHER, Some(OTHER)), (US, None)] {
            request.options.set_address(code, server);
            let ingress = Ingress {
                network: Some("prov0"),
                address: US,
            };
            let (key, now) = (StoreKey::new([7; 32]), Timestamp::UNIX_EPOCH);
            let mut responder = DhcpResponder::new([]);
            let response = responder.respond(&inventory, &key, ingress, &request, now);
            assert_eq!(chosen_server(&response), expected);
        }
    }

    #[test]
    fn only_replies_of_another_server_reveal_it() {
        let reply = |kind, server| {
            let mut message = DhcpMessage::new(Operation::Reply, MAC, TransactionId(7));
            message.options.set_message_type(kind);
            let code = OptionCode::ServerIdentifier;
            message.options.set_address(code, server);
            message
        };
        for kind in [MessageType::Offer, MessageType::Ack, MessageType::Nak] {
            assert_eq!(other_server(&reply(kind, OTHER), &[US]), Some(OTHER));
            assert_eq!(other_server(&reply(kind, US), &[US]), None);
        }
        let mut request = reply(MessageType::Request, OTHER);
        request.operation = Operation::Request;
        for message in [request, search(MAC, TransactionId(7))] {
            assert_eq!(other_server(&message, &[US]), None);
        }
    }
}
