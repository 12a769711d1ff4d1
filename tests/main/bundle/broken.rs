//! Downloads that break off, because of the server or because pxectl is killed, and resume.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::bundle::nginx::Nginx;
use crate::bundle::workshop::{Workshop, content, listed, wait_for};
use crate::support::requirements::missing;

#[test]
fn a_broken_download_resumes_where_it_stopped() {
    if missing(&["nginx"]) {
        return;
    }
    let workshop = Workshop::new();
    let nginx = Nginx::start(&workshop);
    let image = content(7, 1_500_000);
    workshop.write("web/image", &image);
    let url = nginx.url("/slow/image");
    workshop.spec(
        "a",
        &format!("files: {{image: {{from: '{url}', unverified: true}}}}\n"),
    );
    let mut build = workshop.command("bundle build spec.yaml");
    let build = build
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let build = build.spawn().unwrap();
    workshop.wait_for_partial(300_000);
    nginx.cut();
    let output = build.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && stderr.contains("the connection broke"),
        "{stderr}"
    );
    assert_eq!(workshop.blob(&image), image);
    let responses = nginx.responses();
    let resumed = responses.iter().find(|it| it.status == 206);
    let range = &resumed.unwrap_or_else(|| panic!("{responses:?}")).range;
    let from: usize = range
        .strip_prefix("bytes=")
        .unwrap()
        .trim_end_matches('-')
        .parse()
        .unwrap();
    assert!(from >= 300_000, "{range}");
    // The file, an empty configuration, the signed manifest, and the manifest with sources.
    assert_eq!(workshop.blobs(), (4, 0));
}

#[test]
fn a_killed_build_leaves_no_bundle_and_the_next_one_resumes() {
    if missing(&["nginx"]) {
        return;
    }
    let workshop = Workshop::new();
    let nginx = Nginx::start(&workshop);
    let image = content(8, 1_500_000);
    workshop.write("web/image", &image);
    let sums = listed("image", &image);
    workshop.write("web/SUMS", &sums);
    let (url, list) = (nginx.url("/slow/image"), nginx.url("/SUMS"));
    workshop.spec(
        "a",
        &format!("files: {{image: {{from: '{url}', checksums: {{from: '{list}'}}}}}}\n"),
    );
    let mut killed = workshop.command("bundle build spec.yaml").spawn().unwrap();
    workshop.wait_for_partial(300_000);
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(workshop.store().names().unwrap().is_empty());
    assert_eq!(workshop.blobs().0, 0);
    workshop.pxectl("bundle build spec.yaml").ended(0, &[]);
    assert_eq!(workshop.blob(&image), image);
    assert!(
        nginx
            .responses()
            .iter()
            .any(|it| it.status == 206 && it.path == "/slow/image")
    );

    // A part of the old file is not used for the file that replaced it.
    let other = Workshop::new();
    workshop.write("web/later", content(9, 1_500_000));
    let url = nginx.url("/slow/later");
    other.spec(
        "a",
        &format!("files: {{image: {{from: '{url}', unverified: true}}}}\n"),
    );
    let mut killed = other.command("bundle build spec.yaml").spawn().unwrap();
    other.wait_for_partial(300_000);
    killed.kill().unwrap();
    killed.wait().unwrap();
    let later = content(10, 700_000);
    fs::remove_file(workshop.path("web/later")).unwrap();
    workshop.write("web/later", &later);
    other.pxectl("bundle build spec.yaml").ended(0, &[]);
    assert_eq!(other.blob(&later), later);
}

#[test]
fn a_damaged_partial_download_is_replaced() {
    if missing(&["nginx"]) {
        return;
    }
    let workshop = Workshop::new();
    let nginx = Nginx::start(&workshop);
    let image = content(11, 1_200_000);
    workshop.write("web/image", &image);
    let digest = listed("", &image);
    let url = nginx.url("/slow/image");
    workshop.spec(
        "a",
        &format!(
            "files: {{image: {{from: '{url}', sha256: {}}}}}\n",
            digest.trim()
        ),
    );
    let mut killed = workshop.command("bundle build spec.yaml").spawn().unwrap();
    workshop.wait_for_partial(200_000);
    killed.kill().unwrap();
    killed.wait().unwrap();
    let partial = fs::read_dir(workshop.path("store/.partial"))
        .unwrap()
        .flatten();
    let partial = partial
        .map(|it| it.path())
        .find(|it| it.extension().is_some_and(|it| it == "download"));
    let partial = partial.unwrap();
    let mut begun = fs::read(&partial).unwrap();
    begun[100] ^= 1;
    fs::write(&partial, begun).unwrap();
    workshop
        .pxectl("bundle build spec.yaml")
        .ended(0, &["is damaged, downloading the file again"]);
    assert_eq!(workshop.blob(&image), image);
}

#[test]
fn a_server_without_ranges_sends_the_whole_file_again() {
    if missing(&["nginx"]) {
        return;
    }
    let workshop = Workshop::new();
    let nginx = Nginx::start(&workshop);
    let image = content(12, 900_000);
    workshop.write("web/image", &image);
    let url = nginx.url("/whole/image");
    let digest = listed("", &image);
    workshop.spec(
        "a",
        &format!(
            "files: {{image: {{from: '{url}', sha256: {}}}}}\n",
            digest.trim()
        ),
    );
    // The program is killed once, and the connection is cut once.
    let mut killed = workshop.command("bundle build spec.yaml").spawn().unwrap();
    workshop.wait_for_partial(200_000);
    killed.kill().unwrap();
    killed.wait().unwrap();
    let build = workshop
        .command("bundle build spec.yaml --quiet")
        .spawn()
        .unwrap();
    wait_for("the second request", || {
        let partial = fs::read_dir(workshop.path("store/.partial"))
            .unwrap()
            .flatten();
        let mut begun =
            partial.filter(|it| it.path().extension().is_some_and(|it| it == "download"));
        begun.any(|it| (100_000..190_000).contains(&it.metadata().map_or(0, |data| data.len())))
    });
    nginx.cut();
    let built = build.wait_with_output().unwrap();
    assert!(built.status.success(), "{built:?}");
    assert_eq!(workshop.blob(&image), image);
    assert!(
        nginx.responses().iter().all(|it| it.status == 200),
        "{:?}",
        nginx.responses()
    );
}

#[test]
fn a_server_that_never_sends_the_end_is_an_error() {
    let workshop = Workshop::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/image", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = requests.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            counted.fetch_add(1, Ordering::Relaxed);
            // Only the beginning.
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\nETag: \"a\"\r\n\r\n";
            let _ = stream.write_all(&[head.as_bytes(), &[7; 50_000]].concat());
        }
    });
    workshop.spec(
        "a",
        &format!("files: {{image: {{from: '{url}', unverified: true}}}}\n"),
    );
    let ran = workshop.pxectl("bundle build spec.yaml --retries 2");
    ran.ended(3, &["cannot download", "resumes where it stopped"]);
    let requests = requests.load(Ordering::Relaxed);
    assert!((3..=4).contains(&requests), "{requests}: {ran:#?}");
    assert_eq!(workshop.blobs().0, 0);
    assert!(workshop.store().names().unwrap().is_empty());
}
