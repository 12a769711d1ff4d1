use std::net::Ipv4Addr;

use super::{Client, ClientKind};
use crate::machine::Architecture;
use crate::wire::dhcp::{
    DhcpMessage, IPXE_ENCAPSULATED, MessageType, Operation, OptionCode, TransactionId,
};

/// The options that edk2 requests over PXE. Source: edk2, `PxeBcDhcp4.c`, `PxeBcBuildDhcp4Options`.
const EDK_PXE_LIST: [u8; 35] = [
    1, 2, 3, 4, 5, 6, 12, 13, 15, 17, 18, 22, 23, 28, 40, 41, 42, 43, 50, 51, 54, 58, 59, 60, 66,
    67, 97, 128, 129, 130, 131, 132, 133, 134, 135,
];
/// The options that edk2 requests over HTTP. Source: edk2, `HttpBootDhcp4.c`, `HttpBootBuildDhcp4Options`.
const EDK_HTTP_LIST: [u8; 27] = [
    1, 2, 3, 4, 5, 6, 12, 13, 15, 17, 18, 22, 23, 28, 40, 41, 42, 43, 50, 51, 54, 58, 59, 60, 66,
    67, 97,
];
/// The options that Intel's boot agent requests.
const BIOS_LIST: [u8; 36] = [
    1, 2, 3, 4, 5, 6, 11, 12, 13, 15, 16, 17, 18, 22, 23, 28, 40, 41, 42, 43, 50, 51, 54, 58, 59,
    60, 66, 67, 128, 129, 130, 131, 132, 133, 134, 135,
];
/// The options that iPXE requests. Source: iPXE, `src/net/udp/dhcp.c`, `dhcp_request_options_data`.
const IPXE_LIST: [u8; 25] = [
    1, 3, 6, 7, 12, 15, 17, 26, 42, 43, 60, 66, 67, 119, 121, 128, 129, 130, 131, 132, 133, 134,
    135, 175, 203,
];
/// The options that GRUB requests, in the order of 2.06. Source: `grub-core/net/bootp.c`, `send_dhcp_packet`.
const GRUB_LIST: [u8; 7] = [1, 3, 6, 15, 12, 17, 18];
/// An emulated network card (1af4:1000 on PCI), and iPXE's version 1.21.1.
const IPXE_BUS_ID: (u8, &[u8]) = (0xb1, &[1, 0x1a, 0xf4, 0x10, 0x00]);
const IPXE_VERSION: (u8, &[u8]) = (0xeb, &[1, 21, 1]);

/// The start of the machine identifier (97) of a Raspberry Pi 4: type 0, `RPi4`, and the board's revision. The
/// rest depends on the board.
const RASPBERRY_PI_4: &[u8] = b"\0RPi4\x14\x31\x11\0\0\0";

/// Reports whether GRUB sent a message. GRUB sends no name, but it requests at least the options of GRUB
/// 2.06, in any order. No operating system is known that requests both paths (17, 18) without a class.
pub fn is_grub(message: &DhcpMessage) -> bool {
    let options = &message.options;
    let names_itself = [OptionCode::ClassIdentifier, OptionCode::UserClass]
        .into_iter()
        .any(|code| options.contains(code))
        || options.is_ipxe();
    let requested = options.raw(OptionCode::ParameterRequestList);
    let requested = requested.unwrap_or_default();
    !names_itself && GRUB_LIST.iter().all(|code| requested.contains(code))
}

impl Client {
    /// Builds the client's DHCPDISCOVER.
    pub fn discover(&self, transaction_id: TransactionId) -> DhcpMessage {
        self.message(MessageType::Discover, transaction_id, |_| {})
    }

    /// Builds the DHCPREQUEST for the address of an offer.
    pub fn request(&self, transaction_id: TransactionId, offer: &DhcpMessage) -> DhcpMessage {
        self.message(MessageType::Request, transaction_id, |message| {
            if let Some(server) = offer.options.server_identifier() {
                let options = &mut message.options;
                options.set_address(OptionCode::ServerIdentifier, server);
            }
            let code = OptionCode::RequestedIpAddress;
            message.options.set_address(code, offer.your_address);
        })
    }

    /// Builds the DHCPREQUEST to port 4011 of a boot server, which names a boot file.
    ///
    /// Source: PXE 2.1 §2.2.3; edk2, `PxeBcDhcp4Discover`; iPXE, `dhcp_proxy_tx`.
    pub fn ask_boot_server(
        &self,
        transaction_id: TransactionId,
        own_address: Ipv4Addr,
        server: Ipv4Addr,
    ) -> DhcpMessage {
        let mut message = self.message(MessageType::Request, transaction_id, |message| {
            if matches!(self.kind, ClientKind::Ipxe { .. }) {
                let options = &mut message.options;
                options.set_address(OptionCode::ServerIdentifier, server);
            }
        });
        message.client_address = own_address;
        message.broadcast = false;
        message
    }

    /// Builds a message with the client's own options, in its order. `add` adds the options with a server
    /// or an address, at the client's position.
    fn message(
        &self,
        kind: MessageType,
        transaction_id: TransactionId,
        add: impl FnOnce(&mut DhcpMessage),
    ) -> DhcpMessage {
        let mut message = DhcpMessage::new(Operation::Request, self.mac, transaction_id);
        message.options.set_message_type(kind);
        match &self.kind {
            ClientKind::EdkPxe(_) => self.edk(&mut message, &EDK_PXE_LIST, (3, 16), add),
            ClientKind::EdkHttp(_) => self.edk(&mut message, &EDK_HTTP_LIST, (3, 16), add),
            ClientKind::RaspberryPi => self.raspberry_pi(&mut message, add),
            ClientKind::BiosPxe => {
                message.broadcast = true;
                add(&mut message);
                let options = &mut message.options;
                options.set_raw(OptionCode::ParameterRequestList, BIOS_LIST);
                options.set_number(OptionCode::MaxMessageSize, 1260);
                self.set_uuid(&mut message);
                self.set_architecture(&mut message);
                self.set_interface(&mut message, (2, 1));
                self.set_vendor_class(&mut message, (2, 1));
            }
            ClientKind::Ipxe { features, .. } => {
                let undi = match self.kind.architecture() {
                    Architecture::Bios => (2, 1),
                    _ => (3, 10),
                };
                message.options.set_number(OptionCode::MaxMessageSize, 1472);
                self.set_architecture(&mut message);
                self.set_interface(&mut message, undi);
                self.set_vendor_class(&mut message, undi);
                let options = &mut message.options;
                options.set_text(OptionCode::UserClass, "iPXE");
                options.set_raw(OptionCode::ParameterRequestList, IPXE_LIST);
                let built_in = features.iter().map(|feature| (*feature as u8, &[1][..]));
                let own: Vec<_> = [IPXE_BUS_ID, IPXE_VERSION]
                    .into_iter()
                    .chain(built_in)
                    .collect();
                options.set_sub_options(IPXE_ENCAPSULATED, &own);
                let identifier = [&[1][..], &self.mac.octets()].concat();
                options.set_raw(OptionCode::ClientIdentifier, identifier);
                if self.uuid.is_some() {
                    self.set_uuid(&mut message);
                }
                add(&mut message);
            }
            ClientKind::Grub(_) => {
                add(&mut message);
                let options = &mut message.options;
                options.set_raw(OptionCode::ParameterRequestList, GRUB_LIST);
            }
        }
        message
    }

    /// The boot ROM announces a BIOS, and its REQUEST has no vendor class.
    ///
    /// Source: captures of a Raspberry Pi 4.
    fn raspberry_pi(&self, message: &mut DhcpMessage, add: impl FnOnce(&mut DhcpMessage)) {
        message.broadcast = true;
        add(message);
        let options = &mut message.options;
        let is_request = options.message_type() == Some(MessageType::Request);
        options.set_raw(OptionCode::ParameterRequestList, BIOS_LIST);
        options.set_number(OptionCode::MaxMessageSize, 1260);
        let identifier = [RASPBERRY_PI_4, &self.mac.octets()].concat();
        options.set_raw(OptionCode::ClientMachineIdentifier, identifier);
        options.set_number(
            OptionCode::ClientSystemArchitecture,
            Architecture::Bios.code(),
        );
        self.set_interface(message, (2, 1));
        if !is_request {
            let class = "PXEClient:Arch:00000:UNDI:002001";
            message.options.set_text(OptionCode::ClassIdentifier, class);
        }
    }

    /// Source: edk2, `Dhcp4Io.c`, `DhcpSendMessage`, and the functions above the lists.
    fn edk(
        &self,
        message: &mut DhcpMessage,
        list: &[u8],
        undi: (u8, u8),
        add: impl FnOnce(&mut DhcpMessage),
    ) {
        message.broadcast = true;
        add(message);
        let options = &mut message.options;
        options.set_number(OptionCode::MaxMessageSize, 0xff00);
        options.set_raw(OptionCode::ParameterRequestList, list);
        self.set_uuid(message);
        self.set_interface(message, undi);
        self.set_architecture(message);
        self.set_vendor_class(message, undi);
    }

    fn set_uuid(&self, message: &mut DhcpMessage) {
        let bytes = self.uuid.map_or([0; 16], |uuid| uuid.to_wire());
        let value = [&[0][..], &bytes].concat();
        message
            .options
            .set_raw(OptionCode::ClientMachineIdentifier, value);
    }

    fn set_architecture(&self, message: &mut DhcpMessage) {
        let code = self.kind.architecture().code();
        message
            .options
            .set_number(OptionCode::ClientSystemArchitecture, code);
    }

    fn set_interface(&self, message: &mut DhcpMessage, (major, minor): (u8, u8)) {
        let code = OptionCode::ClientNetworkInterface;
        message.options.set_raw(code, [1, major, minor]);
    }

    fn set_vendor_class(&self, message: &mut DhcpMessage, (major, minor): (u8, u8)) {
        let client = match self.kind {
            ClientKind::EdkHttp(_) => "HTTPClient",
            _ => "PXEClient",
        };
        let code = self.kind.architecture().code();
        let class = format!("{client}:Arch:{code:05}:UNDI:{major:03}{minor:03}");
        message
            .options
            .set_text(OptionCode::ClassIdentifier, &class);
    }
}
