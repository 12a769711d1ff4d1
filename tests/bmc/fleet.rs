//! Many controllers at once: how many at a time, how long, how much memory, and how it ends.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::emulator::profile::CONTOSO;
use crate::emulator::{Bmc, Emulator};
use crate::rack::Rack;

const PATIENCE: Duration = Duration::from_secs(60);

fn some(count: usize) -> (Emulator, Vec<Bmc>, Rack) {
    let mut emulator = Emulator::start();
    let bmcs: Vec<Bmc> = (0..count).map(|_| emulator.add(CONTOSO)).collect();
    let rack = Rack::of(&bmcs.iter().collect::<Vec<_>>());
    (emulator, bmcs, rack)
}

#[test]
fn hosts_are_chosen_by_name_by_label_and_all() {
    let (_emulator, bmcs, rack) = some(3);
    rack.edit(
        "hosts.yaml",
        "labels: {role: worker}",
        "labels: {role: storage}",
    );
    let asked = || {
        bmcs.iter()
            .map(|it| !it.asked().is_empty())
            .collect::<Vec<_>>()
    };
    let forget = || bmcs.iter().for_each(Bmc::forget);
    for (words, wanted) in [
        (&["host-002-0"][..], [false, true, false]),
        (&["--selector", "role=worker"], [false, true, true]),
        (&["--all"], [true, true, true]),
    ] {
        forget();
        rack.bmc(&[&["status"], words].concat()).done();
        assert_eq!(asked(), wanted, "{words:?}");
    }
    forget();
    rack.bmc(&["status", "host-00x"])
        .ended(1)
        .says(&["host-00x"]);
    rack.bmc(&["status"]).ended(2).says(&["--all"]);
    assert_eq!(asked(), [false; 3]);
}

#[test]
fn the_exit_status_tells_all_from_some_from_none() {
    let (_emulator, bmcs, rack) = some(2);
    rack.bmc(&["status", "--all"]).ended(0);
    bmcs[0].controller(|controller| controller.password = "another".to_owned());
    rack.bmc(&["status", "--all"]).ended(4);
    bmcs[1].controller(|controller| controller.password = "another".to_owned());
    rack.bmc(&["status", "--all"]).ended(3);
}

#[test]
fn json_tells_each_host_in_its_order() {
    let (_emulator, bmcs, rack) = some(3);
    bmcs[1].controller(|controller| controller.password = "another".to_owned());
    let said = rack.bmc(&["status", "--all", "--format", "json"]);
    let hosts = said.ended(4).json();
    let hosts = hosts.as_array().expect("an array");
    let names: Vec<_> = hosts.iter().map(|it| it["host"].as_str()).collect();
    let wanted = ["host-001-0", "host-002-0", "host-003-0"].map(Some);
    assert_eq!(names, wanted);
    assert!(hosts[0]["error"].is_null(), "{}", hosts[0]);
    assert!(
        hosts[1]["error"].is_object() || hosts[1]["error"].is_string(),
        "{}",
        hosts[1]
    );
    assert!(hosts[0].to_string().contains("\"on\""), "{}", hosts[0]);
}

#[test]
fn no_more_than_jobs_are_under_way() {
    for jobs in [1, 3] {
        let (emulator, bmcs, rack) = some(8);
        for bmc in &bmcs {
            bmc.slow(Duration::from_millis(50));
        }
        rack.bmc(&["status", "--all", "--jobs", &jobs.to_string()])
            .done();
        assert_eq!(emulator.busiest(), jobs);
    }
}

#[test]
fn an_interrupt_logs_out_everywhere() {
    for signal in [Signal::INT, Signal::TERM] {
        let (_emulator, bmcs, rack) = some(4);
        for bmc in &bmcs {
            bmc.slow(Duration::from_millis(300));
            // It would wait for the self-test for as long as it may.
            bmc.controller(|controller| controller.post = Some((10_000, 501)));
        }
        let mut child = rack
            .pxectl(&["bmc", "boot-pxe", "--all", "--yes"])
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
fn an_interrupt_during_the_log_in_leaves_no_session() {
    let (emulator, bmcs, rack) = some(4);
    for bmc in &bmcs {
        bmc.slow(Duration::from_secs(1));
    }
    let mut child = rack
        .pxectl(&["bmc", "status", "--all"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it runs");
    let until = Instant::now() + PATIENCE;
    // What is under way after the service root was answered is the log-in.
    let greeted = |bmc: &Bmc| bmc.asked().len() == 1;
    while !(bmcs.iter().all(greeted) && emulator.busy() == bmcs.len()) {
        assert!(Instant::now() < until, "no log-in");
        std::thread::sleep(Duration::from_millis(5));
    }
    kill_process(Pid::from_child(&child), Signal::INT).expect("it is there");
    assert!(!child.wait().expect("it ends").success());
    for bmc in &bmcs {
        let (opened, left) = bmc.controller(|it| (it.opened, it.sessions.len()));
        assert_eq!((opened, left), (1, 0));
        let asked: Vec<String> = bmc.asked().into_iter().map(|it| it.ask.method).collect();
        assert!(
            asked.starts_with(&["GET".to_owned(), "POST".to_owned()]),
            "{asked:?}"
        );
        assert!(asked.len() <= 4, "it went on: {asked:?}");
    }
}

/// Runs a command over 200 controllers that take a second for each answer, and returns how many
/// times as long they would take one after another, and the most memory that it held, in KiB.
fn race(words: &[&str]) -> (f64, u64) {
    let (_emulator, bmcs, rack) = some(200);
    let latency = Duration::from_secs(1);
    for bmc in &bmcs {
        bmc.slow(latency);
    }
    let mut command = rack.pxectl(words);
    let output = fs::File::create(rack.file("output")).expect("a file");
    command
        .stdout(output.try_clone().expect("the file"))
        .stderr(output);
    let start = Instant::now();
    let mut child = command.spawn().expect("it runs");
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    let ended = loop {
        // The high-water mark only rises, so the last look counts.
        let seen = fs::read_to_string(&status).unwrap_or_default();
        let line = seen.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        most = most.max(kilobytes.unwrap_or(0));
        if let Some(ended) = child.try_wait().expect("a child") {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let took = start.elapsed();
    let said = rack.read("output");
    assert!(ended.success(), "{ended}: {said}");
    let asked: usize = bmcs.iter().map(|bmc| bmc.asked().len()).sum();
    let ratio = latency.as_secs_f64() * asked as f64 / took.as_secs_f64();
    // Straight to stderr: a figure to look at, beside the bound.
    use std::io::Write as _;
    let _ = writeln!(
        std::io::stderr(),
        "{words:?}: {took:.1?}, {asked} round trips of {latency:?}, {ratio:.0} at a time, {most} KiB"
    );
    (ratio, most)
}

#[test]
fn two_hundred_slow_controllers_are_asked_together() {
    let (ratio, most) = race(&["bmc", "status", "--all"]);
    // Ten seconds for five round trips of one second each are a hundred at a time.
    assert!(ratio > 50.0, "{ratio:.0} at a time");
    assert!(most < 64 << 10, "{most} KiB");
    let (ratio, most) = race(&["bmc", "boot-pxe", "--all", "--yes"]);
    assert!(ratio > 50.0, "{ratio:.0} at a time");
    assert!(most < 64 << 10, "{most} KiB");
}
