use std::io::{Read, Write};
use std::process::Stdio;

use serde_json::Value;

use crate::support::rack::{BUNDLE, Rack};
use crate::support::requirements::missing;

const DEBIAN: &str = "debian-12-stand-in";

fn listed(rack: &Rack) -> Vec<Value> {
    serde_json::from_str(&rack.done(&["bundle", "list", "--format", "json"])).expect("a list")
}

#[test]
fn list_shows_the_users_and_the_problems_of_a_bundle() {
    let rack = Rack::a();
    rack.edit(
        "bundles.yaml",
        "arch: x86_64\n",
        "arch: x86_64\nexpires: 2020-01-01\n",
    );
    let rows = listed(&rack);
    let row = |name: &str| {
        rows.iter()
            .find(|row| row["bundle"] == name)
            .expect("its row")
    };
    assert_eq!(
        row(BUNDLE)["profiles"],
        serde_json::json!(["ubuntu-worker"])
    );
    assert_eq!(row(BUNDLE)["size"], 4096 + 65536 + 4096);
    assert_eq!(row(BUNDLE)["expires"], "2020-01-01");
    assert_eq!(row(BUNDLE)["notes"], serde_json::json!(["expired"]));
    assert_eq!(row(DEBIAN)["in_inventory"], true);
    assert!(row(BUNDLE)["hosts"].as_u64().expect("a number") > 0);
    let table = rack.done(&["bundle", "list"]);
    assert!(table.starts_with("BUNDLE"), "{table}");
    assert!(
        table.contains("72.0 KiB") && table.contains("expired"),
        "{table}"
    );
    // An invalid inventory hides no bundle.
    rack.write("hosts.yaml", "kind: Host\n");
    let output = rack.run(&["bundle", "list"]);
    assert_eq!(output.status, Some(0));
    assert!(
        output.stdout.contains(BUNDLE) && output.stderr.contains("users of bundles are unknown"),
        "{}",
        output.stderr
    );
}

#[test]
fn verify_finds_missing_and_changed_files() {
    let rack = Rack::a();
    assert_eq!(
        rack.done(&["bundle", "verify"]),
        "4 of 4 bundles intact, 140.0 KiB hashed\n"
    );
    let (path, content) = rack
        .tree("bundles/blobs")
        .into_iter()
        .max_by_key(|(_, it)| it.len())
        .expect("one");
    let mut changed = content.clone();
    changed[9] ^= 1;
    std::fs::write(&path, changed).expect("a file");
    let output = rack.refused(1, &["bundle", "verify"]);
    assert!(output.contains("does not match its name"), "{output}");
    std::fs::remove_file(&path).expect("it is gone");
    let output = rack.refused(1, &["bundle", "verify"]);
    assert!(output.contains("is missing"), "{output}");
    let output = rack.refused(1, &["bundle", "verify", "absent"]);
    assert!(output.contains("has no `absent`"), "{output}");
}

#[test]
fn verify_warns_about_signatures_that_it_did_not_check() {
    let rack = Rack::a();
    let output = rack.run(&["bundle", "verify"]);
    assert!(!output.stderr.contains(UNCHECKED), "{}", output.stderr);
    // A name in the store that is not a bundle's.
    let index = rack.read("bundles/index.json");
    let other = index.replacen("\"manifests\":[", OTHER, 1);
    assert_ne!(index, other);
    let digest = pxectl::machine::Sha256Digest::of(b"{}").to_string();
    rack.write(&format!("bundles/blobs/sha256/{digest}"), "{}");
    rack.write("bundles/index.json", other.replace("DIGEST", &digest));
    assert!(rack.done(&["bundle", "verify"]).starts_with("4 of 4"));
    let output = rack.refused(1, &["bundle", "verify", "other"]);
    assert!(output.contains("`other` is not a bundle"), "{output}");
    // An invalid inventory hides no damaged file, and its site still names the trusted keys.
    rack.write("hosts.yaml", "kind: Host\n");
    let output = rack.run(&["bundle", "verify"]);
    assert!(!output.stderr.contains(UNCHECKED), "{}", output.stderr);
    rack.edit(
        "site.yaml",
        "bundles:",
        "signatures: {required: true}\nbundles:",
    );
    let output = rack.run(&["bundle", "verify"]);
    assert!(output.stderr.contains(UNCHECKED), "{}", output.stderr);
    assert_eq!(output.status, Some(0));
}

const UNCHECKED: &str = "signatures not checked";
const OTHER: &str = r#""manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json",
    "digest":"sha256:DIGEST","size":2,"annotations":{"org.opencontainers.image.ref.name":"other"}},"#;

#[test]
fn a_retired_bundle_gets_warnings_and_is_removed_when_nothing_uses_it() {
    let rack = Rack::with_store();
    rack.done(&["bundle", "retire", DEBIAN, "--reason", "it hangs"]);
    let output = rack.done(&["validate"]);
    assert!(output.contains("is retired: it hangs"), "{output}");
    assert_eq!(
        rack.run(&["validate", "--deny", "warnings"]).status,
        Some(1)
    );
    rack.done(&["bundle", "retire", DEBIAN, "--undo"]);
    assert!(!rack.done(&["validate"]).contains("is retired"));
    rack.done(&["bundle", "retire", DEBIAN]);

    // A bundle in the inventory stays, retired or not.
    let output = rack.done(&["bundle", "gc", "--dry-run"]);
    assert!(output.contains("0 bundles and 0 files"), "{output}");
    // An open install uses it after git no longer does.
    let output = rack.refused(1, &["host", "provision", "storage-01"]);
    assert!(
        output.contains("is retired: a newer bundle is available")
            && output.contains("--allow-retired"),
        "{output}"
    );
    rack.done(&["host", "provision", "storage-01", "--allow-retired"]);
    rack.edit(
        "profiles.yaml",
        &format!("bundle: {DEBIAN}"),
        &format!("bundle: {BUNDLE}"),
    );
    let bundles = rack.read("bundles.yaml");
    let (first, _) = bundles.split_once("---").expect("two documents");
    rack.write("bundles.yaml", first);
    let output = rack.done(&["bundle", "gc", "--yes"]);
    assert!(output.contains("0 bundles and 0 files"), "{output}");
    rack.done(&["host", "cancel", "storage-01"]);
    // There is no terminal for a prompt, so nothing is removed without `--yes`.
    let before = rack.tree("bundles/blobs").len();
    let output = rack.refused(1, &["bundle", "gc"]);
    assert!(
        output.contains(DEBIAN) && output.contains("--yes"),
        "{output}"
    );
    let output = rack.done(&["bundle", "gc", "--dry-run"]);
    assert!(output.contains(&format!("1 bundle ({DEBIAN})")), "{output}");
    assert_eq!(rack.tree("bundles/blobs").len(), before);
    let output = rack.done(&["bundle", "gc", "--yes"]);
    assert!(
        output.contains(&format!("removed 1 bundle ({DEBIAN})")),
        "{output}"
    );
    assert!(rack.tree("bundles/blobs").len() < before);
    rack.done(&["bundle", "verify"]);
    rack.done(&["validate"]);
}

#[test]
fn nothing_is_removed_while_the_running_installs_are_unknown() {
    let rack = Rack::with_store();
    rack.done(&["bundle", "retire", DEBIAN]);
    rack.done(&["host", "provision", "storage-01", "--allow-retired"]);
    rack.edit(
        "profiles.yaml",
        &format!("bundle: {DEBIAN}"),
        &format!("bundle: {BUNDLE}"),
    );
    let bundles = rack.read("bundles.yaml");
    rack.write("bundles.yaml", bundles.split("---").next().expect("one"));
    let before = rack.tree("bundles");
    // One of these stores is missing, and one is another site's.
    let other = Rack::empty();
    let wrong = other.file("state").display().to_string();
    for (state, why) in [
        ("none", "no state store at `none`"),
        (&wrong, "knows none of its hosts"),
    ] {
        if state == wrong {
            rack.done(&["store", "create", "--state", &wrong]);
        }
        let gc = [
            "bundle",
            "gc",
            "--yes",
            "--unused",
            "--min-age",
            "0s",
            "--state",
            state,
        ];
        let output = rack.refused(3, &gc);
        assert!(
            output.contains(why) && output.contains("--no-running-installs"),
            "{output}"
        );
        assert_eq!(rack.tree("bundles"), before);
        let mut dry = gc.to_vec();
        dry[2] = "--dry-run";
        let output = rack.run(&dry);
        assert!(
            output.status == Some(0) && output.stderr.contains(why),
            "{}",
            output.stderr
        );
    }
    // Another inventory that shares the bundles has its own state store.
    let also = Rack::a();
    let also_at = also.path().display().to_string();
    let state = also.file("state").display().to_string();
    let with = format!("{also_at}={state}");
    let output = rack.refused(3, &["bundle", "gc", "--yes", "--also", &with]);
    assert!(
        output.contains(&format!("no state store at `{state}`")),
        "{output}"
    );
    also.done(&["store", "create"]);
    also.done(&["host", "provision", "worker-01"]);
    let output = rack.done(&["bundle", "gc", "--yes", "--also", &with]);
    assert!(output.contains("0 bundles"), "{output}");
    // `--no-running-installs` is accepted, and the bundles of known installs stay anyway.
    let output = rack.done(&["bundle", "gc", "--yes", "--no-running-installs"]);
    assert!(output.contains("0 bundles"), "{output}");
    let output = rack.done(&[
        "bundle",
        "gc",
        "--yes",
        "--state",
        "none",
        "--no-running-installs",
    ]);
    assert!(
        output.contains(&format!("removed 1 bundle ({DEBIAN})")),
        "{output}"
    );
}

#[test]
fn a_bundle_that_comes_into_use_during_the_prompt_stays() {
    if missing(&["script"]) {
        return;
    }
    let rack = Rack::with_store();
    rack.done(&["bundle", "retire", DEBIAN]);
    rack.done(&["host", "provision", "worker-01"]);
    let (profiles, bundles) = (rack.read("profiles.yaml"), rack.read("bundles.yaml"));
    let leave = || {
        let other = (format!("bundle: {DEBIAN}"), format!("bundle: {BUNDLE}"));
        rack.edit("profiles.yaml", &other.0, &other.1);
        rack.write("bundles.yaml", bundles.split("---").next().expect("one"));
    };
    let before = rack.tree("bundles");
    leave();
    let come_back = || {
        rack.write("profiles.yaml", &profiles);
        rack.write("bundles.yaml", &bundles);
    };
    // Git returns to it; then a host is armed with it, and git no longer names it.
    let output = confirm_gc(&rack, &come_back);
    assert!(output.contains("removed 0 bundles and 0 files"), "{output}");
    leave();
    let output = confirm_gc(&rack, &|| {
        come_back();
        rack.done(&["host", "provision", "storage-01", "--allow-retired"]);
        leave();
    });
    assert!(output.contains("removed 0 bundles and 0 files"), "{output}");
    assert_eq!(rack.tree("bundles"), before);
    rack.done(&["host", "cancel", "storage-01"]);
    let output = confirm_gc(&rack, &|| {});
    assert!(
        output.contains(&format!("removed 1 bundle ({DEBIAN})")),
        "{output}"
    );
}

/// Collects garbage on a terminal; does something during the prompt, and answers yes. Returns the output
/// after that.
fn confirm_gc(rack: &Rack, meanwhile: &dyn Fn()) -> String {
    let mut command = std::process::Command::new("script");
    let typed = format!("{} bundle gc", env!("CARGO_BIN_EXE_pxectl"));
    let command = command
        .args(["-qefc", &typed, "/dev/null"])
        .current_dir(rack.path())
        .env("PXECTL_STATE", "state")
        .env("PXECTL_WITNESS", "witness")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    let mut stdout = child.stdout.take().expect("its output");
    let mut asked = Vec::new();
    while !asked.ends_with(b"[y/N] ") {
        let mut byte = [0];
        stdout.read_exact(&mut byte).unwrap_or_else(|_| {
            panic!("it did not ask: {}", String::from_utf8_lossy(&asked));
        });
        asked.extend(byte);
    }
    meanwhile();
    let mut stdin = child.stdin.take().expect("its input");
    stdin.write_all(b"y\n").expect("it hears");
    let mut output = String::new();
    stdout.read_to_string(&mut output).expect("its words");
    child.wait().expect("it ends");
    output
}

#[test]
fn a_new_bundle_is_not_removed_before_it_can_be_pinned_in_git() {
    let rack = Rack::with_store();
    rack.done(&["host", "provision", "worker-01"]);
    let unused = ["bundle", "gc", "--unused", "--dry-run"];
    rack.write("kernel", "a kernel");
    let spec = "kind: BundleSpec\nname: built\narch: x86_64\nfiles: {kernel: {from: kernel}}\n";
    rack.write("spec.txt", spec);
    rack.done(&["bundle", "build", "spec.txt"]);
    assert!(!rack.done(&unused).contains("built"));
    let output = rack.done(&[&unused[..], &["--min-age", "0s"]].concat());
    assert!(output.contains("built"), "{output}");
}

#[test]
fn verify_shows_its_progress_on_a_terminal() {
    if missing(&["script"]) {
        return;
    }
    let rack = Rack::a();
    let binary = env!("CARGO_BIN_EXE_pxectl");
    let typed = format!("stty cols 100; {binary} bundle verify");
    let shown = tool_in(&rack, "script", &["-qefc", &typed, "/dev/null"]);
    // The bar is drawn with these, and removed before the result.
    assert!(
        shown.contains('\u{2588}') && shown.contains("/140.00 KiB"),
        "{shown:?}"
    );
    let (_, after) = shown
        .rsplit_once("4 of 4 bundles intact")
        .expect("the result");
    assert!(!after.contains('\u{2588}'), "{shown:?}");
    let plain = rack.run(&["bundle", "verify"]);
    assert!(
        !plain.stderr.contains('\u{2588}') && plain.stderr.contains(BUNDLE),
        "{}",
        plain.stderr
    );
}

fn tool_in(rack: &Rack, program: &str, arguments: &[&str]) -> String {
    let mut command = std::process::Command::new(program);
    let command = command
        .args(arguments)
        .current_dir(rack.path())
        .env("TERM", "xterm");
    String::from_utf8_lossy(&command.output().expect("it runs").stdout).into_owned()
}

#[test]
fn nothing_is_removed_while_an_inventory_is_invalid() {
    let rack = Rack::a();
    rack.done(&["bundle", "retire", DEBIAN]);
    let before = rack.tree("bundles");
    rack.write("hosts.yaml", "kind: Host\n");
    rack.refused(1, &["bundle", "gc", "--unused", "--yes"]);
    assert_eq!(rack.tree("bundles"), before);
    // Another inventory that shares the store keeps its own.
    let other = Rack::a();
    let (site, also) = (Rack::a(), other.path().display().to_string());
    site.edit(
        "profiles.yaml",
        &format!("bundle: {DEBIAN}"),
        &format!("bundle: {BUNDLE}"),
    );
    let bundles = site.read("bundles.yaml");
    site.write("bundles.yaml", bundles.split("---").next().expect("one"));
    // Two bundles of the store are in neither inventory.
    let output = site.done(&[
        "bundle",
        "gc",
        "--unused",
        "--min-age",
        "0s",
        "--dry-run",
        "--also",
        &also,
    ]);
    assert!(
        output.contains("2 bundles") && !output.contains(DEBIAN),
        "{output}"
    );
    let output = site.done(&["bundle", "gc", "--unused", "--min-age", "0s", "--dry-run"]);
    assert!(
        output.contains("3 bundles") && output.contains(DEBIAN),
        "{output}"
    );
}

#[test]
fn one_name_in_git_returns_a_profile_to_its_older_bundle() {
    let rack = Rack::with_store();
    rack.edit(
        "profiles.yaml",
        "bundle: ubuntu-24.04-stand-in",
        "bundle: ubuntu-24.04-b",
    );
    let document = rack.read("bundles.yaml");
    let first = document.split("---").next().expect("a document");
    rack.write("new.yaml", first.replace("24.04-stand-in", "24.04-b"));
    let kernel = |rack: &Rack| {
        let script = rack.done(&["render", "worker-01"]);
        script
            .lines()
            .find(|line| line.starts_with("kernel "))
            .map(str::to_owned)
    };
    let new = kernel(&rack);
    rack.edit(
        "profiles.yaml",
        "bundle: ubuntu-24.04-b",
        "bundle: ubuntu-24.04-stand-in",
    );
    rack.done(&["validate"]);
    let old = kernel(&rack);
    assert!(old.is_some());
    assert_eq!(old, kernel(&Rack::a()));
    rack.done(&["host", "provision", "worker-01"]);
    assert!(new.is_some());
}

#[test]
fn out_replaces_the_document_of_the_same_bundle_and_nothing_else() {
    let rack = Rack::a();
    rack.done(&["bundle", "publish", BUNDLE, "usb.tar"]);
    rack.done(&["bundle", "keygen", "k", "--out", "k"]);
    rack.write("linux", "a kernel");
    rack.write(
        "own.spec",
        format!(
            "kind: BundleSpec\nname: {BUNDLE}-2\narch: x86_64\nfiles: {{kernel: {{from: linux}}}}\n"
        ),
    );
    let two = format!("{BUNDLE}-2");
    let commands: [(&str, Vec<&str>); 3] = [
        (two.as_str(), vec!["bundle", "build", "own.spec"]),
        (BUNDLE, vec!["bundle", "pull", "usb.tar", BUNDLE]),
        (BUNDLE, vec!["bundle", "sign", BUNDLE, "--key", "k"]),
    ];
    let other = "kind: Bundle\nname: other\n";
    for (name, words) in commands {
        let out = [&words[..], &["--out", "out.txt", "--bundles", "new"]].concat();
        let out = match words[1] {
            "sign" => &out[..out.len() - 2],
            _ => &out[..],
        };
        for mine in ["kind: Site\n", "", other, "not: [yaml", "\u{7f}"] {
            rack.write("out.txt", mine);
            let output = rack.refused(1, out);
            assert!(
                output.contains("cannot replace `out.txt`") && output.contains("= help: "),
                "{output}"
            );
            assert_eq!(rack.read("out.txt"), mine);
            assert!(
                !rack.file("new").exists(),
                "something was copied for {words:?}"
            );
        }
        rack.write(
            "out.txt",
            format!("{other}---\nkind: Bundle\nname: {name}\n"),
        );
        rack.refused(1, out);
        std::fs::remove_file(rack.file("out.txt")).expect("it is gone");
        for did in ["wrote", "replaced"] {
            let output = rack.run(out);
            assert_eq!(output.status, Some(0), "{}", output.stderr);
            assert!(
                output.stderr.contains(&format!("{did} `out.txt`")),
                "{}",
                output.stderr
            );
            assert!(rack.read("out.txt").contains(&format!("name: {name}\n")));
        }
        let nowhere = [&words[..], &["--out", "none/out.txt"]].concat();
        let output = rack.refused(3, &nowhere);
        assert!(output.contains("`none/out.txt`: No such file"), "{output}");
        std::fs::remove_file(rack.file("out.txt")).expect("it is gone");
        let _ = std::fs::remove_dir_all(rack.file("new"));
    }
    // Without a name in the command, the name is known when the document arrives.
    rack.write("out.txt", other);
    rack.refused(1, &["bundle", "pull", "usb.tar", "--out", "out.txt"]);
    assert_eq!(rack.read("out.txt"), other);
}

#[test]
fn errors_name_their_object_once() {
    let rack = Rack::a();
    let output = rack.refused(3, &["bundle", "pull", "nowhere", "x"]);
    assert_eq!(
        output,
        "error: no bundles at `nowhere`\n  = help: SOURCE must be a directory from \
         `pxectl bundle publish`, a tar file, or `docker://…`\n"
    );
    let output = rack.refused(3, &["bundle", "sign", BUNDLE, "--key", "nokey"]);
    assert_eq!(
        output,
        "error: `nokey`: No such file or directory (os error 2)\n"
    );
    let output = rack.refused(3, &["bundle", "publish", BUNDLE, "/proc/x"]);
    assert_eq!(output.matches("os error").count(), 1, "{output}");
    for words in [
        vec!["bundle", "publish", "absent", "there"],
        vec!["bundle", "retire", "absent"],
        vec!["bundle", "sign", "absent", "--print"],
        vec!["bundle", "verify", "absent"],
        vec!["bundle", "pull", "bundles", "absent", "--bundles", "new"],
    ] {
        let output = rack.refused(1, &words);
        assert!(output.contains("`absent`"), "{words:?}: {output}");
    }
}

#[test]
fn the_help_for_an_unsigned_bundle_is_to_sign_it() {
    let rack = Rack::a();
    let key = rack.done(&["bundle", "keygen", "k", "--out", "k"]);
    let site = rack.read("site.yaml");
    let keys = key.trim_start_matches("- ").trim_end();
    rack.write(
        "site.yaml",
        format!("{site}\nsignatures: {{keys: [{keys}]}}\n"),
    );
    assert!(!rack.done(&["bundle", "list"]).contains("unknown key"));
    rack.done(&["bundle", "sign", BUNDLE, "--key", "k"]);
    rack.write("site.yaml", site);
    let table = rack.done(&["bundle", "list"]);
    assert!(
        table.contains("unknown key ") && table.contains("INVENTORY"),
        "{table}"
    );
    assert!(!table.contains("1 hosts"), "{table}");
    rack.write(
        "site.yaml",
        format!(
            "{}\nsignatures: {{required: true, keys: [{keys}]}}\n",
            rack.read("site.yaml")
        ),
    );
    // An unsigned bundle in git makes the inventory invalid; this bundle is only in the store.
    for name in ["hosts.yaml", "profiles.yaml", "bundles.yaml"] {
        std::fs::remove_file(rack.file(name)).expect("it is gone");
    }
    let output = rack.refused(1, &["bundle", "verify", DEBIAN]);
    let help = format!("= help: run `pxectl bundle sign {DEBIAN} --key FILE`");
    assert!(!output.contains("bundle fetch"), "{output}");
    assert!(output.contains(&help), "{output}");
}

#[test]
fn gc_reports_what_it_keeps_and_retire_keeps_its_reason() {
    let rack = Rack::with_store();
    rack.done(&["bundle", "retire", DEBIAN, "--reason", "it hangs"]);
    let output = rack.run(&["bundle", "retire", DEBIAN]);
    assert!(
        output.stderr.contains("already retired: it hangs"),
        "{}",
        output.stderr
    );
    assert!(rack.done(&["bundle", "list"]).contains("retired: it hangs"));
    rack.done(&["bundle", "retire", DEBIAN, "--reason", "it burns"]);
    assert!(rack.done(&["bundle", "list"]).contains("retired: it burns"));
    rack.done(&["host", "provision", "storage-01", "--allow-retired"]);
    let output = rack.run(&["bundle", "gc", "--yes", "--no-running-installs"]);
    assert!(
        output
            .stderr
            .contains(&format!("kept {DEBIAN}: used by profile `")),
        "{}",
        output.stderr
    );
    assert!(
        output
            .stderr
            .contains("used by an open install of `storage-01`"),
        "{}",
        output.stderr
    );
    assert!(
        output.stdout.starts_with("removed 0 bundles"),
        "{}",
        output.stdout
    );
}
