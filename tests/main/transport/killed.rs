//! `kill -9` at every relevant moment: strace kills the process when it enters a system call.

use std::path::PathBuf;
use std::process::Command;

use pxectl::bundle::BundleStore;
use pxectl::machine::Sha256Digest;

use crate::support::rack::{BUNDLE, Rack};
use crate::support::requirements::missing;

/// The system calls that lead to a new name, and every how many calls the process is killed.
const CALLS: [(&str, usize); 4] = [("fsync", 1), ("rename", 1), ("write", 4), ("openat", 31)];
/// More system calls than a transfer makes.
const MOST: usize = 2_000;

const OTHER: &str = "debian-12-stand-in";

/// Runs a command until its n-th system call of a kind; reports whether it was killed there.
fn killed(rack: &Rack, call: &str, number: usize, arguments: &[&str]) -> bool {
    let plain = rack.command(arguments);
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-qq", "-o", "/dev/null", "-e"])
        .arg(format!("trace={call}"))
        .arg("-e")
        .arg(format!("inject={call}:signal=KILL:when={number}"))
        .arg(plain.get_program())
        .args(plain.get_args())
        .current_dir(rack.path())
        .env("PXECTL_STATE", "state");
    let output = strace.output().expect("strace runs");
    // A process that a signal ended has no exit code, and strace ends like its child.
    let was_killed = output.status.code().is_none() || output.status.code() == Some(137);
    assert!(
        was_killed || output.status.success(),
        "{call} {number}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    was_killed
}

/// Checks that every blob matches its name, and that every name has all of its blobs.
#[track_caller]
fn is_whole(rack: &Rack, store: &str) {
    for (path, content) in rack.tree(&format!("{store}/blobs")) {
        let name = path.file_name().expect("a name").to_string_lossy();
        assert_eq!(name, Sha256Digest::of(&content).to_string());
    }
    let Ok(store) = BundleStore::open(&rack.file(store)) else {
        // The creation of the store was interrupted.
        return;
    };
    for named in store.bundles().expect("an index").values() {
        for file in named.bundle.as_ref().expect("a bundle").files.values() {
            store
                .open_blob(file)
                .expect("a file of a bundle that has a name");
        }
    }
}

/// Kills a command at every call, each time after `first` has run, and runs it again.
fn survives(first: &[&str], command: &[&str]) {
    if missing(&["strace"]) {
        return;
    }
    let rack = Rack::a();
    let traced = Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "true"])
        .status();
    assert!(
        traced.expect("strace runs").success(),
        "nothing can be traced here"
    );
    rack.write("kernel", "a kernel that is built in");
    let spec = "kind: BundleSpec\nname: built\narch: x86_64\nfiles: {kernel: {from: kernel}}\n";
    rack.write("spec.txt", spec);
    rack.done(&["bundle", "publish", BUNDLE, "from.tar"]);
    rack.done(first);
    let before = Kept::of(&rack);
    let mut killings = 0;
    for (call, step) in CALLS {
        for number in (1..MOST).step_by(step) {
            before.restore(&rack);
            if !killed(&rack, call, number, command) {
                break;
            }
            killings += 1;
            let title = format!("{command:?}, {call} {number}");
            is_whole(&rack, "mirror");
            // The tar file is the old one or the new one.
            if let Some(archive) = &before.archive {
                let now = std::fs::read(rack.file("usb.tar")).expect("it");
                let is_new = || {
                    pxectl::bundle::transfer::ArchiveReader::open(&rack.file("usb.tar"))
                        .and_then(|archive| archive.index())
                        .is_ok_and(|index| index.find(BUNDLE).is_some())
                };
                assert!(now == *archive || is_new(), "{title}");
            }
            // Every old name is still there.
            if !before.mirror.is_empty() {
                assert!(rack.read("mirror/index.json").contains(OTHER), "{title}");
            }
            rack.done(command);
            is_whole(&rack, "mirror");
            assert!(!rack.file("usb.tar.partial").exists(), "{title}");
            let left = rack.tree("mirror/.partial");
            assert!(left.is_empty(), "{title}: {left:?}");
        }
    }
    assert!(killings > 8, "{command:?}: killed {killings} times");
}

/// The files before the command.
struct Kept {
    mirror: Vec<(PathBuf, Vec<u8>)>,
    archive: Option<Vec<u8>>,
}

impl Kept {
    fn of(rack: &Rack) -> Self {
        Self {
            mirror: rack.tree("mirror"),
            archive: std::fs::read(rack.file("usb.tar")).ok(),
        }
    }

    fn restore(&self, rack: &Rack) {
        let _ = std::fs::remove_dir_all(rack.file("mirror"));
        for (path, content) in &self.mirror {
            std::fs::create_dir_all(path.parent().expect("a directory")).expect("it is made");
            std::fs::write(path, content).expect("a file");
        }
        let _ = std::fs::remove_file(rack.file("usb.tar.partial"));
        if let Some(archive) = &self.archive {
            rack.write("usb.tar", archive);
        }
    }
}

#[test]
fn a_publish_to_a_directory_survives_being_killed() {
    survives(
        &["bundle", "publish", OTHER, "mirror"],
        &["bundle", "publish", BUNDLE, "mirror"],
    );
}

#[test]
fn a_publish_to_a_tar_file_survives_being_killed() {
    survives(
        &["bundle", "publish", OTHER, "usb.tar"],
        &["bundle", "publish", BUNDLE, "usb.tar"],
    );
}

#[test]
fn a_pull_from_a_directory_survives_being_killed() {
    survives(
        &["bundle", "publish", OTHER, "mirror"],
        &["bundle", "pull", "bundles", BUNDLE, "--bundles", "mirror"],
    );
}

#[test]
fn a_pull_from_a_tar_file_survives_being_killed_also_while_it_creates_the_store() {
    survives(
        &["bundle", "list"],
        &["bundle", "pull", "from.tar", BUNDLE, "--bundles", "mirror"],
    );
}

#[test]
fn a_build_survives_being_killed() {
    survives(
        &["bundle", "publish", OTHER, "mirror"],
        &["bundle", "build", "spec.txt", "--bundles", "mirror"],
    );
}

#[test]
fn the_second_of_two_writers_of_a_tar_file_is_refused() {
    let rack = Rack::a();
    rack.done(&["bundle", "publish", BUNDLE, "usb.tar"]);
    let before = std::fs::read(rack.file("usb.tar")).expect("it");
    // The lock that a publish holds while it writes.
    let partial = std::fs::File::create(rack.file("usb.tar.partial")).expect("a file");
    partial.lock().expect("a lock");
    let other = ["bundle", "publish", OTHER, "usb.tar"];
    let output = rack.refused(3, &other);
    assert!(output.contains("another publish is writing"), "{output}");
    assert_eq!(std::fs::read(rack.file("usb.tar")).expect("it"), before);
    // The other publish was killed: its leftover is overwritten.
    drop(partial);
    rack.done(&other);
    assert!(!rack.file("usb.tar.partial").exists());
}
