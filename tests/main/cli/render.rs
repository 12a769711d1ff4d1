//! `pxectl render`: what a host is served, before it is armed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::rack::Rack;

/// Reads every file below a directory, by its path in it.
fn tree(directory: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for host in fs::read_dir(directory).expect("a directory") {
        let host = host.expect("an entry").path();
        for file in fs::read_dir(&host).expect("a directory") {
            let file = file.expect("an entry").path();
            let name = file
                .strip_prefix(directory)
                .expect("below it")
                .display()
                .to_string();
            files.insert(name, fs::read_to_string(&file).expect("text"));
        }
    }
    files
}

#[test]
fn a_host_shows_its_script_and_its_seeds() {
    let rack = Rack::a();
    for host in ["worker-01", "storage-01"] {
        rack.pxectl(&format!("render {host}"))
            .stdout_golden(&format!("rendered/{host}.txt"))
            .run();
    }
}

#[test]
fn one_kind_alone_is_printed_as_it_is_served() {
    let rack = Rack::a();
    rack.pxectl("render worker-01 --as meta-data")
        .stdout("instance-id: \"SESSION\"\nlocal-hostname: \"worker-01\"\n")
        .run();
    rack.pxectl("render -l unit=11 --as vendor-data")
        .stdout("#cloud-config\n{}\n")
        .run();
    rack.pxectl("render worker-01 worker-02 --as vendor-data")
        .stdout(
            "==> worker-01/vendor-data <==\n#cloud-config\n{}\n\n\
             ==> worker-02/vendor-data <==\n#cloud-config\n{}\n\n",
        )
        .run();
    rack.pxectl("render worker-01 --as preseed.cfg")
        .stderr(
            "error: host `worker-01` has no `preseed.cfg`\n  = help: its files are boot.ipxe, grub.cfg, \
             pxelinux.cfg, user-data, meta-data, vendor-data, network-config\n",
        )
        .status(1)
        .run();
}

#[test]
fn the_same_inventory_renders_to_the_same_bytes() {
    let first = Rack::a();
    first
        .pxectl("render --all --out one")
        .stderr("rendered 6 hosts to `one`\n")
        .run();
    let second = Rack::a();
    second.pxectl("render --all --out two -q").run();
    // The same documents in one file, in another order.
    let all = ["hosts.yaml", "bundles.yaml", "site.yaml", "profiles.yaml"].map(|name| {
        let text = fs::read_to_string(second.file(name)).expect("the file");
        fs::remove_file(second.file(name)).expect("the file");
        text
    });
    second.write("all.yaml", all.join("---\n"));
    second.pxectl("render --all --out three -q").run();
    let rendered = tree(&first.file("one"));
    assert_eq!(rendered.len(), 4 * 5 + 2 * 2, "{:?}", rendered.keys());
    assert_eq!(rendered, tree(&second.file("two")));
    assert_eq!(rendered, tree(&second.file("three")));
    let json = first
        .pxectl("render --all --format json")
        .stdout_returned()
        .run();
    let json: BTreeMap<String, BTreeMap<String, String>> = serde_json::from_str(&json).unwrap();
    for (host, files) in &json {
        for (name, text) in files {
            assert_eq!(
                rendered.get(&format!("{host}/{name}")),
                Some(text),
                "{host} {name}"
            );
        }
    }
    assert_eq!(
        json.values().map(BTreeMap::len).sum::<usize>(),
        rendered.len()
    );
}

#[test]
fn a_template_of_the_inventory_takes_the_place_of_a_built_in_one() {
    let rack = Rack::a();
    rack.write(
        "install.ipxe.hbs",
        "#!ipxe\necho {{host.name}} {{> part.hbs rack=host.labels.rack}}\n",
    )
    .write("part.hbs", "in {{rack}}")
    .write(
        "own.hbs",
        "#cloud-config\nautoinstall:\n  version: 1\n  user-data:\n    hostname: {{yaml host.name}}\n",
    )
    .edit(
        "profiles.yaml",
        "args:",
        "seeds: {user-data: own.hbs}\nargs:",
    );
    rack.pxectl("render worker-02 --as boot.ipxe")
        .stdout("#!ipxe\necho worker-02 in a\n")
        .run();
    rack.pxectl("render worker-02 --as user-data")
        .stdout(
            "#cloud-config\nautoinstall:\n  version: 1\n  user-data:\n    hostname: \"worker-02\"\n",
        )
        .run();
}

#[test]
fn the_context_shows_every_variable_with_its_value() {
    let rack = Rack::a();
    rack.edit(
        "site.yaml",
        "unknown:",
        "vars: {timezone: Europe/Kyiv, own: {deep: [1]}}\nunknown:",
    )
    .edit(
        "hosts.yaml",
        "labels:",
        "vars: {timezone: Asia/Tokyo}\nlabels:",
    );
    let shown = |host: &str| -> Value {
        let line = format!("render {host} --context");
        serde_json::from_str(&rack.pxectl(&line).stdout_returned().run()).expect("JSON")
    };
    let (first, second) = (shown("worker-01"), shown("worker-02"));
    assert_eq!(first["vars"]["timezone"], "Asia/Tokyo");
    assert_eq!(second["vars"]["timezone"], "Europe/Kyiv");
    assert_eq!(second["vars"]["own"]["deep"][0], 1);
    assert_eq!(second["vars"]["keyboard"], "us");
    assert_eq!(second["host"]["name"], "worker-02");
    assert_eq!(second["nic"]["address"], "10.20.0.52/24");
}

#[test]
fn hosts_that_are_not_there_are_named_with_the_nearest() {
    let rack = Rack::a();
    rack.pxectl("render worker-01 wroker-02 storage-9 --out rendered")
        .stderr(
            "error: no host `wroker-02` in the inventory\n  = help: did you mean `worker-02`?\n\
             error: no host `storage-9` in the inventory\n  = help: did you mean `storage-01`?\n",
        )
        .status(1)
        .run();
    assert!(!rack.file("rendered").exists());
    rack.pxectl("render")
        .stderr(
            "error: no hosts selected\n  \
             = help: use host names, `--selector KEY=VALUE` or `--all`\n",
        )
        .status(2)
        .run();
}

#[test]
fn where_it_cannot_write_it_says_so() {
    let rack = Rack::a();
    rack.write("taken", "");
    rack.pxectl("render worker-01 --out taken")
        .stderr("error: cannot create `taken/worker-01`: Not a directory (os error 20)\n")
        .status(3)
        .run();
}

#[test]
fn nothing_that_is_secret_is_looked_up_or_printed() {
    let secret = "hunter2-hunter2";
    for reference in [
        "exec: \"touch ran\"",
        "file: password",
        "env: BMC_PASSWORD",
        "vault: kv/bmc",
    ] {
        let rack = Rack::with_store();
        rack.write("password", secret).edit(
            "hosts.yaml",
            "labels:",
            &format!("bmc: {{url: \"https://10.21.0.51\", username: admin, password: {{{reference}}}}}\nlabels:"),
        );
        // An armed host has capabilities; nothing of them is to be seen either.
        rack.pxectl("host provision worker-01 -q")
            .stdout("worker-01: armed until [..]Z (session [..])\n")
            .run();
        let host = rack
            .pxectl("host show worker-01 --format json")
            .stdout_returned()
            .run();
        let host: Value = serde_json::from_str(&host).unwrap();
        let session = host["session"]["id"].as_str().unwrap().to_owned();
        for line in [
            "validate",
            "validate --format json",
            "render --all",
            "render worker-01 --context",
            "render --all --format json",
            "host list",
        ] {
            let said = rack
                .pxectl(line)
                .env("BMC_PASSWORD", secret)
                .stdout_returned()
                .run();
            assert!(!said.contains(secret), "{line}: {said}");
            assert!(!said.contains(&session), "{line}: {said}");
        }
        assert!(
            !rack.file("ran").exists(),
            "a command of the inventory was run"
        );
        let said = rack.pxectl("render worker-01").stdout_returned().run();
        assert!(said.contains("/s/SEED-CAPABILITY/"), "{said}");
        assert!(said.contains("/s/CALLBACK-CAPABILITY/"), "{said}");
    }
}

#[test]
fn a_kind_that_no_host_has_is_a_fault_of_the_command_line() {
    let rack = Rack::a();
    for (kind, status) in [("foo", 2), ("preseed.cfg", 1)] {
        let stderr =
            format!("error: host `worker-01` has no `{kind}`\n  = help: its files are [..]\n");
        rack.pxectl(&format!("render worker-01 --as {kind}"))
            .stderr(&stderr)
            .status(status)
            .run();
    }
}
