//! `pxectl init` and its example inventory.

use std::fs;

use crate::support::rack::Rack;

const WRITTEN: &str = "wrote site.yaml, profiles.yaml, bundles.yaml, hosts.yaml to `.`\n";
const NEXT: &str = "\
next: run `pxectl validate -i .`. Then edit site.yaml, profiles.yaml and hosts.yaml for your site,
and replace bundles.yaml, whose digests are examples: see `pxectl bundle build --help`
";
const FILES: [&str; 4] = ["site.yaml", "profiles.yaml", "bundles.yaml", "hosts.yaml"];
/// The result in CI, which has neither the loaders nor the blobs.
const CLEAN: &str = "\
note: `nowhere` of `server.files` does not exist here, so loaders [..] are not checked
  --> site.yaml:[..]
   |
[..]files: [nowhere][..]
   |           ^^^^^^^
   |
   = help: also run `pxectl validate` on the server

note: no bundle store at `./../bundles`
 |
 = help: blobs are not checked; use `--bundles DIR` for another store

rack-a: 2 hosts, 2 profiles, 2 bundles: 0 errors, 0 warnings
";

/// A directory that holds the example, which serves its loaders from a directory that is not there.
fn example() -> Rack {
    let rack = Rack::empty();
    rack.pxectl("init").stdout(WRITTEN).stderr(NEXT).run();
    // Whether the machine that runs the tests has the package `ipxe` is no matter here.
    rack.edit("site.yaml", "files: [/usr/lib/ipxe]", "files: [nowhere]");
    rack
}

#[test]
fn the_example_validates() {
    example()
        .pxectl("validate --deny warnings")
        .stdout(CLEAN)
        .run();
}

#[test]
fn init_creates_the_directory() {
    let rack = Rack::empty();
    rack.pxectl("init deep/rack-b")
        .stdout("wrote site.yaml, profiles.yaml, bundles.yaml, hosts.yaml to `deep/rack-b`\n")
        .stderr(NEXT.replace("-i .", "-i deep/rack-b"))
        .run();
    assert!(rack.file("deep/rack-b/site.yaml").exists());
}

#[test]
fn init_overwrites_nothing_and_writes_nothing_beside_existing_files() {
    let rack = Rack::empty();
    rack.write("hosts.yaml", "mine");
    rack.pxectl("init")
        .stderr(
            "error: `.` already contains hosts.yaml; nothing was written\n  \
             = help: use another directory: `pxectl init DIR`\n",
        )
        .status(1)
        .run();
    assert_eq!(fs::read_to_string(rack.file("hosts.yaml")).unwrap(), "mine");
    assert!(!rack.file("site.yaml").exists());
}

#[test]
fn init_reports_why_it_cannot_create_the_directory() {
    let rack = Rack::empty();
    rack.write("file", "");
    rack.pxectl("init file/rack")
        .stderr("error: cannot create `file/rack`: Not a directory (os error 20)\n")
        .status(3)
        .run();
}

#[test]
fn every_option_of_the_example_works_when_its_hash_is_removed() {
    let rack = example();
    let mut options = 0;
    for name in FILES {
        let text = fs::read_to_string(rack.file(name)).unwrap();
        let lines = text.lines().map(|line| {
            let (indent, rest) = line.split_at(line.len() - line.trim_start().len());
            match rest.strip_prefix('#') {
                Some(option) if !option.is_empty() && !option.starts_with(' ') => {
                    options += 1;
                    format!("{indent}{option}\n")
                }
                _ => format!("{line}\n"),
            }
        });
        let all: String = lines.collect();
        rack.write(name, all);
    }
    let user_data = "#cloud-config\nautoinstall: {version: 1, user-data: {}}\n";
    rack.write("worker.user-data.hbs", user_data);
    assert!(options > 15, "{options} options");
    rack.pxectl("validate --deny warnings").stdout(CLEAN).run();
}

#[test]
fn the_example_names_every_key_of_the_inventory() {
    let rack = example();
    let all: String = FILES
        .map(|name| fs::read_to_string(rack.file(name)).unwrap())
        .concat();
    let unknown = "xyzxyzxyz: 1";
    let faulty = [
        format!(
            "kind: Site\n{unknown}\nserver: {{{unknown}}}\nnetworks: [{{{unknown}, classes: [{{{unknown}, match: {{{unknown}}}}}]}}]\nloaders: {{bios: {{{unknown}}}}}\nprovisioning: {{{unknown}}}\nsignatures: {{{unknown}, keys: [{{{unknown}}}]}}\nmenu: {{{unknown}, groups: [{{{unknown}, entries: [{{{unknown}}}]}}]}}\n"
        ),
        format!("kind: Profile\n{unknown}\n"),
        format!(
            "kind: Host\n{unknown}\nnics: [{{{unknown}}}]\ndisk: {{{unknown}}}\nbmc: {{password: {{{unknown}}}, {unknown}}}\n"
        ),
        format!(
            "kind: Bundle\n{unknown}\nfiles: {{kernel: {{{unknown}, source: {{{unknown}}}}}}}\n"
        ),
    ];
    let probe = Rack::empty();
    probe.write("probe.yaml", faulty.join("---\n"));
    let report = probe
        .pxectl("validate --format json")
        .stdout_returned()
        .status(1)
        .run();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let mut mappings = 0;
    for fault in report["diagnostics"].as_array().unwrap() {
        if fault["code"] != "unknown-key" {
            continue;
        }
        mappings += 1;
        let known = fault["help"]
            .as_str()
            .unwrap()
            .strip_prefix("known keys are ")
            .unwrap();
        for key in known.split(", ").map(|key| key.trim_matches('`')) {
            let taught = [": ", ":\n"]
                .iter()
                .any(|end| all.contains(&format!("{key}{end}")))
                || all.contains(&format!("`{key}`"));
            assert!(
                taught,
                "the example does not name `{key}`, a key of: {}",
                fault["message"]
            );
        }
    }
    assert_eq!(mappings, 21, "{report:#}");
}

#[test]
fn a_bundle_without_any_file_in_the_store_is_one_error() {
    let rack = example();
    rack.write("kernel", "a kernel");
    rack.write(
        "own.spec.yaml",
        "kind: BundleSpec\nname: own\narch: x86_64\nfiles: {kernel: {from: kernel}}\n",
    );
    rack.edit("site.yaml", "bundles: ../bundles", "bundles: bundles");
    rack.pxectl("bundle build own.spec.yaml --out own.yaml -q")
        .run();
    let said = rack.pxectl("validate").stdout_returned().status(1).run();
    for name in ["ubuntu-24.04-2026-05-a", "debian-12-2026-05-a"] {
        let fault =
            format!("error: bundle `{name}`: all files are missing from the store `./bundles`");
        assert!(said.contains(&fault), "{said}");
    }
    assert!(said.contains("not every file has a `source`"), "{said}");
    assert!(said.contains(": 2 errors, 0 warnings\n"), "{said}");
    // With sources in the document, the help names `bundle fetch`.
    let bundles = fs::read_to_string(rack.file("bundles.yaml")).unwrap();
    let sourced: String = bundles
        .lines()
        .map(|line| match line.trim_start().starts_with("size:") {
            true => format!("{line}\n    source: {{from: 'https://a.example/x'}}\n"),
            false => format!("{line}\n"),
        })
        .collect();
    rack.write("bundles.yaml", sourced);
    let said = rack.pxectl("validate").stdout_returned().status(1).run();
    assert!(
        said.contains("help: run `pxectl bundle fetch debian-12-2026-05-a` to download"),
        "{said}"
    );
}
