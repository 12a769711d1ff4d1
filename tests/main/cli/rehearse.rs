//! `pxectl rehearse`: where a chain stops, and why.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::rack::Rack;

const KERNEL: &str = "ad6ee40a67983b25960651f7fd20808aa6f3a3504000183cb05a57f268f1c269";

#[test]
fn a_host_whose_bundle_is_not_whole_stops_with_that_reason() {
    let rack = Rack::a();
    fs::remove_file(rack.file(&format!("bundles/blobs/sha256/{KERNEL}"))).expect("a kernel");
    let help = "fetch the blob with `pxectl bundle fetch`, or correct the Bundle document";
    let text = rack
        .pxectl("rehearse worker-01 -q")
        .stdout_returned()
        .status(1)
        .run();
    let reason = "worker-01 could not be armed: bundle `ubuntu-24.04-stand-in`: ";
    for part in [reason, KERNEL, help] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
    assert!(!text.contains("was sent to its local disk"), "{text}");
    let report = rack
        .pxectl("rehearse worker-01 -q --format json")
        .stdout_returned()
        .status(1)
        .run();
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let stop = &report["rehearsals"][0]["stop"];
    assert!(stop["reason"].as_str().expect("text").starts_with(reason));
    assert_eq!(stop["help"], help);
}

#[test]
fn a_rehearsal_that_is_ended_leaves_no_store_and_shows_it_to_nobody() {
    let rack = Rack::a();
    let temporary = rack.file("temporary");
    fs::create_dir(&temporary).expect("a directory");
    let entries = || fs::read_dir(&temporary).expect("a directory").flatten();
    let mut ended = 0;
    // One that is done before it is ended proves nothing.
    for signal in [Signal::TERM, Signal::INT].repeat(20) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_pxectl"))
            .args(["rehearse", "--all", "-i"])
            .arg(rack.path())
            .env("TMPDIR", &temporary)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a process");
        let until = Instant::now() + Duration::from_secs(60);
        let found = loop {
            match entries().next() {
                Some(entry) => break Some(entry.metadata()),
                None if child.try_wait().expect("a status").is_some() => break None,
                None => assert!(Instant::now() < until, "it makes no store"),
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        if let Some(Ok(metadata)) = found {
            assert_eq!(metadata.permissions().mode() & 0o777, 0o700);
        }
        let pid = Pid::from_raw(child.id() as i32).expect("an id");
        let _ = kill_process(pid, signal);
        let status = child.wait().expect("a status");
        assert_eq!(entries().count(), 0, "{status}");
        ended += u32::from(status.signal() == Some(signal.as_raw()));
        if ended == 4 {
            return;
        }
    }
    panic!("only {ended} were ended");
}
