//! What `server.files` never serves, wherever it leads.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::serve::client::request;
use crate::serve::server::{OPTIONS, Server};
use crate::support::rack::Rack;

/// Serves these entries, in place of those of the fixture.
fn serve(rack: &Rack, entries: &str) {
    rack.rewrite("site.yaml", |text| {
        let line = text
            .lines()
            .find(|line| line.contains("  files: ["))
            .unwrap();
        text.replace(line, &format!("  files: [{entries}]"))
    });
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// Asks for a file by TFTP, which must be refused; returns the code and the message.
fn tftp_error(server: &Server, name: &str) -> (u8, String) {
    let socket = request("127.0.0.1", server.address("tftp"), name, "");
    let mut buffer = [0; 1000];
    let (length, _) = socket.recv_from(&mut buffer).unwrap();
    let text = String::from_utf8_lossy(&buffer[4..length]).into_owned();
    assert_eq!(buffer[..2], [0, 5], "{name}: {text}");
    (buffer[3], text)
}

#[test]
fn a_server_does_not_start_where_private_files_would_be_served() {
    let rack = Rack::beside_store();
    symlink(rack.base(), rack.base().join("link")).unwrap();
    fs::write(rack.file("boot/password"), "hunter2").unwrap();
    let base = rack.base().display().to_string();
    for (entries, why) in [
        (
            "/etc".to_owned(),
            "`/etc` contains configuration, keys and devices",
        ),
        (
            "boot, /etc/ssl".to_owned(),
            "`/etc` contains configuration, keys and devices",
        ),
        ("/proc".to_owned(), "`/proc` contains"),
        ("/root".to_owned(), "it is a home directory"),
        (base.clone(), "it contains the inventory"),
        (format!("{base}/link"), "it contains the inventory"),
        (format!("{base}/state"), "it contains the store"),
        (format!("{base}/state/state.db"), "it is inside the store"),
        ("bundles".to_owned(), "it contains the bundle store"),
        ("bundles/blobs".to_owned(), "it is inside the bundle store"),
        ("hosts.yaml".to_owned(), "it is a document of the inventory"),
    ] {
        serve(&rack, &entries);
        for service in ["http", "tftp"] {
            let words = [&["serve", service], &OPTIONS[..]].concat();
            let output = rack.command(&words).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(3), "{entries}: {said}");
            assert!(
                said.contains("must not be served: ") && said.contains(why),
                "{entries}: {said}"
            );
            assert!(said.contains(" = help: "), "{said}");
        }
    }
    // The directory of the fixture holds a secret now.
    serve(&rack, "boot");
    rack.rewrite("hosts.yaml", |text| {
        let bmc =
            "bmc: {url: \"https://10.21.0.51\", username: a, password: {file: boot/password}}\n";
        text.replacen("disk:", &format!("{bmc}disk:"), 1)
    });
    let words = [&["serve", "http"], &OPTIONS[..]].concat();
    let output = rack.command(&words).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(
        said.contains("as a secret") && !said.contains("hunter2"),
        "{said}"
    );
}

#[test]
fn a_reload_that_would_serve_private_files_is_refused() {
    let rack = Rack::beside_store();
    let mut server = Server::start(&rack, "http");
    for entries in ["boot, /etc".to_owned(), rack.base().display().to_string()] {
        let mark = server.mark();
        serve(&rack, &entries);
        server.event(mark, "reload-refused");
        let line = server.wait_for(mark, |line| line["code"] == "private-files");
        assert!(line["line"].is_number(), "{line}");
        assert_eq!(server.web().get("/files/passwd").status(), 404);
        assert_eq!(server.web().get("/files/rack-a/site.yaml").status(), 404);
        assert_eq!(server.web().get("/files/snponly.efi").status(), 200);
    }
    let mark = server.mark();
    serve(&rack, "boot");
    rack.rewrite("hosts.yaml", |text| {
        text.replace("10.20.0.51", "10.20.0.59")
    });
    server.event(mark, "reloaded");
    server.stop();
}

#[test]
fn an_entry_that_leads_to_private_files_later_serves_none_of_them() {
    let rack = Rack::beside_store();
    let entry = rack.base().join("entry");
    symlink(rack.file("boot"), &entry).unwrap();
    serve(&rack, &entry.display().to_string());
    let mut server = Server::start(&rack, "all");
    assert_eq!(server.web().get("/files/snponly.efi").status(), 200);
    fs::remove_file(&entry).unwrap();
    symlink("/etc", &entry).unwrap();
    let mark = server.mark();
    assert_eq!(server.web().get("/files/passwd").status(), 403);
    let message = server.event(mark, "http-refused");
    assert!(message.contains("leads to `/etc`"), "{message}");
    let mark = server.mark();
    assert_eq!(tftp_error(&server, "passwd").0, 2);
    let message = server.event(mark, "tftp-refused");
    assert!(message.contains("leads to `/etc`"), "{message}");
    server.stop();
}

#[test]
fn files_that_others_may_not_read_are_not_there_and_the_log_has_the_fix() {
    let rack = Rack::beside_store();
    fs::create_dir(rack.file("boot/closed")).unwrap();
    for name in ["key", "closed/file"] {
        fs::write(rack.file("boot").join(name), "private").unwrap();
    }
    symlink("loop", rack.file("boot/loop")).unwrap();
    chmod(&rack.file("boot/key"), 0o600);
    chmod(&rack.file("boot/closed"), 0o750);
    let mut server = Server::start(&rack, "all");
    for (name, reason) in [
        ("key", "run `chmod o+r "),
        ("closed/file", "run `chmod o+x "),
        ("loop", "is a loop of symbolic links"),
        ("loop/file", "is a loop of symbolic links"),
    ] {
        let mark = server.mark();
        let answer = server.web().get(&format!("/files/{name}"));
        assert_eq!(answer.status(), 404, "{name}: {answer:?}");
        assert_eq!(answer.text(), format!("`{name}` is not served\n"));
        let message = server.event(mark, "http-refused");
        assert!(message.contains(reason), "{name}: {message}");
        let mark = server.mark();
        assert_eq!(tftp_error(&server, name).0, 1, "{name}");
        let message = server.event(mark, "tftp-refused");
        assert!(message.contains(reason), "{name}: {message}");
    }
    // The fix works at once.
    chmod(&rack.file("boot/key"), 0o604);
    chmod(&rack.file("boot/closed"), 0o751);
    for name in ["key", "closed/file"] {
        assert_eq!(
            server.web().get(&format!("/files/{name}")).status(),
            200,
            "{name}"
        );
    }
    server.stop();
}

#[test]
fn a_single_file_is_served_by_its_name_and_nothing_else_is() {
    let rack = Rack::beside_store();
    let elsewhere = rack.base().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    for name in ["ipxe.efi", "vmlinuz"] {
        fs::write(elsewhere.join(name), name).unwrap();
        symlink(elsewhere.join(name), rack.file("boot").join(name)).unwrap();
    }
    // As Debian's /usr/lib/ipxe/ipxe.efi leads to /boot.
    let file = elsewhere.join("ipxe.efi").display().to_string();
    for entries in [file.clone(), format!("boot, {file}")] {
        serve(&rack, &entries);
        let server = Server::start(&rack, "all");
        assert_eq!(server.web().get("/files/ipxe.efi").text(), "ipxe.efi");
        assert_ne!(
            server.web().get("/files/vmlinuz").status(),
            200,
            "{entries}"
        );
        let (code, _) = tftp_error(&server, "vmlinuz");
        assert!([1, 2].contains(&code), "{entries}: {code}");
        server.stop();
    }
}
