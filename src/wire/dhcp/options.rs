use std::net::Ipv4Addr;
use std::time::Duration;

use super::{MessageType, OptionCode};

/// The options of one message, each code once, in the order in which they were parsed or set.
///
/// Replies need two fixed positions: the message type (53) is first and the relay agent's information
/// (82) is last. A value that does not have its option's shape reads as absent.
/// Source: RFC 2132; RFC 3046 §2.2.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DhcpOptions(Vec<(OptionCode, Vec<u8>)>);

impl DhcpOptions {
    /// The datagram size that every client accepts, and the largest in one Ethernet frame.
    const DATAGRAM: (u16, u16) = (576, 1500);

    /// Returns the bytes of an option.
    pub fn raw(&self, code: OptionCode) -> Option<&[u8]> {
        let at = self.position(code)?;
        self.0.get(at).map(|(_, value)| value.as_slice())
    }

    /// Reports whether an option is present, with any value.
    pub fn contains(&self, code: OptionCode) -> bool {
        self.position(code).is_some()
    }

    /// Lists the options in order.
    pub fn iter(&self) -> impl Iterator<Item = (OptionCode, &[u8])> {
        self.0.iter().map(|(code, value)| (*code, value.as_slice()))
    }

    /// Returns the message type (53); plain BOOTP has none.
    pub fn message_type(&self) -> Option<MessageType> {
        self.array::<1>(OptionCode::MessageType)
            .map(|[byte]| MessageType::from(byte))
    }

    /// Returns the address that a client requests (50).
    pub fn requested_address(&self) -> Option<Ipv4Addr> {
        self.address(OptionCode::RequestedIpAddress)
    }

    /// Returns the address that identifies a server (54).
    pub fn server_identifier(&self) -> Option<Ipv4Addr> {
        self.address(OptionCode::ServerIdentifier)
    }

    /// Lists the options that a client requests (55), in its order.
    pub fn parameter_request_list(&self) -> Vec<OptionCode> {
        let codes = self.raw(OptionCode::ParameterRequestList).unwrap_or(&[]);
        codes.iter().copied().map(OptionCode::from).collect()
    }

    /// Returns the longest datagram that the client accepts (57), with its IP and UDP headers.
    pub fn maximum_message_size(&self) -> Option<u16> {
        self.array(OptionCode::MaxMessageSize)
            .map(u16::from_be_bytes)
    }

    /// Returns the longest datagram for a reply: option 57, but at least the 576 bytes that every client
    /// accepts, and at most one Ethernet frame (1500).
    ///
    /// edk2 announces 65280, and would have to reassemble fragments for it.
    /// Source: RFC 2132 §9.10.
    pub fn datagram_limit(&self) -> usize {
        let (least, most) = Self::DATAGRAM;
        let limit = self.maximum_message_size().unwrap_or(least);
        usize::from(limit.clamp(least, most))
    }

    /// Returns the client's identifier (61), which a reply repeats unchanged (RFC 6842).
    pub fn client_identifier(&self) -> Option<&[u8]> {
        self.raw(OptionCode::ClientIdentifier)
    }

    /// Returns the vendor class (60), such as `PXEClient:Arch:00007:UNDI:003016`.
    pub fn vendor_class(&self) -> Option<&[u8]> {
        self.raw(OptionCode::ClassIdentifier)
    }

    /// Returns the client's host name (12), as [`DhcpOptions::text`] reads it.
    pub fn host_name(&self) -> Option<String> {
        self.text(OptionCode::Hostname)
    }

    /// Returns the subnet from which the client requests an address (118).
    pub fn subnet_selection(&self) -> Option<Ipv4Addr> {
        self.address(OptionCode::SubnetSelection)
    }

    /// Returns an option that holds exactly one address.
    pub fn address(&self, code: OptionCode) -> Option<Ipv4Addr> {
        self.array(code).map(Ipv4Addr::from_octets)
    }

    /// Returns an option that holds a list of addresses, without trailing bytes.
    pub fn addresses(&self, code: OptionCode) -> Vec<Ipv4Addr> {
        let (whole, _) = self.raw(code).unwrap_or(&[]).as_chunks();
        whole.iter().copied().map(Ipv4Addr::from_octets).collect()
    }

    /// Returns an option that holds a text, up to a NUL, with U+FFFD for invalid UTF-8.
    pub fn text(&self, code: OptionCode) -> Option<String> {
        let text = self.raw(code)?.split(|&byte| byte == 0).next()?;
        Some(String::from_utf8_lossy(text).into_owned())
    }

    /// Returns an option that holds a number of seconds in four bytes.
    pub fn duration(&self, code: OptionCode) -> Option<Duration> {
        self.array(code)
            .map(|bytes| Duration::from_secs(u32::from_be_bytes(bytes).into()))
    }

    /// Sets an option to these bytes; a present option keeps its position.
    pub fn set_raw(&mut self, code: OptionCode, value: impl Into<Vec<u8>>) {
        *self.entry(code) = value.into();
    }

    /// Sets the message type (53).
    pub fn set_message_type(&mut self, message_type: MessageType) {
        self.set_raw(OptionCode::MessageType, [message_type.into()]);
    }

    /// Sets an option that holds one address.
    pub fn set_address(&mut self, code: OptionCode, address: Ipv4Addr) {
        self.set_raw(code, address.octets());
    }

    /// Sets an option that holds a list of addresses; an empty list removes it.
    pub fn set_addresses(&mut self, code: OptionCode, addresses: &[Ipv4Addr]) {
        if addresses.is_empty() {
            self.remove(code);
        } else {
            let bytes: Vec<_> = addresses.iter().map(Ipv4Addr::octets).collect();
            self.set_raw(code, bytes.concat());
        }
    }

    /// Sets an option that holds a text; no NUL is added.
    pub fn set_text(&mut self, code: OptionCode, text: &str) {
        self.set_raw(code, text);
    }

    /// Sets an option that holds a number of seconds in four bytes; longer times become the maximum,
    /// which means "forever".
    pub fn set_duration(&mut self, code: OptionCode, duration: Duration) {
        let seconds = u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
        self.set_raw(code, seconds.to_be_bytes());
    }

    /// Sets an option that holds a 16-bit number.
    pub fn set_number(&mut self, code: OptionCode, number: u16) {
        self.set_raw(code, number.to_be_bytes());
    }

    /// Removes an option and returns its bytes.
    pub fn remove(&mut self, code: OptionCode) -> Option<Vec<u8>> {
        let at = self.position(code)?;
        Some(self.0.remove(at).1)
    }

    /// Adds bytes to the end of an option, and creates it if it is missing.
    pub(super) fn append(&mut self, code: OptionCode, value: &[u8]) {
        self.entry(code).extend_from_slice(value);
    }

    /// Returns an option that holds exactly `N` bytes.
    fn array<const N: usize>(&self, code: OptionCode) -> Option<[u8; N]> {
        self.raw(code)?.try_into().ok()
    }

    fn position(&self, code: OptionCode) -> Option<usize> {
        let code = canonical(code);
        self.0.iter().position(|(other, _)| *other == code)
    }

    /// Returns the bytes of an option for editing; a new option is empty.
    fn entry(&mut self, code: OptionCode) -> &mut Vec<u8> {
        let code = canonical(code);
        let at = self.position(code).unwrap_or_else(|| {
            let relay_is_last =
                matches!(self.0.last(), Some((OptionCode::RelayAgentInformation, _)));
            let at = match code {
                OptionCode::MessageType => 0,
                _ => self.0.len() - usize::from(relay_is_last),
            };
            self.0.insert(at, (code, Vec::new()));
            at
        });
        &mut self.0[at].1
    }
}

/// Turns `Unknown(67)` into `BootfileName`, so that each number is one option.
fn canonical(code: OptionCode) -> OptionCode {
    OptionCode::from(u8::from(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_type_is_first_and_the_relay_option_last_in_any_order() {
        let mut options = DhcpOptions::default();
        options.set_raw(OptionCode::RelayAgentInformation, [1, 1, 7]);
        options.set_text(OptionCode::Hostname, "worker-0008");
        options.set_message_type(MessageType::Offer);
        options.set_number(OptionCode::InterfaceMtu, 1500);
        options.set_text(OptionCode::Hostname, "worker-0009");
        let codes: Vec<u8> = options.iter().map(|(code, _)| code.into()).collect();
        assert_eq!(codes, [53, 12, 26, 82]);
        assert_eq!(options.host_name().as_deref(), Some("worker-0009"));
    }

    #[test]
    fn one_number_is_one_option() {
        let mut options = DhcpOptions::default();
        options.set_raw(OptionCode::Unknown(67), *b"a");
        options.set_text(OptionCode::BootfileName, "b");
        assert_eq!(options.iter().count(), 1);
        assert_eq!(options.raw(OptionCode::Unknown(67)), Some(&b"b"[..]));
    }

    #[test]
    fn a_value_of_another_shape_reads_as_absent() {
        let mut options = DhcpOptions::default();
        options.set_raw(OptionCode::MessageType, [1, 1]);
        options.set_raw(OptionCode::RequestedIpAddress, [10, 0, 0]);
        options.set_raw(OptionCode::MaxMessageSize, [5]);
        options.set_raw(OptionCode::AddressLeaseTime, [0; 5]);
        options.set_raw(OptionCode::Router, [10, 0, 0, 1, 9]);
        assert_eq!(options.message_type(), None);
        assert_eq!(options.requested_address(), None);
        assert_eq!(options.maximum_message_size(), None);
        assert_eq!(options.duration(OptionCode::AddressLeaseTime), None);
        let routers = options.addresses(OptionCode::Router);
        assert_eq!(routers, [Ipv4Addr::new(10, 0, 0, 1)]);
    }

    #[test]
    fn values_read_back_as_they_were_set() {
        let mut options = DhcpOptions::default();
        let addresses = [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)];
        options.set_addresses(OptionCode::DomainNameServer, &addresses);
        options.set_duration(OptionCode::AddressLeaseTime, Duration::from_secs(1800));
        options.set_duration(OptionCode::Renewal, Duration::MAX);
        assert_eq!(options.addresses(OptionCode::DomainNameServer), addresses);
        let seconds = |code| options.duration(code).map(|time| time.as_secs());
        assert_eq!(seconds(OptionCode::AddressLeaseTime), Some(1800));
        assert_eq!(seconds(OptionCode::Renewal), Some(u32::MAX.into()));

        options.set_addresses(OptionCode::DomainNameServer, &[]);
        assert!(!options.contains(OptionCode::DomainNameServer));
    }

    #[test]
    fn the_datagram_limit_stays_between_what_all_clients_take_and_one_frame() {
        for (announced, limit) in [
            (None, 576),
            (Some(300), 576),
            (Some(1260), 1260),
            (Some(65280), 1500),
        ] {
            let mut options = DhcpOptions::default();
            if let Some(announced) = announced {
                options.set_number(OptionCode::MaxMessageSize, announced);
            }
            assert_eq!(options.datagram_limit(), limit, "{announced:?}");
        }
    }
}
