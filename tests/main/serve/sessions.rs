//! A session over HTTP: who may read what, and when an attempt begins and ends.

use std::fs;

use pxectl::machine::Phase;
use pxectl::token::Purpose;

use crate::serve::server::Server;
use crate::support::rack::Rack;

const KERNEL: &str = "ad6ee40a67983b25960651f7fd20808aa6f3a3504000183cb05a57f268f1c269";

fn armed() -> Rack {
    let rack = Rack::beside_store();
    rack.done(&["host", "provision", "worker-01"]);
    rack
}

fn phase(rack: &Rack) -> Phase {
    rack.record("worker-01").unwrap().phase
}

#[test]
fn only_a_get_begins_an_attempt_and_the_seeds_die_with_installed() {
    let rack = armed();
    let mut server = Server::start(&rack, "http");
    let seed = rack.capability("worker-01", Purpose::Seed);
    let callback = rack.capability("worker-01", Purpose::Callback);
    let mut web = server.web();
    let (boot, _) = rack.boot_url();
    let script = web.get(&boot);
    assert!(
        script.text().contains(&format!("/s/{seed}/files/kernel")),
        "{}",
        script.text()
    );
    for path in ["user-data", "files/kernel"] {
        let head = web.ask("HEAD", &format!("/s/{seed}/{path}"), &[], "");
        assert_eq!((head.status(), head.body.len()), (200, 0), "{path}");
        assert_eq!(rack.session("worker-01").attempts, 0, "{path}");
    }
    let whole = web.get(&format!("/s/{seed}/user-data"));
    assert_eq!(whole.status(), 200);
    assert!(whole.text().contains(&format!("/s/{callback}/installed")));
    assert_eq!(rack.session("worker-01").attempts, 1);
    for path in ["meta-data", "vendor-data", "network-config", "files/initrd"] {
        assert_eq!(
            web.get(&format!("/s/{seed}/{path}")).status(),
            200,
            "{path}"
        );
    }
    assert_eq!(rack.session("worker-01").attempts, 1);
    // The attempt is used: the same machine is now held.
    let script = web.get(&boot);
    assert!(!script.text().contains("/s/"), "{}", script.text());

    for _ in 0..3 {
        let answer = web.post(&format!("/s/{callback}/installed"), "all well");
        assert_eq!((answer.status(), answer.text()), (200, "ok\n"));
        assert_eq!(phase(&rack), Phase::Installed);
    }
    let late = web.post(&format!("/s/{callback}/failed"), "too late");
    assert_eq!((late.status(), late.text()), (200, "late\n"));
    server.event(0, "late");
    assert_eq!(server.count("installed"), 1);
    assert_eq!(phase(&rack), Phase::Installed);
    for path in ["user-data", "files/kernel"] {
        for method in ["GET", "HEAD"] {
            let dead = web.ask(method, &format!("/s/{seed}/{path}"), &[], "");
            assert_eq!(dead.status(), 410, "{method} {path}");
        }
    }
    assert_eq!(rack.session("worker-01").attempts, 1);
    server.stop();
}

#[test]
fn a_capability_opens_what_it_was_made_for_and_no_log_or_error_shows_it() {
    let rack = armed();
    let mut server = Server::start(&rack, "http");
    let seed = rack.capability("worker-01", Purpose::Seed);
    let callback = rack.capability("worker-01", Purpose::Callback);
    let (boot, token) = rack.boot_url();
    let unknown = format!("{}A", &seed[..seed.len() - 1]);
    let unknown = if unknown == seed {
        format!("{}B", &seed[..seed.len() - 1])
    } else {
        unknown
    };
    let mut web = server.web();
    assert_eq!(web.get(&boot).status(), 200);
    for (method, path, status, text) in [
        (
            "GET",
            format!("/s/{unknown}/user-data"),
            403,
            "unknown capability\n",
        ),
        (
            "GET",
            "/s/abc/user-data".into(),
            403,
            "unknown capability\n",
        ),
        (
            "GET",
            format!("/s/{callback}/user-data"),
            403,
            "the capability has another purpose\n",
        ),
        (
            "GET",
            format!("/s/{callback}/files/kernel"),
            403,
            "the capability has another purpose\n",
        ),
        (
            "POST",
            format!("/s/{seed}/installed"),
            403,
            "the capability has another purpose\n",
        ),
        (
            "GET",
            format!("/s/{callback}/installed"),
            405,
            "method not allowed for this path\n",
        ),
        (
            "GET",
            format!("/%73/{callback}/installed"),
            405,
            "method not allowed for this path\n",
        ),
        (
            "POST",
            format!("/s/{seed}/user-data"),
            405,
            "method not allowed for this path\n",
        ),
        (
            "PUT",
            format!("/s/{seed}/user-data"),
            405,
            "method not allowed for this path\n",
        ),
        (
            "GET",
            format!("/s/{seed}/preseed.cfg"),
            404,
            "installer autoinstall has no seed `preseed.cfg`\n",
        ),
        (
            "GET",
            format!("/s/{seed}/../{seed}"),
            403,
            "the path contains `..`\n",
        ),
        ("GET", format!("/s/{seed}/a/b/c"), 404, "path not found\n"),
        (
            "GET",
            format!("/s%2f{seed}"),
            400,
            "the path is malformed\n",
        ),
        (
            "GET",
            format!("/s/{seed}/%zz"),
            400,
            "the path is malformed\n",
        ),
        (
            "POST",
            boot.clone(),
            405,
            "method not allowed for this path\n",
        ),
    ] {
        let answer = web.ask(method, &path, &[], "");
        assert_eq!(
            (answer.status(), answer.text()),
            (status, text),
            "{method} {path}"
        );
    }
    let missing = web.get(&format!("/s/{seed}/files/missing"));
    assert_eq!(missing.status(), 404);
    let expected = "bundle `ubuntu-24.04-stand-in` has no file `missing`\n";
    assert_eq!(missing.text(), expected);
    assert_eq!(rack.session("worker-01").attempts, 0);
    assert_eq!(phase(&rack), Phase::Provisioning);
    assert_eq!(web.get(&format!("/s/{seed}/user-data")).status(), 200);
    assert_eq!(
        web.post(&format!("/s/{callback}/progress"), "half")
            .status(),
        200
    );
    let session = rack.session("worker-01").id.to_string();
    server.event(0, "progress");
    let log = server.stop();
    assert!(log.contains(&session), "{log}");
    for secret in [&seed, &callback, &token, &unknown] {
        assert!(!log.contains(secret.as_str()), "{secret} in\n{log}");
    }
}

#[test]
fn a_callback_with_too_large_a_body_is_refused_and_changes_nothing() {
    let rack = armed();
    let mut server = Server::start(&rack, "http");
    let callback = rack.capability("worker-01", Purpose::Callback);
    let url = format!("/s/{callback}/installed");
    let answer = server.web().post(&url, &"x".repeat((64 << 10) + 1));
    assert_eq!(answer.status(), 413, "{answer:?}");
    assert_eq!(phase(&rack), Phase::Provisioning);
    let answer = server.web().post(&url, &"x".repeat(64 << 10));
    assert_eq!(answer.status(), 200, "{answer:?}");
    assert_eq!(phase(&rack), Phase::Installed);
    // What people see of it is short.
    let reason = rack.record("worker-01").unwrap().reason.unwrap();
    assert!(reason.chars().count() <= 501, "{}", reason.len());
    assert!(server.log().len() < 20_000);
    server.stop();
}

#[test]
fn a_blob_that_is_missing_or_wrong_is_named_and_the_service_goes_on() {
    let rack = armed();
    let mut server = Server::start(&rack, "http");
    let seed = rack.capability("worker-01", Purpose::Seed);
    let blob = rack.file(&format!("bundles/blobs/sha256/{KERNEL}"));
    let good = fs::read(&blob).unwrap();
    let url = format!("/s/{seed}/files/kernel");
    fs::remove_file(&blob).unwrap();
    for content in [None, Some(vec![0; good.len()]), Some(good[1..].to_vec())] {
        if let Some(content) = content {
            fs::write(&blob, content).unwrap();
        }
        let mark = server.mark();
        let answer = server.web().get(&url);
        assert_eq!(answer.status(), 503);
        assert_eq!(
            answer.text(),
            "the bundle store has no valid copy of this file\n"
        );
        let message = server.event(mark, "blob-refused");
        for part in [
            "sent 503 to ",
            " for kernel of ubuntu-24.04-stand-in",
            KERNEL,
        ] {
            assert!(message.contains(part), "{message}");
        }
        assert_eq!(rack.session("worker-01").attempts, 0);
        assert_eq!(server.web().get("/files/snponly.efi").status(), 200);
    }
    fs::write(&blob, &good).unwrap();
    assert!(server.web().get(&url).body == good);
    server.stop();
}
