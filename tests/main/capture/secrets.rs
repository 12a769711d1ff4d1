//! What `--write` keeps of boot tokens and capabilities, and who may read it.

use std::net::SocketAddrV4;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use pxectl::machine::SessionId;
use pxectl::token::{Capability, Purpose, StoreKey};
use pxectl::wire::dhcp::{DhcpMessage, MessageType, Operation, OptionCode};
use pxectl::wire::frame::udp_frame;

use crate::capture::command::{CaptureOutput, capture};
use crate::capture::sample::{
    CLIENT, CLIENT_IP, Frame, SERVER, SERVER_IP, START, XID, fragments, frames, pcapng,
};

/// A boot token and both capabilities of a session.
fn secrets() -> [String; 3] {
    let key = StoreKey::new([9; 32]);
    let now = Timestamp::from_second(START).expect("a time");
    let capability = |purpose| {
        let capability = Capability {
            session: SessionId::new(0x5a3c_9e17_42d8_b601),
            attempt: 1,
            purpose,
        };
        key.capability(capability).expose().to_owned()
    };
    [
        key.boot_token(CLIENT, None, now).expose().to_owned(),
        capability(Purpose::Seed),
        capability(Purpose::Callback),
    ]
}

/// A boot with secrets in every place that holds one: option 67, `file`, names of TFTP, requests of HTTP
/// and what is fetched, whole and across segments, blocks and fragments.
fn boot() -> Vec<Frame> {
    let [token, seed, callback] = secrets();
    let path = format!("m/52-54-00-12-34-56/{token}");
    let (server, client) = (
        |port| (SERVER, SocketAddrV4::new(SERVER_IP, port)),
        |port| (CLIENT, SocketAddrV4::new(CLIENT_IP, port)),
    );
    let mut ack = DhcpMessage::new(Operation::Reply, CLIENT, XID);
    (ack.your_address, ack.server_address) = (CLIENT_IP, SERVER_IP);
    ack.boot_file = format!("{path}/bootx64.efi").into_bytes();
    ack.options.set_message_type(MessageType::Ack);
    ack.options
        .set_address(OptionCode::ServerIdentifier, SERVER_IP);
    let url = format!("http://10.20.0.10:8080/boot.ipxe?token={token}");
    ack.options
        .set_raw(OptionCode::BootfileName, url.as_bytes());
    let ack = ack.write(1472).expect("a message");
    let script = format!(
        "#!ipxe\nkernel http://10.20.0.10:8080/s/{seed}/files/kernel ds=nocloud-net;s=http://10.20.0.10:8080/s/{seed}/\n"
    );
    let user_data = format!("late: curl http://10.20.0.10:8080/s/{callback}/installed\n");
    let mut bytes = vec![
        udp_frame(server(67), client(68), &ack).expect("a frame"),
        udp_frame(
            client(2070),
            server(69),
            format!("\0\x01{path}/grub.cfg\0octet\0").as_bytes(),
        )
        .expect("a frame"),
    ];
    // A configuration by TFTP in blocks of eighty bytes.
    for (number, block) in script.as_bytes().chunks(80).enumerate() {
        let data = [&[0, 3, 0, number as u8 + 1][..], block].concat();
        bytes.push(udp_frame(server(40_000), client(2070), &data).expect("a frame"));
    }
    let datagram = [&[0, 3, 0, 1][..], user_data.repeat(20).as_bytes()].concat();
    bytes.extend(fragments(
        &udp_frame(server(40_001), client(2071), &datagram).expect("a frame"),
        77,
    ));
    let request = format!("GET /s/{seed}/user-data HTTP/1.1\r\nHost: 10.20.0.10:8080\r\n\r\n");
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{user_data}",
        user_data.len()
    );
    let segment = |to_server: bool, sequence: usize, payload: &[u8]| {
        let (from, to) = if to_server {
            (client(0), server(0))
        } else {
            (server(0), client(0))
        };
        let ports = if to_server {
            [50_001u16, 8080]
        } else {
            [8080, 50_001]
        };
        let mut frame = udp_frame(from, to, b"").expect("a frame");
        frame.truncate(34);
        frame[16..18].copy_from_slice(&(40 + payload.len() as u16).to_be_bytes());
        frame[23] = 6;
        frame.extend(ports.map(u16::to_be_bytes).concat());
        frame.extend((sequence as u32).to_be_bytes());
        frame.extend([0, 0, 0, 0, 0x50, 0x18, 0x40, 0, 0, 0, 0, 0]);
        frame.extend(payload);
        frame
    };
    for (to_server, text) in [(true, request), (false, answer)] {
        let mut at = 1000;
        for part in text.as_bytes().chunks(25) {
            bytes.push(segment(to_server, at, part));
            at += part.len();
        }
    }
    let start = Timestamp::from_second(START).expect("a time");
    let frames = bytes.into_iter().enumerate();
    frames
        .map(|(index, bytes)| Frame {
            at: start + SignedDuration::from_millis(index as i64),
            bytes,
        })
        .collect()
}

fn mode(path: &Path) -> u32 {
    let found = std::fs::metadata(path).expect("the file");
    found.permissions().mode() & 0o777
}

fn written(directory: &Path, arguments: &[&str]) -> (CaptureOutput, Vec<u8>) {
    let all = ["--read", "in", "--write", "out", "--force"];
    let ran = capture(directory, &[&all[..], arguments].concat());
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    (ran, std::fs::read(directory.join("out")).expect("the file"))
}

fn holds(file: &[u8], text: &str) -> bool {
    file.windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[test]
fn secrets_are_masked_unless_they_are_asked_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let input = pcapng(&boot());
    std::fs::write(directory.path().join("in"), &input).expect("a file");
    let (kept, file) = written(directory.path(), &["--keep-secrets"]);
    for secret in &secrets() {
        assert!(holds(&input, secret) && holds(&file, secret));
        assert!(!kept.text().contains(&secret[..]), "{}", kept.text());
    }
    let (masked, file) = written(directory.path(), &[]);
    for secret in &secrets() {
        // Neither whole nor in halves, as it is cut.
        for part in [&secret[..], &secret[..14], &secret[secret.len() - 14..]] {
            assert!(!holds(&file, part), "{part} of {secret}");
        }
    }
    assert!(holds(&file, "m/52-54-00-12-34-56/") && holds(&file, "/bootx64.efi"));
    assert!(holds(&file, "boot tokens and capabilities masked"));
    // What is told of it is the same, and of the masked file, too: requests still fit what was offered.
    assert_eq!(masked.text(), kept.text());
    let again = capture(directory.path(), &["--read", "out"]);
    assert_eq!(again.text(), kept.text());
    let to_stdout = capture(directory.path(), &["--read", "in", "--write", "-"]);
    for secret in &secrets() {
        assert!(!holds(&to_stdout.stdout, secret));
    }
}

#[test]
fn frames_without_secrets_are_written_as_they_were() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("in"), pcapng(&frames())).expect("a file");
    let (_, file) = written(directory.path(), &[]);
    for frame in frames() {
        assert!(
            file.windows(frame.bytes.len())
                .any(|window| window == frame.bytes)
        );
    }
}

#[test]
fn a_capture_is_its_owner_s_to_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("in"), pcapng(&frames())).expect("a file");
    written(directory.path(), &[]);
    assert_eq!(mode(&at("out")), 0o600);
    // Also one that is replaced, and one that a link leads to.
    for name in ["open", "linked"] {
        std::fs::write(at(name), b"something else that is longer than a header").expect("a file");
        std::fs::set_permissions(at(name), PermissionsExt::from_mode(0o664)).expect("a mode");
    }
    symlink("linked", at("link")).expect("a link");
    for (name, file) in [("open", "open"), ("link", "linked")] {
        let ran = capture(
            directory.path(),
            &["--read", "in", "--write", name, "--force"],
        );
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        assert_eq!(mode(&at(file)), 0o600, "{name}");
        assert_eq!(
            std::fs::read(at(file)).expect("it"),
            std::fs::read(at("out")).expect("it")
        );
    }
    // A device keeps its own.
    let before = mode(Path::new("/dev/null"));
    let ran = capture(
        directory.path(),
        &["--read", "in", "--write", "/dev/null", "--force"],
    );
    assert_eq!((ran.status, mode(Path::new("/dev/null"))), (0, before));
}
