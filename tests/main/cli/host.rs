//! `pxectl host`: the phases, and every refusal with its reason.

use serde_json::{Value, json};

use crate::cli::pxectl::Pxectl;
use crate::support::rack::Rack;

const NO_SERVER: &str = "\
warning: no running server uses the store `state`
  = help: start `pxectl serve all` with the same `--state`, as the same user
";
const VERIFYING_UBUNTU: &str = "verifying the files of bundle `ubuntu-24.04-stand-in`\n";
const VERIFYING_DEBIAN: &str = "verifying the files of bundle `debian-12-stand-in`\n";
const KERNEL: &str = "ad6ee40a67983b25960651f7fd20808aa6f3a3504000183cb05a57f268f1c269";

const NOT_ARMED: &str = "5 hosts were not armed\n";

fn provision(rack: &Rack, hosts: &str) -> Pxectl {
    rack.pxectl("host provision").args(hosts)
}

/// Arms `worker-01`.
fn armed() -> Rack {
    let rack = Rack::with_store();
    provision(&rack, "worker-01")
        .stdout("worker-01: armed until [..]Z (session [..])\n")
        .stderr(format!("{VERIFYING_UBUNTU}{NO_SERVER}"))
        .run();
    rack
}

fn phase(rack: &Rack, host: &str) -> Value {
    shown(rack, host)["phase"].clone()
}

fn shown(rack: &Rack, host: &str) -> Value {
    let line = format!("host show {host} --format json");
    serde_json::from_str(&rack.pxectl(&line).stdout_returned().run()).expect("JSON")
}

#[test]
fn a_rack_that_nobody_touched_is_new() {
    Rack::with_store()
        .pxectl("host list")
        .stdout(
            "\
HOST        PHASE  PROFILE         ADDRESS     SINCE  NOTE
storage-01  new    debian-storage  10.20.0.55
storage-02  new    debian-storage  10.20.0.56
worker-01   new    ubuntu-worker   10.20.0.51
worker-02   new    ubuntu-worker   10.20.0.52
worker-03   new    ubuntu-worker   10.20.0.53
worker-04   new    ubuntu-worker   10.20.0.54
",
        )
        .run();
}

#[test]
fn an_armed_host_is_provisioning_until_it_is_cancelled() {
    let rack = armed();
    rack.pxectl("host show worker-01")
        .stdout(
            "\
worker-01: provisioning
  profile   ubuntu-worker
  arch      uefi-x64
  nic       52:54:00:85:00:01 on prov0, 10.20.0.51, boots
  session   [..], armed, [..] min left
  [..]Z  armed      armed until [..]Z
",
        )
        .run();
    rack.pxectl("host cancel worker-01")
        .stdout("worker-01: cancelled, its phase is new\n")
        .stderr(NO_SERVER)
        .run();
    rack.pxectl("host list worker-01")
        .stdout(
            "\
HOST       PHASE  PROFILE        ADDRESS     SINCE                 NOTE
worker-01  new    ubuntu-worker  10.20.0.51  [..]Z  cancelled
",
        )
        .run();
    rack.pxectl("host cancel worker-01")
        .stderr("error: `worker-01` was not cancelled: the host is not armed (phase `new`)\n")
        .status(1)
        .run();
}

#[test]
fn arming_again_opens_a_new_session() {
    let rack = armed();
    let first = shown(&rack, "worker-01")["session"]["id"].clone();
    provision(&rack, "worker-01 --deadline 2h -q")
        .stdout("worker-01: armed until [..]Z (session [..])\n")
        .run();
    let now = shown(&rack, "worker-01");
    assert_ne!(now["session"]["id"], first);
    assert_eq!(now["phase"], "provisioning");
    assert_eq!(now["events"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_host_set_aside_is_not_armed_before_its_release() {
    let rack = armed();
    for (command, phase_now, done) in [
        ("quarantine", "quarantine", "set aside"),
        ("retire", "retired", "retired"),
    ] {
        rack.pxectl(&format!("host {command} worker-01"))
            .stdout(format!("worker-01: {done}, its phase is {phase_now}\n"))
            .stderr(NO_SERVER)
            .run();
        assert!(shown(&rack, "worker-01")["session"]["ended_at"].is_string());
        provision(&rack, "worker-01")
            .stderr(format!(
                "{VERIFYING_UBUNTU}error: `worker-01` was not armed: the host is in phase \
                 `{phase_now}`; run `pxectl host release` first\n"
            ))
            .status(1)
            .run();
        rack.pxectl("host release worker-01")
            .stdout("worker-01: released, its phase is new\n")
            .stderr(NO_SERVER)
            .run();
        rack.pxectl("host release worker-01")
            .stderr(
                "error: `worker-01` was not released: the host is neither quarantined nor retired (phase `new`)\n",
            )
            .status(1)
            .run();
    }
}

#[test]
fn the_reason_of_a_quarantine_is_kept_for_people() {
    let rack = Rack::with_store();
    rack.pxectl("host quarantine worker-02 --reason")
        .arg("smells of smoke")
        .stdout("worker-02: set aside, its phase is quarantine\n")
        .stderr(NO_SERVER)
        .run();
    rack.pxectl("host list -l unit=12")
        .stdout(
            "\
HOST       PHASE       PROFILE        ADDRESS     SINCE                 NOTE
worker-02  quarantine  ubuntu-worker  10.20.0.52  [..]Z  smells of smoke
",
        )
        .run();
}

#[test]
fn what_is_done_for_some_hosts_only_ends_in_status_4() {
    let rack = armed();
    rack.pxectl("host cancel --all")
        .stdout("worker-01: cancelled, its phase is new\n")
        .stderr(format!("{NOT_ARMED}{NO_SERVER}"))
        .run();
    rack.pxectl("host retire worker-02 -q")
        .stdout("worker-02: retired, its phase is retired\n")
        .run();
    let report = provision(&rack, "-l rack=a --yes --format json")
        .stdout_returned()
        .stderr(format!(
            "{VERIFYING_DEBIAN}{VERIFYING_UBUNTU}error: `worker-02` was not armed: the host is in \
             phase `retired`; run `pxectl host release` first\n{NO_SERVER}"
        ))
        .status(4)
        .run();
    let report: Vec<Value> = serde_json::from_str(&report).unwrap();
    let armed: Vec<_> = report
        .iter()
        .map(|it| (it["host"].as_str().unwrap(), &it["armed"]))
        .collect();
    assert_eq!(
        json!(armed),
        json!([
            ["storage-01", true],
            ["storage-02", true],
            ["worker-01", true],
            ["worker-02", false],
            ["worker-03", true],
            ["worker-04", true],
        ])
    );
    for host in &report {
        assert_eq!(host["session"].is_string(), host["armed"] == true, "{host}");
        assert_eq!(
            host["deadline"].is_string(),
            host["armed"] == true,
            "{host}"
        );
        assert_eq!(host["reason"].is_string(), host["armed"] == false, "{host}");
    }
    assert_eq!(phase(&rack, "worker-02"), "retired");
    assert_eq!(phase(&rack, "worker-03"), "provisioning");
}

#[test]
fn many_hosts_are_armed_only_by_someone_who_said_so() {
    let rack = Rack::with_store();
    for (line, stdin, what) in [
        (
            "--all",
            "y\n",
            "6 hosts will be overwritten when they boot within 45m: \
            storage-01, storage-02, worker-01, worker-02, worker-03, worker-04",
        ),
        (
            "worker-01 worker-02 --deadline 90m",
            "",
            "2 hosts will be overwritten when they boot \
            within 1h 30m: worker-01, worker-02",
        ),
    ] {
        // A `y` that comes through a pipe was meant for something else.
        provision(&rack, line)
            .stdin(stdin)
            .stderr(format!(
                "error: {what}\n  = help: use `--yes` to arm several hosts without a prompt\n"
            ))
            .status(1)
            .run();
    }
    let listed = rack
        .pxectl("host list --format json")
        .stdout_returned()
        .run();
    let listed: Vec<Value> = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed.len(), 6);
    assert!(listed.iter().all(|host| host["phase"] == "new"));
}

#[test]
fn nothing_is_armed_that_could_not_be_installed() {
    let blob = format!("bundles/blobs/sha256/{KERNEL}");
    let copy = "fetch the blob with `pxectl bundle fetch`, or correct the Bundle document";
    type Spoil<'a> = &'a dyn Fn(&Rack);
    let rows: [(Spoil<'_>, String, &str); 5] = [
        (
            &|rack| std::fs::remove_file(rack.file(&blob)).unwrap(),
            format!(
                "bundle `ubuntu-24.04-stand-in`: the blob of `casper/vmlinuz` is missing: `./{blob}`"
            ),
            copy,
        ),
        (
            &|rack| {
                rack.write(&blob, [0; 4096]);
            },
            format!(
                "bundle `ubuntu-24.04-stand-in`: the blob of `casper/vmlinuz` hashes to \
                     ad7facb2586fc6e966c004d7d1d16b024f5805ff7cb47c7a85dabd8b48892ca7, which does not match its name: `./{blob}`"
            ),
            copy,
        ),
        (
            &|rack| {
                rack.write(&blob, "short");
            },
            format!(
                "bundle `ubuntu-24.04-stand-in`: the blob of `casper/vmlinuz` has 5 bytes, \
                     expected 4096: `./{blob}`"
            ),
            copy,
        ),
        (
            &|rack| {
                rack.edit("bundles.yaml", "files:", "expires: 2020-02-29\nfiles:");
            },
            "bundle `ubuntu-24.04-stand-in` expired on 2020-02-29".to_owned(),
            "use a newer bundle in the profile, or set a later `expires` in the bundle",
        ),
        (
            &|rack| {
                rack.edit(
                    "hosts.yaml",
                    "uuid: 4c4c4544-0035-5a10-8054-b4c04f4e0132\n",
                    "",
                );
            },
            "the inventory has no `uuid` for this host, and pxectl overwrites no disk without one"
                .to_owned(),
            "add `uuid: …` to the host; `serve http` logs the UUID when the machine boots",
        ),
    ];
    for (spoil, reason, help) in rows {
        let rack = Rack::with_store();
        spoil(&rack);
        provision(&rack, "worker-01")
            .stderr(format!(
                "{VERIFYING_UBUNTU}error: `worker-01` was not armed: {reason}\n  = help: {help}\n"
            ))
            .status(1)
            .run();
        assert_eq!(phase(&rack, "worker-01"), "new", "{reason}");
        assert_eq!(shown(&rack, "worker-01")["session"], Value::Null);
        // The fault is of one bundle or host: the others can be armed.
        provision(&rack, "storage-01 -q")
            .stdout("storage-01: armed until [..]Z (session [..])\n")
            .run();
    }
}

#[test]
fn a_bundle_expires_at_the_beginning_of_its_day_and_not_before() {
    let rack = Rack::with_store();
    rack.edit("bundles.yaml", "files:", "expires: 9999-12-30\nfiles:");
    provision(&rack, "worker-01 -q")
        .stdout("worker-01: armed until [..]Z (session [..])\n")
        .run();
}

#[test]
fn without_a_bundle_store_nothing_is_armed() {
    let rack = Rack::with_store();
    provision(&rack, "worker-01 --bundles nowhere")
        .stderr("error: no bundle store at `nowhere`\n  = help: name the store with `--bundles DIR` or `bundles` in the site; `pxectl bundle build` creates one\n")
        .status(3)
        .run();
    rack.edit("site.yaml", "bundles: bundles\n", "");
    provision(&rack, "worker-01")
        .stderr(
            "error: no bundle store is configured\n  = help: add `bundles: DIR` to the site, or use `--bundles DIR`\n",
        )
        .status(3)
        .run();
    assert_eq!(phase(&rack, "worker-01"), "new");
}

#[test]
fn hosts_that_are_not_there_are_named_and_nothing_is_done_for_the_others() {
    let rack = armed();
    for (line, stderr) in [
        (
            "cancel worker-01 wroker-01",
            "error: no host `wroker-01` in the inventory or the store\n  = help: did you mean `worker-01`?\n",
        ),
        (
            "cancel nobody",
            "error: no host `nobody` in the inventory or the store\n  = help: run `pxectl host list` to list the hosts\n",
        ),
        (
            "show worker-99",
            "error: no host `worker-99` in the inventory or the store\n  = help: did you mean `worker-01`?\n",
        ),
        (
            "cancel -l role=none",
            "error: no host has the label `role=none`\n  = help: set `labels` in the host's document\n",
        ),
        (
            "cancel -l role",
            "error: `role` is not a selector\n  = help: write a selector such as `role=worker`\n",
        ),
        (
            "cancel",
            "error: no hosts selected\n  = help: use host names, `--selector KEY=VALUE` or `--all`\n",
        ),
    ] {
        rack.pxectl(&format!("host {line}"))
            .stderr(stderr)
            .status(match line {
                "cancel" | "cancel -l role" => 2,
                _ => 1,
            })
            .run();
    }
    assert_eq!(phase(&rack, "worker-01"), "provisioning");
}

#[test]
fn an_armed_host_can_be_stopped_when_the_inventory_is_broken_or_lost_it() {
    let broken = "\
warning: the inventory `.` has errors; using the host names that it and the store contain
  = help: run `pxectl validate` to list the errors
";
    let absent = "\
warning: no inventory at `gone`; using the host names that it and the store contain
  = help: run `pxectl validate` to list the errors
";
    let rows = [
        (
            ("hosts.yaml", "name: worker-01", "name: worker-09"),
            ("host cancel worker-01", "cancelled", "new"),
            "",
        ),
        (
            ("hosts.yaml", "kind: Host", "kind: Hots"),
            ("host cancel --all", "cancelled", "new"),
            broken,
        ),
        (
            ("profiles.yaml", "kind:", "{"),
            (
                "host quarantine worker-02 worker-01",
                "set aside",
                "quarantine",
            ),
            broken,
        ),
        (
            ("site.yaml", "kind:", "{"),
            ("host retire worker-01", "retired", "retired"),
            broken,
        ),
        (
            ("site.yaml", "kind:", "kind:"),
            ("host cancel worker-01 -i gone", "cancelled", "new"),
            absent,
        ),
    ];
    for ((file, from, to), (line, done, phase), warning) in rows {
        let rack = armed();
        rack.edit(file, from, to);
        let others = if line.contains("--all") {
            NOT_ARMED
        } else {
            ""
        };
        let second = if line.contains("worker-02") {
            format!("worker-02: {done}, its phase is {phase}\n")
        } else {
            String::new()
        };
        rack.pxectl(line)
            .stdout(format!("worker-01: {done}, its phase is {phase}\n{second}"))
            .stderr(format!("{warning}{others}{NO_SERVER}"))
            .run();
    }
}

#[test]
fn a_host_is_listed_and_shown_when_the_inventory_is_broken_or_lost_it() {
    let broken = "\
warning: the inventory `.` has errors; using the host names that it and the store contain
  = help: run `pxectl validate` to list the errors
";
    let rack = armed();
    rack.edit("hosts.yaml", "name: worker-01", "name: worker-09");
    let header = "HOST       PHASE         PROFILE        ADDRESS     SINCE                 NOTE\n";
    rack.pxectl("host list worker-01 worker-02")
        .stdout(format!(
            "{header}\
             worker-01  provisioning                             [..]Z  armed, [..] min left\n\
             worker-02  new           ubuntu-worker  10.20.0.52\n"
        ))
        .run();
    rack.edit("profiles.yaml", "kind:", "{");
    let listed = rack
        .pxectl("host list --format json")
        .stdout_returned()
        .stderr(broken)
        .run();
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    let listed = listed.as_array().expect("a list");
    let names = listed
        .iter()
        .map(|host| host["host"].as_str().expect("a name"));
    // The six of the inventory, one of them by its new name, and the one that is armed.
    assert_eq!(names.filter(|name| name.starts_with("worker-0")).count(), 5);
    assert_eq!(listed.len(), 7);
    let armed = |host: &&Value| host["phase"] == "provisioning";
    let armed: Vec<&Value> = listed.iter().filter(armed).collect();
    assert_eq!((armed.len(), &armed[0]["profile"]), (1, &Value::Null));
    for host in ["worker-01", "worker-02"] {
        let phase = match host {
            "worker-01" => {
                "provisioning\n  session   [..], armed, [..] min left\n  [..]Z  armed      armed until [..]Z"
            }
            _ => "new",
        };
        rack.pxectl(&format!("host show {host}"))
            .stdout(format!("{host}: {phase}\n"))
            .stderr(broken)
            .run();
    }
    rack.pxectl("host show worker-77")
        .stderr(format!(
            "{broken}error: no host `worker-77` in the inventory or the store\n  \
             = help: did you mean `worker-01`?\n"
        ))
        .status(1)
        .run();
}

#[test]
fn a_broken_inventory_needs_its_site_or_the_store_and_knows_no_labels() {
    let rack = armed();
    rack.write("site.yaml", "{");
    rack.pxectl("host cancel -l role=worker")
        .stderr(
            "\
warning: the inventory `.` has errors; using the host names that it and the store contain
  = help: run `pxectl validate` to list the errors
error: cannot select `role=worker`: the inventory has errors
  = help: use host names or `--all`
",
        )
        .status(1)
        .run();
    rack.pxectl("host cancel worker-01")
        .without_state()
        .stderr(
            "\
error: the inventory `.` has errors, and the name of its site cannot be read
  = help: name the store of the site with `--state DIR`
",
        )
        .status(1)
        .run();
}

#[test]
fn nothing_is_armed_while_git_is_at_work() {
    let rack = Rack::with_store();
    std::fs::create_dir(rack.file(".git")).expect("a directory");
    rack.write(".git/index.lock", "");
    rack.pxectl("host provision worker-01")
        .stderr(
            "error: git is running: `[..]/.git/index.lock` exists\n  = help: try again when git has \
             finished; remove the lock if a crash left it behind\n",
        )
        .status(3)
        .run();
}

#[test]
fn json_says_where_a_host_stands() {
    let rack = armed();
    let host = shown(&rack, "worker-01");
    let keys: Vec<&String> = host.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "changed_at",
            "events",
            "host",
            "phase",
            "profile",
            "reason",
            "session"
        ]
    );
    assert_eq!(host["host"], "worker-01");
    assert_eq!(host["session"]["attempts"], 0);
    assert_eq!(host["events"][0]["kind"], "armed");
    assert_eq!(host["events"][0]["session"], host["session"]["id"]);
    let text = host.to_string();
    for secret in ["capability", "token", "key", "/s/"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

#[test]
fn a_store_that_cannot_be_opened_is_named() {
    let rack = Rack::a();
    rack.pxectl("host list")
        .stderr(
            "error: cannot use the store `state/state.db`: the store does not exist\n  \
             = help: [..]\n",
        )
        .status(3)
        .run();
    rack.write("state", "in the way");
    rack.pxectl("host list")
        .stderr(
            "error: cannot use the store `state/state.db`: [..]\n  \
             = help: check the path and its disk, or name another store with `--state`\n",
        )
        .status(3)
        .run();
    rack.pxectl("host list --state postgres://db/rack")
        .stderr("error: `--state postgres://db/rack`: this version keeps its store in a directory only\n")
        .status(3)
        .run();
}

#[test]
fn a_deadline_of_years_is_warned_of() {
    let rack = Rack::with_store();
    let long = |deadline: &str| {
        format!(
            "warning: the hosts stay armed for {deadline}, and are overwritten whenever they boot \
             from the network until then\n  = help: use `--deadline` with the time that an install \
             takes, such as `45m`; `pxectl host cancel` disarms hosts\n"
        )
    };
    for (option, warning) in [
        ("", ""),
        (" --deadline 168h", ""),
        (" --deadline 26298h", "[..]"),
    ] {
        let warning = if warning.is_empty() {
            String::new()
        } else {
            long("[..]")
        };
        provision(&rack, &format!("worker-01{option}"))
            .stdout("worker-01: armed until [..]Z (session [..])\n")
            .stderr(format!("{warning}{VERIFYING_UBUNTU}{NO_SERVER}"))
            .run();
        rack.pxectl("host cancel worker-01")
            .stdout_returned()
            .stderr(NO_SERVER)
            .run();
    }
    rack.edit("site.yaml", "deadline: 45m", "deadline: 240h");
    provision(&rack, "worker-01")
        .stdout("worker-01: armed until [..]Z (session [..])\n")
        .stderr(format!("{}{VERIFYING_UBUNTU}{NO_SERVER}", long("[..]")))
        .run();
}

#[test]
fn a_host_with_an_example_uuid_is_not_armed() {
    let rack = Rack::with_store();
    rack.edit(
        "hosts.yaml",
        "4c4c4544-0035-5a10-8054-b4c04f4e0132",
        "11111111-2222-3333-4444-555555555555",
    );
    provision(&rack, "worker-01")
        .stderr(format!(
            "{VERIFYING_UBUNTU}error: `worker-01` was not armed: the inventory has no `uuid` for this \
             host, and pxectl overwrites no disk without one\n  = help: add `uuid: …` to the host; \
             `serve http` logs the UUID when the machine boots\n"
        ))
        .status(1)
        .run();
}

#[test]
fn a_change_of_all_hosts_counts_the_hosts_that_it_does_not_apply_to() {
    let rack = armed();
    rack.pxectl("host cancel worker-01 --selector rack=a")
        .stdout("worker-01: cancelled, its phase is new\n")
        .stderr(format!("{NOT_ARMED}{NO_SERVER}"))
        .run();
    rack.pxectl("host cancel --all")
        .stderr("6 hosts were not armed\n")
        .run();
    rack.pxectl("host release --all")
        .stderr("6 hosts were neither quarantined nor retired\n")
        .run();
    // A host that the operator names is an error.
    rack.pxectl("host cancel worker-02 --selector rack=a")
        .stderr(
            "error: `worker-02` was not cancelled: the host is not armed (phase `new`)\n\
             5 hosts were not armed\n",
        )
        .status(1)
        .run();
}

#[test]
fn a_deadline_shorter_than_a_minute_is_refused() {
    let rack = Rack::with_store();
    for deadline in ["1ns", "59s"] {
        provision(&rack, &format!("worker-01 --deadline {deadline}"))
            .stderr(format!(
                "error: invalid value '{deadline}' for '--deadline <TIME>': the shortest deadline is \
                 1m; use the time that an install takes, such as `45m`\n\nFor more information, try \
                 '--help'.\n"
            ))
            .status(2)
            .run();
    }
    rack.edit("site.yaml", "deadline: 45m", "deadline: 1ns");
    let output = rack.pxectl("validate --format json").stdout_returned();
    let text = output.stderr_anything().status(1).run();
    assert!(text.contains("shorter than a minute"), "{text}");
}
