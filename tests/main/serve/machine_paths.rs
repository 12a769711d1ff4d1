//! What lies below a machine's own path, over TFTP and over HTTP.

use crate::serve::client::request;
use crate::serve::server::Server;
use crate::support::rack::Rack;

const TOKEN: &str = "AAAAAAAABBBBBBBBCCCCCCCCDDD";

/// A rack whose UEFI machines boot shim and GRUB; both are large.
fn rack() -> Rack {
    let rack = Rack::beside_store();
    rack.rewrite("site.yaml", |text| {
        text.replace(
            "uefi-x64: snponly.efi",
            "uefi-x64: {first: shim.efi, second: grub.efi}",
        )
    });
    for (name, size) in [("shim.efi", 900_000), ("grub.efi", 3_000_000)] {
        std::fs::write(rack.file("boot").join(name), vec![7; size]).unwrap();
    }
    rack
}

/// Asks for a file by TFTP, and returns the answer's kind and text.
fn ask(server: &Server, name: &str) -> (u8, String) {
    let socket = request("127.0.0.1", server.address("tftp"), name, "");
    let mut buffer = [0; 1000];
    let (length, source) = socket.recv_from(&mut buffer).unwrap();
    socket.send_to(b"\0\x05\0\x08enough\0", source).unwrap();
    let text = String::from_utf8_lossy(&buffer[4..length]).into_owned();
    (buffer[1], text)
}

#[test]
fn no_line_of_the_log_holds_a_token_or_a_capability_whatever_was_asked_for() {
    let rack = rack();
    let mut server = Server::start(&rack, "all");
    let mac = "52-54-00-85-00-01";
    for name in [
        format!("m/{mac}/{TOKEN}"),
        format!("m/{mac}/{TOKEN}/missing.efi"),
        format!("m/{mac}/{TOKEN}/pxelinux.cfg/default"),
        format!("m/{mac}/{TOKEN}/pxelinux.cfg/0A140033"),
        format!("m/{mac}/{TOKEN}/kernel-refused"),
        format!("m/{mac}/{TOKEN}/grub.cfg"),
        format!("m/{mac}/{TOKEN}/x86_64-efi/-/-/-/grub.cfg"),
        format!("s/{TOKEN}/preseed.cfg"),
        format!("s/{TOKEN}/files/kernel"),
        format!("s/{TOKEN}"),
    ] {
        let mark = server.mark();
        ask(&server, &name);
        server.web().get(&format!("/{name}"));
        server.wait_for(mark, |line| line["service"] == "tftp");
    }
    let log = server.stop();
    assert!(log.contains("m/52-54-00-85-00-01/…"), "{log}");
    assert!(!log.contains(TOKEN), "{log}");
}

#[test]
fn an_image_is_sent_over_http_alone_and_costs_its_memory_once() {
    let rack = rack();
    let mut server = Server::start(&rack, "all");
    let path = |number: u32| format!("m/52-54-00-85-00-{number:02x}/{TOKEN}/http-x64.img");
    let (kind, text) = ask(&server, &path(1));
    assert_eq!(
        (kind, text.trim_end_matches('\0')),
        (5, "served only by HTTP")
    );

    let mark = server.mark();
    let whole = server.web().get(&format!("/{}", path(1)));
    assert_eq!(whole.status(), 200);
    assert!(whole.body.len() > 8_000_000);
    let message = server.event(mark, "http-file");
    assert!(message.contains("http-x64.img"), "{message}");
    let head = server.web().ask("HEAD", &format!("/{}", path(1)), &[], "");
    assert_eq!((head.status(), head.body.len()), (200, 0));

    let before = server.memory();
    // Each asks and takes nothing.
    let asked: Vec<_> = (2..52)
        .map(|number| {
            let mut web = server.web();
            let line = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", path(number));
            web.send(line.as_bytes());
            web
        })
        .collect();
    server.wait_for(mark, |line| {
        line["event"] == "http-file" && line["mac"] == "52:54:00:85:00:33"
    });
    let after = server.memory();
    drop(asked);
    // Fifty volumes would be 400 MB and more.
    assert!(after < before + 100_000_000, "{before} {after}");
    server.stop();
}
