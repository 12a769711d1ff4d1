use crate::support::rack::{BUNDLE, Rack};
use crate::support::requirements::missing;
use crate::support::tool::run_tool;
use crate::transport::server::DockerRegistry;

/// The line of a user for a registry, as `docker login` writes it.
fn login(rack: &Rack, host: &str, auth: &str) {
    std::fs::create_dir_all(rack.file("docker")).expect("a directory");
    let text = format!(r#"{{"auths": {{"{host}": {{"auth": "{auth}"}}}}}}"#);
    rack.write("docker/config.json", text);
}

#[test]
fn a_bundle_is_published_and_pulled_and_skopeo_reads_it() {
    if missing(&["docker-registry", "skopeo"]) {
        return;
    }
    let (rack, other, data) = (Rack::a(), Rack::empty(), Rack::empty());
    let registry = DockerRegistry::start(data.path(), false);
    let place = format!("docker://{}/boot/ubuntu", registry.host);
    let publish = ["bundle", "publish", BUNDLE, &place, "--plain-http"];
    let published = rack.done(&publish);
    assert!(published.contains("72.0 KiB copied"), "{published}");
    // Only missing files are copied.
    assert!(rack.done(&publish).contains("0 B copied"));

    let pulled = other.done(&[
        "bundle",
        "pull",
        &place,
        BUNDLE,
        "--plain-http",
        "--bundles",
        "store",
    ]);
    assert!(
        pulled.contains("\nkind: Bundle\nname: ubuntu-24.04-stand-in\n"),
        "{pulled}"
    );
    assert!(pulled.contains("path: casper/vmlinuz"), "{pulled}");
    other.done(&["bundle", "verify", "--bundles", "store"]);
    let again = other.run(&[
        "bundle",
        "pull",
        &place,
        BUNDLE,
        "--plain-http",
        "--bundles",
        "store",
    ]);
    assert_eq!(again.stdout, pulled);
    assert!(again.stderr.contains("0 B copied"), "{}", again.stderr);

    let shown = run_tool(
        "skopeo",
        &[
            "inspect",
            "--raw",
            "--tls-verify=false",
            &format!("{place}:{BUNDLE}"),
        ],
    );
    assert!(
        shown.contains("application/vnd.pxectl.bundle.v1"),
        "{shown}"
    );
    let copied = other.file("copied");
    let layout = format!("oci:{}:{BUNDLE}", copied.display());
    run_tool(
        "skopeo",
        &[
            "copy",
            "--src-tls-verify=false",
            &format!("{place}:{BUNDLE}"),
            &layout,
        ],
    );
    let from_skopeo = other.done(&[
        "bundle",
        "pull",
        "copied",
        BUNDLE,
        "--bundles",
        "from-skopeo",
    ]);
    assert_eq!(from_skopeo, pulled);
    // A bundle that skopeo pushes directly from the store.
    let store = format!("oci:{}:{BUNDLE}", rack.file("bundles").display());
    let pushed = format!("docker://{}/pushed:one", registry.host);
    run_tool(
        "skopeo",
        &["copy", "--dest-tls-verify=false", &store, &pushed],
    );
    let from_push = other.done(&[
        "bundle",
        "pull",
        &pushed,
        "--plain-http",
        "--bundles",
        "from-push",
    ]);
    assert_eq!(from_push, pulled);
}

#[test]
fn a_registry_that_requires_a_password_gets_the_one_of_docker_login() {
    if missing(&["docker-registry"]) {
        return;
    }
    let (rack, data) = (Rack::a(), Rack::empty());
    let registry = DockerRegistry::start(data.path(), true);
    let place = format!("docker://{}/boot", registry.host);
    let publish = ["bundle", "publish", BUNDLE, &place, "--plain-http"];
    let refused = rack.refused(3, &publish);
    assert!(
        refused.contains("requires credentials, and none are configured"),
        "{refused}"
    );
    assert!(refused.contains("docker login"), "{refused}");
    login(&rack, &registry.host, "YW5uYTp3cm9uZw==");
    let refused = rack.refused(3, &publish);
    assert!(refused.contains("rejected the credentials"), "{refused}");
    assert!(!refused.contains("wrong"), "{refused}");
    login(&rack, &registry.host, "YW5uYTpzM2NyZXQ=");
    rack.done(&publish);
    rack.done(&[
        "bundle",
        "pull",
        &place,
        BUNDLE,
        "--plain-http",
        "--bundles",
        "store",
    ]);
}

#[test]
fn plain_http_is_used_only_on_request() {
    if missing(&["docker-registry"]) {
        return;
    }
    let (rack, data) = (Rack::a(), Rack::empty());
    let registry = DockerRegistry::start(data.path(), false);
    let place = format!("docker://{}/boot", registry.host);
    rack.refused(3, &["bundle", "publish", BUNDLE, &place, "--retries", "0"]);
    assert!(!data.file("data").join("docker").exists());
}

#[test]
fn a_tag_of_a_registry_never_changes_its_content() {
    if missing(&["docker-registry"]) {
        return;
    }
    let (rack, data) = (Rack::a(), Rack::empty());
    let registry = DockerRegistry::start(data.path(), false);
    let place = format!("docker://{}/boot:v1", registry.host);
    rack.done(&["bundle", "publish", BUNDLE, &place, "--plain-http"]);
    let other = [
        "bundle",
        "publish",
        "debian-12-stand-in",
        &place,
        "--plain-http",
    ];
    let refused = rack.refused(1, &other);
    assert!(refused.contains("with other content"), "{refused}");
    let pulled = rack.done(&["bundle", "pull", &place, "--plain-http", "--bundles", "new"]);
    assert!(pulled.contains(BUNDLE), "{pulled}");
    let wrong = [
        "bundle",
        "pull",
        &place,
        "debian-12-stand-in",
        "--plain-http",
        "--bundles",
        "new",
    ];
    let refused = rack.refused(3, &wrong);
    assert!(
        refused.contains("has the bundle `ubuntu-24.04-stand-in`"),
        "{refused}"
    );
}

#[test]
fn a_damaged_blob_of_the_store_is_pulled_again() {
    if missing(&["docker-registry"]) {
        return;
    }
    let (rack, data) = (Rack::a(), Rack::empty());
    let registry = DockerRegistry::start(data.path(), false);
    let place = registry.place("boot");
    rack.done(&["bundle", "publish", BUNDLE, &place, "--plain-http"]);
    let pull = ["bundle", "pull", &place, BUNDLE, "--plain-http"];
    let pull = [&pull[..], &["--bundles", "store"]].concat();
    rack.done(&pull);
    let blobs = rack.tree("store/blobs");
    let (path, content) = blobs.iter().max_by_key(|(_, it)| it.len()).expect("a blob");
    let mut bad = content.clone();
    bad[9] ^= 1;
    std::fs::write(path, bad).expect("it is bad now");
    let output = rack.refused(1, &["bundle", "verify", "--bundles", "store"]);
    assert!(output.contains("or `pxectl bundle pull`"), "{output}");
    let before = registry.count("GET /v2/boot/blobs/", " 200");
    rack.done(&pull);
    assert_eq!(registry.count("GET /v2/boot/blobs/", " 200") - before, 1);
    rack.done(&["bundle", "verify", "--bundles", "store"]);
}

#[test]
fn a_digest_can_be_pulled_but_not_published() {
    if missing(&["docker-registry", "skopeo"]) {
        return;
    }
    let (rack, data) = (Rack::a(), Rack::empty());
    let registry = DockerRegistry::start(data.path(), false);
    let place = registry.place("boot:v1");
    rack.done(&["bundle", "publish", BUNDLE, &place, "--plain-http"]);
    let raw = ["inspect", "--raw", "--tls-verify=false", &place];
    let manifest = run_tool("skopeo", &raw);
    let digest = pxectl::machine::Sha256Digest::of(manifest.as_bytes());
    let named = registry.place(&format!("boot@sha256:{digest}"));
    let pull = ["bundle", "pull", &named, "--plain-http", "--bundles", "new"];
    assert!(rack.done(&pull).contains(BUNDLE));
    let other = registry.place(&format!("boot@sha256:{}", "a".repeat(64)));
    let publish = ["bundle", "publish", BUNDLE, &other, "--plain-http"];
    let refused = rack.refused(3, &publish);
    assert!(
        refused.contains("is a digest, and a bundle is published under a tag"),
        "{refused}"
    );
}
