//! Serial consoles: over IPMI on a terminal, and the console that a BMC offers instead.

use std::io::{Read, Write};
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bmc::emulator::profile::CONTOSO;
use crate::bmc::emulator::{Bmc, Emulator};
use crate::bmc::rack::single_host;
use crate::bmc::simulator::{Simulator, ipmi_rack};
use crate::support::rack::Rack;
use crate::support::requirements::missing;
use crate::support::run_output::RunOutput;

const PATIENCE: Duration = Duration::from_secs(60);
const HOST: &str = "host-001-0";

fn one() -> (Emulator, Bmc, Rack) {
    single_host(CONTOSO)
}

/// Runs `bmc console` on a terminal, types a line once the console is open, and closes the console
/// when the machine has answered. Returns everything on the terminal.
fn on_terminal(rack: &Rack, password: &str, words: &str) -> String {
    let line = format!("{} bmc console {words}", env!("CARGO_BIN_EXE_pxectl"));
    let mut child = rack
        .on_terminal(&line)
        .env("BMC_PASSWORD", password)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut terminal = child.stdin.take().expect("piped");
    let mut output = child.stdout.take().expect("piped");
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = [0; 1024];
        while let Ok(count @ 1..) = output.read(&mut bytes) {
            let _ = sender.send(String::from_utf8_lossy(&bytes[..count]).into_owned());
        }
    });
    let mut shown = String::new();
    let until = Instant::now() + PATIENCE;
    for (sign, typed) in [("SOL Session operational", "boot\r"), ("console:", "\r~.")] {
        while !shown.contains(sign) {
            assert!(Instant::now() < until, "no `{sign}` in {shown}");
            match receiver.recv_timeout(Duration::from_secs(1)) {
                Ok(text) => shown.push_str(&text),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => panic!("ended early: {shown}"),
            }
        }
        terminal.write_all(typed.as_bytes()).expect("it reads");
    }
    shown.extend(receiver.iter());
    let status = child.wait().expect("it ends");
    assert!(status.success(), "{status}: {shown}");
    assert!(!shown.contains(password), "{shown}");
    shown
}

#[test]
fn console_is_opened_over_ipmi() {
    if missing(&["ipmitool", "ipmi_sim", "script"]) {
        return;
    }
    let simulator = Simulator::openipmi();
    let rack = ipmi_rack(simulator.port, "efcdab89-6745-23a1-efcd-ab89674523a1");
    let shown = on_terminal(&rack, "s3cret", "old");
    // The machine answers in capitals.
    assert!(shown.contains("console:BOOT"), "{shown}");
    assert!(
        shown.contains("opening the serial console of old"),
        "{shown}"
    );
}

#[test]
fn redfish_leads_to_the_console_over_ipmi() {
    if missing(&["ipmitool", "ipmi_sim", "script"]) {
        return;
    }
    let simulator = Simulator::openipmi();
    let (_emulator, bmc, rack) = one();
    bmc.controller(|controller| {
        controller.password = "s3cret".to_owned();
        controller.protocols = json!({"IPMI": {"ProtocolEnabled": true, "Port": simulator.port}});
    });
    let shown = on_terminal(&rack, "s3cret", HOST);
    assert!(shown.contains("console:BOOT"), "{shown}");
    let open = bmc.controller(|controller| controller.sessions.len());
    assert_eq!(open, 0, "a session was left open");
}

#[test]
fn console_over_ssh_is_reported_with_its_command() {
    let (_emulator, bmc, rack) = one();
    let ssh = |serial_console: Value| {
        bmc.machine(|machine| machine.serial_console = serial_console);
        rack.bmc(&["console", HOST])
    };
    ssh(json!({
        "IPMI": {"ServiceEnabled": false},
        "SSH": {"ServiceEnabled": true, "Port": 2200, "ConsoleEntryCommand": "console 1"},
    }))
    .assert_exit(3)
    .assert_contains(&[
        "host-001-0: the BMC offers its serial console over SSH, not over IPMI",
        "run `ssh -p 2200 admin@127.0.0.1`, then enter `console 1`",
    ]);
    ssh(Value::Null).assert_exit(3).assert_contains(&[
        "does not offer a serial console",
        "pxectl bmc console host-001-0 --ipmi",
    ]);
    assert_eq!(bmc.changes(), []);
}

#[test]
fn console_needs_a_terminal_and_the_right_machine() {
    if missing(&["ipmitool", "ipmi_sim"]) {
        return;
    }
    let simulator = Simulator::openipmi();
    let console = |uuid| {
        let rack = ipmi_rack(simulator.port, uuid);
        let mut command = rack.command(&["bmc", "console", "old"]);
        RunOutput::of(command.env("BMC_PASSWORD", "s3cret"))
    };
    console("efcdab89-6745-23a1-efcd-ab89674523a1")
        .assert_exit(2)
        .assert_contains(&["a serial console needs a terminal"]);
    console("5d2e8f10-7c34-4b9a-a6e1-90f3c27d4b58")
        .assert_exit(3)
        .assert_contains(&["another machine is behind this BMC"]);
}
