//! The TFTP server over real sockets, against clients that nobody here wrote (`curl`, `busybox`,
//! `atftp`, `tftp-hpa`, all of them needed) and against a peer that misbehaves on purpose.

mod fixture;
mod links;
mod misbehaviour;
mod openings;
mod options;

use std::path::Path;
use std::process::{Command, Output};

use fixture::Fixture;
use pxectl::machine::Sha256Digest;
use pxectl::respond::tftp::TftpOutcome;
use pxectl::wire::tftp::ErrorCode;

fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"))
}

fn curl(fixture: &Fixture, name: &str, options: &[&str]) -> Output {
    let url = format!("tftp://{}/{name}", fixture.address());
    run(Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "30",
            "--path-as-is",
        ])
        .args(options)
        .arg(url))
}

fn atftp(fixture: &Fixture, name: &str, to: &Path, options: &[&str]) -> Output {
    let mut command = Command::new("atftp");
    for option in options {
        command.args(["--option", option]);
    }
    let address = fixture.address();
    command
        .args(["--get", "--remote-file", name, "--local-file"])
        .arg(to)
        .args([address.ip().to_string(), address.port().to_string()]);
    run(&mut command)
}

#[test]
fn curl_gets_every_size_with_every_block_size() {
    let fixture = Fixture::new();
    for size in [0, 1, 511, 512, 513, 1468, 2936, 100_000] {
        let octets = fixture.add("file", size);
        for options in [
            &["--tftp-no-options"][..],
            &[],
            &["--tftp-blksize", "8"],
            &["--tftp-blksize", "1468"],
            &["--tftp-blksize", "65464"],
        ] {
            // curl 7.88 fails on `tsize` 0, with every server.
            let curl_fails = size == 0 && options != ["--tftp-no-options"];
            if curl_fails || size > 10_000 && options.contains(&"8") {
                continue;
            }
            let output = curl(&fixture, "file", options);
            assert!(output.status.success(), "{size} {options:?}: {output:?}");
            assert!(output.stdout == octets, "{size} {options:?}");
            let report = fixture.report();
            assert!(
                matches!(report.outcome, TftpOutcome::Sent { bytes, .. } if bytes == size as u64),
                "{report:?}"
            );
            assert_eq!(report.name, "file");
        }
    }
}

#[test]
fn curl_reports_a_missing_file_and_a_name_with_dot_dot() {
    let fixture = Fixture::new();
    for (name, status, expected) in [
        ("missing", 68, ErrorCode::FileNotFound),
        ("../secret", 69, ErrorCode::AccessViolation),
        ("..%5csecret", 69, ErrorCode::AccessViolation),
    ] {
        let output = curl(&fixture, name, &[]);
        assert_eq!(output.status.code(), Some(status), "{name}: {output:?}");
        let report = fixture.report();
        assert!(
            matches!(report.outcome, TftpOutcome::Refused { code, .. } if code == expected),
            "{report:?}"
        );
    }
    let put = run(Command::new("curl")
        .args([
            "--silent",
            "--max-time",
            "10",
            "--upload-file",
            "/etc/hostname",
        ])
        .arg(format!("tftp://{}/file", fixture.address())));
    assert_eq!(put.status.code(), Some(69), "{put:?}");
}

#[test]
fn busybox_gets_a_file_with_large_blocks() {
    let fixture = Fixture::new();
    let octets = fixture.add("kernel", 3_000_000);
    for block_size in ["512", "1468", "4096"] {
        let to = fixture.scratch("kernel");
        let address = fixture.address();
        let output = run(Command::new("busybox")
            .args(["tftp", "-g", "-b", block_size, "-r", "/kernel", "-l"])
            .arg(&to)
            .args([address.ip().to_string(), address.port().to_string()]));
        assert!(output.status.success(), "{output:?}");
        assert!(
            std::fs::read(&to).expect("the file") == octets,
            "{block_size}"
        );
    }
}

#[test]
fn atftp_gets_a_file_with_each_option() {
    let fixture = Fixture::new();
    let octets = fixture.add("initrd", 3_000_000);
    for options in [
        &[][..],
        &["tsize"],
        &["timeout 2"],
        &["blksize 1468"],
        &["windowsize 8"],
        &["windowsize 8", "blksize 1468", "tsize", "timeout 3"],
        &["windowsize 64", "blksize 1468"],
    ] {
        let to = fixture.scratch("initrd");
        let output = atftp(&fixture, "initrd", &to, options);
        assert!(output.status.success(), "{options:?}: {output:?}");
        assert!(
            std::fs::read(&to).expect("the file") == octets,
            "{options:?}"
        );
    }
}

#[test]
fn block_numbers_roll_over_with_a_real_client() {
    let fixture = Fixture::new();
    let octets = fixture.add("large", 512 * 66_000 + 7);
    let output = curl(&fixture, "large", &["--tftp-no-options"]);
    assert!(output.status.success(), "{:?}", output.stderr);
    assert!(output.stdout == octets);
}

#[test]
fn netascii_turns_line_ends() {
    let fixture = Fixture::new();
    fixture.write("text", b"one\ntwo\n");
    let output = curl(&fixture, "text;mode=netascii", &[]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, b"one\r\ntwo\r\n");
}

#[test]
fn forty_clients_at_once_get_their_files() {
    let fixture = Fixture::new();
    let digests: Vec<_> = (0..4)
        .map(|n| Sha256Digest::of(&fixture.add(&format!("file-{n}"), 1_000_000 + n)))
        .collect();
    std::thread::scope(|scope| {
        for client in 0..40 {
            let (fixture, digests) = (&fixture, &digests);
            scope.spawn(move || {
                let name = format!("file-{}", client % 4);
                let output = curl(fixture, &name, &["--tftp-blksize", "1468"]);
                assert!(output.status.success(), "{:?}", output.stderr);
                assert_eq!(Sha256Digest::of(&output.stdout), digests[client % 4]);
            });
        }
    });
}
