//! `pxectl bundle outdated`: newer releases at publishers on loopback.

use std::fs;
use std::net::TcpListener;

use serde_json::{Value, json};

use crate::bundle::keys::Gpg;
use crate::bundle::nginx::Nginx;
use crate::bundle::publishers::{centos_stream, debian, flatcar};
use crate::bundle::workshop::{Workshop, content, listed};
use crate::support::requirements::missing;
use crate::support::run_output::RunOutput;

const SITE: &str = "kind: Site\nname: a\nserver: {address: 10.0.0.1}\nnetworks: []\nloaders: {}\n";

/// Builds `spec.yaml` into the inventory.
fn build(workshop: &Workshop, name: &str) {
    workshop.write("inventory/site.yaml", SITE);
    workshop
        .pxectl(&format!(
            "bundle build spec.yaml --out inventory/{name}.yaml"
        ))
        .ended(0, &[]);
}

fn outdated(workshop: &Workshop, options: &str) -> RunOutput {
    workshop.pxectl(&format!(
        "bundle outdated -i inventory --retries 0 {options}"
    ))
}

fn parsed(output: &RunOutput) -> Value {
    serde_json::from_str(&output.stdout).unwrap()
}

#[test]
fn a_newer_version_in_the_list_of_a_spec_is_listed() {
    if missing(&["nginx"]) {
        return;
    }
    let workshop = Workshop::new();
    let nginx = Nginx::start(&workshop);
    let mut list = String::new();
    let mut publish = |version: &str| {
        let name = format!("disk-{version}.iso");
        let file = content(version.len() as u32, 20_000);
        workshop.write(&format!("web/{name}"), &file);
        list += &listed(&name, &file);
        workshop.write("web/SUMS", &list);
    };
    publish("9");
    publish("8");
    let (pattern, sums) = (nginx.url("/disk-*.iso"), nginx.url("/SUMS"));
    workshop.spec(
        "disk-a",
        &format!("files: {{disk: {{from: '{pattern}', checksums: {{from: '{sums}'}}}}}}\n"),
    );
    build(&workshop, "disk-a");
    let current = outdated(&workshop, "--spec spec.yaml");
    current.ended(
        0,
        &["checked 1 bundle: 0 outdated, 0 not reached, 0 unknown"],
    );
    assert_eq!(current.stdout, "");
    let all = outdated(&workshop, "--spec spec.yaml --all --format json");
    let row = |state: &str, newer: Value, reason: Value| json!([{"bundle": "disk-a", "state": state, "newer": newer, "reason": reason}]);
    assert_eq!(
        parsed(all.ended(0, &[])),
        row("current", json!([]), Value::Null)
    );
    let requests = nginx.responses().len();

    publish("10-rc1");
    publish("10");
    let table = outdated(&workshop, "--spec spec.yaml");
    table.ended(1, &["1 outdated"]);
    let words: Vec<&str> = table
        .stdout
        .lines()
        .nth(1)
        .unwrap()
        .split_whitespace()
        .collect();
    assert_eq!(
        words,
        ["disk-a", "outdated", "disk", "disk-9.iso", "disk-10.iso"]
    );
    let found = outdated(&workshop, "disk-a --spec spec.yaml --format json");
    let newer = json!([{
        "files": ["disk"], "pinned": nginx.url("/disk-9.iso"), "newest": nginx.url("/disk-10.iso"),
    }]);
    assert_eq!(
        parsed(found.ended(1, &[])),
        row("outdated", newer, Value::Null)
    );
    // Only the list was read.
    let read = &nginx.responses()[requests..];
    assert!(read.iter().all(|it| it.path == "/SUMS"), "{read:?}");
    outdated(&workshop, "disk-b").ended(
        1,
        &[
            "the inventory has no bundle `disk-b`",
            "did you mean `disk-a`?",
        ],
    );
}

#[test]
fn what_is_not_reached_is_reported_for_its_bundle_and_the_others_are_checked() {
    if missing(&["nginx"]) {
        return;
    }
    let workshop = Workshop::new();
    let nginx = Nginx::start(&workshop);
    let file = content(1, 20_000);
    workshop.write("web/file-1.img", &file);
    workshop.write("web/SUMS", listed("file-1.img", &file));
    let spec = |name: &str, text: String| {
        workshop.spec(name, &text);
        build(&workshop, name);
        fs::rename(
            workshop.path("spec.yaml"),
            workshop.path(&format!("{name}.spec")),
        )
        .unwrap();
    };
    let (pattern, sums) = (nginx.url("/file-*.img"), nginx.url("/SUMS"));
    let listed_in = |sums: &str| {
        format!("files: {{file: {{from: '{pattern}', checksums: {{from: '{sums}'}}}}}}\n")
    };
    spec("reached", listed_in(&sums));
    spec("lost", listed_in(&sums));
    let plain = nginx.url("/file-1.img");
    spec(
        "plain",
        format!("files: {{file: {{from: '{plain}', unverified: true}}}}\n"),
    );
    // Nobody listens on this port.
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let lost = fs::read_to_string(workshop.path("lost.spec")).unwrap();
    workshop.write(
        "lost.spec",
        lost.replace(&sums, &format!("http://{closed}/SUMS")),
    );
    let specs = "--spec reached.spec --spec lost.spec --format json";
    let states = |output: &RunOutput| {
        let rows = parsed(output);
        let rows = rows.as_array().unwrap().iter();
        rows.map(|row| {
            (
                row["bundle"].as_str().unwrap().to_owned(),
                row["state"].as_str().unwrap().to_owned(),
            )
        })
        .collect::<Vec<_>>()
    };
    let pair = |name: &str, state: &str| (name.to_owned(), state.to_owned());
    let found = outdated(&workshop, specs);
    found.ended(3, &[]);
    assert_eq!(
        states(&found),
        [pair("lost", "failed"), pair("plain", "unknown")]
    );
    let reasons = parsed(&found);
    let reason = reasons[0]["reason"].as_str().unwrap();
    assert!(
        reason.contains(&format!("cannot download `http://{closed}/SUMS`")),
        "{reason}"
    );
    let reason = reasons[1]["reason"].as_str().unwrap();
    assert_eq!(
        reason,
        "no preset and no spec describes where its files come from"
    );
    // A bundle of unknown origin alone is not a failure.
    outdated(&workshop, "plain").ended(0, &["1 unknown"]);

    workshop.write(
        "web/SUMS",
        listed("file-1.img", &file) + &listed("file-2.img", &file),
    );
    let found = outdated(&workshop, specs);
    found.ended(1, &[]);
    let expected = [
        pair("lost", "failed"),
        pair("plain", "unknown"),
        pair("reached", "outdated"),
    ];
    assert_eq!(states(&found), expected);
    // Without a store, as in CI.
    fs::remove_dir_all(workshop.path("store")).unwrap();
    let found = outdated(&workshop, specs);
    assert_eq!(states(found.ended(1, &[])), expected);
    assert!(!workshop.path("store").exists());
    drop(nginx);
    let found = outdated(&workshop, specs);
    assert_eq!(states(found.ended(3, &[]))[2], pair("reached", "failed"));
}

#[test]
fn presets_are_recognized_and_signatures_are_checked() {
    if missing(&["nginx", "gpg", "gpgv", "xorriso"]) {
        return;
    }
    let (gpg, workshop) = (Gpg::new(), Workshop::new());
    let nginx = Nginx::start(&workshop);
    gpg.export(&workshop.path("keys.gpg"), false);
    let mirror = nginx.url("");
    let newer = |options: &str, name: &str| {
        let output = outdated(&workshop, &format!("{options} {name} --format json"));
        let row = parsed(output.ended(1, &[]))[0].clone();
        assert_eq!(row["state"], "outdated", "{row}");
        row["newer"].clone()
    };
    let is_current = |options: &str, name: &str| {
        let output = outdated(&workshop, &format!("{options} {name} --all --format json"));
        assert_eq!(
            parsed(output.ended(0, &[]))[0]["state"],
            "current",
            "{output:?}"
        );
    };

    // By the sources in its document, from a mirror: the name has the date.
    centos_stream(&workshop, &gpg);
    workshop.write("inventory/site.yaml", SITE);
    let line = format!(
        "bundle build --preset centos-stream-9 --name c --mirror {mirror} --out inventory/c.yaml"
    );
    workshop.pxectl(&line).ended(0, &[]);
    is_current("", "c");
    let at = "9-stream/BaseOS/x86_64/iso";
    let list = format!("web/{at}/CentOS-Stream-9-latest-x86_64-boot.iso.SHA256SUM");
    let text = fs::read_to_string(workshop.path(&list)).unwrap();
    workshop.write(&list, text.replace("20260202.0", "20260301.0"));
    let url = |day: &str| nginx.url(&format!("/{at}/CentOS-Stream-9-{day}-x86_64-boot.iso"));
    let files = ["grub", "initrd", "kernel", "shim", "stage2"];
    let expected =
        json!([{"files": files, "pinned": url("20260202.0"), "newest": url("20260301.0")}]);
    assert_eq!(newer("", "c"), expected);

    // By the digest in a signed list: the names stay.
    debian(&workshop, &gpg);
    let preset =
        |name: &str| format!("preset: {{name: {name}, mirror: '{mirror}', keyring: keys.gpg}}\n");
    workshop.spec("d", &preset("debian-12"));
    build(&workshop, "d");
    is_current("--spec spec.yaml", "d");
    let list = "web/dists/bookworm/main/installer-amd64/current/images/SHA256SUMS";
    let old = fs::read_to_string(workshop.path(list)).unwrap();
    let linux = content(1, 20_000);
    let (before, after) = (listed("", &linux), listed("", b"newer"));
    let new = old.replace(before.trim(), after.trim());
    workshop.write(list, &new);
    // The signed list does not have the new list yet.
    let found = outdated(&workshop, "--spec spec.yaml d");
    found.ended(3, &[]);
    assert!(found.stdout.contains("hashes to"), "{found:?}");
    let release = "web/dists/bookworm/InRelease";
    let text = format!(
        "SHA256:\n {} {} main/installer-amd64/current/images/SHA256SUMS\n",
        listed("", new.as_bytes()).trim(),
        new.len()
    );
    gpg.sign_inline(&workshop.write(release, text));
    let expected = json!([{
        "files": ["kernel"],
        "pinned": format!("sha256:{}", before.trim()),
        "newest": format!("sha256:{}", after.trim()),
    }]);
    assert_eq!(newer("--spec spec.yaml", "d"), expected);

    // By the signature of the file, without a list: it is of another file now.
    flatcar(&workshop, &gpg);
    workshop.spec("f", &preset("flatcar-stable"));
    build(&workshop, "f");
    is_current("--spec spec.yaml", "f");
    let kernel = "web/amd64-usr/current/flatcar_production_pxe.vmlinuz";
    gpg.sign(&workshop.write(kernel, "newer"), ".sig");
    let newer = newer("--spec spec.yaml", "f");
    assert_eq!(newer[0]["files"], json!(["kernel"]));
    let newest = newer[0]["newest"].as_str().unwrap();
    assert!(
        newest.starts_with("another file, by the signature of "),
        "{newest}"
    );
}

#[test]
fn the_newest_release_of_a_project_is_where_its_latest_release_redirects() {
    if missing(&["nginx"]) {
        return;
    }
    let workshop = Workshop::new();
    let nginx = Nginx::start(&workshop);
    for (version, name, status) in [
        ("v1.9.0", "old", 1),
        ("v1.10.1", "new", 0),
        ("v1.11.0-alpha.1", "next", 0),
    ] {
        let path = format!("/project/releases/download/{version}/vmlinuz-amd64");
        workshop.write(&format!("web{path}"), content(1, 9_000));
        let url = nginx.url(&path);
        workshop.spec(
            name,
            &format!("files: {{kernel: {{from: '{url}', unverified: true}}}}\n"),
        );
        build(&workshop, name);
        let found = outdated(&workshop, &format!("{name} --all --format json"));
        let row = parsed(found.ended(status, &[]))[0].clone();
        let newer = json!([{"files": ["kernel"], "pinned": version, "newest": "v1.10.1"}]);
        let expected = if status == 1 { newer } else { json!([]) };
        assert_eq!(row["newer"], expected, "{row}");
    }
}
