//! What can be read is read; the rest is counted and named.

use std::io::Write;
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::capture::command::{CaptureOutput, capture};
use crate::capture::sample::{frames, pcapng};

fn read(bytes: &[u8]) -> CaptureOutput {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("file"), bytes).expect("a file");
    capture(directory.path(), &["--read", "file", "--format", "json"])
}

#[test]
fn a_file_that_is_cut_says_after_which_packet() {
    let (frames, file) = (frames(), pcapng(&frames()));
    let ran = read(&file[..file.len() - 10]);
    let count = frames.len() - 1;
    assert_eq!(ran.counts()["frames"], count);
    let expected = format!("warning: `file`: after packet {count}: the file is truncated: ");
    assert!(ran.stderr.contains(&expected), "{}", ran.stderr);
}

#[test]
fn reading_continues_after_damage_with_a_warning() {
    let (frames, mut file) = (frames(), pcapng(&frames()));
    // The length of the tenth block.
    let at = pcapng(&frames[..9]).len() + 4;
    file[at..at + 4].copy_from_slice(&[0xff; 4]);
    let ran = read(&file);
    assert_eq!(ran.counts()["frames"], frames.len() - 1);
    let expected = "after packet 9: a block has an invalid length of 4294967295 bytes";
    assert!(ran.stderr.contains(expected), "{}", ran.stderr);
}

#[test]
fn truncated_or_damaged_compressed_data_is_read_up_to_the_damage() {
    // More than fits into one block of zstd.
    let all: Vec<_> = std::iter::repeat_n(frames(), 20).flatten().collect();
    let file = pcapng(&all);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
    encoder.write_all(&file).expect("memory");
    let gzip = encoder.finish().expect("memory");
    let zstd = zstd::encode_all(&file[..], 1).expect("memory");
    let mut trailing = gzip.clone();
    trailing.extend(b"no gzip at all");
    for (name, bytes, is_whole) in [
        ("gzip", &gzip[..gzip.len() / 2], false),
        ("zstd", &zstd[..zstd.len() - 5], false),
        ("trailing", &trailing[..], true),
    ] {
        let ran = read(bytes);
        let expected = "cannot decompress the rest";
        assert!(ran.stderr.contains(expected), "{name}: {}", ran.stderr);
        let count = ran.counts()["frames"].as_u64().expect("a number");
        assert_eq!(count == all.len() as u64, is_whole, "{name}: {count}");
        assert!(count > 0, "{name}");
    }
    // Too little is left to read anything.
    let ran = read(&gzip[..12]);
    assert_eq!((ran.status, ran.text()), (1, ""));
    let expected = "error: cannot decompress `file`: ";
    assert!(ran.stderr.contains(expected), "{}", ran.stderr);
}

#[test]
fn malformed_frames_are_counted_by_their_errors() {
    let mut frames = frames();
    // Another IP version, a header that is too short, a truncated Ethernet header.
    frames[0].bytes[14] = 0x65;
    frames[1].bytes[14] = 0x44;
    frames[2].bytes.truncate(9);
    let ran = read(&pcapng(&frames));
    let counts = ran.counts();
    assert_eq!(counts["malformed"], 2);
    assert_eq!(counts["frames"], frames.len());
    for expected in [
        "1 frame not parsed: an Ethernet header needs 14 bytes, but has 9",
        "1 frame not parsed: an IPv4 header has an invalid length of 16 bytes",
    ] {
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    }
}

#[test]
fn other_files_are_refused() {
    for (bytes, why) in [
        (&b""[..], "` is empty"),
        (b"#!/bin/sh\nexit 0\n", "the first bytes are `0x23212f62`"),
    ] {
        let ran = read(bytes);
        assert_eq!((ran.status, ran.text()), (1, ""));
        assert!(ran.stderr.contains(why), "{}", ran.stderr);
        assert!(ran.stderr.contains("  = help: use a pcap or pcapng file"));
    }
}

#[test]
fn a_hostile_file_takes_neither_memory_nor_time() {
    // Blocks that announce the most that is believed, again and again, in files of 8 MiB: what follows
    // each would be moved and read again for all of them.
    for announced in [16 << 20, 1 << 20, (1 << 20) - 4] {
        let mut file = pcapng(&frames()[..1]);
        let block = [6u32, announced, 0, 0].map(u32::to_le_bytes).concat();
        while file.len() < 8 << 20 {
            file.extend(&block);
        }
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("file"), &file).expect("a file");
        let mut command = Command::new("sh");
        // In kilobytes, with what the libraries reserve for each thread.
        command.args([
            "-c",
            "ulimit -v 400000; exec \"$@\"",
            "sh",
            env!("CARGO_BIN_EXE_pxectl"),
        ]);
        command.args(["capture", "--read", "file"]);
        let output = command
            .current_dir(directory.path())
            .output()
            .expect("a shell");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{announced}: {said}");
        assert!(said.contains("after packet 1: "), "{announced}: {said}");
        assert!(said.contains("\n1 frame, "), "{announced}: {said}");
    }
}
