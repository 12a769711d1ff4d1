//! Every option that each client has. Octets are compared throughout: tftp-hpa ends well even when
//! it got nothing.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use pxectl::respond::tftp::TftpOutcome;
use pxectl::wire::tftp::ErrorCode;

use crate::tftp::fixture::Fixture;
use crate::tftp::{atftp, curl, run};

/// Line ends of a Unix file, and carriage returns that end no line, over more than two blocks.
fn text() -> Vec<u8> {
    b"one\ntwo\n\nthree\rfour\r\0\n".repeat(61)
}

fn tftp_hpa(fixture: &Fixture, options: &[&str], words: &[&str]) -> Output {
    let address = fixture.address();
    let mut command = Command::new("tftp");
    command.args(options);
    command.args([address.ip().to_string(), address.port().to_string()]);
    run(command.arg("-c").args(words))
}

fn busybox(fixture: &Fixture, options: &[&str], name: &str, to: &Path) -> Output {
    let address = fixture.address();
    let mut command = Command::new("busybox");
    command.arg("tftp").args(options).args(["-r", name, "-l"]);
    let command = command.arg(to).arg(address.ip().to_string());
    run(command.arg(address.port().to_string()))
}

#[track_caller]
fn assert_sent(fixture: &Fixture, size: usize) {
    let report = fixture.report();
    let is_whole =
        matches!(report.outcome, TftpOutcome::Sent { bytes, .. } if bytes == size as u64);
    assert!(is_whole, "{report:?} of {size} octets");
}

#[track_caller]
fn assert_refused(fixture: &Fixture, expected: ErrorCode) {
    let report = fixture.report();
    let is_refused =
        matches!(report.outcome, TftpOutcome::Refused { code, .. } if code == expected);
    assert!(is_refused, "{report:?} is not {expected:?}");
}

#[test]
fn tftp_hpa_gets_every_size_with_each_option() {
    let fixture = Fixture::new();
    for size in [0, 1, 511, 512, 513, 1024, 100_000] {
        let octets = fixture.add("dir:file", size);
        for options in [
            &["-l", "-m", "octet"][..],
            &["-l", "-m", "binary", "-v"],
            &["-4", "-l", "-m", "image"],
        ] {
            let to = fixture.scratch("file");
            let to_name = to.display().to_string();
            let output = tftp_hpa(&fixture, options, &["get", "dir:file", &to_name]);
            assert!(fs::read(&to).unwrap() == octets, "{options:?}: {output:?}");
            assert_sent(&fixture, size);
        }
    }
    let text = text();
    fixture.write("text", &text);
    for mode in ["ascii", "netascii"] {
        let to = fixture.scratch("text");
        let to_name = to.display().to_string();
        let output = tftp_hpa(&fixture, &["-m", mode], &["get", "text", &to_name]);
        assert!(fs::read(&to).unwrap() == text, "{mode}: {output:?}");
    }
}

#[test]
fn tftp_hpa_gets_nothing_where_nothing_is_and_may_not_write() {
    let fixture = Fixture::new();
    let to = fixture.scratch("missing");
    let to_name = to.display().to_string();
    let output = tftp_hpa(&fixture, &["-m", "octet"], &["get", "missing", &to_name]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("Error code 1: "), "{output:?}");
    assert_eq!(fs::read(&to).unwrap_or_default(), b"");
    assert_refused(&fixture, ErrorCode::FileNotFound);
    fixture.write("file", b"as it was");
    let own = fixture.scratch("own");
    fs::write(&own, "something else").unwrap();
    let own = own.display().to_string();
    let output = tftp_hpa(&fixture, &["-m", "octet"], &["put", &own, "file"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("Error code 2: "), "{output:?}");
    assert_refused(&fixture, ErrorCode::AccessViolation);
    assert_eq!(fs::read(fixture.served("file")).unwrap(), b"as it was");
}

#[test]
fn busybox_gets_every_size_with_each_block_size_and_may_not_write() {
    let fixture = Fixture::new();
    for size in [0, 1, 511, 512, 513, 2936, 100_000] {
        let octets = fixture.add("file", size);
        for block_size in [None, Some("64"), Some("1024"), Some("1468"), Some("65464")] {
            if size > 10_000 && block_size == Some("64") {
                continue;
            }
            let to = fixture.scratch("file");
            let mut options = vec!["-g"];
            options.extend(block_size.map(|size| ["-b", size]).into_iter().flatten());
            let output = busybox(&fixture, &options, "file", &to);
            assert!(output.status.success(), "{size} {options:?}: {output:?}");
            assert!(fs::read(&to).unwrap() == octets, "{size} {options:?}");
            assert_sent(&fixture, size);
        }
    }
    let to = fixture.scratch("missing");
    let output = busybox(&fixture, &["-g"], "missing", &to);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_refused(&fixture, ErrorCode::FileNotFound);
    fixture.write("file", b"as it was");
    let own = fixture.scratch("own");
    fs::write(&own, "something else").unwrap();
    let output = busybox(&fixture, &["-p"], "file", &own);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_refused(&fixture, ErrorCode::AccessViolation);
    assert_eq!(fs::read(fixture.served("file")).unwrap(), b"as it was");
}

#[test]
fn atftp_gets_a_file_with_the_extremes_of_each_option() {
    let fixture = Fixture::new();
    for size in [0, 512, 60_000] {
        let octets = fixture.add("file", size);
        for options in [
            &["blksize 8"][..],
            &["blksize 65464"],
            &["blksize 65464", "windowsize 64"],
            &["windowsize 1"],
            &["windowsize 64", "blksize 8"],
            &["timeout 1", "tsize"],
            &["timeout 255"],
            // Not offered here, and left out of the answer.
            &["multicast"],
            &[
                "multicast",
                "blksize 1024",
                "tsize",
                "timeout 3",
                "windowsize 4",
            ],
        ] {
            let to = fixture.scratch("file");
            let output = atftp(&fixture, "file", &to, options);
            assert!(output.status.success(), "{size} {options:?}: {output:?}");
            assert!(fs::read(&to).unwrap() == octets, "{size} {options:?}");
            assert_sent(&fixture, size);
        }
    }
}

#[test]
fn atftp_gets_a_file_with_each_switch_and_may_not_write() {
    let fixture = Fixture::new();
    let octets = fixture.add("file", 20_000);
    let address = fixture.address();
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    for switches in [
        &["--prevent-sas"][..],
        &["--no-source-port-checking"],
        &["--tftp-timeout", "2"],
        &["--verbose", "--trace"],
        &["--password", "secret"],
    ] {
        let to = fixture.scratch("file");
        let mut command = Command::new("atftp");
        command
            .args(switches)
            .args(["--get", "--remote-file", "file"]);
        let output = run(command.arg("--local-file").arg(&to).args([&ip, &port]));
        assert!(output.status.success(), "{switches:?}: {output:?}");
        assert!(fs::read(&to).unwrap() == octets, "{switches:?}");
        assert_sent(&fixture, octets.len());
    }
    let own = fixture.scratch("own");
    fs::write(&own, "something else").unwrap();
    let mut command = Command::new("atftp");
    command.args(["--put", "--remote-file", "file", "--local-file"]);
    let output = run(command.arg(&own).args([&ip, &port]));
    assert!(!output.status.success(), "{output:?}");
    assert_refused(&fixture, ErrorCode::AccessViolation);
    assert!(fs::read(fixture.served("file")).unwrap() == octets);
    let to = fixture.scratch("missing");
    let output = atftp(&fixture, "missing", &to, &["tsize"]);
    assert!(!output.status.success(), "{output:?}");
    assert_refused(&fixture, ErrorCode::FileNotFound);
}

#[test]
fn curl_gets_a_file_in_both_modes_and_from_a_port_and_address_of_its_choice() {
    let fixture = Fixture::new();
    let text = text();
    fixture.write("text", &text);
    for options in [
        &[][..],
        &["--tftp-no-options"],
        &["--local-port", "20000-60000"],
        &["--interface", "127.0.0.1"],
        &["--connect-timeout", "20"],
        &["--max-filesize", "100000"],
        &["--limit-rate", "1M"],
    ] {
        for name in ["text", "text;mode=octet"] {
            let output = curl(&fixture, name, options);
            assert!(output.status.success(), "{options:?}: {output:?}");
            assert!(output.stdout == text, "{options:?}");
            assert_sent(&fixture, text.len());
        }
    }
    let output = curl(&fixture, "text;mode=netascii", &["--tftp-blksize", "1000"]);
    assert!(output.status.success(), "{output:?}");
    // curl leaves the line ends of the wire as they are. Source: RFC 764.
    let mut wire = Vec::new();
    for octet in text {
        match octet {
            b'\n' => wire.extend(b"\r\n"),
            b'\r' => wire.extend(b"\r\0"),
            other => wire.push(other),
        }
    }
    assert!(output.stdout == wire);
}
