//! What the inventory says about TFTP.

use std::net::{SocketAddr, UdpSocket};

use crate::serve::PATIENCE;
use crate::serve::client::request;
use crate::serve::server::Server;
use crate::support::rack::Rack;

/// A rack whose machines are on loopback, with a file that fills any block.
fn rack() -> Rack {
    let rack = Rack::beside_store();
    for file in ["site.yaml", "hosts.yaml"] {
        rack.rewrite(file, |text| text.replace("10.20.0.", "127.30.0."));
    }
    std::fs::write(rack.file("boot/large"), vec![7; 100_000]).unwrap();
    rack
}

/// Asks for the file from an address, with a block size; returns the answer and where it is from.
fn ask(from: &str, server: &Server, block_size: &str) -> (String, SocketAddr) {
    let options = format!("blksize\0{block_size}\0");
    let socket = request(from, server.address("tftp"), "large", &options);
    let mut buffer = [0; 1000];
    let (length, source) = socket.recv_from(&mut buffer).unwrap();
    socket.send_to(b"\0\x05\0\x08enough\0", source).unwrap();
    let text = String::from_utf8_lossy(&buffer[2..length]).into_owned();
    (text.trim_end_matches('\0').replace('\0', "="), source)
}

#[test]
fn blocks_keep_to_the_cap_of_the_host_and_the_mtu_of_its_network() {
    let rack = rack();
    rack.rewrite("hosts.yaml", |text| {
        let text = text.replacen("arch:", "tftp_blksize: 1024\narch:", 1);
        let plain = "options: {interface-mtu: 'u16:1400'}\n";
        text.replace("name: worker-03\n", &format!("name: worker-03\n{plain}"))
    });
    let mut server = Server::start(&rack, "tftp");
    let (capped, other, stranger) = ("127.30.0.51", "127.30.0.52", "127.0.0.1");
    let expect = |server: &mut Server, mtu: Option<u16>, rows: &[(&str, &str, &str)]| {
        if let Some(mtu) = mtu {
            let mark = server.mark();
            rack.rewrite("site.yaml", |text| {
                let kept = text.lines().filter(|line| !line.contains("mtu:"));
                let kept = kept.map(|line| format!("{line}\n")).collect::<String>();
                kept.replace("    gateway:", &format!("    mtu: {mtu}\n    gateway:"))
            });
            server.event(mark, "reloaded");
        }
        for (from, asked, given) in rows {
            let (answer, _) = ask(from, server, asked);
            assert_eq!(answer, format!("blksize={given}"), "{from} {asked} {mtu:?}");
        }
    };
    expect(
        &mut server,
        None,
        &[
            (capped, "1468", "1024"),
            (capped, "600", "600"),
            (other, "1468", "1468"),
            (other, "9000", "1468"),
            (stranger, "9000", "1468"),
        ],
    );
    expect(
        &mut server,
        Some(1300),
        &[
            (capped, "1468", "1024"),
            (other, "1468", "1268"),
            (stranger, "1468", "1468"),
        ],
    );
    expect(
        &mut server,
        Some(9000),
        &[
            (capped, "9000", "1024"),
            (other, "9000", "8968"),
            ("127.30.0.53", "9000", "1368"),
            (stranger, "9000", "1468"),
        ],
    );
    server.stop();
}

#[test]
fn a_probe_for_the_size_is_logged_for_the_curious_only() {
    let rack = rack();
    let mut server = Server::start(&rack, "tftp");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut buffer = [0; 1000];
    for (has_answered, level) in [(false, "debug"), (true, "warn")] {
        let mark = server.mark();
        let request = b"\0\x01large\0octet\0tsize\x000\0blksize\x00512\0";
        socket.send_to(request, server.address("tftp")).unwrap();
        let (_, source) = socket.recv_from(&mut buffer).unwrap();
        if has_answered {
            socket.send_to(b"\0\x04\0\0", source).unwrap();
            socket.recv_from(&mut buffer).unwrap();
        }
        let abort = b"\0\x05\0\x08User aborted the transfer\0";
        socket.send_to(abort, source).unwrap();
        let line = server.wait_for(mark, |line| line["event"] == "tftp-aborted");
        assert_eq!(line["level"], level, "{line}");
    }
    server.stop();
}

#[test]
fn the_site_keeps_tftp_to_one_port() {
    for single in [false, true] {
        let rack = rack();
        rack.rewrite("site.yaml", |text| {
            let line = format!("  tftp_single_port: {single}\n");
            text.replace("  http_port", &format!("{line}  http_port"))
        });
        let server = Server::start(&rack, "tftp");
        let (_, source) = ask("127.0.0.1", &server, "1024");
        assert_eq!(source == server.address("tftp"), single, "{source}");
        server.stop();
    }
}
