//! What an inventory pins and a store lacks is fetched, and nothing else is let in.

use std::fs;

use crate::images::iso;
use crate::nginx::Nginx;
use crate::requirements::missing;
use crate::workshop::{Workshop, content};

const SITE: &str = "kind: Site\nname: a\nserver: {address: 10.0.0.1}\nnetworks: []\nloaders: {}\n";

/// Builds a bundle of a file and two members of an image, all from the web.
fn built(workshop: &Workshop, nginx: &Nginx) -> [Vec<u8>; 3] {
    let files = [content(1, 30_000), content(2, 40_000), content(3, 50_000)];
    workshop.write("web/firmware.img", &files[0]);
    workshop.write("tree/casper/vmlinuz", &files[1]);
    workshop.write("tree/casper/initrd", &files[2]);
    iso(workshop, "tree", "web/live.iso", &["-R"]);
    let (image, firmware) = (nginx.url("/live.iso"), nginx.url("/firmware.img"));
    workshop.spec(
        "a",
        &format!(
            "images: {{live: {{from: '{image}', unverified: true}}}}\nfiles:\n  \
             firmware: {{from: '{firmware}', unverified: true}}\n  kernel: {{image: live, member: casper/vmlinuz}}\n  \
             initrd: {{image: live, member: casper/initrd}}\n"
        ),
    );
    workshop.write("inventory/site.yaml", SITE);
    workshop
        .pxectl("bundle build spec.yaml --out inventory/a.yaml")
        .ended(0, &[]);
    files
}

#[test]
fn what_a_bundle_pins_is_fetched_from_where_it_was_had() {
    if missing(&["nginx", "xorriso"]) {
        return;
    }
    let workshop = Workshop::new();
    let nginx = Nginx::start(&workshop);
    let files = built(&workshop, &nginx);
    let manifest = || workshop.store().names().unwrap()["a"].digest.clone();
    let built = manifest();
    fs::remove_dir_all(workshop.path("store")).unwrap();
    let before = nginx.answers().len();
    workshop
        .pxectl("bundle fetch -i inventory")
        .ended(0, &["3 files fetched; the store has all of 1 bundle"]);
    for content in &files {
        assert_eq!(&workshop.blob(content), content);
    }
    // The image came once, for both.
    assert_eq!(nginx.answers().len() - before, 2);
    assert_eq!(manifest(), built);
    workshop
        .pxectl("bundle fetch -i inventory a")
        .ended(0, &["0 files fetched"]);
    workshop
        .pxectl("bundle fetch -i inventory aa")
        .ended(1, &["no bundle `aa`", "did you mean `a`?"]);
    // A blob that has gone bad is mended.
    let path = workshop
        .store()
        .blob_path(&pxectl::machine::Sha256Digest::of(&files[0]));
    fs::write(&path, content(9, 30_000)).unwrap();
    workshop
        .pxectl("bundle fetch -i inventory")
        .ended(0, &["1 file fetched"]);
    assert_eq!(workshop.blob(&files[0]), files[0]);
    // What lies there now is something else.
    fs::remove_dir_all(workshop.path("store")).unwrap();
    workshop.write("web/firmware.img", content(4, 30_000));
    let ran = workshop.pxectl("bundle fetch -i inventory --jobs 1");
    ran.ended(1, &["firmware.img` hashes to", "bundle `a` says"]);
    assert!(workshop.store().names().unwrap().is_empty());
    assert_eq!(workshop.blobs().1, 0);
}

#[test]
fn another_store_or_a_directory_will_do_as_well() {
    if missing(&["nginx", "xorriso"]) {
        return;
    }
    let workshop = Workshop::new();
    let nginx = Nginx::start(&workshop);
    let files = built(&workshop, &nginx);
    let document = fs::read_to_string(workshop.path("inventory/a.yaml")).unwrap();
    fs::rename(workshop.path("store"), workshop.path("web/theirs")).unwrap();
    workshop.write("plain/firmware.img", &files[0]);
    workshop.write("plain/casper/vmlinuz", &files[1]);
    workshop.write("plain/casper/initrd", &files[2]);
    for from in [
        "web/theirs".to_owned(),
        nginx.url("/theirs/"),
        "plain".to_owned(),
    ] {
        let ran = workshop.pxectl(&format!("bundle fetch -i inventory --from {from}"));
        ran.ended(0, &["3 files fetched"]);
        for content in &files {
            assert_eq!(&workshop.blob(content), content);
        }
        fs::remove_dir_all(workshop.path("store")).unwrap();
    }
    // Of three, one is something else, and one is not there.
    workshop.write("plain/casper/initrd", content(5, 50_000));
    let ran = workshop.pxectl("bundle fetch -i inventory --jobs 1 --from plain");
    ran.ended(1, &["plain/casper/initrd` has 50000 octets and hashes to"]);
    fs::remove_file(workshop.path("plain/casper/initrd")).unwrap();
    workshop
        .pxectl("bundle fetch -i inventory --jobs 1 --from plain")
        .ended(3, &["casper/initrd` is missing"]);
    assert!(workshop.store().names().unwrap().is_empty());
    // Nothing says where a file can be had.
    let without: Vec<&str> = document
        .lines()
        .filter(|line| {
            !line.contains("source:") && !line.contains("from:") && !line.contains("member:")
        })
        .collect();
    workshop.write("inventory/a.yaml", without.join("\n") + "\n");
    fs::remove_dir_all(workshop.path("store")).unwrap();
    workshop
        .pxectl("bundle fetch -i inventory")
        .ended(1, &["nothing says where", "--from URL-OR-DIRECTORY"]);
}
