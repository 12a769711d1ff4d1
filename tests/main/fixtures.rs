//! The bundle store of the example rack is what our own code makes of its Bundle documents.

use std::fs;
use std::path::Path;

use pxectl::bundle::{BundleStore, Verifier};
use pxectl::workspace::Snapshot;

#[test]
fn the_bundle_store_of_rack_a_is_an_oci_layout_that_lists_every_bundle() {
    let rack = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/rack-a");
    let snapshot = Snapshot::read(&rack).expect("the fixture");
    let (inventory, _) = snapshot.check().good.expect("a fixture without faults");
    let root = rack.join("bundles");
    if crate::support::fixture_updates::updates_fixtures() {
        let store = BundleStore::open_or_create(&root).expect("a store");
        for bundle in inventory.bundles.values() {
            store.add_bundle(bundle).expect("its blobs");
        }
    }
    let store = BundleStore::open(&root).expect("an OCI image layout");
    let index = fs::read_to_string(root.join("index.json")).expect("an index");
    let index: serde_json::Value = serde_json::from_str(&index).expect("JSON");
    let listed: Vec<&str> = index["manifests"]
        .as_array()
        .expect("manifests")
        .iter()
        .filter_map(|manifest| manifest["digest"].as_str())
        .collect();
    assert_eq!(listed.len(), inventory.bundles.len());
    for bundle in inventory.bundles.values() {
        let digest = bundle.manifest_digest();
        assert!(
            listed.contains(&format!("sha256:{digest}").as_str()),
            "{}",
            bundle.name
        );
        let manifest = fs::read(store.blob_path(&digest)).expect("a manifest");
        assert_eq!(manifest, bundle.manifest(), "{}", bundle.name);
        for file in bundle.files.values() {
            Verifier::default()
                .open(&store, file)
                .expect("a blob that hashes to its name");
        }
    }
}
