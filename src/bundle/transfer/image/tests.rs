use super::tree::Tree;
use crate::bundle::oci::Descriptor;
use crate::bundle::store::BundleStore;
use crate::inventory::BundleFile;
use crate::machine::Sha256Digest;
use crate::wire::tar::tests::raw;
use std::collections::BTreeMap;

/// One entry of a layer: its path, its kind, and its content or the target of the link.
type LayerEntry<'r> = (&'r str, u8, &'r str);

const FILE: u8 = b'0';
const HARD: u8 = b'1';
const SOFT: u8 = b'2';
const DIRECTORY: u8 = b'5';

/// Builds a layer with any names, also invalid ones.
fn layer(rows: &[LayerEntry<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (path, kind, content) in rows {
        let (link, content) = match *kind {
            HARD | SOFT => (*content, ""),
            _ => ("", *content),
        };
        let size = format!("{:011o}", content.len());
        bytes.extend(raw(path, *kind, link, size.as_bytes()));
        bytes.extend(content.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

fn files(layers: &[Vec<u8>]) -> Result<BTreeMap<String, String>, String> {
    let directory = tempfile::tempdir().unwrap();
    let store = BundleStore::open_or_create(directory.path()).unwrap();
    let mut tree = Tree::default();
    for layer in layers {
        tree.add_layer(&store, layer.as_slice(), &Descriptor::of("layer", layer))?;
    }
    let content = |file: BundleFile| {
        let text = std::fs::read_to_string(store.blob_path(&file.sha256)).unwrap();
        format!("{}={text}", file.path)
    };
    let files = tree.into_files(&store)?.into_iter();
    Ok(files.map(|(key, file)| (key, content(file))).collect())
}

#[test]
fn files_get_the_keys_that_profiles_use() {
    let base = layer(&[
        ("disk/", DIRECTORY, ""),
        ("disk/vmlinuz", FILE, "k"),
        ("disk/initrd", FILE, "i"),
        ("disk/grub/grub.cfg.tmpl", FILE, "g"),
        ("./disk/shimx64.efi", FILE, "s"),
        (
            "disk/metadata.yaml",
            FILE,
            "dhcpBootImageName: shimx64.efi\n",
        ),
        ("etc/passwd", FILE, "not below disk"),
    ]);
    let found = files(&[base]).unwrap();
    let found: Vec<(&str, &str)> = found
        .iter()
        .map(|(key, text)| (key.as_str(), text.as_str()))
        .collect();
    let expected = [
        ("grub-grub.cfg.tmpl", "grub/grub.cfg.tmpl=g"),
        ("initrd", "initrd=i"),
        ("kernel", "vmlinuz=k"),
        ("loader", "shimx64.efi=s"),
        (
            "metadata.yaml",
            "metadata.yaml=dhcpBootImageName: shimx64.efi\n",
        ),
    ];
    assert_eq!(found, expected);
}

#[test]
fn later_layers_replace_and_remove_and_links_are_followed() {
    let first = layer(&[
        ("disk/vmlinuz", FILE, "old"),
        ("disk/a/one", FILE, "1"),
        ("disk/a/two", FILE, "2"),
        ("disk/gone", FILE, "g"),
    ]);
    let second = layer(&[
        ("disk/vmlinuz", FILE, "new"),
        ("disk/a/.wh..wh..opq", FILE, ""),
        ("disk/.wh.gone", FILE, ""),
        ("disk/hard", HARD, "disk/vmlinuz"),
        ("disk/a/soft", SOFT, "../vmlinuz"),
    ]);
    let found = files(&[first, second]).unwrap();
    let expected = ["a/soft=new", "hard=new", "vmlinuz=new"];
    assert_eq!(found.into_values().collect::<Vec<_>>(), expected);
}

#[test]
fn compressed_layers_are_read() {
    use std::io::Write;
    let plain = layer(&[("disk/vmlinuz", FILE, "kernel")]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).unwrap();
    let zstd = zstd::encode_all(plain.as_slice(), 1).unwrap();
    for layer in [plain, gzip.finish().unwrap(), zstd] {
        assert_eq!(files(&[layer]).unwrap()["kernel"], "vmlinuz=kernel");
    }
}

#[test]
fn links_are_followed_as_long_as_they_stay_inside() {
    let found = files(&[layer(&[
        ("disk/vmlinuz", SOFT, "vmlinuz-6.1"),
        ("disk/vmlinuz-6.1", SOFT, "/disk/current/vmlinuz"),
        ("disk/current", SOFT, "v/6.1/"),
        ("disk/v/6.1/vmlinuz", FILE, "kernel"),
        ("disk/v/6.1/up", SOFT, "../../boot/grub.cfg"),
        ("disk/boot/grub.cfg", FILE, "menu"),
        // Through the link, and up from its target.
        ("disk/climbs", SOFT, "current/../../boot/grub.cfg"),
        ("disk/hard", HARD, "disk/boot/grub.cfg"),
        ("disk/boot/grub.cfg", FILE, "another menu"),
        ("usr/lib/link", SOFT, "/etc/shadow"),
        ("metadata.yaml", SOFT, "disk/meta"),
        ("disk/meta", FILE, "dhcpBootImageName: vmlinuz\n"),
    ])])
    .unwrap();
    let found: Vec<&str> = found.values().map(String::as_str).collect();
    let expected = [
        "boot/grub.cfg=another menu",
        "climbs=another menu",
        "current/vmlinuz=kernel",
        "hard=menu",
        "vmlinuz-6.1=kernel",
        "vmlinuz=kernel",
        "meta=dhcpBootImageName: vmlinuz\n",
        "metadata.yaml=dhcpBootImageName: vmlinuz\n",
        "v/6.1/up=another menu",
        "v/6.1/vmlinuz=kernel",
    ];
    assert_eq!(found, expected);
}

#[test]
fn names_and_links_that_lead_out_are_refused() {
    let long = "../".repeat(30);
    for (row, why) in [
        (("../../etc/cron.d/x", FILE, "x"), "is outside"),
        (("/disk/vmlinuz", FILE, "x"), "is outside"),
        (("disk/../../x", FILE, "x"), "is outside"),
        (("disk/a\u{1b}[2J", FILE, "x"), "is outside"),
        (("disk/link", SOFT, "../../etc/shadow"), "leads out"),
        (("disk/link", SOFT, "/etc/shadow"), "leads out"),
        (("disk/link", SOFT, "../etc/shadow"), "leads out"),
        (("disk/link", SOFT, ".."), "leads out"),
        (("disk/link", SOFT, "."), "leads out"),
        (("disk/link", SOFT, &long), "leads out"),
        (("disk/link", SOFT, "/etc/\u{1b}[2J"), "leads out"),
        (("disk/link", HARD, "../etc/shadow"), "leads out"),
        (("disk/link", HARD, "etc/shadow"), "leads out"),
        (("disk/link", HARD, "disk/none"), "not in the image"),
        (("disk/link", SOFT, "nowhere"), "not in the image"),
        (("disk/link", SOFT, "link"), "in a circle"),
        (("disk/link", SOFT, "link/link/link"), "in a circle"),
        (("disk/holes", b'S', "x"), "sparse file"),
    ] {
        let rows = [("etc/shadow", FILE, "x"), ("disk/vmlinuz", FILE, "k"), row];
        let refused = files(&[layer(&rows)]).unwrap_err();
        assert!(refused.contains(why), "{why}: {refused}");
        assert!(!refused.contains('\u{1b}'), "{refused:?}");
    }
    let below = [("disk/d", SOFT, "e"), ("disk/d/x", FILE, "x")];
    let refused = files(&[layer(&below)]).unwrap_err();
    assert!(refused.contains("below the link `disk/d`"), "{refused}");
}

#[test]
fn only_the_files_of_the_bundle_are_stored() {
    let directory = tempfile::tempdir().unwrap();
    let store = BundleStore::open_or_create(directory.path()).unwrap();
    let layer = layer(&[("usr/bin/busybox", FILE, "b"), ("disk/vmlinuz", FILE, "k")]);
    let described = Descriptor::of("layer", &layer);
    let added = Tree::default().add_layer(&store, layer.as_slice(), &described);
    added.unwrap();
    let stored = |content: &[u8]| store.blob_size(&Sha256Digest::of(content));
    assert_eq!((stored(b"k"), stored(b"b")), (Some(1), None));
}

#[test]
fn truncated_and_empty_images_are_refused() {
    let whole = layer(&[("disk/vmlinuz", FILE, "kernel")]);
    // The end blocks that umoci omits may be missing, and nothing more.
    let unpadded = whole[..518].to_vec();
    assert_eq!(files(&[unpadded]).unwrap()["kernel"], "vmlinuz=kernel");
    for (layer, why) in [
        (whole[..517].to_vec(), "ends too early"),
        (whole[..500].to_vec(), "layer"),
        (layer(&[("etc/passwd", FILE, "x")]), "below `/disk/`"),
        (
            layer(&[
                ("disk/vmlinuz", FILE, "k"),
                ("metadata.yaml", FILE, "dhcpBootImageName: shim.efi"),
            ]),
            "names `shim.efi`",
        ),
        (
            layer(&[("disk/a-b", FILE, "1"), ("disk/a/b", FILE, "2")]),
            "the key `a-b`",
        ),
    ] {
        let refused = files(&[layer]).unwrap_err();
        assert!(refused.contains(why), "{refused}");
    }
    // A layer with another digest than in the manifest.
    let directory = tempfile::tempdir().unwrap();
    let store = BundleStore::open_or_create(directory.path()).unwrap();
    let other = Descriptor::of("layer", b"another");
    let refused = Tree::default().add_layer(&store, whole.as_slice(), &other);
    assert!(refused.unwrap_err().contains("hashes to"));
}
