//! Every format, compressed and not, gives the same.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::capture::command::{CaptureOutput, capture, capture_with};
use crate::capture::sample::{Frame, frames, pcapng};
use crate::support::requirements::missing;
use crate::support::tool::run_tool;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// Returns what a file tells, without what belongs to its format.
fn told(ran: &CaptureOutput) -> Vec<Value> {
    ran.objects()
}

fn read(directory: &Path, name: &str) -> CaptureOutput {
    capture(directory, &["--read", name, "--format", "json"])
}

#[test]
fn compressed_files_and_pipes_give_what_the_plain_file_gives() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = pcapng(&frames());
    let (first, second) = file.split_at(file.len() / 3);
    for (name, bytes) in [
        ("plain", file.clone()),
        ("gzip", gzip(&file)),
        ("gzip-twice", [gzip(first), gzip(second)].concat()),
        ("zstd", zstd::encode_all(&file[..], 1).expect("memory")),
        (
            "zstd-twice",
            [first, second]
                .map(|part| zstd::encode_all(part, 1).expect("memory"))
                .concat(),
        ),
    ] {
        std::fs::write(directory.path().join(name), bytes).expect("a file");
    }
    let expected = told(&read(directory.path(), "plain"));
    assert!(expected.len() > 10, "{expected:?}");
    for name in ["gzip", "gzip-twice", "zstd", "zstd-twice"] {
        assert_eq!(told(&read(directory.path(), name)), expected, "{name}");
        let bytes = std::fs::read(directory.path().join(name)).expect("the file");
        let piped = ["--read", "-", "--format", "json"];
        let piped = capture_with(directory.path(), &piped, &bytes);
        assert_eq!(told(&piped), expected, "{name} through a pipe");
    }
}

#[test]
fn every_format_that_editcap_writes_gives_the_same() {
    if missing(&["editcap"]) {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("plain"), pcapng(&frames())).expect("a file");
    let expected = told(&read(directory.path(), "plain"));
    for format in ["pcapng", "nsecpcap"] {
        let [from, to] = [at("plain"), at(format)];
        let words = [
            OsStr::new("-F"),
            OsStr::new(format),
            from.as_os_str(),
            to.as_os_str(),
        ];
        run_tool("editcap", &words);
        assert_eq!(told(&read(directory.path(), format)), expected, "{format}");
    }
    // Microseconds are all that this one has.
    let [from, to] = [at("plain"), at("pcap")];
    let words = [
        OsStr::new("-F"),
        OsStr::new("pcap"),
        from.as_os_str(),
        to.as_os_str(),
    ];
    run_tool("editcap", &words);
    let coarse = told(&read(directory.path(), "pcap"));
    let without_times = |objects: &[Value]| -> Vec<String> {
        let texts = objects.iter().map(Value::to_string);
        texts.map(|text| text.replace("456789Z", "456Z")).collect()
    };
    assert_eq!(without_times(&coarse), without_times(&expected));
}

/// Writes a pcap file, as `tcpdump -w` does, of frames with a link type's own header.
fn pcap(link: u32, frames: &[Frame], head: fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut file = [0xa1b2_3c4du32.to_le_bytes(), [2, 0, 4, 0]].concat();
    for field in [0, 0, 262_144, link] {
        file.extend(u32::to_le_bytes(field));
    }
    for frame in frames {
        let bytes = head(&frame.bytes);
        let seconds = frame.at.as_second() as u32;
        let nanoseconds = frame.at.subsec_nanosecond() as u32;
        let length = bytes.len() as u32;
        for field in [seconds, nanoseconds, length, length] {
            file.extend(field.to_le_bytes());
        }
        file.extend(bytes);
    }
    file
}

/// What `tcpdump -i any` writes tells the same as Ethernet; without a frame's header, a machine is known
/// by what DHCP says, and its tags are gone.
#[test]
fn cooked_and_raw_files_give_what_ethernet_gives() {
    let directory = tempfile::tempdir().expect("a directory");
    let told = |name: &str, file: Vec<u8>| {
        std::fs::write(directory.path().join(name), file).expect("a file");
        let objects = read(directory.path(), name).objects();
        let of_interest = ["event", "machine", "finding"].map(Value::from);
        let told = objects
            .iter()
            .filter(|it| of_interest.contains(&it["type"]));
        told.cloned().collect::<Vec<_>>()
    };
    let all = frames();
    let expected = told("ethernet", pcap(1, &all, <[u8]>::to_vec));
    let machines = expected.iter().filter(|it| it["type"] == "machine");
    assert_eq!(machines.count(), 2, "{expected:?}");
    // Source: LINKTYPE_LINUX_SLL, LINKTYPE_LINUX_SLL2.
    let cooked = pcap(113, &all, |frame| {
        [&[0, 4, 0, 1, 0, 6], &frame[6..12], &[0, 0], &frame[12..]].concat()
    });
    let cooked2 = pcap(276, &all, |frame| {
        let interface = [0, 0, 0, 0, 0, 3, 0, 1, 4, 6];
        let (kind, rest) = (&frame[12..14], &frame[14..]);
        [kind, &interface[..], &frame[6..12], &[0, 0], rest].concat()
    });
    assert_eq!(told("cooked", cooked), expected);
    assert_eq!(told("cooked2", cooked2), expected);

    let mut plain = all;
    plain.retain(|frame| frame.bytes[12..14] == [8, 0]);
    let expected = told("plain", pcap(1, &plain, <[u8]>::to_vec));
    let words = expected.iter().filter(|it| it["type"] == "event");
    assert!(words.count() > 8, "{expected:?}");
    for (name, link) in [("raw", 101), ("ipv4", 228)] {
        let raw = pcap(link, &plain, |frame| frame[14..].to_vec());
        assert_eq!(told(name, raw), expected, "{name}");
    }
}

#[test]
fn what_is_counted_is_what_is_there() {
    let directory = tempfile::tempdir().expect("a directory");
    let frames = frames();
    std::fs::write(directory.path().join("plain"), pcapng(&frames)).expect("a file");
    let counts = read(directory.path(), "plain").counts();
    let bytes: usize = frames.iter().map(|frame| frame.bytes.len()).sum();
    assert_eq!(counts["frames"], frames.len());
    assert_eq!(counts["bytes"], bytes);
    // Three fragments make one packet, for each of the machines; ARP is none.
    assert_eq!(counts["fragments"], 6);
    assert_eq!(counts["packets"], frames.len() - 4 - 2);
    for nothing in ["fragments_lost", "malformed", "missed", "left_out"] {
        assert_eq!(counts[nothing], 0, "{nothing}");
    }
    assert_eq!(counts["faults"], serde_json::json!([]));
}
