//! Each parser of outside bytes has a fuzz target, and each target is one that can be run.

use std::fs;
use std::path::{Path, PathBuf};

/// The parsers that read what somebody else wrote.
const PARSERS: [&str; 26] = [
    "DhcpMessage::parse(",
    "Packet::parse(",
    "sender(frame)",
    "route(method, target)",
    "select(1000, ",
    ".read_capability(",
    "parse(&files, ",
    "Templates::compile(",
    "BootFile::read(",
    "ipxe::{Interpreter",
    "grub_script::{GrubMachine, GrubStep, Interpreter",
    "PxelinuxConfig::parse(",
    "Iso9660::open(",
    "Tar::new(",
    "Tar::without_end(",
    "parse_spec(",
    "Checksums::parse(",
    "Bundle::from_manifest(",
    "IpmiText::new(",
    "System::read(",
    "Ipv4Datagram::parse(",
    "fragments.take(",
    "CaptureFile::start(",
    "observer.observe(",
    "Challenge::parse(",
    "shown_line(",
];

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

#[test]
fn every_parser_of_outside_bytes_has_a_fuzz_target() {
    let manifest = fs::read_to_string(directory().join("Cargo.toml")).expect("a manifest");
    let mut all = String::new();
    let mut targets = 0;
    for entry in fs::read_dir(directory().join("fuzz_targets")).expect("targets") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_stem()
            .and_then(|name| name.to_str())
            .expect("a name");
        let listed = format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"");
        assert!(
            manifest.contains(&listed),
            "fuzz/Cargo.toml has no `{name}`"
        );
        all.push_str(&fs::read_to_string(&path).expect("a target"));
        targets += 1;
    }
    assert_eq!(manifest.matches("[[bin]]").count(), targets);
    for parser in PARSERS {
        assert!(all.contains(parser), "no target calls `{parser}`");
    }
}

#[test]
fn the_build_of_the_package_never_looks_at_the_targets() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let root = fs::read_to_string(root).expect("a manifest");
    assert!(!root.contains("fuzz"), "Cargo.toml names fuzz");
    let own = fs::read_to_string(directory().join("Cargo.toml")).expect("a manifest");
    assert!(own.lines().any(|line| line == "[workspace]"));
}
