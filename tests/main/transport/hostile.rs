//! Images whose layers claim or expand to more than fits into memory.

use std::io::{self, Read, Write};
use std::process::Stdio;

use pxectl::bundle::{BundleStore, Descriptor};
use pxectl::wire::tar::{END, header};
use serde_json::json;

use crate::support::rack::Rack;

/// The expanded size of a layer: more than a pull may keep in memory.
const UNFOLDED: u64 = 256 << 20;
/// The memory limit of a pull, in bytes; it needs far less.
const MEMORY: u64 = 96 << 20;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Packed {
    Gzip,
    Zstd,
}

/// Begins an entry of a kind that claims so many bytes.
fn claim(kind: u8, size: u64) -> Vec<u8> {
    let mut block = header("x", size);
    block[156] = kind;
    with_checksum(block)
}

/// Corrects the checksum of a header.
fn with_checksum(mut block: Vec<u8>) -> Vec<u8> {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// Compresses a layer: its head, one byte very often, and its tail. Each part is compressed separately, as
/// both formats allow.
fn packed(how: Packed, head: &[u8], byte: u8, tail: &[u8]) -> Vec<u8> {
    const PIECE: usize = 1 << 20;
    let pack = |part: &[u8]| match how {
        Packed::Gzip => {
            let fast = flate2::Compression::fast();
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), fast);
            gzip.write_all(part).expect("it is compressed");
            gzip.finish().expect("it is compressed")
        }
        Packed::Zstd => zstd::encode_all(part, 1).expect("it is compressed"),
    };
    let pieces = pack(&vec![byte; PIECE]).repeat(UNFOLDED as usize / PIECE);
    [pack(head), pieces, pack(tail)].concat()
}

/// Adds an image with one layer to a layout.
fn image(rack: &Rack, name: &str, layer: &[u8]) {
    let store = BundleStore::open_or_create(&rack.file(name)).expect("a layout");
    let add = |kind: &str, content: &[u8]| {
        store.add_blob(&mut &*content).expect("a blob");
        Descriptor::of(kind, content)
    };
    let config = add(
        "application/vnd.oci.image.config.v1+json",
        br#"{"architecture": "amd64"}"#,
    );
    let layer = add("application/vnd.oci.image.layer.v1.tar", layer);
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer],
    });
    let manifest = add(kind, manifest.to_string().as_bytes());
    store
        .edit_index(|index| {
            index.manifests.push(manifest);
            Ok::<(), pxectl::bundle::BundleStoreError>(())
        })
        .expect("an index");
}

/// Pulls an image; returns the exit code, standard error, and the peak of memory.
fn pulled(rack: &Rack, name: &str) -> (Option<i32>, String, u64) {
    let mut child = rack
        .command(&["bundle", "pull", name, "b", "--bundles", "store"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    // The kernel keeps the peak: only the last moment may be missed.
    while child.try_wait().expect("it is ours").is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|it| it.trim().strip_suffix(" kB")?.trim().parse().ok());
        peak = kibibytes.map_or(peak, |it: u64| it << 10);
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let mut output = String::new();
    let stderr = child.stderr.as_mut().expect("piped");
    stderr.read_to_string(&mut output).expect("text");
    (child.wait().expect("it has ended").code(), output, peak)
}

#[test]
fn layers_that_expand_to_more_than_memory_are_refused_with_little_memory() {
    let rack = Rack::empty();
    let kernel = [header("disk/vmlinuz", 512), vec![b'k'; 512]].concat();
    // A record of attributes with one long line.
    let digits = format!("{UNFOLDED} comment=");
    let record = [claim(b'x', UNFOLDED + 512), digits.into_bytes()].concat();
    let records = [claim(b'x', UNFOLDED), Vec::new()].concat();
    for (name, head, byte, why) in [
        ("long-name", claim(b'L', UNFOLDED), b'n', "more than 4096 "),
        ("long-link", claim(b'K', UNFOLDED), b'n', "more than 4096 "),
        ("record", record, b'r', "more than 1 MiB"),
        ("records", records, b'1', "more than 1 MiB"),
    ] {
        let head = [kernel.clone(), head].concat();
        for how in [Packed::Gzip, Packed::Zstd] {
            image(&rack, name, &packed(how, &head, byte, &END));
            let (status, output, peak) = pulled(&rack, name);
            assert_eq!(status, Some(3), "{name}: {output}");
            assert!(output.contains(why), "{name}: {output}");
            assert!(peak < MEMORY, "{name}: {how:?}: {peak} bytes");
            std::fs::remove_dir_all(rack.file(name)).expect("it is gone");
        }
    }
    assert!(!rack.read("store/index.json").contains("sha256:"));
}

#[test]
fn unused_files_are_skipped_in_little_memory() {
    let rack = Rack::empty();
    let tail = [header("disk/vmlinuz", 512), vec![b'k'; 512], END.to_vec()].concat();
    for how in [Packed::Gzip, Packed::Zstd] {
        let name = format!("{how:?}");
        image(
            &rack,
            &name,
            &packed(how, &header("usr/large", UNFOLDED), 0, &tail),
        );
        let (status, output, peak) = pulled(&rack, &name);
        assert_eq!(status, Some(0), "{output}");
        assert!(peak > 1 << 20 && peak < MEMORY, "{how:?}: {peak} bytes");
    }
    let large = rack.tree("store/blobs").into_iter();
    assert!(large.map(|(_, content)| content.len()).max() < Some(1 << 20));
}

#[test]
fn a_zstd_window_above_the_limit_is_refused() {
    let rack = Rack::empty();
    let mut zstd = zstd::Encoder::new(Vec::new(), 1).expect("an encoder");
    zstd.window_log(27).expect("a window");
    let head = [header("disk/vmlinuz", UNFOLDED)].concat();
    let mut layer = head.chain(io::repeat(7).take(UNFOLDED)).chain(&END[..]);
    io::copy(&mut layer, &mut zstd).expect("it is compressed");
    image(&rack, "window", &zstd.finish().expect("it is compressed"));
    let (status, output, _) = pulled(&rack, "window");
    assert_eq!(status, Some(3), "{output}");
    assert!(output.contains("requires too much memory"), "{output}");
}

#[test]
fn an_image_of_very_many_files_is_refused() {
    let rack = Rack::empty();
    let mut layer = header("disk/0", 0);
    // Hard links to one file: nothing is written for them.
    for number in 1..=1 << 12 {
        let mut other = header(&format!("disk/{number}"), 0);
        other[156] = b'1';
        other[157..163].copy_from_slice(b"disk/0");
        layer.extend(with_checksum(other));
    }
    layer.extend(END);
    image(&rack, "many", &layer);
    let (status, output, _) = pulled(&rack, "many");
    assert_eq!(status, Some(3), "{output}");
    assert!(output.contains("more than 4096 files"), "{output}");
    assert_eq!(rack.tree("store/blobs").len(), 1);
}
