use std::io::{Read, Write};
use std::process::Stdio;

use serde_json::Value;

use crate::rack::{BUNDLE, Rack};
use crate::requirements::missing;

const DEBIAN: &str = "debian-12-stand-in";

fn listed(rack: &Rack) -> Vec<Value> {
    serde_json::from_str(&rack.done(&["bundle", "list", "--format", "json"])).expect("a list")
}

#[test]
fn a_list_says_who_uses_a_bundle_and_what_is_the_matter_with_it() {
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
    // An inventory at fault hides no bundle.
    rack.write("hosts.yaml", "kind: Host\n");
    let said = rack.run(&["bundle", "list"]);
    assert_eq!(said.status, Some(0));
    assert!(
        said.stdout.contains(BUNDLE) && said.stderr.contains("not known"),
        "{}",
        said.stderr
    );
}

#[test]
fn verify_finds_what_is_gone_or_changed() {
    let rack = Rack::a();
    assert_eq!(
        rack.done(&["bundle", "verify"]),
        "4 of 4 bundles good, 140.0 KiB hashed\n"
    );
    let (path, content) = rack
        .tree("bundles/blobs")
        .into_iter()
        .max_by_key(|(_, it)| it.len())
        .expect("one");
    let mut changed = content.clone();
    changed[9] ^= 1;
    std::fs::write(&path, changed).expect("a file");
    let said = rack.refused(1, &["bundle", "verify"]);
    assert!(said.contains("not to its name"), "{said}");
    std::fs::remove_file(&path).expect("it is gone");
    let said = rack.refused(1, &["bundle", "verify"]);
    assert!(said.contains("is missing"), "{said}");
    let said = rack.refused(1, &["bundle", "verify", "absent"]);
    assert!(said.contains("has no `absent`"), "{said}");
}

#[test]
fn verify_says_what_it_has_not_checked() {
    let rack = Rack::a();
    let said = rack.run(&["bundle", "verify"]);
    assert!(!said.stderr.contains(UNCHECKED), "{}", said.stderr);
    // What is not a bundle, and has a name here.
    let index = rack.read("bundles/index.json");
    let other = index.replacen("\"manifests\":[", OTHER, 1);
    assert_ne!(index, other);
    let digest = pxectl::machine::Sha256Digest::of(b"{}").to_string();
    rack.write(&format!("bundles/blobs/sha256/{digest}"), "{}");
    rack.write("bundles/index.json", other.replace("DIGEST", &digest));
    assert!(rack.done(&["bundle", "verify"]).starts_with("4 of 4"));
    let said = rack.refused(1, &["bundle", "verify", "other"]);
    assert!(said.contains("`other` is no bundle"), "{said}");
    // An inventory at fault hides no bad file, and its site still says whose signatures count.
    rack.write("hosts.yaml", "kind: Host\n");
    let said = rack.run(&["bundle", "verify"]);
    assert!(!said.stderr.contains(UNCHECKED), "{}", said.stderr);
    rack.edit(
        "site.yaml",
        "bundles:",
        "signatures: {required: true}\nbundles:",
    );
    let said = rack.run(&["bundle", "verify"]);
    assert!(said.stderr.contains(UNCHECKED), "{}", said.stderr);
    assert_eq!(said.status, Some(0));
}

const UNCHECKED: &str = "no signature was checked";
const OTHER: &str = r#""manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json",
    "digest":"sha256:DIGEST","size":2,"annotations":{"org.opencontainers.image.ref.name":"other"}},"#;

#[test]
fn a_retired_bundle_is_warned_of_and_goes_when_nothing_needs_it() {
    let rack = Rack::with_store();
    rack.done(&["bundle", "retire", DEBIAN, "--reason", "it hangs"]);
    let said = rack.done(&["validate"]);
    assert!(said.contains("is retired: it hangs"), "{said}");
    assert_eq!(
        rack.run(&["validate", "--deny", "warnings"]).status,
        Some(1)
    );
    rack.done(&["bundle", "retire", DEBIAN, "--undo"]);
    assert!(!rack.done(&["validate"]).contains("is retired"));
    rack.done(&["bundle", "retire", DEBIAN]);

    // What the inventory names stays, retired or not.
    let said = rack.done(&["bundle", "gc", "--dry-run"]);
    assert!(said.contains("0 bundles, 0 files"), "{said}");
    // An open install needs it when git no longer does.
    let said = rack.refused(1, &["host", "provision", "storage-01"]);
    assert!(
        said.contains("is retired: a newer one is there") && said.contains("--allow-retired"),
        "{said}"
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
    let said = rack.done(&["bundle", "gc", "--yes"]);
    assert!(said.contains("0 bundles, 0 files"), "{said}");
    rack.done(&["host", "cancel", "storage-01"]);
    // Nobody can be asked here, so nothing goes unless it is said.
    let before = rack.tree("bundles/blobs").len();
    let said = rack.refused(1, &["bundle", "gc"]);
    assert!(said.contains(DEBIAN) && said.contains("--yes"), "{said}");
    let said = rack.done(&["bundle", "gc", "--dry-run"]);
    assert!(said.contains(&format!("1 bundle ({DEBIAN})")), "{said}");
    assert_eq!(rack.tree("bundles/blobs").len(), before);
    let said = rack.done(&["bundle", "gc", "--yes"]);
    assert!(
        said.contains(&format!("gone: 1 bundle ({DEBIAN})")),
        "{said}"
    );
    assert!(rack.tree("bundles/blobs").len() < before);
    rack.done(&["bundle", "verify"]);
    rack.done(&["validate"]);
}

#[test]
fn nothing_is_collected_while_it_is_not_known_which_installs_run() {
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
    // Of these, one is not there, and one is another site's.
    let other = Rack::empty();
    let wrong = other.file("state").display().to_string();
    for (state, why) in [
        ("none", "there is no store `none`"),
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
        let said = rack.refused(3, &gc);
        assert!(
            said.contains(why) && said.contains("--no-running-installs"),
            "{said}"
        );
        assert_eq!(rack.tree("bundles"), before);
        let mut dry = gc.to_vec();
        dry[2] = "--dry-run";
        let said = rack.run(&dry);
        assert!(
            said.status == Some(0) && said.stderr.contains(why),
            "{}",
            said.stderr
        );
    }
    // Of another inventory that shares the bundles too; its store is its own.
    let also = Rack::a();
    let also_at = also.path().display().to_string();
    let state = also.file("state").display().to_string();
    let with = format!("{also_at}={state}");
    let said = rack.refused(3, &["bundle", "gc", "--yes", "--also", &with]);
    assert!(
        said.contains(&format!("there is no store `{state}`")),
        "{said}"
    );
    also.done(&["store", "create"]);
    also.done(&["host", "provision", "worker-01"]);
    let said = rack.done(&["bundle", "gc", "--yes", "--also", &with]);
    assert!(said.contains("0 bundles"), "{said}");
    // Who says that none runs is believed, and what is known to run stays all the same.
    let said = rack.done(&["bundle", "gc", "--yes", "--no-running-installs"]);
    assert!(said.contains("0 bundles"), "{said}");
    let said = rack.done(&[
        "bundle",
        "gc",
        "--yes",
        "--state",
        "none",
        "--no-running-installs",
    ]);
    assert!(
        said.contains(&format!("gone: 1 bundle ({DEBIAN})")),
        "{said}"
    );
}

#[test]
fn what_somebody_comes_to_need_while_it_is_asked_about_stays() {
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
    // Git goes back to it; then it is armed, and git has left it again.
    let said = agreed(&rack, &come_back);
    assert!(said.contains("gone: 0 bundles, 0 files"), "{said}");
    leave();
    let said = agreed(&rack, &|| {
        come_back();
        rack.done(&["host", "provision", "storage-01", "--allow-retired"]);
        leave();
    });
    assert!(said.contains("gone: 0 bundles, 0 files"), "{said}");
    assert_eq!(rack.tree("bundles"), before);
    rack.done(&["host", "cancel", "storage-01"]);
    let said = agreed(&rack, &|| {});
    assert!(
        said.contains(&format!("gone: 1 bundle ({DEBIAN})")),
        "{said}"
    );
}

/// Collects garbage on a terminal; does something while it asks, and says yes. Returns what it said
/// after that.
fn agreed(rack: &Rack, meanwhile: &dyn Fn()) -> String {
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
        let mut octet = [0];
        stdout.read_exact(&mut octet).unwrap_or_else(|_| {
            panic!("it did not ask: {}", String::from_utf8_lossy(&asked));
        });
        asked.extend(octet);
    }
    meanwhile();
    let mut stdin = child.stdin.take().expect("its input");
    stdin.write_all(b"y\n").expect("it hears");
    let mut said = String::new();
    stdout.read_to_string(&mut said).expect("its words");
    child.wait().expect("it ends");
    said
}

#[test]
fn what_was_just_built_is_not_collected_before_it_can_be_pinned_in_git() {
    let rack = Rack::with_store();
    rack.done(&["host", "provision", "worker-01"]);
    let unused = ["bundle", "gc", "--unused", "--dry-run"];
    rack.write("kernel", "a kernel");
    let spec = "kind: BundleSpec\nname: built\narch: x86_64\nfiles: {kernel: {from: kernel}}\n";
    rack.write("spec.txt", spec);
    rack.done(&["bundle", "build", "spec.txt"]);
    assert!(!rack.done(&unused).contains("built"));
    let said = rack.done(&[&unused[..], &["--min-age", "0s"]].concat());
    assert!(said.contains("built"), "{said}");
}

#[test]
fn verify_shows_how_far_it_is_on_a_terminal() {
    if missing(&["script"]) {
        return;
    }
    let rack = Rack::a();
    let binary = env!("CARGO_BIN_EXE_pxectl");
    let typed = format!("stty cols 100; {binary} bundle verify");
    let shown = tool_in(&rack, "script", &["-qefc", &typed, "/dev/null"]);
    // The bar is drawn with these, moved back, and taken away before the result.
    assert!(
        shown.contains('\u{2588}') && shown.contains("/140.00 KiB"),
        "{shown:?}"
    );
    let (_, after) = shown
        .rsplit_once("4 of 4 bundles good")
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
fn nothing_is_collected_while_an_inventory_is_at_fault() {
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
    // Two bundles of its store are in neither.
    let said = site.done(&[
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
        said.contains("2 bundles") && !said.contains(DEBIAN),
        "{said}"
    );
    let said = site.done(&["bundle", "gc", "--unused", "--min-age", "0s", "--dry-run"]);
    assert!(
        said.contains("3 bundles") && said.contains(DEBIAN),
        "{said}"
    );
}

#[test]
fn one_name_in_git_takes_a_profile_back_to_what_it_was() {
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
            let said = rack.refused(1, out);
            assert!(
                said.contains("`out.txt` holds") && said.contains("= help: "),
                "{said}"
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
            let said = rack.run(out);
            assert_eq!(said.status, Some(0), "{}", said.stderr);
            assert!(
                said.stderr.contains(&format!("{did} `out.txt`")),
                "{}",
                said.stderr
            );
            assert!(rack.read("out.txt").contains(&format!("name: {name}\n")));
        }
        let nowhere = [&words[..], &["--out", "none/out.txt"]].concat();
        let said = rack.refused(3, &nowhere);
        assert!(said.contains("`none/out.txt`: No such file"), "{said}");
        std::fs::remove_file(rack.file("out.txt")).expect("it is gone");
        let _ = std::fs::remove_dir_all(rack.file("new"));
    }
    // A name that is not given is known when the document comes.
    rack.write("out.txt", other);
    rack.refused(1, &["bundle", "pull", "usb.tar", "--out", "out.txt"]);
    assert_eq!(rack.read("out.txt"), other);
}

#[test]
fn what_is_at_fault_is_told_once_and_named() {
    let rack = Rack::a();
    let said = rack.refused(3, &["bundle", "pull", "nowhere", "x"]);
    assert_eq!(
        said,
        "error: there are no bundles at `nowhere`\n  = help: name as SOURCE a directory that \
         `bundle publish` wrote, a tar file, or `docker://…`\n"
    );
    let said = rack.refused(3, &["bundle", "sign", BUNDLE, "--key", "nokey"]);
    assert_eq!(
        said,
        "error: `nokey`: No such file or directory (os error 2)\n"
    );
    let said = rack.refused(3, &["bundle", "publish", BUNDLE, "/proc/x"]);
    assert_eq!(said.matches("os error").count(), 1, "{said}");
    for words in [
        vec!["bundle", "publish", "absent", "there"],
        vec!["bundle", "retire", "absent"],
        vec!["bundle", "sign", "absent", "--print"],
        vec!["bundle", "verify", "absent"],
        vec!["bundle", "pull", "bundles", "absent", "--bundles", "new"],
    ] {
        let said = rack.refused(1, &words);
        assert!(said.contains("`absent`"), "{words:?}: {said}");
    }
}

#[test]
fn a_bundle_that_is_not_signed_is_to_be_signed() {
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
    // What git pins and nobody signed puts the inventory at fault; this is what the store has besides.
    for name in ["hosts.yaml", "profiles.yaml", "bundles.yaml"] {
        std::fs::remove_file(rack.file(name)).expect("it is gone");
    }
    let said = rack.refused(1, &["bundle", "verify", DEBIAN]);
    let help = format!("= help: `pxectl bundle sign {DEBIAN} --key FILE`");
    assert!(!said.contains("bundle fetch"), "{said}");
    assert!(said.contains(&help), "{said}");
}

#[test]
fn gc_says_what_it_keeps_and_retire_keeps_its_reason() {
    let rack = Rack::with_store();
    rack.done(&["bundle", "retire", DEBIAN, "--reason", "it hangs"]);
    let said = rack.run(&["bundle", "retire", DEBIAN]);
    assert!(
        said.stderr.contains("retired already: it hangs"),
        "{}",
        said.stderr
    );
    assert!(rack.done(&["bundle", "list"]).contains("retired: it hangs"));
    rack.done(&["bundle", "retire", DEBIAN, "--reason", "it burns"]);
    assert!(rack.done(&["bundle", "list"]).contains("retired: it burns"));
    rack.done(&["host", "provision", "storage-01", "--allow-retired"]);
    let said = rack.run(&["bundle", "gc", "--yes", "--no-running-installs"]);
    assert!(
        said.stderr
            .contains(&format!("kept {DEBIAN}: used by profile `")),
        "{}",
        said.stderr
    );
    assert!(
        said.stderr.contains("an install of `storage-01` runs"),
        "{}",
        said.stderr
    );
    assert!(
        said.stdout.starts_with("gone: 0 bundles"),
        "{}",
        said.stdout
    );
}
