//! Many BMCs in parallel: concurrency, time, memory and interrupts.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::bmc::emulator::profile::CONTOSO;
use crate::bmc::emulator::{Bmc, Emulator};
use crate::support::rack::Rack;

const PATIENCE: Duration = Duration::from_secs(60);

fn start_bmcs(count: usize) -> (Emulator, Vec<Bmc>, Rack) {
    let mut emulator = Emulator::start();
    let bmcs: Vec<Bmc> = (0..count).map(|_| emulator.add(CONTOSO)).collect();
    let rack = Rack::of_bmcs(&bmcs.iter().collect::<Vec<_>>());
    (emulator, bmcs, rack)
}

#[test]
fn hosts_are_selected_by_name_by_label_or_all() {
    let (_emulator, bmcs, rack) = start_bmcs(3);
    rack.edit(
        "hosts.yaml",
        "labels: {role: worker}",
        "labels: {role: storage}",
    );
    let contacted = || {
        bmcs.iter()
            .map(|it| !it.requests().is_empty())
            .collect::<Vec<_>>()
    };
    let forget = || bmcs.iter().for_each(Bmc::clear_requests);
    for (words, expected) in [
        (&["host-002-0"][..], [false, true, false]),
        (&["--selector", "role=worker"], [false, true, true]),
        (&["--all"], [true, true, true]),
    ] {
        forget();
        rack.bmc(&[&["status"], words].concat()).assert_success();
        assert_eq!(contacted(), expected, "{words:?}");
    }
    forget();
    rack.bmc(&["status", "host-00x"])
        .assert_exit(1)
        .assert_contains(&["host-00x"]);
    rack.bmc(&["status"])
        .assert_exit(2)
        .assert_contains(&["--all"]);
    assert_eq!(contacted(), [false; 3]);
}

#[test]
fn exit_status_distinguishes_all_some_and_none() {
    let (_emulator, bmcs, rack) = start_bmcs(2);
    rack.bmc(&["status", "--all"]).assert_exit(0);
    bmcs[0].controller(|controller| controller.password = "another".to_owned());
    rack.bmc(&["status", "--all"]).assert_exit(4);
    bmcs[1].controller(|controller| controller.password = "another".to_owned());
    rack.bmc(&["status", "--all"]).assert_exit(3);
}

#[test]
fn json_lists_hosts_in_order() {
    let (_emulator, bmcs, rack) = start_bmcs(3);
    bmcs[1].controller(|controller| controller.password = "another".to_owned());
    let output = rack.bmc(&["status", "--all", "--format", "json"]);
    let hosts = output.assert_exit(4).json();
    let hosts = hosts.as_array().expect("an array");
    let names: Vec<_> = hosts.iter().map(|it| it["host"].as_str()).collect();
    let expected = ["host-001-0", "host-002-0", "host-003-0"].map(Some);
    assert_eq!(names, expected);
    assert!(hosts[0]["error"].is_null(), "{}", hosts[0]);
    assert!(
        hosts[1]["error"].is_object() || hosts[1]["error"].is_string(),
        "{}",
        hosts[1]
    );
    assert!(hosts[0].to_string().contains("\"on\""), "{}", hosts[0]);
}

#[test]
fn jobs_limits_parallel_tasks() {
    for jobs in [1, 3] {
        let (emulator, bmcs, rack) = start_bmcs(8);
        for bmc in &bmcs {
            bmc.set_latency(Duration::from_millis(50));
        }
        rack.bmc(&["status", "--all", "--jobs", &jobs.to_string()])
            .assert_success();
        assert_eq!(emulator.busiest(), jobs);
    }
}

#[test]
fn interrupt_logs_out_everywhere() {
    for signal in [Signal::INT, Signal::TERM] {
        let (_emulator, bmcs, rack) = start_bmcs(4);
        for bmc in &bmcs {
            bmc.set_latency(Duration::from_millis(300));
            // Without the interrupt, the command would wait for the self-test until its deadline.
            bmc.controller(|controller| controller.post = Some((10_000, 501)));
        }
        let mut child = rack
            .command(&["bmc", "boot-pxe", "--all", "--yes"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs");
        let until = Instant::now() + PATIENCE;
        let open = |bmc: &Bmc| bmc.controller(|controller| controller.sessions.len());
        while !bmcs
            .iter()
            .all(|bmc| open(bmc) == 1 && !bmc.patches().is_empty())
        {
            assert!(Instant::now() < until, "no sessions");
            std::thread::sleep(Duration::from_millis(20));
        }
        kill_process(Pid::from_child(&child), signal).expect("it is there");
        let status = child.wait().expect("it ends");
        assert!(!status.success(), "{status}");
        for bmc in &bmcs {
            assert_eq!(open(bmc), 0, "{signal:?}");
            assert_eq!(bmc.machine(|machine| machine.resets.len()), 0);
        }
    }
}

#[test]
fn interrupt_during_login_leaves_no_session() {
    let (emulator, bmcs, rack) = start_bmcs(4);
    for bmc in &bmcs {
        bmc.set_latency(Duration::from_secs(1));
    }
    let mut child = rack
        .command(&["bmc", "status", "--all"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it runs");
    let until = Instant::now() + PATIENCE;
    // The request after the service root is the login.
    let greeted = |bmc: &Bmc| bmc.requests().len() == 1;
    while !(bmcs.iter().all(greeted) && emulator.busy() == bmcs.len()) {
        assert!(Instant::now() < until, "no log-in");
        std::thread::sleep(Duration::from_millis(5));
    }
    kill_process(Pid::from_child(&child), Signal::INT).expect("it is there");
    assert!(!child.wait().expect("it ends").success());
    for bmc in &bmcs {
        let (opened, left) = bmc.controller(|it| (it.opened, it.sessions.len()));
        assert_eq!((opened, left), (1, 0));
        let requests: Vec<String> = bmc
            .requests()
            .into_iter()
            .map(|it| it.request.method)
            .collect();
        assert!(
            requests.starts_with(&["GET".to_owned(), "POST".to_owned()]),
            "{requests:?}"
        );
        assert!(requests.len() <= 4, "the command continued: {requests:?}");
    }
}

/// Runs a command on 200 BMCs that take a second for each response. Returns how many times faster
/// the run is than one BMC after another, and its peak memory in KiB.
fn race(words: &[&str]) -> (f64, u64) {
    let (_emulator, bmcs, rack) = start_bmcs(200);
    let latency = Duration::from_secs(1);
    for bmc in &bmcs {
        bmc.set_latency(latency);
    }
    let mut command = rack.command(words);
    let output = fs::File::create(rack.file("output")).expect("a file");
    command
        .stdout(output.try_clone().expect("the file"))
        .stderr(output);
    let start = Instant::now();
    let mut child = command.spawn().expect("it runs");
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    let ended = loop {
        // The high-water mark only rises, so the last read counts.
        let content = fs::read_to_string(&status).unwrap_or_default();
        let line = content.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        most = most.max(kilobytes.unwrap_or(0));
        if let Some(ended) = child.try_wait().expect("a child") {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let took = start.elapsed();
    let output = rack.read("output");
    assert!(ended.success(), "{ended}: {output}");
    let requests: usize = bmcs.iter().map(|bmc| bmc.requests().len()).sum();
    let ratio = latency.as_secs_f64() * requests as f64 / took.as_secs_f64();
    // Print the figure directly on stderr, beside the bound.
    use std::io::Write as _;
    let _ = writeln!(
        std::io::stderr(),
        "{words:?}: {took:.1?}, {requests} round trips of {latency:?}, {ratio:.0} at a time, {most} KiB"
    );
    (ratio, most)
}

#[test]
fn two_hundred_slow_bmcs_are_contacted_in_parallel() {
    let (ratio, most) = race(&["bmc", "status", "--all"]);
    // Ten seconds for five round trips of one second each mean a hundred in parallel.
    assert!(ratio > 50.0, "{ratio:.0} at a time");
    assert!(most < 64 << 10, "{most} KiB");
    let (ratio, most) = race(&["bmc", "boot-pxe", "--all", "--yes"]);
    assert!(ratio > 50.0, "{ratio:.0} at a time");
    assert!(most < 64 << 10, "{most} KiB");
}
