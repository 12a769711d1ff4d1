//! Fetches the files that an inventory pins and a store lacks, and accepts no other content.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use crate::bundle::images::iso;
use crate::bundle::nginx::Nginx;
use crate::bundle::workshop::{Workshop, content};
use crate::support::requirements::missing;

const SITE: &str = "kind: Site\nname: a\nserver: {address: 10.0.0.1}\nnetworks: []\nloaders: {}\n";

/// Builds a bundle from a downloaded file and two members of a downloaded image.
fn built(workshop: &Workshop, nginx: &Nginx) -> [Vec<u8>; 3] {
    let files = [content(1, 30_000), content(2, 40_000), content(3, 50_000)];
    workshop.write("web/firmware.img", &files[0]);
    workshop.write("tree/casper/vmlinuz", &files[1]);
    workshop.write("tree/casper/initrd", &files[2]);
    iso(workshop, "tree", "web/live.iso", &["-R"]);
    let (image, firmware) = (nginx.url("/live.iso"), nginx.url("/firmware.img"));
    workshop.spec(
        "a",
        &format!(
            "images: {{live: {{from: '{image}', unverified: true}}}}\nfiles:\n  \
             firmware: {{from: '{firmware}', unverified: true}}\n  kernel: {{image: live, member: casper/vmlinuz}}\n  \
             initrd: {{image: live, member: casper/initrd}}\n"
        ),
    );
    workshop.write("inventory/site.yaml", SITE);
    workshop
        .pxectl("bundle build spec.yaml --out inventory/a.yaml")
        .ended(0, &[]);
    files
}

#[test]
fn pinned_files_are_fetched_from_their_sources() {
    if missing(&["nginx", "xorriso"]) {
        return;
    }
    let workshop = Workshop::new();
    let nginx = Nginx::start(&workshop);
    let files = built(&workshop, &nginx);
    let manifest = || workshop.store().names().unwrap()["a"].digest.clone();
    let built = manifest();
    fs::remove_dir_all(workshop.path("store")).unwrap();
    let before = nginx.responses().len();
    workshop
        .pxectl("bundle fetch -i inventory")
        .ended(0, &["fetched 3 files; 1 bundle complete in the store"]);
    for content in &files {
        assert_eq!(&workshop.blob(content), content);
    }
    // The image was downloaded once for both files.
    assert_eq!(nginx.responses().len() - before, 2);
    assert_eq!(manifest(), built);
    workshop
        .pxectl("bundle fetch -i inventory a")
        .ended(0, &["fetched 0 files"]);
    workshop
        .pxectl("bundle fetch -i inventory aa")
        .ended(1, &["no bundle `aa`", "did you mean `a`?"]);
    // A damaged blob is replaced.
    let path = workshop
        .store()
        .blob_path(&pxectl::machine::Sha256Digest::of(&files[0]));
    fs::write(&path, content(9, 30_000)).unwrap();
    workshop
        .pxectl("bundle fetch -i inventory")
        .ended(0, &["fetched 1 file;"]);
    assert_eq!(workshop.blob(&files[0]), files[0]);
    // The server has other content now.
    fs::remove_dir_all(workshop.path("store")).unwrap();
    workshop.write("web/firmware.img", content(4, 30_000));
    let ran = workshop.pxectl("bundle fetch -i inventory --jobs 1");
    ran.ended(1, &["firmware.img` hashes to", "bundle `a` states"]);
    assert!(workshop.store().names().unwrap().is_empty());
    assert_eq!(workshop.blobs().1, 0);
}

#[test]
fn files_can_come_from_another_store_or_a_directory() {
    if missing(&["nginx", "xorriso"]) {
        return;
    }
    let workshop = Workshop::new();
    let nginx = Nginx::start(&workshop);
    let files = built(&workshop, &nginx);
    let document = fs::read_to_string(workshop.path("inventory/a.yaml")).unwrap();
    fs::rename(workshop.path("store"), workshop.path("web/theirs")).unwrap();
    workshop.write("plain/firmware.img", &files[0]);
    workshop.write("plain/casper/vmlinuz", &files[1]);
    workshop.write("plain/casper/initrd", &files[2]);
    for from in [
        "web/theirs".to_owned(),
        nginx.url("/theirs/"),
        "plain".to_owned(),
    ] {
        let ran = workshop.pxectl(&format!("bundle fetch -i inventory --from {from}"));
        ran.ended(0, &["fetched 3 files"]);
        for content in &files {
            assert_eq!(&workshop.blob(content), content);
        }
        fs::remove_dir_all(workshop.path("store")).unwrap();
    }
    // One of three files has other content, and one is missing.
    workshop.write("plain/casper/initrd", content(5, 50_000));
    let ran = workshop.pxectl("bundle fetch -i inventory --jobs 1 --from plain");
    ran.ended(1, &["plain/casper/initrd` has 50000 bytes and hashes to"]);
    fs::remove_file(workshop.path("plain/casper/initrd")).unwrap();
    workshop
        .pxectl("bundle fetch -i inventory --jobs 1 --from plain")
        .ended(3, &["casper/initrd` is missing"]);
    assert!(workshop.store().names().unwrap().is_empty());
    // The bundle has no sources.
    let without: Vec<&str> = document
        .lines()
        .filter(|line| {
            !line.contains("source:") && !line.contains("from:") && !line.contains("member:")
        })
        .collect();
    workshop.write("inventory/a.yaml", without.join("\n") + "\n");
    fs::remove_dir_all(workshop.path("store")).unwrap();
    workshop
        .pxectl("bundle fetch -i inventory")
        .ended(1, &["names no source for", "--from URL-OR-DIR"]);
}

#[test]
fn downloads_stop_at_the_pinned_size() {
    let workshop = Workshop::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap();
    let (say, hear) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let read = stream.read(&mut request).unwrap();
            let is_long = String::from_utf8_lossy(&request[..read]).contains("/long");
            let head = if is_long {
                "HTTP/1.1 200 OK\r\nETag: \"a\"\r\nContent-Length: 9000000000\r\n\r\n"
            } else {
                "HTTP/1.1 200 OK\r\nETag: \"a\"\r\nConnection: close\r\n\r\n"
            };
            let _ = stream.write_all(head.as_bytes());
            // It ends when the client disconnects, or after far too many bytes.
            let taken = (0..4096).take_while(|_| stream.write_all(&[7; 1 << 20]).is_ok());
            say.send(taken.count()).unwrap();
        }
    });
    workshop.write("inventory/site.yaml", SITE);
    for path in ["long", "endless"] {
        let document = format!(
            "kind: Bundle\nname: a\narch: x86_64\nfiles:\n  image:\n    path: image\n    \
            sha256: {}\n    size: 100000\n    source: {{from: 'http://{host}/{path}'}}\n",
            "a".repeat(64)
        );
        workshop.write("inventory/a.yaml", document);
        let ran = workshop.pxectl("bundle fetch -i inventory");
        ran.ended(1, &["exceeds 100000 bytes"]);
        let taken = hear.recv_timeout(Duration::from_secs(60)).unwrap();
        assert!(taken < 100, "{path}: {taken} MiB");
        let partial = fs::read_dir(workshop.path("store/.partial")).unwrap();
        let left = partial.map(|it| it.unwrap().metadata().unwrap().len());
        assert!(left.sum::<u64>() < 1000, "{path}");
    }
}
