use std::net::SocketAddrV4;

use super::play::*;
use crate::conversation::{Report, SummaryRow};
use crate::wire::dhcp::{OptionCode, TransactionId};
use crate::wire::tftp::{ErrorCode, OptionName};

/// Returns what is told of the first machine: each entry's word and first line.
pub fn timeline(report: &Report) -> Vec<String> {
    let entries = report.machines[0].timeline.iter();
    let lines = entries.map(|it| {
        let text = it.text.lines().next().unwrap_or_default();
        format!("{}: {text}", it.what)
    });
    lines.collect()
}

pub fn stages(report: &Report) -> Vec<&str> {
    let stages = report.machines[0].stages.iter();
    stages.map(|stage| stage.name.as_str()).collect()
}

#[test]
fn a_boot_goes_from_firmware_to_loader_to_ipxe() {
    let mut play = Play::new();
    play.exchange(&uefi(), "boot/bootx64.efi", |_| {});
    play.tftp("boot/bootx64.efi", &program(2000));
    play.tftp_missing("boot/autoexec.ipxe");
    play.exchange(&ipxe(), "http://10.20.0.10:8080/boot.ipxe?token=T", |_| {});
    let get = "GET /boot.ipxe?token=T HTTP/1.1\r\nUser-Agent: iPXE/1.21.1\r\n\r\n";
    play.http(
        get,
        &[b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n#!ipxe\n"],
    );
    let report = play.finish();
    assert_eq!(report.findings, []);
    assert_eq!(
        stages(&report),
        [
            "UEFI PXE (uefi-x64)",
            "`bootx64.efi`",
            "iPXE 1.21.1 (uefi-x64)"
        ]
    );
    let told = timeline(&report);
    for expected in [
        "boots: `boot/bootx64.efi` from 10.20.0.10 by TFTP (option 67 takes precedence over `file`)",
        "tftp: `boot/autoexec.ipxe` from 10.20.0.10: missing (`File not found`)",
        "boots: `http://10.20.0.10:8080/boot.ipxe` (`file` takes precedence over option 67)",
        "http: GET `/boot.ipxe` from 10.20.0.10:8080: 200, 7 B in 1 ms",
    ] {
        assert!(told.contains(&expected.to_owned()), "{expected}\n{told:#?}");
    }
    let summary = report.summary();
    assert_eq!(
        summary[0].cells(),
        [
            "52:54:00:12:34:56",
            "uefi-x64",
            "10.20.0.10",
            "10.20.0.10",
            "bootx64.efi, boot.ipxe",
            "2 of 2",
            "-"
        ]
    );
    assert_eq!(SummaryRow::HEADS.len(), summary[0].cells().len());
}

#[test]
fn the_text_is_at_most_a_hundred_columns_wide() {
    let mut play = Play::new();
    let path = format!("boot/{}/bootx64.efi", "x".repeat(60));
    play.exchange(&uefi(), &path, |offer| {
        offer
            .options
            .set_text(OptionCode::TFTPServerName, "boot.example");
    });
    play.tftp_missing(&path);
    let lines = play.lines();
    let live: String = lines.iter().map(|it| it.folded(lines[0].at)).collect();
    let text = live.clone() + &play.finish().to_string();
    // Each begins with the time since the first; what explains an offer is on a line of its own.
    assert!(
        live.starts_with("   +0.000 52:54:00:12:34:56 discover "),
        "{live}"
    );
    let explained = live.lines().any(|line| line.starts_with("            = "));
    assert!(explained, "{live}");
    for line in text.lines() {
        let longest = line.split(' ').map(str::len).max().unwrap_or_default();
        assert!(line.chars().count() <= 100 || longest > 70, "{line}");
    }
}

#[test]
fn a_missing_optional_file_counts_only_if_the_boot_ends_there() {
    let searched = |is_found: bool| {
        let mut play = Play::new();
        play.exchange(&uefi(), "boot/shimx64.efi", |_| {});
        play.tftp("boot/shimx64.efi", &program(2000));
        for name in [
            "boot/revocations.efi",
            "grub/x86_64-efi/command.lst",
            "grub/grub.cfg-52",
        ] {
            play.tftp_missing(name);
        }
        match is_found {
            true => play.tftp("grub/grub.cfg", b"set timeout=1"),
            false => play.tftp_missing("grub/grub.cfg"),
        };
        let row = play.finish().summary().remove(0);
        (row.cells()[5].clone(), row.finding)
    };
    assert_eq!(searched(true), ("2 of 2".to_owned(), None));
    let (transfers, finding) = searched(false);
    assert_eq!(transfers, "1 of 2");
    assert_eq!(finding.as_deref(), Some("missing-file"));
}

#[test]
fn a_transfer_rolls_over_after_65535_blocks() {
    let mut play = Play::new();
    let client = play.tftp_request("linux", &[]);
    let block = [7; 512];
    for number in 1..=70_000u32 {
        play.tftp_block(client, number as u16, &block);
    }
    play.tftp_block(client, 70_001u32 as u16, b"end");
    play.tftp_ack(client, 70_001u32 as u16);
    let report = play.finish();
    let transfer = &report.machines[0].stages[0].transfers[0];
    assert_eq!(transfer.bytes, 70_000 * 512 + 3);
    assert!(transfer.is_good);
}

#[test]
fn blocks_under_segmentation_offload_count_one_by_one() {
    let mut play = Play::new();
    let options = [
        (OptionName::BlockSize, "1000"),
        (OptionName::WindowSize, "4"),
    ];
    let client = play.tftp_request("linux", &options);
    play.tftp_options(client, &options);
    // Four datagrams in one, each with its header; then the rest.
    let mut four = Vec::new();
    for number in 2..=4u8 {
        four.extend([0, 3, 0, number]);
        four.extend([number; 1000]);
    }
    let first = [&[1u8; 1000][..], &four].concat();
    play.tftp_block(client, 1, &first);
    play.tftp_ack(client, 4);
    play.tftp_block(client, 5, &[5; 10]);
    play.tftp_ack(client, 5);
    let report = play.finish();
    assert_eq!(report.findings, []);
    let transfer = &report.machines[0].stages[0].transfers[0];
    assert_eq!((transfer.bytes, transfer.is_good), (4010, true));
}

#[test]
fn a_transfer_that_stops_reports_its_progress() {
    let mut play = Play::new();
    let size = [(OptionName::TransferSize, "0")];
    let client = play.tftp_request("linux", &size);
    play.tftp_options(client, &[(OptionName::TransferSize, "102400")]);
    play.tftp_block(client, 1, &[1; 512]);
    play.tftp_ack(client, 1);
    play.wait(30_000);
    let report = play.finish();
    let end = &report.machines[0].stages[0].transfers[0].end;
    assert_eq!(end, "cut off after 512 B of 100 KiB, then silence");

    let mut play = Play::new();
    let client = play.tftp_request("linux", &[]);
    play.tftp_block(client, 1, &[1; 512]);
    play.tftp_error(client, ErrorCode::NotDefined, "disk\x1b[2J failed");
    let report = play.finish();
    let end = &report.machines[0].stages[0].transfers[0].end;
    assert_eq!(end, "the server sends error 0 `disk·[2J failed`");
}

#[test]
fn reordered_repeated_and_cut_segments_make_one_response() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n";
    let start = 1000 + head.len() as u32;
    let mut play = Play::new();
    let client = play.connect();
    let get = b"GET /linux HTTP/1.1\r\nUser-Agent: iPXE/1.21.1\r\n\r\n";
    play.tcp(client, false, segment(100, ACK, &get[..20]));
    play.tcp(client, false, segment(120, ACK, &get[20..]));
    play.tcp(client, true, segment(start + 1000, ACK, &[2; 1000]));
    play.tcp(client, true, segment(1000, ACK, &head.as_bytes()[..9]));
    play.tcp(client, true, segment(1000, ACK, &head.as_bytes()[..9]));
    play.tcp(client, true, segment(1009, ACK, &head.as_bytes()[9..]));
    play.tcp(client, true, segment(start, ACK, &[1; 1000]));
    play.tcp(client, true, segment(start + 2000, ACK | FIN, &[3; 1000]));
    let report = play.finish();
    assert_eq!(report.findings, []);
    let transfer = &report.machines[0].stages[0].transfers[0];
    assert_eq!((transfer.bytes, transfer.is_good), (3000, true));
    assert_eq!(transfer.file, "/linux");
}

#[test]
fn a_reset_connection_cuts_its_transfer() {
    let mut play = Play::new();
    let client = play.connect();
    play.tcp(client, false, segment(100, ACK, b"GET /x HTTP/1.1\r\n\r\n"));
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n";
    play.tcp(client, true, segment(1000, ACK, head));
    play.tcp(client, true, segment(2000, RST, b""));
    let report = play.finish();
    let end = &report.machines[0].stages[0].transfers[0].end;
    assert_eq!(end, "200, reset after 0 B of 2.9 KiB");
}

#[test]
fn tls_is_named_and_not_followed() {
    let mut play = Play::new();
    let client = play.connect();
    play.tcp(client, false, segment(100, ACK, &[0x16, 3, 1, 0, 200, 1]));
    play.tcp(client, true, segment(1000, ACK, &[0x16, 3, 3, 0, 90, 2]));
    let report = play.finish();
    assert_eq!(
        timeline(&report),
        ["tls: TLS to 10.20.0.10:8080, encrypted"]
    );
}

#[test]
fn routed_packets_belong_to_the_machine_with_the_lease() {
    let mut play = Play::new();
    play.exchange(&uefi(), "boot/bootx64.efi", |_| {});
    let client = SocketAddrV4::new(MACHINE, 2222);
    let router = crate::machine::MacAddress::new([2, 0, 0, 0, 0, 1]);
    let request = b"\0\x01boot/bootx64.efi\0octet\0";
    play.udp((router, client), SocketAddrV4::new(SERVER, 69), request);
    play.tftp_block(client, 1, &program(300));
    play.tftp_ack(client, 1);
    let report = play.finish();
    assert_eq!(report.machines.len(), 1);
    assert_eq!(report.machines[0].stages[0].transfers.len(), 1);
}

#[test]
fn lines_are_available_at_once_and_packets_get_comments() {
    let mut play = Play::new();
    play.exchange(&uefi(), "boot/bootx64.efi", |_| {});
    let lines = play.lines();
    let words: Vec<_> = lines.iter().map(|line| line.what).collect();
    assert_eq!(
        words,
        ["discover", "offer", "request", "takes", "ack", "boots"]
    );
    assert!(play.lines().is_empty());
    assert_eq!(play.comments.len(), 4);
    assert!(play.comments[2].contains("takes the offer of 10.20.0.10"));
}

#[test]
fn a_machine_without_an_answer_is_reported_while_others_continue() {
    let mut play = Play::new();
    play.discover(&uefi());
    let mut other = bios();
    other.mac = crate::machine::MacAddress::new([2, 0, 0, 0, 0, 7]);
    other.uuid = None;
    for _ in 0..4 {
        play.wait(6000).ask(&other.discover(TransactionId(7)));
    }
    let lines = play.lines();
    let told: Vec<_> = lines.iter().filter(|it| it.what == "no-answer").collect();
    assert_eq!(told.len(), 1, "{lines:#?}");
    assert_eq!(told[0].machine, "52:54:00:12:34:56");
    assert_eq!(play.finish().findings.len(), 2);
}

#[test]
fn an_unanswered_request_on_a_silent_segment_is_reported_once() {
    let mut play = Play::new();
    play.discover(&uefi());
    play.tick(10);
    let words = |lines: Vec<crate::conversation::TimelineLine>| -> Vec<_> {
        lines
            .into_iter()
            .map(|line| (line.what, line.packet))
            .collect()
    };
    assert_eq!(words(play.lines()), [("discover", 1)]);
    play.tick(2);
    assert_eq!(words(play.lines()), [("no-answer", 1)]);
    play.tftp_request("boot.efi", &[]);
    assert!(play.lines().is_empty());
    play.tick(19);
    assert!(play.lines().is_empty());
    play.tick(2);
    assert_eq!(words(play.lines()), [("tftp", 2), ("tftp-silent", 2)]);
    play.tick(100);
    assert!(play.lines().is_empty());
    let report = play.finish();
    assert_eq!(report.findings.len(), 2, "{report}");
    assert!(report.findings.iter().all(|it| it.count == 1), "{report}");
}

#[test]
fn copies_from_a_bridge_and_its_port_are_not_retries() {
    let mut play = Play::new();
    let exchange = play.discover(&uefi());
    play.ask(&uefi().discover(exchange.transaction));
    let offer = exchange.offer(SERVER, Some(MACHINE), "boot.efi");
    play.answer(SERVER, &offer);
    play.answer(SERVER, &offer);
    play.take(&exchange, &offer);
    let client = play.tftp_request("boot.efi", &[]);
    for number in 1..=4 {
        play.tftp_block(client, number, &program(512));
        play.tftp_block(client, number, &program(512));
        play.tftp_ack(client, number);
    }
    play.tftp_block(client, 5, b"");
    play.tftp_ack(client, 5);
    let report = play.finish();
    assert_eq!(report.findings, [], "{report}");
    let discovers = timeline(&report)
        .iter()
        .filter(|it| it.starts_with("disc"))
        .count();
    assert_eq!(discovers, 1);
}

#[test]
fn a_capture_of_broadcasts_only_reports_no_missing_answers() {
    let mut play = Play::new();
    let exchange = play.discover(&uefi());
    let offer = exchange.offer(SERVER, Some(MACHINE), "boot.efi");
    play.wait(500)
        .ask(&uefi().request(exchange.transaction, &offer));
    play.wait(9000);
    let report = play.finish();
    assert_eq!(report.findings, [], "{report}");
    assert_eq!(report.machines[0].stages[0].winner, Some(SERVER));
}
