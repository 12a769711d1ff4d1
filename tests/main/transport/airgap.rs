use crate::support::rack::{BUNDLE, Rack};
use crate::support::requirements::missing;
use crate::support::tool::run_tool;

#[test]
fn a_tar_file_carries_bundles_to_a_site_without_a_network() {
    let (rack, far) = (Rack::a(), Rack::empty());
    rack.done(&["bundle", "publish", BUNDLE, "usb.tar"]);
    let first = std::fs::metadata(rack.file("usb.tar")).expect("it").len();
    // A second bundle joins the first.
    rack.done(&["bundle", "publish", "debian-12-stand-in", "usb.tar"]);
    assert!(std::fs::metadata(rack.file("usb.tar")).expect("it").len() > first);
    assert!(
        rack.done(&["bundle", "publish", BUNDLE, "usb.tar"])
            .contains("0 B copied")
    );
    let file = rack.file("usb.tar").display().to_string();
    let refused = far.refused(3, &["bundle", "pull", &file, "--bundles", "store"]);
    assert!(refused.contains("has several bundles: "), "{refused}");
    for name in [BUNDLE, "debian-12-stand-in"] {
        let pulled = far.done(&["bundle", "pull", &file, name, "--bundles", "store"]);
        assert!(pulled.contains(&format!("name: {name}\n")), "{pulled}");
    }
    far.done(&["bundle", "verify", "--bundles", "store"]);
    let refused = far.refused(
        1,
        &["bundle", "pull", &file, "absent", "--bundles", "store"],
    );
    assert!(refused.contains("has no `absent`"), "{refused}");
}

#[test]
fn skopeo_and_umoci_read_the_tar_file_and_the_store() {
    if missing(&["skopeo", "umoci"]) {
        return;
    }
    let rack = Rack::a();
    rack.done(&["bundle", "publish", BUNDLE, "usb.tar"]);
    let at = |name: &str| rack.file(name).display().to_string();
    let archive = format!("oci-archive:{}:{BUNDLE}", at("usb.tar"));
    let shown = run_tool("skopeo", &["inspect", "--raw", &archive]);
    assert!(shown.contains("casper/vmlinuz"), "{shown}");
    run_tool(
        "skopeo",
        &["copy", &archive, &format!("oci:{}:{BUNDLE}", at("copied"))],
    );
    let listed = run_tool("umoci", &["ls", "--layout", &at("bundles")]);
    assert!(listed.lines().any(|line| line == BUNDLE), "{listed}");
    let listed = run_tool("umoci", &["ls", "--layout", &at("copied")]);
    assert_eq!(listed.trim(), BUNDLE);
    // A tar file from skopeo can be pulled, too.
    let theirs = format!("oci-archive:{}:{BUNDLE}", at("theirs.tar"));
    run_tool(
        "skopeo",
        &["copy", &format!("oci:{}:{BUNDLE}", at("bundles")), &theirs],
    );
    let pulled = rack.done(&["bundle", "pull", "theirs.tar", "--bundles", "new"]);
    assert_eq!(
        pulled,
        rack.done(&["bundle", "pull", "copied", "--bundles", "newer"])
    );
}

#[test]
fn a_truncated_or_foreign_tar_file_is_refused_and_unchanged() {
    let rack = Rack::a();
    rack.done(&["bundle", "publish", BUNDLE, "whole.tar"]);
    let whole = std::fs::read(rack.file("whole.tar")).expect("it");
    for length in [0, 100, 700, 3_000, whole.len() / 2, whole.len() - 2_000] {
        rack.write("cut.tar", &whole[..length]);
        let refused = rack.refused(3, &["bundle", "pull", "cut.tar", "--bundles", "store"]);
        assert!(refused.contains("`cut.tar`"), "{length}: {refused}");
        assert!(
            !rack.file("store/index.json").exists()
                || !rack.read("store/index.json").contains("sha256:")
        );
        // Publishing does not overwrite it, either.
        rack.refused(3, &["bundle", "publish", BUNDLE, "cut.tar"]);
        assert_eq!(
            std::fs::read(rack.file("cut.tar")).expect("it"),
            &whole[..length]
        );
        assert!(
            !rack
                .tree(".")
                .iter()
                .any(|(path, _)| path.to_string_lossy().contains(".partial"))
        );
    }
    // One byte of a file is changed.
    let mut changed = whole.clone();
    let blobs = rack.tree("bundles/blobs").into_iter();
    let large = blobs.filter(|(_, content)| content.len() > 60_000);
    let at = large
        .filter_map(|(_, blob)| changed.windows(64).position(|it| it == &blob[..64]))
        .next()
        .expect("one of them is in it");
    changed[at] ^= 1;
    rack.write("cut.tar", &changed);
    let refused = rack.refused(
        3,
        &["bundle", "pull", "cut.tar", BUNDLE, "--bundles", "store"],
    );
    assert!(refused.contains("hashes to"), "{refused}");
    assert!(!rack.read("store/index.json").contains("sha256:"));
}

#[test]
fn a_directory_gets_only_missing_files_and_keeps_its_names() {
    let rack = Rack::a();
    rack.done(&["bundle", "publish", BUNDLE, "mirror"]);
    assert!(
        rack.done(&["bundle", "publish", BUNDLE, "oci:mirror"])
            .contains("0 B copied")
    );
    let pulled = rack.done(&[
        "bundle",
        "pull",
        "mirror",
        "--bundles",
        "store",
        "--out",
        "b.txt",
    ]);
    assert_eq!(pulled, "");
    assert!(rack.read("b.txt").contains("casper/initrd"));
    // The document of another bundle is not overwritten.
    rack.write("b.txt", "kind: Bundle\nname: other\n");
    let again = [
        "bundle",
        "pull",
        "mirror",
        "--bundles",
        "store",
        "--out",
        "b.txt",
    ];
    assert!(rack.refused(1, &again).contains("`b.txt`"));
    // A damaged file of the store is not published.
    for (path, mut content) in rack.tree("bundles/blobs") {
        if content.len() > 60_000 {
            content[0] ^= 1;
            std::fs::write(&path, content).expect("a file");
        }
    }
    let refused = rack.refused(1, &["bundle", "publish", BUNDLE, "second"]);
    assert!(refused.contains("does not match its name"), "{refused}");
    assert!(!rack.read("second/index.json").contains("sha256:"));
}

#[test]
fn names_by_other_programs_cannot_control_the_terminal() {
    let rack = Rack::a();
    let publish = ["bundle", "publish", BUNDLE, "mirror"];
    rack.done(&publish);
    rack.done(&["bundle", "publish", "debian-12-stand-in", "mirror"]);
    let index = rack.read("mirror/index.json");
    rack.write(
        "mirror/index.json",
        index.replacen(BUNDLE, "\\u001b[2Jnothing", 1),
    );
    let output = rack.refused(3, &["bundle", "pull", "mirror", "--bundles", "store"]);
    assert!(output.contains("\\u{1b}[2Jnothing, "), "{output:?}");
    assert!(!output.contains('\u{1b}'), "{output:?}");
    let listed = rack.done(&["bundle", "list", "--bundles", "mirror"]);
    assert!(listed.contains("\\u{1b}[2Jnothing"), "{listed:?}");
    assert!(!listed.contains('\u{1b}'), "{listed:?}");
}

#[test]
fn a_disk_error_is_printed_once() {
    let rack = Rack::a();
    let output = rack.refused(3, &["bundle", "publish", BUNDLE, "none/usb.tar"]);
    assert_eq!(output.matches("No such file").count(), 1, "{output}");
    assert!(output.contains("`none/usb.tar.partial`"), "{output}");
}

#[test]
fn a_damaged_file_at_the_destination_is_replaced() {
    let rack = Rack::a();
    rack.done(&["bundle", "publish", BUNDLE, "alone"]);
    let (_, blob) = (rack.tree("alone/blobs").into_iter())
        .max_by_key(|(_, it)| it.len())
        .expect("the largest blob");
    let good = |place: &str| {
        let pull = ["bundle", "pull", place, BUNDLE, "--bundles", "other"];
        rack.run(&pull)
    };
    for place in ["mirror", "usb.tar"] {
        let publish = ["bundle", "publish", BUNDLE, place];
        rack.done(&publish);
        // Another bundle is there, and stays.
        rack.done(&["bundle", "publish", "debian-12-stand-in", place]);
        let mut damaged = 0;
        for path in files(&rack, place) {
            let mut content = std::fs::read(&path).expect("a file");
            let at = content.windows(blob.len()).position(|it| it == blob);
            if let Some(at) = at {
                content[at + 9] ^= 1;
                std::fs::write(&path, content).expect("it is bad now");
                damaged += 1;
            }
        }
        assert_eq!(damaged, 1, "{place}");
        assert_eq!(good(place).status, Some(3), "{place}");
        let output = rack.done(&publish);
        assert!(output.contains("64.0 KiB copied"), "{place}: {output}");
        assert!(rack.done(&publish).contains("0 B copied"), "{place}");
        assert_eq!(good(place).status, Some(0), "{place}");
        let pull = ["bundle", "pull", place, "debian-12-stand-in"];
        rack.done(&[&pull[..], &["--bundles", "third"]].concat());
        for store in ["other", "third"] {
            std::fs::remove_dir_all(rack.file(store)).expect("it is gone");
        }
    }
}

fn files(rack: &Rack, place: &str) -> Vec<std::path::PathBuf> {
    match rack.file(place).is_file() {
        true => vec![rack.file(place)],
        false => rack.tree(place).into_iter().map(|(path, _)| path).collect(),
    }
}
