//! Signatures: what was armed is not installed once nobody whom the site trusts vouches for it.

use pxectl::bundle::SecretKey;
use pxectl::token::Purpose;

use crate::rack::Rack;
use crate::server::Server;

#[test]
fn a_running_install_gets_no_file_of_a_bundle_whose_key_was_revoked() {
    let rack = Rack::new();
    let keys = ["old", "new"].map(|name| (name, SecretKey::generate().expect("a key")));
    let line = |(name, key): &(&str, SecretKey)| {
        format!("{{name: {name}, key: {}}}", key.public().expect("a key"))
    };
    let [old, new] = [line(&keys[0]), line(&keys[1])];
    // Signs every bundle of the inventory as it is pinned.
    let sign = |key: &SecretKey| {
        let snapshot = pxectl::workspace::Snapshot::read(&rack.path("")).expect("the inventory");
        let (inventory, _) = snapshot.check().good.expect("a good one");
        let documents = inventory.bundles.values().map(|bundle| {
            let mut bundle = bundle.clone();
            bundle.signatures = vec![key.sign(&bundle.manifest(), "")];
            bundle.to_yaml()
        });
        let documents: Vec<String> = documents.collect();
        rack.edit("bundles.yaml", |_| documents.join("---\n"));
    };
    let require = |keys: &str, revoked: &str| {
        rack.edit("site.yaml", |text| {
            let base = text.split("signatures:").next().unwrap_or_default();
            format!("{base}signatures: {{required: true, keys: [{keys}], revoked: [{revoked}]}}\n")
        });
    };
    sign(&keys[0].1);
    require(&old, "");
    rack.run(&["host", "provision", "worker-01"]);
    let mut server = Server::start(&rack, "http");
    let seed = rack.capability("worker-01", Purpose::Seed);
    let url = format!("/s/{seed}/files/kernel");
    assert_eq!(server.web().get(&url).status(), 200);

    let mark = server.mark();
    require(&format!("{old}, {new}"), "");
    server.event(mark, "reloaded");
    let mark = server.mark();
    sign(&keys[1].1);
    server.event(mark, "reloaded");
    assert_eq!(server.web().get(&url).status(), 200);
    let mark = server.mark();
    require(&new, &old);
    server.event(mark, "reloaded");
    let answer = server.web().get(&url);
    assert_eq!(answer.status(), 503, "{}", answer.text());
    assert!(
        answer
            .text()
            .contains("key `old`, which the site has revoked"),
        "{}",
        answer.text()
    );
    server.stop();
}
