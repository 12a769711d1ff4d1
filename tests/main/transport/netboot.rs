use crate::support::rack::Rack;
use crate::support::requirements::missing;
use crate::support::tool::run_tool;
use crate::transport::server::DockerRegistry;

/// Creates the files that a container build would copy below `/disk`.
fn disk(rack: &Rack) {
    std::fs::create_dir_all(rack.file("root/disk/grub")).expect("a directory");
    for (name, text) in [
        ("vmlinuz", "a kernel"),
        ("initrd", "an initrd"),
        ("shimx64.efi", "a shim"),
        ("grub/grub.cfg.tmpl", "a menu"),
        ("metadata.yaml", "dhcpBootImageName: shimx64.efi\n"),
    ] {
        rack.write(&format!("root/disk/{name}"), text);
    }
}

/// Builds an image as metalman's users do, `FROM scratch`, with umoci.
fn image(rack: &Rack) {
    let at = |name: &str| rack.file(name).display().to_string();
    let image = format!("{}:latest", at("image"));
    run_tool("umoci", &["init", "--layout", &at("image")]);
    run_tool("umoci", &["new", "--image", &image]);
    run_tool(
        "umoci",
        &["config", "--image", &image, "--architecture", "amd64"],
    );
    run_tool(
        "umoci",
        &[
            "insert",
            "--rootless",
            "--image",
            &image,
            &at("root/disk"),
            "/disk",
        ],
    );
}

#[test]
fn an_image_with_boot_files_becomes_a_bundle() {
    if missing(&["umoci", "skopeo", "docker-registry"]) {
        return;
    }
    let (rack, data) = (Rack::a(), Rack::empty());
    disk(&rack);
    image(&rack);
    let refused = rack.refused(3, &["bundle", "pull", "image"]);
    assert!(refused.contains("needs a name"), "{refused}");
    let document = rack.done(&["bundle", "pull", "image", "metal-a"]);
    for line in [
        "name: metal-a",
        "arch: x86_64",
        "  kernel:",
        "  initrd:",
        "  loader:",
        "path: grub/grub.cfg.tmpl",
    ] {
        assert!(document.contains(line), "{line}: {document}");
    }
    // The same from a registry, with zstd layers by skopeo, and with Docker's media types.
    let registry = DockerRegistry::start(data.path(), false);
    let layout = format!("oci:{}:latest", rack.file("image").display());
    for (name, format, compress) in [("zstd", "oci", "zstd"), ("docker", "v2s2", "gzip")] {
        let place = format!("docker://{}/metal:{name}", registry.host);
        run_tool(
            "skopeo",
            &[
                "copy",
                "--dest-tls-verify=false",
                "--format",
                format,
                "--dest-compress-format",
                compress,
                "--dest-compress",
                &layout,
                &place,
            ],
        );
        let again = rack.done(&[
            "bundle",
            "pull",
            &place,
            "metal-a",
            "--plain-http",
            "--bundles",
            name,
        ]);
        assert_eq!(again, document, "{name}");
    }
    // The same from a tar file for `docker load`, and by the name in a layout that has two images.
    let saved = format!(
        "docker-archive:{}:metal:a",
        rack.file("saved.tar").display()
    );
    run_tool("skopeo", &["copy", &layout, &saved]);
    for (number, source) in [
        "docker-archive:saved.tar",
        "docker-archive:saved.tar:metal:a",
        "docker-archive:saved.tar:docker.io/library/metal:a",
    ]
    .iter()
    .enumerate()
    {
        let store = format!("saved-{number}");
        let again = rack.done(&["bundle", "pull", source, "metal-a", "--bundles", &store]);
        assert_eq!(again, document, "{source}");
    }
    // Layers that are links to compressed ones.
    let script = "mkdir x && tar -xf saved.tar -C x && cd x && mkdir real && \
        for layer in $(find . -maxdepth 1 -type f -name '*.tar'); do \
        cat $layer | gzip -n > real/$layer && rm $layer && ln -s real/$layer $layer; done && \
        test -n \"$(ls real)\" && tar -cf ../linked.tar *";
    let directory = rack.file("");
    run_tool(
        "sh",
        &["-c", &format!("cd '{}' && {script}", directory.display())],
    );
    let linked = [
        "bundle",
        "pull",
        "docker-archive:linked.tar",
        "metal-a",
        "--bundles",
        "linked",
    ];
    assert_eq!(rack.done(&linked), document);
    let other = rack.refused(
        3,
        &[
            "bundle",
            "pull",
            "docker-archive:saved.tar:other",
            "metal-a",
        ],
    );
    assert!(other.contains("the file has no `other`, but"), "{other}");
    let other = format!("oci:{}:other", rack.file("image").display());
    run_tool("skopeo", &["copy", &layout, &other]);
    let again = [
        "bundle",
        "pull",
        "oci:image:other",
        "metal-a",
        "--bundles",
        "tagged",
    ];
    assert_eq!(rack.done(&again), document);
    let absent = rack.refused(1, &["bundle", "pull", "oci:image:none", "metal-a"]);
    assert!(
        absent.contains("`image:none` has no manifest `none`"),
        "{absent}"
    );
    // The bundle is like any other.
    rack.write("metal.yaml", &document);
    rack.done(&["validate"]);
    rack.done(&["bundle", "publish", "metal-a", "metal.tar"]);
    rack.done(&["bundle", "publish", "metal-a", "oci:copies:metal-a"]);
    let pulled = [
        "bundle",
        "pull",
        "oci:copies:metal-a",
        "--bundles",
        "pulled",
    ];
    assert_eq!(rack.done(&pulled), document);
    for (destination, expected) in [
        (
            "oci:copies:other",
            "`copies` cannot list bundle `metal-a` as `other`",
        ),
        (
            "docker-archive:copy.tar",
            "a bundle is not a container image",
        ),
    ] {
        let refused = rack.refused(3, &["bundle", "publish", "metal-a", destination]);
        assert!(refused.contains(expected), "{refused}");
    }
}

#[test]
fn an_image_with_a_path_that_leads_out_is_refused() {
    if missing(&["umoci", "skopeo", "python3"]) {
        return;
    }
    let rack = Rack::a();
    let at = |name: &str| rack.file(name).display().to_string();
    let image = format!("{}:latest", at("image"));
    run_tool("umoci", &["init", "--layout", &at("image")]);
    run_tool("umoci", &["new", "--image", &image]);
    let script = "import tarfile,io,sys\nt=tarfile.open(sys.argv[1],'w')\n\
        for n in ['disk/vmlinuz','../../../escaped']:\n\
        \u{20}i=tarfile.TarInfo(n);i.size=1;t.addfile(i,io.BytesIO(b'x'))\nt.close()";
    run_tool("python3", &["-c", script, &at("layer.tar")]);
    run_tool(
        "umoci",
        &["raw", "add-layer", "--image", &image, &at("layer.tar")],
    );
    let before = rack.read("bundles/index.json");
    let refused = rack.refused(3, &["bundle", "pull", "image", "metal-a"]);
    assert!(
        refused.contains("`../../../escaped` is outside the image"),
        "{refused}"
    );
    assert_eq!(rack.read("bundles/index.json"), before);
}
