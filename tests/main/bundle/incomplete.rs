//! Images from which a file could be read only in part, and images in other containers.

use std::fs;

use crate::bundle::images::iso;
use crate::bundle::workshop::{Workshop, content};
use crate::support::requirements::missing;
use crate::support::run_output::RunOutput;
use crate::support::tool::run_tool_in;

/// Builds a bundle from one member of an image.
fn build(workshop: &Workshop, name: &str, image: &str, member: &str) -> RunOutput {
    workshop.spec(
        name,
        &format!("images: {{live: {{from: {image}}}}}\nfiles: {{kernel: {{image: live, member: '{member}'}}}}\n"),
    );
    workshop.pxectl("bundle build spec.yaml")
}

#[test]
fn compressed_iso_images_are_read() {
    if missing(&["xorriso", "gzip", "xz", "zstd"]) {
        return;
    }
    let workshop = Workshop::new();
    let kernel = content(1, 2_000_000);
    workshop.write("tree/boot/vmlinuz", &kernel);
    iso(&workshop, "tree", "live.iso", &["-R"]);
    for program in ["gzip", "xz", "zstd"] {
        let ending = match program {
            "gzip" => "gz",
            "zstd" => "zst",
            other => other,
        };
        let line = format!("{program} -c live.iso > live.iso.{ending}");
        run_tool_in(&workshop.path(""), "sh", &["-c", &line]);
        let image = format!("live.iso.{ending}");
        build(&workshop, program, &image, "boot/vmlinuz").ended(0, &[]);
        assert_eq!(workshop.blob(&kernel), kernel, "{program}");
        let (_, partial) = workshop.blobs();
        assert_eq!(partial, 0, "{program}");
        build(&workshop, "z", &image, "boot/none").ended(1, &["the image has no `boot/none`"]);
        let whole = fs::read(workshop.path(&image)).unwrap();
        workshop.write("cut", &whole[..whole.len() / 2]);
        build(&workshop, "z", "cut", "boot/vmlinuz").ended(1, &["`cut`: ", "truncated"]);
    }
}

#[test]
fn hard_links_in_archives_are_the_files_that_they_lead_to() {
    if missing(&["tar"]) {
        return;
    }
    let workshop = Workshop::new();
    let kernel = content(1, 100_000);
    workshop.write("tree/a/vmlinuz-6.1", &kernel);
    for (number, link) in ["b/vmlinuz", "c/vmlinuz"].into_iter().enumerate() {
        let path = workshop.path(&format!("tree/{link}"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::hard_link(workshop.path("tree/a/vmlinuz-6.1"), path).unwrap();
        let at = workshop.path("");
        for (format, archive) in [
            ("gnu", "net.tar.gz"),
            ("pax", "net.tar"),
            ("ustar", "net.tar.gz"),
        ] {
            let options = format!("--format={format}");
            run_tool_in(
                &at,
                "tar",
                &[
                    &options,
                    "-caf",
                    archive,
                    "--sort=name",
                    "-C",
                    "tree",
                    "./a",
                    "./b",
                ],
            );
            let listed = run_tool_in(&at, "tar", &["-tvf", archive]);
            assert!(listed.contains("link to ./a/vmlinuz-6.1"), "{listed}");
            let name = format!("{format}-{number}");
            build(&workshop, &name, archive, "b/vmlinuz").ended(0, &[]);
            assert_eq!(workshop.blob(&kernel), kernel);
            // Only the kernel, an empty configuration, and manifests.
            assert_eq!(workshop.blobs().1, 0);
        }
    }
    // Both names.
    workshop.spec(
        "both",
        "images: {net: {from: net.tar}}\nfiles:\n  kernel: {image: net, member: b/vmlinuz}\n  \
         old: {image: net, member: a/vmlinuz-6.1}\n",
    );
    workshop.pxectl("bundle build spec.yaml").ended(0, &[]);
    // A link without its file, as `tar` writes it for a part of a tree.
    let script = "import tarfile\nt=tarfile.open('lost.tar','w')\ni=tarfile.TarInfo('b')\n\
                  i.type=tarfile.LNKTYPE\ni.linkname='gone/a'\nt.addfile(i)\nt.close()\n";
    if missing(&["python3"]) {
        return;
    }
    run_tool_in(&workshop.path(""), "python3", &["-c", script]);
    build(&workshop, "z", "lost.tar", "b").ended(
        1,
        &["`b` in the archive is a link to `gone/a`, which the archive lacks"],
    );
}

#[test]
fn a_file_that_zisofs_compressed_is_refused() {
    if missing(&["xorriso"]) {
        return;
    }
    let workshop = Workshop::new();
    workshop.write("tree/boot/vmlinuz", vec![7; 500_000]);
    workshop.write("tree/boot/initrd", content(1, 500_000));
    let (to, tree) = (workshop.path("z.iso"), workshop.path("tree"));
    for joliet in ["off", "on"] {
        let _ = fs::remove_file(&to);
        let options = [
            "-outdev",
            to.to_str().unwrap(),
            "-joliet",
            joliet,
            "-map",
            tree.to_str().unwrap(),
            "/",
            "-set_filter_r",
            "--zisofs",
            "/",
            "--",
        ];
        run_tool_in(&workshop.path(""), "xorriso", &options);
        build(&workshop, "z", "z.iso", "boot/vmlinuz").ended(
            1,
            &["z.iso`: `boot/vmlinuz` in the image is compressed with zisofs"],
        );
        assert!(workshop.blobs() == (0, 0), "{:?}", workshop.blobs());
    }
}

#[test]
fn joliet_names_are_read_and_udf_names_are_refused() {
    if missing(&["genisoimage"]) {
        return;
    }
    let workshop = Workshop::new();
    let kernel = content(1, 100_000);
    workshop.write("tree/boot/vmlinuz with a long name.efi", &kernel);
    workshop.write("tree/sources/boot.wim", content(2, 100_000));
    workshop.write("tree/readme", "readme");
    let make = |options: &[&str]| {
        let made = ["-quiet", "-o", "live.iso"];
        let tree = ["tree"];
        run_tool_in(
            &workshop.path(""),
            "genisoimage",
            &[&made[..], options, &tree].concat(),
        );
    };
    let long = "boot/vmlinuz with a long name.efi";
    make(&["-J", "-joliet-long"]);
    build(&workshop, "joliet", "live.iso", long).ended(0, &[]);
    assert_eq!(workshop.blob(&kernel), kernel);
    make(&[
        "-R",
        "-J",
        "-udf",
        "-hide",
        "tree/sources/boot.wim",
        "-hide-joliet",
        "tree/sources/boot.wim",
    ]);
    build(&workshop, "bridge", "live.iso", long).ended(0, &[]);
    let reason = "no `sources/boot.wim` in its ISO 9660 file system, and its UDF file system is not supported";
    build(&workshop, "z", "live.iso", "sources/boot.wim").ended(1, &[reason]);
}

#[test]
fn an_image_with_only_udf_is_refused() {
    if missing(&["mkudffs"]) {
        return;
    }
    let workshop = Workshop::new();
    workshop.write("udf.img", vec![0; 4 << 20]);
    run_tool_in(
        &workshop.path(""),
        "/usr/sbin/mkudffs",
        &["-b", "2048", "udf.img"],
    );
    build(&workshop, "z", "udf.img", "boot/vmlinuz").ended(1, &["UDF images are not supported"]);
}

#[test]
fn files_of_several_extents_are_read_whole() {
    if missing(&["xorriso"]) {
        return;
    }
    // xorriso splits files of 4 GiB; the record of each part is the same for smaller ones.
    let workshop = Workshop::new();
    let kernel = content(1, 6000);
    workshop.write("tree/vmlinuz", &kernel);
    workshop.write("tree/vmlinuz2", [&kernel[..], b"end"].concat());
    iso(&workshop, "tree", "live.iso", &["-R", "-iso-level", "3"]);
    let mut image = fs::read(workshop.path("live.iso")).unwrap();
    let at = image
        .windows(10)
        .position(|it| it == b"VMLINUZ.;1")
        .unwrap()
        - 33;
    // The only part becomes the first of several, without the others.
    image[at + 25] |= 0x80;
    workshop.write("live.iso", image);
    build(&workshop, "z", "live.iso", "vmlinuz").ended(1, &["a file without its last part"]);
    build(&workshop, "b", "live.iso", "vmlinuz2").ended(0, &[]);
}
