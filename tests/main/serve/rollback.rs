//! Back to an older bundle by changing one name in git: the octets that a machine gets.

use pxectl::bundle::BundleStore;
use pxectl::token::Purpose;
use pxectl::workspace::Snapshot;

use crate::serve::server::Server;
use crate::support::rack::Rack;

const OLD: &str = "ubuntu-24.04-stand-in";
const NEW: &str = "ubuntu-24.04-b";

/// Arms the host, and returns the kernel that its machine is served.
fn kernel(rack: &Rack, server: &Server) -> Vec<u8> {
    rack.done(&["host", "provision", "worker-01"]);
    let seed = rack.capability("worker-01", Purpose::Seed);
    let (boot, _) = rack.boot_url();
    let mut web = server.web();
    let path = format!("/s/{seed}/files/kernel");
    let script = web.get(&boot);
    assert!(script.text().contains(&path), "{}", script.text());
    let answer = web.get(&path);
    assert_eq!(answer.status(), 200);
    rack.done(&["host", "cancel", "worker-01"]);
    answer.body
}

fn name(rack: &Rack, from: &str, to: &str) {
    let (from, to) = (format!("bundle: {from}\n"), format!("bundle: {to}\n"));
    rack.rewrite("profiles.yaml", |text| text.replace(&from, &to));
}

#[test]
fn one_name_changed_back_serves_the_old_octets_again() {
    let rack = Rack::beside_store();
    let (inventory, _) = Snapshot::read(rack.path()).unwrap().check().good.unwrap();
    let file = &inventory.bundles[OLD].files["kernel"];
    let store = BundleStore::open(&rack.file("bundles")).unwrap();
    let old = std::fs::read(store.blob_path(&file.sha256)).unwrap();
    // A newer kernel, as long as the old one.
    let new: Vec<u8> = old.iter().map(|octet| octet ^ 0x55).collect();
    let (digest, _) = store.add_blob(&mut new.as_slice()).unwrap();
    rack.rewrite("bundles.yaml", |text| {
        let document = text.split("---").next().unwrap().replace(OLD, NEW);
        let document = document.replace(&file.sha256.to_string(), &digest.to_string());
        format!("{text}---\n{document}")
    });
    let server = Server::start(&rack, "http");
    assert!(kernel(&rack, &server) == old);
    name(&rack, OLD, NEW);
    assert!(kernel(&rack, &server) == new);
    name(&rack, NEW, OLD);
    assert!(kernel(&rack, &server) == old);
    server.stop();
}
