use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::support::rack::{BUNDLE, Rack};
use crate::support::requirements::missing;
use crate::support::run_output::RunOutput;

/// Puts a bundle with one large file into the store of a rack.
fn large(rack: &Rack, bytes: usize) {
    let content: Vec<u8> = (0..bytes).map(|index| (index / 7 % 253) as u8).collect();
    let store = pxectl::bundle::BundleStore::open(&rack.file("bundles")).expect("the store");
    let (sha256, size) = store.add_blob(&mut content.as_slice()).expect("a blob");
    let json = format!(
        r#"{{"name": "large", "arch": "x86_64",
            "files": {{"kernel": {{"path": "linux", "sha256": "{sha256}", "size": {size}}}}}}}"#
    );
    let bundle: pxectl::inventory::Bundle = serde_json::from_str(&json).expect("a bundle");
    store.add_bundle(&bundle).expect("a name");
}

#[test]
fn a_killed_transfer_changes_no_name_and_can_be_repeated() {
    let rack = Rack::a();
    large(&rack, 64 << 20);
    rack.done(&["bundle", "publish", BUNDLE, "mirror"]);
    rack.done(&["bundle", "publish", BUNDLE, "usb.tar"]);
    let tar = std::fs::read(rack.file("usb.tar")).expect("it");
    for place in ["mirror", "usb.tar"] {
        let index = rack.read("mirror/index.json");
        let mut child = rack
            .command(&["bundle", "publish", "large", place])
            .stderr(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        // The transfer of the file has begun.
        let mut line = String::new();
        let stderr = child.stderr.take().expect("piped");
        let read = BufReader::new(stderr).read_line(&mut line);
        assert!(read.is_ok() && line.contains("linux"), "{line}");
        child.kill().expect("it is killed");
        let ended = child.wait().expect("it has ended");
        assert!(!ended.success(), "it was done before it could be killed");
        assert_eq!(rack.read("mirror/index.json"), index);
        assert_eq!(std::fs::read(rack.file("usb.tar")).expect("it"), tar);
        rack.done(&["bundle", "verify", "--bundles", "mirror"]);
        rack.done(&["bundle", "publish", "large", place]);
    }
    rack.done(&["bundle", "verify", "large", "--bundles", "mirror"]);
    let partial = rack.tree("mirror/.partial");
    assert!(partial.is_empty(), "{partial:?}");
}

#[test]
fn a_full_disk_is_reported_and_leaves_nothing_incomplete() {
    if missing(&["root", "mount", "unshare"]) {
        return;
    }
    let rack = Rack::a();
    large(&rack, 8 << 20);
    rack.done(&["bundle", "publish", "large", "large.tar"]);
    std::fs::create_dir(rack.file("small")).expect("a directory");
    let binary = env!("CARGO_BIN_EXE_pxectl");
    for command in [
        "bundle pull large.tar large --bundles small/store",
        "bundle publish large small/usb.tar",
        "bundle publish large small/mirror",
    ] {
        let script = format!(
            "mount -t tmpfs -o size=4m none small && \
             {binary} {command}; echo status $?; find small -type f -size +4000k; \
             cat small/*/index.json 2>/dev/null"
        );
        let mut shell = std::process::Command::new("unshare");
        shell
            .args(["--mount", "sh", "-c", &script])
            .current_dir(rack.path());
        let output = RunOutput::of(&mut shell);
        assert!(
            output.stdout.starts_with("status 3"),
            "{}{}",
            output.stdout,
            output.stderr
        );
        assert!(output.stderr.contains("error: "), "{}", output.stderr);
        assert!(
            output.stderr.contains("bytes needed") || output.stderr.contains("No space left"),
            "{}",
            output.stderr
        );
        assert!(
            !output.stdout.contains("small/") && !output.stdout.contains("sha256:"),
            "{}",
            output.stdout
        );
    }
}
