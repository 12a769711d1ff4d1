use std::sync::atomic::{AtomicUsize, Ordering};

use pxectl::inventory::Bundle;
use pxectl::machine::Sha256Digest;

use crate::support::rack::{BUNDLE, Rack};
use crate::support::run_output::RunOutput;
use crate::transport::server::{FakeRegistry, Request, response};

const OCTETS: usize = 300_000;

fn kernel() -> Vec<u8> {
    (0..OCTETS).map(|index| (index % 251) as u8).collect()
}

/// The manifest of a bundle `b` with one file.
fn manifest() -> Vec<u8> {
    let kernel = kernel();
    let json = format!(
        r#"{{"name": "b", "arch": "x86_64", "files": {{"kernel": {{"path": "linux",
            "sha256": "{}", "size": {}}}}}}}"#,
        Sha256Digest::of(&kernel),
        kernel.len()
    );
    let bundle: Bundle = serde_json::from_str(&json).expect("a bundle");
    bundle.manifest()
}

fn found(asked: &Request) -> Vec<u8> {
    if asked.path.contains("/manifests/") {
        let kind = "Content-Type: application/vnd.oci.image.manifest.v1+json\r\n";
        return response("200 OK", kind, &manifest());
    }
    response("200 OK", "", &kernel())
}

#[track_caller]
fn pull(rack: &Rack, fake: &FakeRegistry, retries: &str) -> RunOutput {
    rack.run(&[
        "bundle",
        "pull",
        &fake.place("b:v1"),
        "--plain-http",
        "--bundles",
        "store",
        "--retries",
        retries,
    ])
}

/// Checks that the store got no name and no partial blob.
#[track_caller]
fn nothing_came(rack: &Rack) {
    let index = rack.read("store/index.json");
    assert!(!index.contains("sha256:"), "{index}");
    for (path, content) in rack.tree("store/blobs") {
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        assert_eq!(name, Sha256Digest::of(&content).to_string());
    }
}

#[test]
fn an_error_of_a_registry_is_explained_and_changes_nothing() {
    for (status, headers, expected) in [
        (
            "401 Unauthorized",
            "WWW-Authenticate: Basic realm=\"a\"\r\n",
            "requires credentials, and none are configured",
        ),
        (
            "401 Unauthorized",
            "",
            "requires credentials, and none are configured",
        ),
        ("403 Forbidden", "", "denied permission to read `boot/b`"),
        ("404 Not Found", "", "has no `v1`"),
        ("429 Too Many Requests", "Retry-After: 0\r\n", "HTTP 429"),
        (
            "500 Internal Server Error",
            "Retry-After: 0\r\n",
            "HTTP 500",
        ),
        ("418 I'm a teapot", "", "HTTP 418"),
        ("200 OK", "", "the manifest is not JSON"),
    ] {
        let rack = Rack::empty();
        let body = br#"{"errors": [{"code": "X", "message": "the \u001b[2Jreason"}]}"#;
        let body: &[u8] = if status.starts_with("200") {
            b"<html>"
        } else {
            body
        };
        let fake = FakeRegistry::start(move |_, _| response(status, headers, body));
        let refused = pull(&rack, &fake, "2");
        // A missing object is an answer.
        let exit = if status.starts_with("404") { 1 } else { 3 };
        assert_eq!(refused.status, Some(exit), "{status}: {}", refused.stderr);
        assert!(
            refused.stderr.contains(expected),
            "{status}: {}",
            refused.stderr
        );
        assert!(!refused.stderr.contains('\u{1b}'), "{:?}", refused.stderr);
        let tries = if status.starts_with("429") || status.starts_with("500") {
            3
        } else {
            1
        };
        assert_eq!(
            fake.requests().len(),
            tries,
            "{status}: {:?}",
            fake.requests()
        );
        nothing_came(&rack);
    }
}

#[test]
fn a_busy_registry_gets_the_time_that_it_requests() {
    let rack = Rack::empty();
    let fake = FakeRegistry::start(|asked, before| match before {
        0 => response("429 Too Many Requests", "Retry-After: 1\r\n", b""),
        1 => response("503 Service Unavailable", "Retry-After: 0\r\n", b""),
        _ => found(asked),
    });
    let start = std::time::Instant::now();
    let pulled = pull(&rack, &fake, "2");
    assert_eq!(pulled.status, Some(0), "{}", pulled.stderr);
    assert!(start.elapsed().as_secs_f64() >= 1.0);
    assert!(
        pulled.stderr.contains("HTTP 429, retrying in 1.0 s"),
        "{}",
        pulled.stderr
    );
    assert!(
        pulled.stderr.contains("HTTP 503, retrying in 0.0 s"),
        "{}",
        pulled.stderr
    );
}

#[test]
fn a_broken_download_resumes_where_it_broke() {
    for knows_ranges in [true, false] {
        let rack = Rack::empty();
        let fake = FakeRegistry::start(move |asked, before| {
            if before == 0 {
                return found(asked);
            }
            let whole = kernel();
            let from = asked.headers.split("range: bytes=").nth(1);
            let from = from.and_then(|rest| rest.split('-').next()?.parse::<usize>().ok());
            let (status, rest) = match from.filter(|_| knows_ranges) {
                Some(from) => ("206 Partial Content", &whole[from..]),
                None => ("200 OK", whole.as_slice()),
            };
            let mut bytes = response(status, "", rest);
            if before < 3 {
                // Each response brings a little more, from where the last one broke.
                bytes.truncate(bytes.len() - rest.len() + rest.len() / 2);
            }
            bytes
        });
        let pulled = pull(&rack, &fake, "3");
        assert_eq!(pulled.status, Some(0), "{}", pulled.stderr);
        assert!(
            pulled.stderr.contains("resuming at byte 150000"),
            "{}",
            pulled.stderr
        );
        let asked = fake.requests();
        let ranges = asked
            .iter()
            .filter(|it| it.headers.contains("range: "))
            .count();
        assert_eq!(ranges, 2, "{asked:?}");
        rack.done(&["bundle", "verify", "b", "--bundles", "store"]);
    }
}

#[test]
fn a_download_that_breaks_before_the_old_position_is_retried() {
    let rack = Rack::empty();
    let fake = FakeRegistry::start(move |asked, before| {
        let whole = kernel();
        let shares = [1.0, 0.5, 0.25, 1.0];
        if before == 0 {
            return found(asked);
        }
        let mut bytes = response("200 OK", "", &whole);
        let left_out = whole.len() as f64 * (1.0 - shares[before.min(3)]);
        bytes.truncate(bytes.len() - left_out as usize);
        bytes
    });
    let pulled = pull(&rack, &fake, "2");
    assert_eq!(pulled.status, Some(0), "{}", pulled.stderr);
    let tries = pulled.stderr.matches("resuming at byte 150000").count();
    assert_eq!(tries, 2, "{}", pulled.stderr);
    rack.done(&["bundle", "verify", "b", "--bundles", "store"]);
}

#[test]
fn a_download_that_keeps_breaking_or_differs_leaves_nothing() {
    let rack = Rack::empty();
    let fake = FakeRegistry::start(|asked, before| {
        let mut bytes = found(asked);
        if before > 0 {
            bytes.truncate(200);
            // Not a single byte of the content arrives.
            let end = bytes
                .windows(4)
                .position(|it| it == b"\r\n\r\n")
                .expect("an end");
            bytes.truncate(end + 4);
        }
        bytes
    });
    let refused = pull(&rack, &fake, "1");
    assert_eq!(refused.status, Some(3), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("connection lost"),
        "{}",
        refused.stderr
    );
    nothing_came(&rack);

    for other in [vec![7; OCTETS], vec![7; OCTETS + 1]] {
        let rack = Rack::empty();
        let fake = FakeRegistry::start(move |asked, before| match before {
            0 => found(asked),
            _ => response("200 OK", "", &other),
        });
        let refused = pull(&rack, &fake, "1");
        assert_eq!(refused.status, Some(3), "{}", refused.stderr);
        nothing_came(&rack);
    }
}

#[test]
fn a_token_is_fetched_from_the_named_server_with_the_right_scope() {
    let rack = Rack::empty();
    let fake = FakeRegistry::start(|asked, _| {
        if asked.path.starts_with("/token") {
            return response("200 OK", "", br#"{"token": "abc"}"#);
        }
        if asked.headers.contains("authorization: bearer abc") {
            return found(asked);
        }
        let host = asked
            .headers
            .split("host: ")
            .nth(1)
            .and_then(|rest| rest.split("\r\n").next());
        let challenge = format!(
            "WWW-Authenticate: Bearer realm=\"http://{}/token\",service=\"s\"\r\n",
            host.expect("a host")
        );
        response("401 Unauthorized", &challenge, b"")
    });
    let pulled = pull(&rack, &fake, "0");
    assert_eq!(pulled.status, Some(0), "{}", pulled.stderr);
    let asked = fake.requests();
    let tokens: Vec<&str> = asked
        .iter()
        .map(|it| it.path.as_str())
        .filter(|path| path.starts_with("/token"))
        .collect();
    assert_eq!(
        tokens,
        ["/token?scope=repository%3Aboot%2Fb%3Apull&service=s"]
    );
}

#[test]
fn a_failed_upload_is_retried_and_the_tag_comes_last() {
    let rack = Rack::a();
    let (begun, sent) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let fake = FakeRegistry::start(move |asked, _| {
        let first = |count: &AtomicUsize, of: usize| count.fetch_add(1, Ordering::SeqCst) < of;
        match (asked.method.as_str(), asked.path.as_str()) {
            ("POST", _) if first(&begun, 2) => {
                response("429 Too Many Requests", "Retry-After: 0\r\n", b"")
            }
            ("POST", _) => response("202 Accepted", "Location: /upload/1?state=a\r\n", b""),
            ("PUT", path) if path.starts_with("/upload/") && first(&sent, 2) => {
                response("502 Bad Gateway", "Retry-After: 0\r\n", b"")
            }
            ("PUT", _) => response("201 Created", "Location: /there\r\n", b""),
            _ => response("404 Not Found", "", b""),
        }
    });
    let published = rack.run(&[
        "bundle",
        "publish",
        BUNDLE,
        &fake.place("b"),
        "--plain-http",
        "--retries",
        "2",
    ]);
    assert_eq!(published.status, Some(0), "{}", published.stderr);
    for expected in ["HTTP 429, retrying", "HTTP 502, retrying"] {
        assert!(published.stderr.contains(expected), "{}", published.stderr);
    }
    let asked = fake.requests();
    let last = asked.last().expect("a request");
    let tag = format!("/v2/boot/b/manifests/{BUNDLE}");
    assert_eq!(
        (last.method.as_str(), last.path.as_str()),
        ("PUT", tag.as_str())
    );
    let upload = asked
        .iter()
        .find(|it| it.method == "PUT")
        .expect("an upload");
    assert!(
        upload
            .path
            .starts_with("/upload/1?state=a&digest=sha256%3A"),
        "{upload:?}"
    );
    let size = upload.headers.contains("content-length: 4096")
        || upload.headers.contains("content-length: 65536");
    assert!(size, "{upload:?}");
    let media_type = "content-type: application/octet-stream";
    assert!(upload.headers.contains(media_type), "{upload:?}");
}

#[test]
fn a_refused_upload_leaves_no_tag() {
    for (status, expected) in [
        ("403 Forbidden", "denied permission to write to `boot/b`"),
        ("413 Payload Too Large", "HTTP 413"),
    ] {
        let rack = Rack::a();
        let before = rack.tree("bundles");
        let fake = FakeRegistry::start(move |asked, _| match asked.method.as_str() {
            "POST" => response(status, "", b""),
            _ => response("404 Not Found", "", b""),
        });
        let place = fake.place("b");
        let refused = rack.refused(3, &["bundle", "publish", BUNDLE, &place, "--plain-http"]);
        assert!(refused.contains(expected), "{refused}");
        assert!(
            fake.requests().iter().all(|it| it.method != "PUT"),
            "{:?}",
            fake.requests()
        );
        let after = rack.tree("bundles");
        assert_eq!(before.len(), after.len());
    }
}

#[test]
fn credentials_are_not_sent_to_another_server_for_uploads() {
    let rack = Rack::a();
    let elsewhere = FakeRegistry::start(|_, _| response("201 Created", "", b""));
    let upload = format!("Location: http://{}/upload/1\r\n", elsewhere.address);
    let fake = FakeRegistry::start(move |asked, _| {
        if !asked.headers.contains("authorization: basic ") {
            let challenge = "WWW-Authenticate: Basic realm=\"a\"\r\n";
            return response("401 Unauthorized", challenge, b"");
        }
        match asked.method.as_str() {
            "POST" => response("202 Accepted", &upload, b""),
            "PUT" => response("201 Created", "", b""),
            _ => response("404 Not Found", "", b""),
        }
    });
    std::fs::create_dir(rack.file("docker")).expect("a directory");
    let auths = format!(
        r#"{{"auths": {{"{}": {{"auth": "YW5uYTpzM2NyZXQ="}}}}}}"#,
        fake.address
    );
    rack.write("docker/config.json", auths);
    let place = fake.place("b");
    rack.done(&["bundle", "publish", BUNDLE, &place, "--plain-http"]);
    let uploads = elsewhere.requests();
    // The three files and the empty configuration.
    assert_eq!(uploads.len(), 4, "{uploads:?}");
    let tells = |asked: &&Request| asked.headers.contains("authorization:");
    assert_eq!(uploads.iter().filter(tells).count(), 0, "{uploads:?}");
    assert!(fake.requests().iter().filter(tells).count() > 4);
}
