use std::net::SocketAddrV4;

use super::play::*;
use crate::clients::dhcp::ClientKind;
use crate::conversation::FindingKind;
use crate::machine::{Architecture, MacAddress};
use crate::wire::dhcp::{DhcpMessage, MessageType, Operation, OptionCode, PxeSubOption};
use crate::wire::packet::VlanTags;
use crate::wire::tftp::{ErrorCode, OptionName, Packet as TftpPacket};

type Scene = fn(&mut Play<'_>);

/// One fault, the packets that show it, and the same without the fault.
struct FindingCase {
    kind: FindingKind,
    fault: Scene,
    good: Scene,
}

const LOADER: &str = "boot/bootx64.efi";
const GET: &str =
    "GET /x.efi HTTP/1.1\r\nHost: 10.20.0.10:8080\r\nUser-Agent: UefiHttpBoot/1.0\r\n\r\n";
const CURL: &str = "GET /x.efi HTTP/1.1\r\nUser-Agent: curl/8.0\r\n\r\n";

fn good_uefi(play: &mut Play<'_>) {
    play.exchange(&uefi(), LOADER, |_| {});
    play.tftp(LOADER, &program(2000));
    play.tftp("boot/grubx64.efi", &program(3000));
    play.tftp("grub/grub.cfg", b"menuentry");
}

fn good_bios(play: &mut Play<'_>) {
    play.exchange(&bios(), "pxelinux.0", |_| {});
    play.tftp("pxelinux.0", &[0x90; 900]);
    play.tftp_missing("pxelinux.cfg/01-52-54-00-12-34-56");
    play.tftp("pxelinux.cfg/default", b"default linux");
}

fn good_http(play: &mut Play<'_>) {
    let url = "http://10.20.0.10:8080/x.efi";
    play.exchange(&http(), url, |_| {});
    fetched(play, GET);
}

fn fetched(play: &mut Play<'_>, request: &str) {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n";
    play.http(request, &[&head[..], &program(2000)]);
}

fn good_ipxe(play: &mut Play<'_>) {
    play.exchange(&ipxe(), "http://10.20.0.10:8080/boot.ipxe", |_| {});
}

/// A boot beside another server, which owns the addresses: `43` goes into the proxy's offer, and the
/// answer on port 4011 comes from `port`, if it comes.
fn proxy(play: &mut Play<'_>, with_43: bool, port: Option<u16>) {
    let exchange = play.discover(&uefi());
    let mut plain = exchange.offer(OTHER, Some(MACHINE), "");
    plain.options.remove(OptionCode::ClassIdentifier);
    plain.options.remove(OptionCode::VendorExtensions);
    play.answer(OTHER, &plain);
    let mut offer = exchange.offer(SERVER, None, "");
    if with_43 {
        let other: (u8, &[u8]) = (71, &[0, 0, 0, 0]);
        offer
            .options
            .set_sub_options(OptionCode::VendorExtensions, &[other]);
    }
    play.answer(SERVER, &offer);
    play.take(&exchange, &plain);
    let ask = exchange
        .client
        .ask_boot_server(crate::wire::dhcp::TransactionId(7), MACHINE, SERVER);
    let from = SocketAddrV4::new(MACHINE, 4011);
    let to = SocketAddrV4::new(SERVER, 4011);
    play.udp((MAC, from), to, &bytes(&ask));
    if let Some(port) = port {
        let mut ack = exchange.offer(SERVER, None, LOADER);
        ack.transaction_id = ask.transaction_id;
        ack.client_address = MACHINE;
        ack.options.set_message_type(MessageType::Ack);
        let source = SocketAddrV4::new(SERVER, port);
        play.udp((SERVER_MAC, source), from, &bytes(&ack));
        play.tftp(LOADER, &program(600));
    }
    play.wait(5000);
}

/// An exchange through a relay, as it is seen beside the server; `change` is done to its replies.
fn relayed(play: &mut Play<'_>, change: fn(&mut DhcpMessage)) {
    let client = uefi();
    let transaction = crate::wire::dhcp::TransactionId(0x77);
    let through = |message: &mut DhcpMessage| {
        message.relay_address = RELAY;
        let circuit: (u8, &[u8]) = (1, b"eth7");
        let code = OptionCode::RelayAgentInformation;
        message.options.set_sub_options(code, &[circuit]);
    };
    let mut discover = client.discover(transaction);
    through(&mut discover);
    let exchange = Exchange {
        client: client.clone(),
        transaction,
    };
    let (relay, server) = (SocketAddrV4::new(RELAY, 67), SocketAddrV4::new(SERVER, 67));
    play.udp((SERVER_MAC, relay), server, &bytes(&discover));
    let mut offer = exchange.offer(SERVER, Some(MACHINE), LOADER);
    through(&mut offer);
    change(&mut offer);
    play.udp((SERVER_MAC, server), relay, &bytes(&offer));
    let mut request = client.request(transaction, &offer);
    through(&mut request);
    play.udp((SERVER_MAC, relay), server, &bytes(&request));
    offer.options.set_message_type(MessageType::Ack);
    play.udp((SERVER_MAC, server), relay, &bytes(&offer));
}

/// Two machines that are handed one file.
fn two_machines(play: &mut Play<'_>, second: ClientKind) {
    play.exchange(&uefi(), "boot", |_| {});
    let mut other = client(second);
    other.mac = MacAddress::new([0x52, 0x54, 0, 0x12, 0x34, 0x57]);
    other.uuid = None;
    let exchange = play.discover(&other);
    let address = std::net::Ipv4Addr::new(10, 20, 0, 59);
    let offer = exchange.offer(SERVER, Some(address), "boot");
    play.answer(SERVER, &offer);
    play.take(&exchange, &offer);
}

fn with_option_67_only(offer: &mut DhcpMessage) {
    offer.boot_file.clear();
}

fn blocks(play: &mut Play<'_>, block_size: &str) {
    play.exchange(&uefi(), LOADER, |_| {});
    let options = [(OptionName::BlockSize, block_size)];
    let client = play.tftp_request(LOADER, &options);
    play.tftp_options(client, &options);
    play.tftp_block(client, 1, &program(700));
    play.tftp_ack(client, 1);
}

fn repeated(play: &mut Play<'_>, times: u16) {
    play.exchange(&uefi(), LOADER, |_| {});
    let client = play.tftp_request(LOADER, &[]);
    for number in 1..=4 {
        play.tftp_block(client, number, &program(512));
        if number <= times {
            play.wait(300).tftp_block(client, number, &program(512));
        }
        // GRUB repeats acknowledgements, which is no fault.
        play.tftp_ack(client, number);
        play.tftp_ack(client, number);
    }
    play.tftp_block(client, 5, b"");
    play.tftp_ack(client, 5);
}

/// A table of every finding. Each `good` scene must have none at all.
fn rows() -> Vec<FindingCase> {
    use FindingKind::*;
    let row = |kind, fault, good| FindingCase { kind, fault, good };
    vec![
        row(
            Rogue,
            |play| {
                let exchange = play.discover(&uefi());
                let ours = exchange.offer(SERVER, Some(MACHINE), LOADER);
                play.answer(SERVER, &ours);
                let address = Some(std::net::Ipv4Addr::new(10, 20, 0, 200));
                play.answer(OTHER, &exchange.offer(OTHER, address, ""));
                play.take(&exchange, &ours);
            },
            |play| proxy(play, false, Some(4011)),
        ),
        row(
            NoAnswer,
            |play| {
                let exchange = play.discover(&uefi());
                let again = exchange.client.discover(exchange.transaction);
                play.wait(4000).ask(&again);
                play.wait(8000);
            },
            good_uefi,
        ),
        row(
            NoOfferTaken,
            |play| {
                let exchange = play.discover(&uefi());
                let mut plain = exchange.offer(SERVER, Some(MACHINE), "");
                plain.options.remove(OptionCode::ClassIdentifier);
                plain.options.remove(OptionCode::VendorExtensions);
                play.answer(SERVER, &plain);
                let again = exchange.client.discover(exchange.transaction);
                play.wait(4000).ask(&again);
            },
            good_uefi,
        ),
        row(
            NoAcknowledgement,
            |play| {
                let exchange = play.discover(&uefi());
                let offer = exchange.offer(SERVER, Some(MACHINE), LOADER);
                play.answer(SERVER, &offer);
                play.ask(&uefi().request(exchange.transaction, &offer));
                play.wait(4000);
            },
            good_uefi,
        ),
        row(
            Nak,
            |play| {
                let exchange = play.discover(&uefi());
                let offer = exchange.offer(SERVER, Some(MACHINE), LOADER);
                play.answer(SERVER, &offer);
                play.ask(&uefi().request(exchange.transaction, &offer));
                let mut nak = DhcpMessage::new(Operation::Reply, MAC, exchange.transaction);
                nak.options.set_message_type(MessageType::Nak);
                nak.options
                    .set_address(OptionCode::ServerIdentifier, SERVER);
                nak.options.set_text(OptionCode::Message, "no such lease");
                play.answer(SERVER, &nak);
            },
            good_uefi,
        ),
        row(
            Declined,
            |play| {
                good_uefi(play);
                let transaction = crate::wire::dhcp::TransactionId(9);
                let mut decline = DhcpMessage::new(Operation::Request, MAC, transaction);
                decline.options.set_message_type(MessageType::Decline);
                decline
                    .options
                    .set_address(OptionCode::RequestedIpAddress, MACHINE);
                play.ask(&decline);
            },
            |play| {
                good_uefi(play);
                let transaction = crate::wire::dhcp::TransactionId(9);
                let mut release = DhcpMessage::new(Operation::Request, MAC, transaction);
                release.client_address = MACHINE;
                release.options.set_message_type(MessageType::Release);
                play.ask(&release);
            },
        ),
        row(
            BinlWithout4011,
            |play| proxy(play, false, None),
            |play| proxy(play, false, Some(4011)),
        ),
        row(
            WrongPort4011,
            |play| proxy(play, false, Some(67)),
            |play| proxy(play, false, Some(4011)),
        ),
        row(
            WrongLoader,
            |play| {
                play.exchange(&uefi(), "undionly.kpxe", |_| {});
            },
            good_bios,
        ),
        row(
            NoArchMapping,
            |play| two_machines(play, ClientKind::EdkPxe(Architecture::UefiArm64)),
            |play| two_machines(play, ClientKind::EdkPxe(Architecture::UefiX64)),
        ),
        row(
            IpxeLoop,
            |play| {
                play.exchange(&ipxe(), "snponly.efi", |_| {});
            },
            good_ipxe,
        ),
        row(
            UnusableBootFile,
            |play| {
                play.exchange(&bios(), "http://10.20.0.10/pxelinux.0", |_| {});
                play.wait(5000);
            },
            good_http,
        ),
        row(
            ShimBareName,
            |play| {
                play.exchange(&uefi(), LOADER, with_option_67_only);
                play.tftp(LOADER, &program(600));
                play.tftp("grubx64.efi", &program(600));
            },
            |play| {
                play.exchange(&uefi(), "bootx64.efi", with_option_67_only);
                play.tftp("bootx64.efi", &program(600));
                play.tftp("grubx64.efi", &program(600));
            },
        ),
        row(
            ReplyTooShort,
            |play| {
                let exchange = play.discover(&uefi());
                let offer = exchange.offer(SERVER, Some(MACHINE), "");
                let mut bytes = bytes(&offer);
                let end = 1 + bytes.iter().rposition(|byte| *byte == 255).unwrap();
                bytes.truncate(end);
                play.answer_bytes(SERVER, 67, &bytes);
            },
            good_uefi,
        ),
        row(
            ReplyTooLong,
            |play| {
                play.exchange(&bios(), "pxelinux.0", |offer| {
                    for code in 224..=227 {
                        offer
                            .options
                            .set_raw(OptionCode::Unknown(code), [b'x'; 255]);
                    }
                });
            },
            good_bios,
        ),
        row(
            NulInBootFile,
            |play| {
                play.exchange(&uefi(), LOADER, |offer| {
                    let name = format!("{LOADER}\0");
                    offer.options.set_text(OptionCode::BootfileName, &name);
                });
            },
            good_uefi,
        ),
        row(
            Overload,
            |play| {
                let exchange = play.discover(&uefi());
                let mut bytes = bytes(&exchange.offer(SERVER, Some(MACHINE), ""));
                // Option 67 in the field of the server's name, which option 52 says of.
                bytes[44..48].copy_from_slice(&[67, 1, b'x', 255]);
                let end = bytes.iter().rposition(|byte| *byte == 255).unwrap();
                bytes.resize(bytes.len().max(end + 4), 0);
                bytes[end..end + 4].copy_from_slice(&[52, 1, 2, 255]);
                play.answer_bytes(SERVER, 67, &bytes);
            },
            good_uefi,
        ),
        row(
            SplitOption,
            |play| {
                let exchange = play.discover(&uefi());
                let mut bytes = bytes(&exchange.offer(SERVER, Some(MACHINE), LOADER));
                let end = bytes.iter().rposition(|byte| *byte == 255).unwrap();
                bytes.resize(bytes.len().max(end + 4), 0);
                bytes[end..end + 4].copy_from_slice(&[67, 1, b'x', 255]);
                play.answer_bytes(SERVER, 67, &bytes);
            },
            good_uefi,
        ),
        row(
            ProxyOption43,
            |play| proxy(play, true, Some(4011)),
            |play| proxy(play, false, Some(4011)),
        ),
        row(
            NarrowMask,
            |play| {
                play.exchange(&uefi(), LOADER, |offer| {
                    let mask = std::net::Ipv4Addr::new(255, 255, 255, 254);
                    offer.options.set_address(OptionCode::SubnetMask, mask);
                });
            },
            |play| {
                play.exchange(&uefi(), LOADER, |offer| {
                    let mask = std::net::Ipv4Addr::new(255, 255, 255, 252);
                    offer.options.set_address(OptionCode::SubnetMask, mask);
                });
            },
        ),
        row(
            MalformedReply,
            |play| {
                let exchange = play.discover(&uefi());
                let mut bytes = bytes(&exchange.offer(SERVER, Some(MACHINE), LOADER));
                bytes.truncate(260);
                play.answer_bytes(SERVER, 67, &bytes);
            },
            good_uefi,
        ),
        row(
            RelayWithout82Echo,
            |play| {
                relayed(play, |reply| {
                    reply.options.remove(OptionCode::RelayAgentInformation);
                });
            },
            |play| relayed(play, |_| {}),
        ),
        row(
            VlanMismatch,
            |play| {
                play.vlans = VlanTags::new(Some(20), None);
                let exchange = play.discover(&uefi());
                play.vlans = VlanTags::NONE;
                play.answer(SERVER, &exchange.offer(SERVER, Some(MACHINE), LOADER));
            },
            |play| {
                play.vlans = VlanTags::new(Some(20), None);
                good_uefi(play);
            },
        ),
        row(
            BlksizeOverMtu,
            |play| blocks(play, "1469"),
            |play| blocks(play, "1468"),
        ),
        row(
            TftpRetransmits,
            |play| repeated(play, 3),
            |play| repeated(play, 2),
        ),
        row(
            TftpSilent,
            |play| {
                play.exchange(&uefi(), LOADER, |_| {});
                let client = play.tftp_request(LOADER, &[]);
                play.wait(4000).tftp_request_from(client, LOADER, &[]);
                play.wait(9000);
            },
            good_uefi,
        ),
        row(
            MissingFile,
            |play| {
                play.exchange(&uefi(), LOADER, |_| {});
                play.tftp(LOADER, &program(600));
                play.tftp_missing("boot/revocations.efi");
                play.tftp_missing("boot/grubx64.efi");
            },
            |play| {
                play.exchange(&uefi(), LOADER, |_| {});
                play.tftp(LOADER, &program(600));
                play.tftp_missing("boot/revocations.efi");
                play.tftp("boot/grubx64.efi", &program(600));
                play.tftp_missing("grub/x86_64-efi/command.lst");
                play.tftp_missing("grub/x86_64-efi/grub.cfg");
                play.tftp("grub/grub.cfg", b"menuentry");
            },
        ),
        row(
            TftpError,
            |play| {
                play.exchange(&uefi(), LOADER, |_| {});
                let client = play.tftp_request(LOADER, &[]);
                play.tftp_error(client, ErrorCode::AccessViolation, "permission denied");
            },
            |play| {
                play.exchange(&uefi(), LOADER, |_| {});
                // edk2 asks for the size first, and that is all it wants then.
                let size = [(OptionName::TransferSize, "0")];
                let client = play.tftp_request(LOADER, &size);
                let granted = [(OptionName::TransferSize, "600")];
                play.tftp_options(client, &granted);
                let aborted = TftpPacket::Error {
                    code: ErrorCode::OptionsRefused,
                    message: "User aborted the transfer".to_owned(),
                };
                play.tftp_from_client(client, &aborted);
                play.tftp(LOADER, &program(600));
            },
        ),
        row(
            HttpError,
            |play| {
                play.exchange(&http(), "http://10.20.0.10:8080/x.efi", |_| {});
                let head = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
                play.http(GET, &[head]);
            },
            good_http,
        ),
        row(
            HttpSilent,
            |play| {
                play.exchange(&http(), "http://10.20.0.10:8080/x.efi", |_| {});
                let client = SocketAddrV4::new(MACHINE, 4000);
                play.tcp(client, false, segment(1, SYN, b""));
                play.wait(1000).tcp(client, false, segment(1, SYN, b""));
                play.wait(3000);
            },
            good_http,
        ),
        row(
            HttpRedirect,
            |play| {
                play.exchange(&http(), "http://10.20.0.10:8080/x.efi", |_| {});
                let head = b"HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n";
                play.http(GET, &[head]);
            },
            |play| {
                good_http(play);
                let head = b"HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n";
                play.http(CURL, &[head]);
            },
        ),
        row(
            HttpWithoutLength,
            |play| {
                play.exchange(&http(), "http://10.20.0.10:8080/x.efi", |_| {});
                play.http(GET, &[b"HTTP/1.1 200 OK\r\n\r\n", &program(600)]);
            },
            |play| {
                good_http(play);
                play.http(CURL, &[b"HTTP/1.1 200 OK\r\n\r\n", &program(600)]);
            },
        ),
        row(
            TransferCut,
            |play| {
                play.exchange(&http(), "http://10.20.0.10:8080/x.efi", |_| {});
                let head = b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n";
                play.http(GET, &[&head[..], &program(700)]);
            },
            good_http,
        ),
        row(
            SlowTransfer,
            |play| {
                play.exchange(&uefi(), LOADER, |_| {});
                let client = play.tftp_request(LOADER, &[]);
                for number in 1..=40 {
                    play.wait(200).tftp_block(client, number, &program(512));
                    play.tftp_ack(client, number);
                }
                play.tftp_block(client, 41, b"");
                play.tftp_ack(client, 41);
            },
            good_uefi,
        ),
        row(
            PortUnreachable,
            |play| {
                play.exchange(&uefi(), LOADER, |_| {});
                play.unreachable(69, 3);
            },
            |play| {
                good_uefi(play);
                // A block that came late to a client that is done.
                play.unreachable(3000, 3);
            },
        ),
    ]
}

#[test]
fn every_finding_has_a_case_and_a_good_boot_has_none() {
    let rows = rows();
    for kind in FindingKind::all() {
        assert!(rows.iter().any(|row| row.kind == kind), "{kind} has no row");
    }
    for FindingCase { kind, fault, good } in rows {
        let mut play = Play::new();
        fault(&mut play);
        let report = play.finish();
        let found: Vec<_> = report.findings.iter().map(|it| it.name).collect();
        assert!(
            found.contains(&kind),
            "{kind} is not in {found:?}\n{report}"
        );
        assert!(report.has_any(&[kind]));
        let mut play = Play::new();
        good(&mut play);
        let report = play.finish();
        assert_eq!(report.findings, [], "{kind}:\n{report}");
    }
}

/// What is told beside the fault that a scene is for would send an operator the wrong way.
#[test]
fn a_finding_brings_no_other_findings() {
    use FindingKind::*;
    // A file that nobody can run is not there either, a reply without its end has no boot file.
    let companions = [
        (SlowTransfer, &[][..]),
        (Overload, &[UnusableBootFile]),
        (ReplyTooShort, &[]),
        (MalformedReply, &[NoAnswer, ReplyTooShort]),
    ];
    for FindingCase { kind, fault, .. } in rows() {
        let allowed = companions.iter().find(|(of, _)| *of == kind);
        let allowed = allowed.map_or(&[][..], |(_, allowed)| allowed);
        let mut play = Play::new();
        fault(&mut play);
        let report = play.finish();
        for finding in &report.findings {
            let name = finding.name;
            assert!(
                name == kind || allowed.contains(&name),
                "{kind} brings {name}\n{report}"
            );
        }
    }
}

#[test]
fn a_program_for_another_processor_is_recognized_by_its_contents() {
    let mut play = Play::new();
    play.exchange(&uefi(), "boot.efi", |_| {});
    let mut arm = program(700);
    arm[0x85] = 0xaa;
    play.tftp("boot.efi", &arm);
    let report = play.finish();
    let said: Vec<_> = report.findings.iter().map(|it| it.seen.as_str()).collect();
    assert_eq!(said, ["uefi-x64 fetches `boot.efi`, a program for aarch64"]);
}

#[test]
fn a_named_server_makes_every_other_server_rogue() {
    let options = crate::conversation::Options {
        servers: vec![OTHER],
        ..Default::default()
    };
    let mut play = Play::with(None, options);
    good_uefi(&mut play);
    let report = play.finish();
    assert!(report.has_any(&[FindingKind::Rogue]), "{report}");
    let rogue = report
        .findings
        .iter()
        .find(|it| it.name == FindingKind::Rogue);
    // The offer and the acknowledgement, in one finding.
    assert_eq!(rogue.map(|it| it.count), Some(2));
}

#[test]
fn a_proxy_offer_for_a_bios_may_have_option_43() {
    let mut play = Play::new();
    let exchange = play.discover(&bios());
    let mut plain = exchange.offer(OTHER, Some(MACHINE), "");
    plain.options.remove(OptionCode::ClassIdentifier);
    plain.options.remove(OptionCode::VendorExtensions);
    play.answer(OTHER, &plain);
    let offer = exchange.offer(SERVER, None, "pxelinux.0");
    let control = offer.options.pxe_sub_option(PxeSubOption::DiscoveryControl);
    assert_eq!(control, Some(&[8][..]));
    play.answer(SERVER, &offer);
    play.take(&exchange, &plain);
    play.tftp("pxelinux.0", &[0x90; 600]);
    let report = play.finish();
    assert_eq!(report.findings, [], "{report}");
    let boot = report.machines[0].stages[0].boot.as_ref();
    assert_eq!(boot.map(|boot| boot.file.as_str()), Some("pxelinux.0"));
}
