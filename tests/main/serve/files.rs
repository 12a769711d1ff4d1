//! Files over HTTP: the octets of the head, ranges, validators, and what is not served.

use std::os::unix::fs::symlink;

use crate::serve::server::Server;
use crate::support::rack::Rack;
use pxectl::workspace::Snapshot;

/// The URL of a bundle's kernel, and the digest of the file.
fn kernel(rack: &Rack) -> (String, &'static str) {
    let checked = Snapshot::read(rack.path()).unwrap().check();
    let (inventory, _) = checked.good.unwrap();
    let manifest = inventory.bundles["ubuntu-24.04-stand-in"].manifest_digest();
    let digest = "ad6ee40a67983b25960651f7fd20808aa6f3a3504000183cb05a57f268f1c269";
    (format!("/b/{manifest}/kernel"), digest)
}

#[test]
fn the_head_is_what_shim_and_grub_read() {
    let rack = Rack::beside_store();
    let server = Server::start(&rack, "http");
    let loader = std::fs::read(rack.file("boot/snponly.efi")).unwrap();
    let expected = "HTTP/1.1 200 OK\nContent-Length: 7500\nContent-Type: application/efi\n\
                    Accept-Ranges: bytes\nCache-Control: no-cache\nDate: …";
    let mut web = server.web();
    // No redirect, however the path is spelled; and one connection serves HEAD, then GET, as edk2
    // wants it.
    for path in [
        "/files/snponly.efi",
        "//files//snponly.efi",
        "/files/./snponly.efi",
        "http://10.20.0.10:8080/files/snponly.efi",
        "/files/%73nponly.efi?x=1",
    ] {
        let head = web.ask("HEAD", path, &[], "");
        assert_eq!((head.head.as_str(), head.body.len()), (expected, 0));
        let whole = web.get(path);
        assert_eq!(whole.head, expected, "{path}");
        assert!(whole.body == loader, "{path}");
    }
    let script = web.get("/boot.ipxe");
    let length = script.body.len();
    let expected = format!(
        "HTTP/1.1 200 OK\nContent-Length: {length}\nContent-Type: text/plain\n\
         Cache-Control: no-store\nDate: …"
    );
    assert_eq!(script.head, expected);
    assert!(script.text().starts_with("#!ipxe\n"), "{script:?}");
    let missing = web.get("/files/grubx64.efi");
    let expected = "HTTP/1.1 404 Not Found\nContent-Length: 28\nContent-Type: text/plain\n\
                    Cache-Control: no-store\nDate: …";
    assert_eq!(missing.head, expected);
    assert_eq!(missing.text(), "`grubx64.efi` is not served\n");
    server.stop();
}

#[test]
fn a_bundle_store_that_comes_later_is_warned_of_and_then_used() {
    let rack = Rack::beside_store();
    let (url, _) = kernel(&rack);
    let (bundles, away) = (rack.file("bundles"), rack.base().join("away"));
    std::fs::rename(&bundles, &away).unwrap();
    let server = Server::start(&rack, "http");
    let mut web = server.web();
    assert_eq!(web.get(&url).status(), 503);
    std::fs::rename(&away, &bundles).unwrap();
    assert_eq!(web.get(&url).status(), 200);
    let log = server.stop();
    let warning = "warning: cannot serve bundle files: ";
    assert_eq!(log.matches(warning).count(), 1, "{log}");
}

#[test]
fn a_bundle_file_never_changes_and_says_so() {
    let rack = Rack::beside_store();
    let server = Server::start(&rack, "http");
    let (url, digest) = kernel(&rack);
    let mut web = server.web();
    let whole = web.get(&url);
    let expected = format!(
        "HTTP/1.1 200 OK\nContent-Length: 4096\nContent-Type: application/octet-stream\n\
         Accept-Ranges: bytes\nEtag: \"{digest}\"\n\
         Cache-Control: public, max-age=31536000, immutable\nDate: …"
    );
    assert_eq!(whole.head, expected);
    let blob = std::fs::read(rack.file(&format!("bundles/blobs/sha256/{digest}"))).unwrap();
    assert!(whole.body == blob);

    let known = format!("If-None-Match: \"{digest}\"");
    let same = web.ask("GET", &url, &[&known], "");
    assert_eq!((same.status(), same.body.len()), (304, 0));
    assert_eq!(same.header("Etag"), Some(&*format!("\"{digest}\"")));
    let other = web.ask("GET", &url, &["If-None-Match: \"other\""], "");
    assert_eq!(other.status(), 200);

    let current = format!("If-Range: \"{digest}\"");
    for (condition, status, length) in [(&*current, 206, 10), ("If-Range: \"old\"", 200, 4096)] {
        let part = web.ask("GET", &url, &["Range: bytes=0-9", condition], "");
        assert_eq!((part.status(), part.body.len()), (status, length));
    }
    for (path, status) in [
        (url.replace("kernel", "missing"), 404),
        (format!("/b/{digest}/kernel"), 404),
    ] {
        assert_eq!(web.get(&path).status(), status, "{path}");
    }
    server.stop();
}

#[test]
fn ranges_of_every_form_give_exactly_their_octets() {
    let rack = Rack::beside_store();
    let mut server = Server::start(&rack, "http");
    let (kernel, _) = kernel(&rack);
    let digest = "ad6ee40a67983b25960651f7fd20808aa6f3a3504000183cb05a57f268f1c269";
    let blob = std::fs::read(rack.file(&format!("bundles/blobs/sha256/{digest}"))).unwrap();
    let loader = std::fs::read(rack.file("boot/snponly.efi")).unwrap();
    let mut web = server.web();
    for (url, whole) in [(&*kernel, &blob), ("/files/snponly.efi", &loader)] {
        let size = whole.len();
        for (range, part) in [
            ("bytes=0-", 0..size),
            ("bytes=4000-", 4000..size),
            ("bytes=100-199", 100..200),
            ("bytes=4000-99999", 4000..size),
            ("bytes=-10", size - 10..size),
        ] {
            let answer = web.ask("GET", url, &[&format!("Range: {range}")], "");
            assert_eq!(answer.status(), 206, "{range}");
            let (start, last) = (part.start, part.end - 1);
            let expected = format!("bytes {start}-{last}/{size}");
            assert_eq!(answer.header("Content-Range"), Some(&*expected));
            let length = format!("\nContent-Length: {}\n", part.len());
            let status_line = "HTTP/1.1 206 Partial Content";
            let first = format!("{status_line}{length}");
            assert!(answer.head.starts_with(&first), "{}", answer.head);
            assert!(answer.body == whole[part], "{range}");
        }
        let answer = web.ask("GET", url, &["Range: bytes=99999-"], "");
        assert_eq!(answer.status(), 416);
        let said = format!("the range is outside the {size} bytes of the file");
        assert_eq!(answer.text(), said);
        let first = format!(
            "HTTP/1.1 416 Range Not Satisfiable\nContent-Length: {}\n",
            said.len()
        );
        assert!(answer.head.starts_with(&first), "{}", answer.head);
        server.wait_for(0, |line| {
            let message = line["message"].as_str().unwrap_or_default();
            message.ends_with(&format!("416: {said}"))
        });
        let expected = format!("bytes */{size}");
        assert_eq!(answer.header("Content-Range"), Some(&*expected));
        let head = web.ask("HEAD", url, &["Range: bytes=0-9"], "");
        assert_eq!(head.header("Content-Length"), Some("10"));
    }
    server.stop();
}

#[test]
fn no_path_leads_out_of_the_roots_and_each_attempt_is_logged() {
    let rack = Rack::beside_store();
    std::fs::write(rack.base().join("secret"), "the secret").unwrap();
    symlink(rack.base().join("secret"), rack.file("boot/link")).unwrap();
    symlink("../..", rack.file("boot/up")).unwrap();
    let mut server = Server::start(&rack, "http");
    for (path, status) in [
        ("/files/../../secret", 403),
        ("/files/%2e%2e/%2e%2e/secret", 403),
        ("/files/.%2e/secret", 403),
        ("/files/..%2f..%2fsecret", 400),
        ("/files/..%5c..%5csecret", 400),
        ("/files/link", 403),
        ("/files/up/secret", 403),
        ("/files//etc/passwd", 404),
        ("/files/%2fetc%2fpasswd", 400),
        ("/files/snponly.efi%00.txt", 400),
        ("/files/", 404),
        ("/files/.", 404),
        ("/etc/passwd", 404),
        ("/", 404),
    ] {
        let mark = server.mark();
        let answer = server.web().get(path);
        assert_eq!(answer.status(), status, "{path}: {answer:?}");
        assert!(!answer.text().contains("the secret"), "{path}");
        let message = server.event(mark, "http-refused");
        let expected = format!("sent {status} to ");
        assert!(message.contains(&expected), "{path}: {message}");
    }
    server.stop();
}
