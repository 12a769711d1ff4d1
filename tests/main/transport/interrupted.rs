//! Transfers to and from a real registry that are killed, or whose connections are cut.

use std::process::Stdio;

use pxectl::bundle::BundleStore;
use pxectl::inventory::Bundle;

use crate::support::rack::{BUNDLE, Rack};
use crate::support::requirements::missing;
use crate::transport::server::DockerRegistry;
use crate::transport::wire::{Way, What, When, Wire};

const FILES: usize = 3;
const OCTETS: usize = 4 << 20;
const ALL: u64 = (FILES * OCTETS) as u64;
/// Before anything, in the first file, between files, in the last one, and before the name.
const POINTS: [u64; 4] = [200, ALL / 5, ALL / 2, ALL - 10];

/// Puts a bundle `large` with some files into the store of a rack.
fn large(rack: &Rack) {
    let store = BundleStore::open(&rack.file("bundles")).expect("the store");
    let mut files = serde_json::Map::new();
    for number in 0..FILES {
        let content: Vec<u8> = (0..OCTETS)
            .map(|at| (at / 7 % 253 + number) as u8)
            .collect();
        let (sha256, size) = store.add_blob(&mut content.as_slice()).expect("a blob");
        let file = serde_json::json!({
            "path": format!("file-{number}"), "sha256": sha256.to_string(), "size": size,
        });
        files.insert(format!("file-{number}"), file);
    }
    let json = serde_json::json!({"name": "large", "arch": "x86_64", "files": files});
    let bundle: Bundle = serde_json::from_value(json).expect("a bundle");
    store.add_bundle(&bundle).expect("a name");
}

/// Counts the large files in the repository of a stopped registry.
fn layers(rack: &Rack, data: &Rack) -> usize {
    let blobs = rack.tree("bundles/blobs").into_iter();
    let large = blobs.filter(|(_, content)| content.len() == OCTETS);
    let links = large.filter(|(path, _)| {
        let digest = path.file_name().expect("a name").to_string_lossy();
        let layers = "data/docker/registry/v2/repositories/boot/_layers/sha256";
        let link = data.file(layers).join(&*digest).join("link");
        std::fs::read(link).is_ok_and(|link| !link.is_empty())
    });
    links.count()
}

/// Starts a command, and kills it when the wire stops.
#[track_caller]
fn killed(rack: &Rack, wire: &Wire, arguments: &[&str]) {
    let mut child = rack
        .command(arguments)
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("the binary runs");
    wire.wait();
    child.kill().expect("it is killed");
    let ended = child.wait().expect("it has ended");
    assert!(ended.code().is_none(), "it ended by itself");
}

fn whens(way: Way, last: &'static str) -> Vec<When> {
    let points = POINTS.iter().map(|bytes| When::Bytes(way, *bytes));
    points.chain([When::Request(last)]).collect()
}

#[test]
fn a_killed_publish_leaves_no_incomplete_name_and_its_files_are_not_copied_again() {
    if missing(&["docker-registry"]) {
        return;
    }
    let rack = Rack::a();
    large(&rack);
    let mut arrived = Vec::new();
    for when in whens(Way::Up, "PUT /v2/boot/manifests/") {
        let data = Rack::empty();
        let registry = DockerRegistry::start(data.path(), false);
        let place = registry.place("boot");
        rack.done(&["bundle", "publish", BUNDLE, &place, "--plain-http"]);

        let wire = Wire::start(&registry.host, when, What::Hold);
        let through = wire.place("boot");
        killed(
            &rack,
            &wire,
            &["bundle", "publish", "large", &through, "--plain-http"],
        );
        assert_eq!(
            registry.count("PUT /v2/boot/manifests/large", ""),
            0,
            "{when:?}"
        );
        // A new registry, so that no earlier request arrives late; its responses count from here.
        drop(registry);
        let there = layers(&rack, &data);
        arrived.push(there);
        let registry = DockerRegistry::start(data.path(), false);
        let place = registry.place("boot");
        let new = ["bundle", "pull", &place, "large", "--plain-http"];
        let new = [&new[..], &["--bundles", "none"]].concat();
        let refused = Rack::empty().refused(1, &new);
        assert!(refused.contains("has no `large`"), "{when:?}: {refused}");
        let old = ["bundle", "pull", &place, BUNDLE, "--plain-http"];
        Rack::empty().done(&[&old[..], &["--bundles", "new"]].concat());

        rack.done(&["bundle", "publish", "large", &place, "--plain-http"]);
        let sent = registry.count("PUT /v2/boot/blobs/", " 201");
        assert_eq!(sent, FILES - there, "{when:?}: {:?}", registry.responses());
        let other = Rack::empty();
        other.done(&new);
        other.done(&["bundle", "verify", "--bundles", "none"]);
    }
    assert_eq!(arrived.first(), Some(&0));
    assert_eq!(arrived.last(), Some(&FILES));
}

#[test]
fn a_killed_pull_leaves_no_name_and_its_files_are_not_copied_again() {
    if missing(&["docker-registry"]) {
        return;
    }
    let rack = Rack::a();
    large(&rack);
    let data = Rack::empty();
    let registry = DockerRegistry::start(data.path(), false);
    let place = registry.place("boot");
    rack.done(&["bundle", "publish", "large", &place, "--plain-http"]);
    drop(registry);
    for when in whens(Way::Down, "GET /v2/boot/blobs/") {
        let registry = DockerRegistry::start(data.path(), false);
        let other = Rack::empty();
        rack.done(&[
            "bundle",
            "publish",
            BUNDLE,
            &other.file("store").display().to_string(),
        ]);
        let index = other.read("store/index.json");
        let wire = Wire::start(&registry.host, when, What::Hold);
        let through = wire.place("boot");
        let pull = |place: &str| {
            let begin = ["bundle", "pull", place, "large", "--plain-http"];
            let begin = begin.map(str::to_owned).to_vec();
            [begin, vec!["--bundles".to_owned(), "store".to_owned()]].concat()
        };
        let words = pull(&through);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        killed(&other, &wire, &words);
        assert_eq!(other.read("store/index.json"), index, "{when:?}");
        other.done(&["bundle", "verify", "--bundles", "store"]);
        let large = |blobs: &[(std::path::PathBuf, Vec<u8>)]| {
            blobs.iter().filter(|(_, it)| it.len() == OCTETS).count()
        };
        let there = large(&other.tree("store/blobs"));

        // A new registry: its responses count from here.
        drop(registry);
        let registry = DockerRegistry::start(data.path(), false);
        let words = pull(&registry.place("boot"));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        other.done(&words);
        let came = registry.count("GET /v2/boot/blobs/", " 200");
        assert_eq!(came, FILES - there, "{when:?}");
        other.done(&["bundle", "verify", "large", "--bundles", "store"]);
        let partial = other.tree("store/.partial");
        assert!(partial.is_empty(), "{partial:?}");
    }
}

#[test]
fn a_broken_connection_is_retried_within_the_limit() {
    if missing(&["docker-registry"]) {
        return;
    }
    let rack = Rack::a();
    large(&rack);
    let data = Rack::empty();
    let registry = DockerRegistry::start(data.path(), false);
    let cut = |way, times| {
        let when = When::Bytes(way, ALL / 3);
        Wire::start(&registry.host, when, What::Cut(times))
    };
    let always = cut(Way::Up, usize::MAX).place("boot");
    let publish = ["bundle", "publish", "large", &always, "--plain-http"];
    let refused = rack.refused(3, &[&publish[..], &["--retries", "1"]].concat());
    assert!(refused.contains("retrying in 0.5 s"), "{refused}");
    assert!(!refused.contains("another file failed"), "{refused}");
    assert_eq!(registry.count("PUT /v2/boot/manifests/", ""), 0);

    let once = cut(Way::Up, 1).place("boot");
    let published = rack.run(&["bundle", "publish", "large", &once, "--plain-http"]);
    assert_eq!(published.status, Some(0), "{}", published.stderr);
    assert!(
        published.stderr.contains("retrying"),
        "{}",
        published.stderr
    );

    let (other, twice) = (Rack::empty(), cut(Way::Down, 2).place("boot"));
    let pull = ["bundle", "pull", &twice, "large", "--plain-http"];
    let pulled = other.run(&[&pull[..], &["--bundles", "store"]].concat());
    assert_eq!(pulled.status, Some(0), "{}", pulled.stderr);
    assert!(
        pulled.stderr.contains("resuming at byte"),
        "{}",
        pulled.stderr
    );
    assert!(registry.count("GET /v2/boot/blobs/", " 206") > 0);
    other.done(&["bundle", "verify", "--bundles", "store"]);
}

#[test]
fn a_damaged_file_of_the_store_is_never_published() {
    if missing(&["docker-registry"]) {
        return;
    }
    let rack = Rack::a();
    large(&rack);
    let (path, mut content) = (rack.tree("bundles/blobs").into_iter())
        .find(|(_, content)| content.len() == OCTETS)
        .expect("a large blob");
    content[OCTETS / 2] ^= 1;
    std::fs::write(&path, content).expect("it is bad now");
    let data = Rack::empty();
    let registry = DockerRegistry::start(data.path(), false);
    for place in [registry.place("boot"), "usb.tar".into(), "mirror".into()] {
        let publish = ["bundle", "publish", "large", &place, "--plain-http"];
        let refused = rack.refused(1, &publish);
        assert!(refused.contains("hashes to"), "{place}: {refused}");
    }
    assert_eq!(registry.count("PUT /v2/boot/manifests/", ""), 0);
    let bad = path.file_name().expect("a name").to_string_lossy();
    let there = registry.responses();
    let of_bad = |it: &&String| it.contains(&*bad) && it.ends_with(" 201");
    assert_eq!(there.iter().filter(of_bad).count(), 0, "{there:?}");
    assert!(!rack.file("usb.tar").exists());
    assert!(!rack.read("mirror/index.json").contains("large"));
}
