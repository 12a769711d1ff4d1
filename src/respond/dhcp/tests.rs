//! Timelines of the responder: one server, injected time, and clients.

mod architectures;
mod boot_data;
mod classes;
mod clients;
mod exchanges;
mod forged;
mod golden;
mod infiniband;
mod lifecycle;
mod loaders;
mod odd;
mod promises;
mod refusals;
mod relay;
mod skipped_loader;

use std::net::Ipv4Addr;
use std::time::Duration;

use super::*;
use crate::clients::dhcp::{Client, ClientKind};
use crate::inventory::site_builder::inventory_of;
use crate::machine::{Architecture, MacAddress, SystemUuid};
use crate::wire::dhcp::{Operation, OptionCode, TransactionId};
use std::net::SocketAddrV4;

/// A site with three networks: one with a pool of three addresses, one without a pool, and one that is
/// reached only through relays.
const INVENTORY: &str = r#"
kind: Site
name: test
server: {address: 10.20.0.10}
networks:
  - name: prov0
    subnet: 10.20.0.0/24
    interface: eth1
    gateway: 10.20.0.1
    dns: [10.20.0.11]
    ntp: [10.20.0.12]
    domain: test.example
    lease_time: 30m
    pool: 10.20.0.200-10.20.0.202
  - {name: bare0, subnet: 10.21.0.0/24, interface: eth2}
  - {name: far0, subnet: 10.22.0.0/24, pool: 10.22.0.200-10.22.0.201}
loaders: {bios: undionly.kpxe, uefi-x64: snponly.efi}
---
kind: Host
name: worker-08
profile: worker
uuid: 4c4c4544-0051-3610-8043-c2c04f4b3135
arch: uefi-x64
nics:
  - {mac: "52:54:00:12:34:56", network: prov0, ip: 10.20.0.58, boot: true}
  - {mac: "52:54:00:12:34:57", network: prov0}
disk: {serial: A}
---
kind: Host
name: own-loader
profile: profile-loader
uuid: 4c4c4544-0051-3610-8043-c2c04f4b3136
arch: uefi-x64
loader: ipxe.efi
nics: [{mac: "52:54:00:12:00:01", network: prov0, ip: 10.20.0.61, boot: true}]
disk: {serial: B}
---
kind: Host
name: profile-loader
profile: profile-loader
uuid: 4c4c4544-0051-3610-8043-c2c04f4b3137
arch: uefi-x64
nics: [{mac: "52:54:00:12:00:02", network: prov0, ip: 10.20.0.62, boot: true}]
disk: {serial: C}
---
{kind: Profile, name: worker, installer: preseed, bundle: debian}
---
{kind: Profile, name: profile-loader, installer: preseed, bundle: debian, loader: custom.efi}
---
kind: Bundle
name: debian
arch: x86_64
files:
  kernel: {path: linux, sha256: "65d525282e5464f7b2388ac8395675aed00076628c1cd6c19e5d2f55b3f74a23", size: 4096}
  initrd: {path: initrd.gz, sha256: "ed2da5548a8b0cec845bf330863a12a8f0eeb075d706ec1ad85fd0fef3aa42cd", size: 65536}
"#;

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 10);
const RESERVED: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 58);
const RELAY: Ipv4Addr = Ipv4Addr::new(10, 22, 0, 1);

const KNOWN: MacAddress = MacAddress::new([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
const SECOND_NIC: MacAddress = MacAddress::new([0x52, 0x54, 0, 0x12, 0x34, 0x57]);

/// The Ethernet address of a machine that is not in the inventory.
fn stranger(number: u32) -> MacAddress {
    let [a, b, c, d] = number.to_be_bytes();
    MacAddress::new([0x02, 0, a, b, c, d])
}

fn pool(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 20, 0, last)
}

fn uuid() -> Option<SystemUuid> {
    "4c4c4544-0051-3610-8043-c2c04f4b3135".parse().ok()
}

fn edk(mac: MacAddress) -> Client {
    let kind = ClientKind::EdkPxe(Architecture::UefiX64);
    let uuid = uuid();
    Client { kind, mac, uuid }
}

/// A message whose only option is its type.
fn message(mac: MacAddress, kind: MessageType) -> DhcpMessage {
    let mut message = DhcpMessage::new(Operation::Request, mac, TransactionId(7));
    message.options.set_message_type(kind);
    message
}

/// A DHCPREQUEST after a restart: it names the address in option 50, and no server.
fn reboot(mac: MacAddress, address: Ipv4Addr) -> DhcpMessage {
    let mut request = message(mac, MessageType::Request);
    let code = OptionCode::RequestedIpAddress;
    request.options.set_address(code, address);
    request
}

/// A DHCPREQUEST that extends a lease: the address is in `ciaddr`. A renewing client sends it to us, and a
/// rebinding client broadcasts it.
fn renew(mac: MacAddress, address: Ipv4Addr) -> DhcpMessage {
    let mut request = message(mac, MessageType::Request);
    request.client_address = address;
    request
}

fn decline(mac: MacAddress, address: Ipv4Addr) -> DhcpMessage {
    let mut decline = reboot(mac, address);
    decline.options.set_message_type(MessageType::Decline);
    let code = OptionCode::ServerIdentifier;
    decline.options.set_address(code, SERVER);
    decline
}

fn release(mac: MacAddress, address: Ipv4Addr) -> DhcpMessage {
    let mut release = renew(mac, address);
    release.options.set_message_type(MessageType::Release);
    release
}

fn relayed(mut message: DhcpMessage, information: &[u8]) -> DhcpMessage {
    message.relay_address = RELAY;
    let code = OptionCode::RelayAgentInformation;
    message.options.set_raw(code, information);
    message
}

/// One server and its clock.
struct Bench {
    inventory: Inventory,
    key: StoreKey,
    responder: DhcpResponder,
    now: Timestamp,
    network: Option<&'static str>,
}

impl Bench {
    fn new() -> Self {
        Self::with(|text| text)
    }

    /// Starts with an inventory whose text was changed.
    fn with(change: impl FnOnce(String) -> String) -> Self {
        Self {
            inventory: inventory_of(change(INVENTORY.to_owned())),
            key: StoreKey::new([7; 32]),
            responder: DhcpResponder::new([]),
            now: Timestamp::from_second(1_800_000_000).unwrap(),
            network: Some("prov0"),
        }
    }

    /// Starts with an inventory in which two networks list [`RELAY`].
    fn with_relay() -> Self {
        Self::with(|text| {
            text.replace(
                "interface: eth1",
                "interface: eth1\n    relays: [10.22.0.1]",
            )
            .replace("{name: far0,", "{name: far0, relays: [10.22.0.1],")
        })
    }

    fn send(&mut self, message: &DhcpMessage) -> Response {
        let ingress = Ingress {
            network: self.network,
            address: SERVER,
        };
        let (inventory, key) = (&self.inventory, &self.key);
        let response = self
            .responder
            .respond(inventory, key, ingress, message, self.now);
        // Only an ACK, a DECLINE and a RELEASE change a lease.
        let acknowledged = response
            .reply
            .as_ref()
            .is_ok_and(|reply| kind_of(&reply.message) == MessageType::Ack);
        if let Some(LeaseChange::Hold(lease)) = &response.commit {
            assert!(acknowledged || lease.is_declined(), "{response:?}");
        }
        response
    }

    fn reply(&mut self, message: &DhcpMessage) -> DhcpMessage {
        self.send(message).reply.expect("a reply").message
    }

    fn ignored(&mut self, message: &DhcpMessage) -> IgnoreReason {
        let response = self.send(message);
        assert_eq!(response.commit, None);
        response.reply.expect_err("no reply")
    }

    /// Runs DISCOVER, OFFER, REQUEST, ACK; returns the OFFER and the ACK.
    fn lease(&mut self, client: &Client) -> (DhcpMessage, DhcpMessage) {
        let offer = self.reply(&client.discover(TransactionId(1)));
        assert_eq!(kind_of(&offer), MessageType::Offer);
        let ack = self.reply(&client.request(TransactionId(1), &offer));
        assert_eq!(kind_of(&ack), MessageType::Ack);
        (offer, ack)
    }

    fn offered(&mut self, mac: MacAddress) -> Result<Ipv4Addr, IgnoreReason> {
        let reply = self.send(&edk(mac).discover(TransactionId(1))).reply;
        reply.map(|reply| reply.message.your_address)
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }
}

fn kind_of(message: &DhcpMessage) -> MessageType {
    message.options.message_type().expect("a message type")
}

/// The numbers of a message's options, in order.
fn codes(message: &DhcpMessage) -> Vec<u8> {
    let options = message.options.iter();
    options.map(|(code, _)| code.into()).collect()
}
