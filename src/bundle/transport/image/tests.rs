use super::*;

/// One entry of a layer: its path, its kind, and its content or where it leads.
type Row<'r> = (&'r str, tar::EntryType, &'r str);

const FILE: tar::EntryType = tar::EntryType::Regular;

/// Builds a layer; names are put in as they are, however bad.
fn layer(rows: &[Row<'_>]) -> Vec<u8> {
    let mut octets = Vec::new();
    for (path, kind, content) in rows {
        let mut header = tar::Header::new_old();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        let links = *kind == tar::EntryType::Symlink || *kind == tar::EntryType::Link;
        if links {
            header.as_old_mut().linkname[..content.len()].copy_from_slice(content.as_bytes());
        }
        let content = if links { "" } else { content };
        header.set_size(content.len() as u64);
        header.set_cksum();
        octets.extend(header.as_bytes());
        octets.extend(content.as_bytes());
        octets.resize(octets.len().next_multiple_of(512), 0);
    }
    octets.resize(octets.len() + 1024, 0);
    octets
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
fn files_are_called_what_profiles_call_them() {
    let base = layer(&[
        ("disk/", tar::EntryType::Directory, ""),
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
    use tar::EntryType::{Link, Symlink};
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
        ("disk/hard", Link, "disk/vmlinuz"),
        ("disk/a/soft", Symlink, "../vmlinuz"),
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
fn names_that_lead_out_are_refused() {
    use tar::EntryType::{Link, Symlink};
    for row in [
        ("../../etc/cron.d/x", FILE, "x"),
        ("/disk/vmlinuz", FILE, "x"),
        ("disk/../../x", FILE, "x"),
        ("disk/a\u{1b}[2J", FILE, "x"),
        ("disk/link", Symlink, "../../etc/shadow"),
        ("disk/link", Link, "../etc/shadow"),
        ("disk/link", Symlink, "nowhere"),
    ] {
        let refused = files(&[layer(&[("disk/vmlinuz", FILE, "k"), row])]).unwrap_err();
        assert!(refused.contains("its "), "{refused}");
        assert!(!refused.contains('\u{1b}'), "{refused:?}");
    }
}

#[test]
fn what_is_cut_short_or_empty_is_refused() {
    let whole = layer(&[("disk/vmlinuz", FILE, "kernel")]);
    // What umoci leaves out is not missed, one octet more is.
    let unpadded = whole[..518].to_vec();
    assert_eq!(files(&[unpadded]).unwrap()["kernel"], "vmlinuz=kernel");
    for (layer, why) in [
        (whole[..517].to_vec(), "ends too soon"),
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
            "called `a-b`",
        ),
    ] {
        let refused = files(&[layer]).unwrap_err();
        assert!(refused.contains(why), "{refused}");
    }
    // A layer that does not hash to what the manifest says.
    let directory = tempfile::tempdir().unwrap();
    let store = BundleStore::open_or_create(directory.path()).unwrap();
    let other = Descriptor::of("layer", b"another");
    let refused = Tree::default().add_layer(&store, whole.as_slice(), &other);
    assert!(refused.unwrap_err().contains("hashes to"));
}
