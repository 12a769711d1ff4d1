//! Files from images by xorriso and tar.

use std::fs;

use crate::bundle::workshop::{Workshop, content};
use crate::support::requirements::missing;
use crate::support::tool::run_tool_in;

/// Creates `live.iso` from the workshop's `tree/`, with these options.
pub fn iso(workshop: &Workshop, tree: &str, to: &str, options: &[&str]) {
    let (tree, to) = (workshop.path(tree), workshop.path(to));
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    let made = ["-as", "mkisofs", "-quiet", "-o", to.to_str().unwrap()];
    run_tool_in(
        &workshop.path(""),
        "xorriso",
        &[&made[..], options, &[tree.to_str().unwrap()]].concat(),
    );
}

fn tree(workshop: &Workshop) -> [(&'static str, Vec<u8>); 3] {
    let files = [
        ("casper/vmlinuz", content(1, 12_345)),
        (
            "casper/initrd with a name that is longer than eight.and.three",
            content(2, 5),
        ),
        (
            "a/b/c/d/e/f/g/h/i/j/filesystem.squashfs",
            content(3, 3_000_000),
        ),
    ];
    for (name, content) in &files {
        workshop.write(&format!("tree/{name}"), content);
    }
    // Enough files to fill several sectors with the directory.
    for number in 0..300 {
        workshop.write(&format!("tree/casper/other-{number}"), "");
    }
    workshop.write("tree/casper/empty", "");
    std::os::unix::fs::symlink("vmlinuz", workshop.path("tree/casper/link")).unwrap();
    files
}

#[test]
fn files_are_read_from_iso_images() {
    if missing(&["xorriso"]) {
        return;
    }
    let workshop = Workshop::new();
    let files = tree(&workshop);
    for (name, options) in [
        ("rock", &["-R"][..]),
        ("joliet", &["-R", "-J"]),
        ("level3", &["-R", "-iso-level", "3"]),
    ] {
        iso(&workshop, "tree", "live.iso", options);
        let [kernel, initrd, squashfs] = &files;
        workshop.spec(
            name,
            &format!(
                "images: {{live: {{from: live.iso}}}}\nfiles:\n  kernel: {{image: live, member: {}}}\n  \
                 initrd: {{image: live, member: '{}'}}\n  squashfs: {{image: live, member: {}}}\n  \
                 empty: {{image: live, member: casper/empty}}\n  iso: {{image: live}}\n",
                kernel.0, initrd.0, squashfs.0
            ),
        );
        workshop.pxectl("bundle build spec.yaml").ended(0, &[]);
        for (file, content) in &files {
            assert_eq!(&workshop.blob(content), content, "{name}: {file}");
        }
        let image = fs::read(workshop.path("live.iso")).unwrap();
        assert_eq!(workshop.blob(&image), image);
    }
}

#[test]
fn an_image_without_rock_ridge_is_read_by_its_own_names() {
    if missing(&["xorriso"]) {
        return;
    }
    let workshop = Workshop::new();
    let kernel = content(1, 12_345);
    workshop.write("tree/boot/VMLINUZ.EFI", &kernel);
    let to = workshop.path("plain.iso");
    let tree = workshop.path("tree");
    let made = [
        "-outdev",
        to.to_str().unwrap(),
        "-rockridge",
        "off",
        "-map",
        tree.to_str().unwrap(),
        "/",
    ];
    run_tool_in(&workshop.path(""), "xorriso", &made);
    workshop.spec("a", "images: {live: {from: plain.iso}}\nfiles: {kernel: {image: live, member: boot/vmlinuz.efi}}\n");
    workshop.pxectl("bundle build spec.yaml").ended(0, &[]);
    assert_eq!(workshop.blob(&kernel), kernel);
}

#[test]
fn names_that_lead_out_of_an_image_write_nothing() {
    if missing(&["xorriso"]) {
        return;
    }
    let workshop = Workshop::new();
    let kernel = content(1, 12_345);
    workshop.write("tree/boot/vmlinuz", &kernel);
    workshop.write("tree/boot/qqqqqqqqqqevil", "evil");
    iso(&workshop, "tree", "live.iso", &["-R"]);
    // A Rock Ridge name that leads out of the directory, which no tool writes.
    let mut image = fs::read(workshop.path("live.iso")).unwrap();
    let (name, climbing) = (b"qqqqqqqqqqevil", b"../../../tevil");
    let places: Vec<usize> = (0..image.len() - name.len())
        .filter(|at| image[*at..].starts_with(name))
        .collect();
    assert!(!places.is_empty());
    for at in places {
        image[at..at + climbing.len()].copy_from_slice(climbing);
    }
    workshop.write("live.iso", image);
    let list = |directory: &str| -> Vec<_> {
        let entries = fs::read_dir(workshop.path(directory)).unwrap().flatten();
        let mut names: Vec<_> = entries.map(|it| it.file_name()).collect();
        names.sort();
        names
    };
    workshop.spec(
        "a",
        "images: {live: {from: live.iso}}\nfiles: {kernel: {image: live, member: boot/vmlinuz}}\n",
    );
    let before = list("");
    workshop.pxectl("bundle build spec.yaml").ended(0, &[]);
    assert_eq!(workshop.blob(&kernel), kernel);
    let added: Vec<_> = list("")
        .into_iter()
        .filter(|it| !before.contains(it))
        .collect();
    assert_eq!(added, ["store"]);
    // The kernel, an empty configuration, and the manifest.
    assert_eq!(workshop.blobs(), (3, 0));
    workshop.spec(
        "b", "images: {live: {from: live.iso}}\nfiles: {kernel: {image: live, member: '../../../tevil'}}\n");
    workshop
        .pxectl("bundle build spec.yaml")
        .ended(1, &["is not a path inside a bundle"]);
}

#[test]
fn errors_in_images_are_explained() {
    if missing(&["xorriso"]) {
        return;
    }
    let workshop = Workshop::new();
    tree(&workshop);
    iso(&workshop, "tree", "live.iso", &["-R"]);
    let whole = fs::read(workshop.path("live.iso")).unwrap();
    let build = |member: &str| {
        let files = format!("files: {{kernel: {{image: live, member: {member}}}}}\n");
        workshop.spec(
            "a",
            &format!("images: {{live: {{from: live.iso}}}}\n{files}"),
        );
        workshop.pxectl("bundle build spec.yaml")
    };
    build("casper/vmlinux").ended(1, &["live.iso`: the image has no `casper/vmlinux`"]);
    build("casper").ended(1, &["`casper` in the image is not a file"]);
    build("casper/link").ended(1, &["is a symbolic link"]);
    build("../../etc/passwd").ended(1, &["is not a path inside a bundle", "spec.yaml:"]);
    // Truncated in the middle of the file, in the directories, and before the magic.
    for (bytes, expected) in [
        (whole.len() - 400_000, "the image is truncated: `a/b/c"),
        (20 * 2048, "the image is truncated"),
        (100, "neither an ISO image nor"),
        (0, "neither an ISO image nor"),
    ] {
        fs::write(workshop.path("live.iso"), &whole[..bytes]).unwrap();
        build("a/b/c/d/e/f/g/h/i/j/filesystem.squashfs").ended(1, &[expected]);
    }
    assert!(workshop.store().names().unwrap().is_empty());
    assert_eq!(workshop.blobs(), (0, 0));
}

#[test]
fn only_requested_files_are_read_from_archives() {
    if missing(&["tar", "xz", "zstd"]) {
        return;
    }
    let workshop = Workshop::new();
    let (shim, grub) = (content(1, 900_000), content(2, 70_000));
    workshop.write("tree/amd64/bootx64.efi", &shim);
    workshop.write("tree/amd64/grubx64.efi", &grub);
    let long = format!("tree/{}/long.efi", "directory/".repeat(20));
    workshop.write(&long, b"long");
    workshop.write("evil", "evil");
    let at = workshop.path("");
    for (name, options) in [
        ("gnu", "-czf"),
        ("pax", "--format=pax -czf"),
        ("ustar", "--format=ustar -cf"),
        ("plain", "-cf"),
        ("xz", "-cJf"),
        ("largest", "--use-compress-program=xz\u{a0}-9 -cf"),
        ("zstd", "--zstd -cf"),
        ("streams", "-cf"),
    ] {
        let archive = format!("{name}.tar");
        let mut arguments: Vec<&str> = options.split(' ').collect();
        arguments.extend([
            archive.as_str(),
            "-P",
            "--transform=s,^evil$,../../../../tmp/pxectl-evil,",
            "evil",
            "-C",
            "tree",
            "./amd64",
        ]);
        if name != "ustar" {
            arguments.push("directory");
        }
        let arguments: Vec<String> = arguments
            .iter()
            .map(|it| it.replace('\u{a0}', " "))
            .collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        run_tool_in(&at, "tar", &arguments);
        if name == "streams" {
            // Several streams in a row, as parallel compressors write them.
            let cut = "split -b 400000 streams.tar part- && for part in part-*; do xz -c $part; done > new && mv new streams.tar";
            run_tool_in(&at, "sh", &["-c", cut]);
        }
        let more = match name {
            "ustar" => String::new(),
            _ => format!(
                "  long: {{image: net, member: {}}}\n",
                long.strip_prefix("tree/").unwrap().replace("//", "/")
            ),
        };
        workshop.spec(
            name,
            &format!(
                "images: {{net: {{from: {archive}}}}}\nfiles:\n  shim: {{image: net, member: amd64/bootx64.efi}}\n  \
                 grub: {{image: net, member: amd64/grubx64.efi}}\n{more}"
            ),
        );
        workshop.pxectl("bundle build spec.yaml").ended(0, &[]);
        assert_eq!(
            (workshop.blob(&shim), workshop.blob(&grub)),
            (shim.clone(), grub.clone())
        );
    }
    assert!(!std::path::Path::new("/tmp/pxectl-evil").exists());
    let before = workshop.blobs();
    workshop.spec(
        "z",
        "images: {net: {from: gnu.tar}}\nfiles: {a: {image: net, member: amd64/none}}\n",
    );
    workshop
        .pxectl("bundle build spec.yaml")
        .ended(1, &["the archive has no `amd64/none`"]);
    let refuses = |bytes: &[u8], expected: &str| {
        workshop.write("bad.tar", bytes);
        workshop.spec(
            "z",
            "images: {net: {from: bad.tar}}\nfiles: {a: {image: net, member: amd64/none}}\n",
        );
        workshop
            .pxectl("bundle build spec.yaml")
            .ended(1, &["bad.tar`: ", expected]);
        assert_eq!(workshop.blobs(), before);
    };
    for name in ["gnu", "plain", "xz", "zstd"] {
        let whole = fs::read(workshop.path(&format!("{name}.tar"))).unwrap();
        refuses(&whole[..whole.len() / 2], "is truncated");
    }
    let mut changed = fs::read(workshop.path("xz.tar")).unwrap();
    let middle = changed.len() / 2;
    changed[middle] ^= 0xff;
    refuses(&changed, "the archive");
    // It is refused before the memory is allocated.
    let large = "xz --lzma2=preset=0,dict=128MiB -c plain.tar > large.tar";
    run_tool_in(&at, "sh", &["-c", large]);
    let large = fs::read(workshop.path("large.tar")).unwrap();
    refuses(&large, "unpacking takes more than 64 MiB of memory");
    refuses(b"PK\x03\x04 and so on", "zip archives are not supported");
    refuses(
        b"BZh91AY&SY and so on",
        "compress the archive with gzip, xz or zstd",
    );
}
