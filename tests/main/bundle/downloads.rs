//! Downloads over real connections that are slow or fail.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use crate::bundle::nginx::Nginx;
use crate::bundle::workshop::{Workshop, content, listed, wait_for};
use crate::support::requirements::missing;
use crate::support::tool::run_tool_in;

/// Four files and the list of their digests on a web server.
fn published(workshop: &Workshop, bytes: usize) -> BTreeMap<&'static str, Vec<u8>> {
    let files: BTreeMap<_, _> = ["linux", "initrd.gz", "root.squashfs", "extra.img"]
        .into_iter()
        .zip(1..)
        .map(|(name, seed)| (name, content(seed, bytes)))
        .collect();
    let mut list = String::new();
    for (name, content) in &files {
        workshop.write(&format!("web/{name}"), content);
        list.push_str(&listed(name, content));
    }
    workshop.write("web/SHA256SUMS", list);
    files
}

/// A spec of the four files, below a path of the server.
fn spec(workshop: &Workshop, base: &str) {
    let checks = format!("checksums: {{from: '{base}SHA256SUMS'}}");
    let file = |key: &str, name: &str| format!("  {key}: {{from: '{base}{name}', {checks}}}\n");
    let files = [
        ("kernel", "linux"),
        ("initrd", "initrd.gz"),
        ("squashfs", "root.squashfs"),
        ("extra", "extra.img"),
    ];
    let files: String = files.iter().map(|(key, name)| file(key, name)).collect();
    workshop.spec("web-a", &format!("expires: 2027-05-01\nfiles:\n{files}"));
}

#[test]
fn a_bundle_is_built_from_downloads_and_other_programs_can_read_it() {
    if missing(&["nginx", "skopeo", "umoci"]) {
        return;
    }
    let workshop = Workshop::new();
    let nginx = Nginx::start(&workshop);
    let files = published(&workshop, 100_000);
    spec(&workshop, &nginx.url("/"));
    let built = workshop.pxectl("bundle build spec.yaml");
    built.ended(0, &["is not signed", "linux: 97.66 KiB in"]);
    for (name, content) in &files {
        assert_eq!(&workshop.blob(content), content, "{name}");
    }
    // The document belongs in the inventory, and records the source of each file.
    workshop.write("inventory/bundle.yaml", &built.stdout);
    workshop.write(
        "inventory/site.yaml",
        "kind: Site\nname: a\nserver: {address: 10.0.0.1}\nnetworks: []\nloaders: {}\n",
    );
    let validated = workshop.pxectl("validate -i inventory");
    validated.ended(0, &[]);
    assert!(
        validated.stdout.contains("1 bundle: 0 errors"),
        "{validated:#?}"
    );
    for part in [
        "expires: 2027-05-01",
        "path: root.squashfs",
        "size: 100000",
        &nginx.url("/linux"),
    ] {
        assert!(built.stdout.contains(part), "{part}: {}", built.stdout);
    }
    // The second build prints the same document, and downloads no present file again.
    let before = nginx.responses().len();
    let again = workshop.pxectl("bundle build spec.yaml");
    assert_eq!(again.ended(0, &[]).stdout, built.stdout);
    let fetched: Vec<_> = nginx.responses().split_off(before);
    assert!(
        fetched.iter().all(|it| it.path == "/SHA256SUMS"),
        "{fetched:?}"
    );
    // Another program reads it.
    let store = workshop.path("store");
    let name = format!("oci:{}:web-a", store.display());
    let manifest = run_tool_in(&store, "skopeo", &["inspect", "--raw", &name]);
    assert!(manifest.contains("root.squashfs"), "{manifest}");
    let copy = format!("oci:{}:copy", workshop.path("copy").display());
    run_tool_in(
        &store,
        "skopeo",
        &["--insecure-policy", "copy", &name, &copy],
    );
    let names = run_tool_in(
        &store,
        "umoci",
        &["ls", "--layout", store.to_str().unwrap()],
    );
    assert_eq!(names.trim(), "web-a");
}

#[test]
fn several_files_are_downloaded_at_once() {
    if missing(&["nginx"]) {
        return;
    }
    let workshop = Workshop::new();
    let nginx = Nginx::start(&workshop);
    published(&workshop, 600_000);
    spec(&workshop, &nginx.url("/slow/"));
    workshop
        .pxectl("bundle build spec.yaml --jobs 4")
        .ended(0, &[]);
    let all = |answers: &[crate::bundle::nginx::LoggedResponse]| {
        let files = answers.iter().filter(|it| it.path != "/slow/SHA256SUMS");
        let files: Vec<_> = files.cloned().collect();
        assert_eq!(files.len(), 4, "{files:?}");
        let begun = files.iter().map(|it| it.begun).fold(f64::MIN, f64::max);
        let ended = files.iter().map(|it| it.ended).fold(f64::MAX, f64::min);
        begun < ended
    };
    assert!(
        all(&nginx.responses()),
        "the last began after the first had ended"
    );
    let one = Workshop::new();
    let before = nginx.responses().len();
    spec(&one, &nginx.url("/slow/"));
    one.pxectl("bundle build spec.yaml --jobs 1").ended(0, &[]);
    assert!(
        !all(&nginx.responses()[before..]),
        "one job did two things at once"
    );
}

#[test]
fn transient_errors_are_retried_and_permanent_errors_are_not() {
    if missing(&["nginx"]) {
        return;
    }
    let workshop = Workshop::new();
    let nginx = Nginx::start(&workshop);
    workshop.write("web/image", "image");
    let count = |path: &str| {
        nginx
            .responses()
            .iter()
            .filter(|it| it.path == path)
            .count()
    };
    for (path, status, expected, requests) in [
        (
            "/500",
            3,
            "the server returned HTTP 500, retrying in 0.5 s",
            3,
        ),
        (
            "/503",
            3,
            "the server returned HTTP 503, retrying in 0.5 s",
            3,
        ),
        (
            "/429",
            3,
            "the server returned HTTP 429, retrying in 1 s",
            3,
        ),
        ("/none", 3, "the server returned HTTP 404", 1),
        ("/secret/image", 3, "the server returned HTTP 401", 1),
    ] {
        let url = nginx.url(path);
        workshop.spec(
            "a",
            &format!("files: {{image: {{from: '{url}', unverified: true}}}}\n"),
        );
        let ran = workshop.pxectl("bundle build spec.yaml --retries 2");
        ran.ended(status, &[expected]);
        wait_for("the log", || count(path) == requests);
        assert_eq!(workshop.blobs().0, 0, "{path}");
        assert!(ran.stdout.is_empty());
    }
    // Credentials work, and are neither shown nor recorded.
    let url = nginx
        .url("/secret/image")
        .replace("http://", "http://anna:p%40ss@");
    workshop.spec(
        "a",
        &format!("files: {{image: {{from: '{url}', unverified: true}}}}\n"),
    );
    let ran = workshop.pxectl("bundle build spec.yaml");
    ran.ended(0, &[]);
    assert!(ran.stdout.contains(&nginx.url("/secret/image")), "{ran:#?}");
    assert!(
        !ran.stdout.contains("anna") && !ran.stderr.contains("anna"),
        "{ran:#?}"
    );
    // No server is running there now.
    let gone = nginx.url("/image");
    drop(nginx);
    workshop.spec(
        "b",
        &format!("files: {{image: {{from: '{gone}', unverified: true}}}}\n"),
    );
    let ran = workshop.pxectl("bundle build spec.yaml --retries 1");
    ran.ended(3, &["Connection refused", "resumes where it stopped"]);
}

#[test]
fn a_redirect_loop_ends_with_an_error() {
    if missing(&["nginx"]) {
        return;
    }
    let workshop = Workshop::new();
    let nginx = Nginx::start(&workshop);
    let url = nginx.url("/circle/a");
    workshop.spec(
        "a",
        &format!("files: {{image: {{from: '{url}', unverified: true}}}}\n"),
    );
    let ran = workshop.pxectl("bundle build spec.yaml");
    ran.ended(3, &[&url, "too many redirects"]);
    wait_for("the log", || nginx.responses().len() >= 11);
    assert!(nginx.responses().len() <= 12, "{:?}", nginx.responses());
    assert_eq!(workshop.blobs().0, 0);
}

#[test]
fn tls_requires_a_valid_certificate_and_is_never_downgraded() {
    if missing(&["nginx", "openssl"]) {
        return;
    }
    let workshop = Workshop::new();
    let nginx = Nginx::start(&workshop);
    workshop.write("web/image", "image");
    let build = |path: &str, trusted: bool| {
        let url = nginx.secure_url(path);
        workshop.spec(
            "a",
            &format!("files: {{image: {{from: '{url}', unverified: true}}}}\n"),
        );
        let mut command = workshop.command("bundle build spec.yaml --retries 0");
        if trusted {
            command.env("SSL_CERT_FILE", nginx.certificate());
        }
        let output = command.output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (status, output) = build("/image", false);
    assert!(
        status == Some(3) && output.to_lowercase().contains("certificate"),
        "{output}"
    );
    let (status, output) = build("/redirected/image", true);
    assert!(
        status == Some(3) && output.contains("from https to http"),
        "{output}"
    );
    assert_eq!(workshop.blobs().0, 0);
    let (status, output) = build("/image", true);
    assert_eq!(status, Some(0), "{output}");
    assert_eq!(workshop.blob(b"image"), b"image");
}

#[test]
fn large_files_take_little_memory() {
    if missing(&["nginx"]) {
        return;
    }
    let workshop = Workshop::new();
    let nginx = Nginx::start(&workshop);
    fs::create_dir_all(workshop.path("web")).unwrap();
    for name in ["web/a", "web/b", "local"] {
        fs::File::create(workshop.path(name))
            .unwrap()
            .set_len(192 << 20)
            .unwrap();
    }
    let (a, b) = (nginx.url("/a"), nginx.url("/b"));
    workshop.spec(
        "a",
        &format!(
            "files:\n  a: {{from: '{a}', unverified: true}}\n  b: {{from: '{b}', unverified: true}}\n  \
             c: {{from: local}}\n"
        ),
    );
    let mut build = workshop.command("bundle build spec.yaml").spawn().unwrap();
    let mut peak = 0;
    let status = loop {
        let status = fs::read_to_string(format!("/proc/{}/status", build.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        peak = peak.max(kibibytes.unwrap_or(0));
        if let Some(status) = build.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(status.success());
    assert!((1..64 << 10).contains(&peak), "{peak} KiB");
}
