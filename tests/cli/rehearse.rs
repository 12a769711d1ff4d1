//! `pxectl rehearse`: where a chain stops, and why.

use serde_json::Value;

use crate::rack::Rack;

const KERNEL: &str = "ad6ee40a67983b25960651f7fd20808aa6f3a3504000183cb05a57f268f1c269";

#[test]
fn a_host_whose_bundle_is_not_whole_stops_with_that_reason() {
    let rack = Rack::a();
    std::fs::remove_file(rack.file(&format!("bundles/blobs/sha256/{KERNEL}"))).expect("a kernel");
    let help = "copy the blob from where the bundle was built, or correct the Bundle document";
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
