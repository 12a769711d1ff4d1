//! Signatures: what was armed is not installed once nobody whom the site trusts vouches for it.

use pxectl::bundle::SecretKey;
use pxectl::token::Purpose;

use crate::serve::server::Server;
use crate::support::rack::Rack;

#[test]
fn a_running_install_gets_no_file_of_a_bundle_whose_key_was_revoked() {
    let rack = Rack::beside_store();
    let keys = ["old", "new"].map(|name| (name, SecretKey::generate().expect("a key")));
    let line = |(name, key): &(&str, SecretKey)| {
        format!("{{name: {name}, key: {}}}", key.public().expect("a key"))
    };
    let [old, new] = [line(&keys[0]), line(&keys[1])];
    // Signs every bundle of the inventory as it is pinned.
    let sign = |key: &SecretKey| {
        let snapshot = pxectl::workspace::Snapshot::read(rack.path()).expect("the inventory");
        let (inventory, _) = snapshot.check().good.expect("a good one");
        let documents = inventory.bundles.values().map(|bundle| {
            let mut bundle = bundle.clone();
            bundle.signatures = vec![key.sign(&bundle.manifest(), "")];
            bundle.to_yaml()
        });
        let documents: Vec<String> = documents.collect();
        rack.rewrite("bundles.yaml", |_| documents.join("---\n"));
    };
    let require = |keys: &str, revoked: &str| {
        rack.rewrite("site.yaml", |text| {
            let base = text.split("signatures:").next().unwrap_or_default();
            format!("{base}signatures: {{required: true, keys: [{keys}], revoked: [{revoked}]}}\n")
        });
    };
    sign(&keys[0].1);
    require(&old, "");
    rack.done(&["host", "provision", "worker-01"]);
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

#[test]
fn a_revoked_key_counts_nowhere_although_no_signature_is_required() {
    let rack = Rack::beside_store();
    let key = SecretKey::generate().expect("a key");
    let line = format!("{{name: old, key: {}}}", key.public().expect("a key"));
    let plain = std::fs::read_to_string(rack.file("site.yaml")).expect("the site");
    let snapshot = pxectl::workspace::Snapshot::read(rack.path()).expect("the inventory");
    let (inventory, _) = snapshot.check().good.expect("a good one");
    let documents = inventory.bundles.values().map(|bundle| {
        let mut bundle = bundle.clone();
        bundle.signatures = vec![key.sign(&bundle.manifest(), "")];
        bundle.to_yaml()
    });
    let documents: Vec<String> = documents.collect();
    rack.rewrite("bundles.yaml", |_| documents.join("---\n"));
    rack.rewrite("site.yaml", |_| {
        format!("{plain}signatures: {{keys: [{line}]}}\n")
    });
    rack.done(&["host", "provision", "worker-01"]);
    let mut server = Server::start(&rack, "all");
    let manifest = inventory.bundles["ubuntu-24.04-stand-in"].manifest_digest();
    let seed = rack.capability("worker-01", Purpose::Seed);
    let urls = [
        format!("/b/{manifest}/kernel"),
        format!("/s/{seed}/files/kernel"),
    ];
    for url in &urls {
        assert_eq!(server.web().get(url).status(), 200, "{url}");
    }
    // The inventory whose every bundle such a key has signed is refused; the key is revoked anyway.
    let mark = server.mark();
    rack.rewrite("site.yaml", |_| {
        format!("{plain}signatures: {{revoked: [{line}]}}\n")
    });
    server.event(mark, "reload-refused");
    let message = server.event(mark, "key-revoked");
    assert!(message.contains("key `old` is revoked"), "{message}");
    for url in &urls {
        let answer = server.web().get(url);
        assert_eq!(answer.status(), 503, "{url}");
        assert!(
            answer.text().contains("which the site has revoked"),
            "{}",
            answer.text()
        );
        let name = url.trim_start_matches('/');
        let socket = crate::serve::client::request("127.0.0.1", server.address("tftp"), name, "");
        let mut buffer = [0; 1000];
        let (length, _) = socket.recv_from(&mut buffer).expect("an answer");
        assert_eq!(buffer[..2], [0, 5], "{:?}", &buffer[..length]);
    }
    // Putting the inventory back takes the revocation back.
    let revoked = std::fs::read_to_string(rack.file("site.yaml")).expect("the site");
    let mark = server.mark();
    rack.rewrite("site.yaml", |_| {
        format!("{plain}signatures: {{keys: [{line}]}}\n")
    });
    server.event(mark, "reloaded");
    assert_eq!(server.web().get(&urls[0]).status(), 200);
    server.stop();
    rack.rewrite("site.yaml", |_| revoked);
    for words in [
        &["validate"][..],
        &["host", "provision", "worker-02"],
        &["serve", "http"],
        &["rehearse", "worker-01"],
        &["bundle", "fetch"],
    ] {
        let output = rack.command(words).output().expect("the binary runs");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {said}");
        assert!(
            said.contains("which the site has revoked"),
            "{words:?}: {said}"
        );
    }
}
