//! IPMI through `ipmitool`, against two simulators: OpenIPMI's, which supports only old cipher
//! suites and never reports valid boot flags, and pyghmi's, which accepts boot flags.

use std::fs;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use pxectl::bmc::{
    BmcError, BootTarget, IpmiClient, MachineStatus, PowerAction, PowerState, TaskContext,
};
use pxectl::machine::Secret;

use crate::bmc::installed::installed;
use crate::bmc::simulator::{Simulator, ipmi_rack};
use crate::support::requirements::missing;
use crate::support::run_output::RunOutput;

const PATIENCE: Duration = Duration::from_secs(60);

const PROGRAMS: [&str; 2] = ["ipmitool", "ipmi_sim"];

fn pyghmi() -> [String; 2] {
    ["ipmitool".to_owned(), installed("python/bin/fakebmc")]
}

struct Client {
    runtime: tokio::runtime::Runtime,
    context: Arc<TaskContext>,
    ipmi: IpmiClient,
}

impl Client {
    fn new(port: u16, username: &str, password: &str) -> Self {
        Self::with(port, username, password, false)
    }

    fn with(port: u16, username: &str, password: &str, dry_run: bool) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let inside = runtime.enter();
        let context = TaskContext::new("host", PATIENCE, dry_run, Arc::new(|_, _| {}));
        let context = Arc::new(context);
        drop(inside);
        let secret = Secret::new(password.to_owned());
        let (host, username) = ("127.0.0.1".to_owned(), username.to_owned());
        let ipmi = IpmiClient::new(Arc::clone(&context), host, port, username, secret);
        Self {
            runtime,
            context,
            ipmi,
        }
    }

    fn machine(&mut self) -> Result<MachineStatus, BmcError> {
        self.runtime.block_on(self.ipmi.machine())
    }

    fn power(&mut self, action: PowerAction) -> Result<(), BmcError> {
        self.runtime.block_on(self.ipmi.change_power(action))
    }

    fn boot(&mut self, target: &BootTarget, uefi: bool) -> Result<(), BmcError> {
        self.runtime.block_on(self.ipmi.set_boot(target, uefi))
    }
}

#[test]
fn old_bmc_reports_the_identity_of_its_machine() {
    if missing(&PROGRAMS) {
        return;
    }
    let simulator = Simulator::openipmi();
    let machine = Client::new(simulator.port, "admin", "s3cret").machine();
    let machine = machine.expect("it responds, by the older suite of ciphers");
    assert_eq!(machine.power, PowerState::On);
    assert_eq!(machine.manufacturer.as_deref(), Some("Contoso"));
    assert_eq!(machine.model.as_deref(), Some("R7"));
    assert_eq!(machine.serial.as_deref(), Some("C7X9K2"));
    let uuid = machine.uuid.expect("a UUID").to_string();
    assert_eq!(uuid, "efcdab89-6745-23a1-efcd-ab89674523a1");
}

#[test]
fn invalid_boot_flags_are_detected_and_nothing_is_rebooted() {
    if missing(&PROGRAMS) {
        return;
    }
    let simulator = Simulator::openipmi();
    let mut client = Client::new(simulator.port, "admin", "s3cret");
    let result = client.boot(&BootTarget::Pxe, true);
    let Err(BmcError::NotApplied {
        property,
        expected,
        actual,
    }) = result
    else {
        panic!("{result:?}");
    };
    let found = (property.as_str(), expected.as_str(), actual.as_str());
    assert_eq!(found, ("the boot device", "Pxe", "not valid"));
    let calls = simulator.log("calls");
    assert!(calls.contains("set boot pxe"), "{calls}");
    assert!(!calls.contains("set power"), "{calls}");
}

#[test]
fn each_power_command_reaches_the_bmc() {
    if missing(&PROGRAMS) {
        return;
    }
    let simulator = Simulator::openipmi();
    let mut client = Client::new(simulator.port, "admin", "s3cret");
    for (action, call) in [
        (PowerAction::On, "set power 1"),
        (PowerAction::Reset, "set reset 1"),
        (PowerAction::Graceful, "set shutdown 1"),
        (PowerAction::Off, "set power 0"),
    ] {
        client.power(action).expect("it is done");
        let calls = simulator.log("calls");
        assert!(calls.contains(call), "{action:?}: {calls}");
    }
}

#[test]
fn boot_device_is_set_once_and_read_back() {
    if missing(&pyghmi()) {
        return;
    }
    let simulator = Simulator::pyghmi();
    let mut client = Client::new(simulator.port, "admin", "password");
    for (target, uefi, expected) in [
        (BootTarget::Pxe, true, "Pxe"),
        (BootTarget::Disk, false, "Hdd"),
        (BootTarget::Cd, true, "Cd"),
        (BootTarget::Pxe, false, "Pxe"),
    ] {
        client.boot(&target, uefi).expect("the BMC accepts it");
        let boot = client.machine().expect("it responds").boot;
        assert_eq!(boot.target.as_deref(), Some(expected));
        assert_eq!(boot.enabled.as_deref(), Some("Once"));
    }
    let uri = "http://10.0.0.1/x".to_owned();
    let refused = client.boot(&BootTarget::Http { uri: uri.into() }, true);
    assert!(
        matches!(refused, Err(BmcError::Unsupported { .. })),
        "{refused:?}"
    );
    // This BMC has no FRU and no GUID, so the identity of its machine is unknown.
    let machine = client.machine().expect("it responds");
    assert_eq!((machine.uuid, machine.serial), (None, None));

    client.power(PowerAction::On).expect("it is done");
    assert_eq!(client.machine().expect("it responds").power, PowerState::On);
    client.power(PowerAction::Graceful).expect("it is done");
    assert_eq!(
        client.machine().expect("it responds").power,
        PowerState::Off
    );
    assert!(simulator.log("log").contains("politely shut down"));
}

#[test]
fn wrong_password_and_unreachable_bmc_are_different_errors() {
    if missing(&PROGRAMS) {
        return;
    }
    let simulator = Simulator::openipmi();
    for (username, password) in [("admin", "another"), ("unknown", "s3cret")] {
        let refused = Client::new(simulator.port, username, password).machine();
        let Err(error @ BmcError::LoginFailed { .. }) = &refused else {
            panic!("{refused:?}");
        };
        assert!(!error.to_string().contains(password), "{error}");
    }
    let free = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("its address").port();
    drop(free);
    let absent = Client::new(port, "admin", "s3cret").machine();
    assert!(
        matches!(absent, Err(BmcError::Unreachable { .. })),
        "{absent:?}"
    );
}

#[test]
fn ipmi_password_goes_only_through_the_environment() {
    if missing(&PROGRAMS) {
        return;
    }
    let simulator = Simulator::openipmi();
    // The same bytes in both orders.
    for uuid in [
        "efcdab89-6745-23a1-efcd-ab89674523a1",
        "a1234567-89ab-cdef-a123-456789abcdef",
    ] {
        let rack = ipmi_rack(simulator.port, uuid);
        // Logs the arguments and the environment, and runs ipmitool.
        let bin = rack.file("bin");
        fs::create_dir(&bin).expect("a directory");
        let log = rack.file("log").display().to_string();
        let wrapper =
            format!("#!/bin/sh\n{{ echo \"$@\"; env; }} >>{log}\nexec /usr/bin/ipmitool \"$@\"\n");
        fs::write(bin.join("ipmitool"), wrapper).expect("a program");
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(bin.join("ipmitool"), executable).expect("a mode");
        let mut command = rack.command(&["bmc", "status", "old"]);
        command
            .env("BMC_PASSWORD", "s3cret")
            .env("IPMITOOL_PASSWORD", "of-somebody-else");
        command.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
        let status = RunOutput::of(&mut command);
        status.assert_exit(0).assert_contains(&["on", "R7"]);
        assert!(!status.all().contains("s3cret"), "{}", status.all());
        assert!(
            !status.all().contains("another machine"),
            "{}",
            status.all()
        );
        let log = fs::read_to_string(log).expect("the log");
        let with = |text: &str| log.lines().filter(|line| line.contains(text)).count();
        assert_eq!(with("s3cret"), with("IPMI_PASSWORD=s3cret"), "{log}");
        assert!(with("s3cret") > 0 && with("chassis status") > 0, "{log}");
        assert_eq!(with("of-somebody-else") + with("BMC_PASSWORD"), 0, "{log}");
    }
    let another = ipmi_rack(simulator.port, "5d2e8f10-7c34-4b9a-a6e1-90f3c27d4b58");
    let mut command = another.command(&["bmc", "power", "off", "old", "--yes"]);
    RunOutput::of(command.env("BMC_PASSWORD", "s3cret"))
        .assert_exit(3)
        .assert_contains(&["another machine"]);
    assert!(!simulator.log("calls").contains("set power"));
}

#[test]
fn one_command_boots_an_old_machine_from_the_network() {
    if missing(&pyghmi()) {
        return;
    }
    let simulator = Simulator::pyghmi();
    let rack = ipmi_rack(simulator.port, "efcdab89-6745-23a1-efcd-ab89674523a1");
    let run = |words: &[&str]| {
        let mut command = rack.command(&[&["bmc"], words, &["old"]].concat());
        RunOutput::of(command.env("BMC_PASSWORD", "password"))
    };
    let planned = run(&["boot-pxe", "--dry-run"]);
    planned.assert_exit(0).assert_contains(&[
        "ipmitool chassis bootdev pxe options=efiboot",
        "ipmitool chassis power on",
    ]);
    run(&["status"]).assert_exit(0).assert_contains(&["off"]);
    run(&["boot-pxe", "--yes"])
        .assert_exit(0)
        .assert_contains(&["on"]);
    run(&["status"])
        .assert_exit(0)
        .assert_contains(&["on", "Pxe"]);
    run(&["power", "off", "--yes"])
        .assert_exit(0)
        .assert_contains(&["off"]);
    assert!(simulator.log("log").contains("abruptly remove power"));
    run(&["inventory"]).assert_exit(0);
    run(&["boot-http", "--yes", "--url", "http://10.20.0.10/x.efi"])
        .assert_exit(3)
        .assert_contains(&["HTTP boot", "help"]);
    // Without the program, the error names the package to install.
    let mut command = rack.command(&["bmc", "status", "old"]);
    command
        .env("BMC_PASSWORD", "password")
        .env("PATH", "/nowhere");
    RunOutput::of(&mut command)
        .assert_exit(3)
        .assert_contains(&["ipmitool", "not installed", "install the package"]);
}

#[test]
fn dry_run_records_commands_without_address_and_password() {
    let mut client = Client::with(1, "admin", "s3cret", true);
    client
        .boot(&BootTarget::Pxe, true)
        .expect("nothing is sent");
    client.power(PowerAction::Reset).expect("nothing is sent");
    let planned = client.context.take_planned();
    let lines: Vec<String> = planned
        .iter()
        .map(|it| format!("{} {}", it.method, it.path))
        .collect();
    assert_eq!(
        lines,
        [
            "ipmitool chassis bootdev pxe options=efiboot",
            "ipmitool chassis power reset"
        ]
    );
    assert!(planned.iter().all(|it| it.body.is_none()));
}

#[test]
fn refused_reset_is_replaced_by_off_and_on() {
    if missing(&PROGRAMS) {
        return;
    }
    let simulator = Simulator::openipmi();
    simulator.refuse("reset");
    let rack = ipmi_rack(simulator.port, "efcdab89-6745-23a1-efcd-ab89674523a1");
    let mut command = rack.command(&["bmc", "power", "reset", "old", "--yes"]);
    RunOutput::of(command.env("BMC_PASSWORD", "s3cret"))
        .assert_exit(0)
        .assert_contains(&["power cycled"]);
    let calls = simulator.log("calls");
    let changes = calls.lines().filter(|line| line.contains(" set "));
    let changes: Vec<_> = changes
        .map(|line| line.trim_start_matches("0x20 set "))
        .collect();
    // The simulator does not know how to cycle the power, so that request is refused, too.
    assert_eq!(changes, ["reset 1", "power 0", "power 1"]);
}

#[test]
fn event_log_is_read() {
    if missing(&PROGRAMS) {
        return;
    }
    let simulator = Simulator::openipmi();
    simulator.set_sel_time("2026-11-29T12:00:00Z");
    let rack = ipmi_rack(simulator.port, "efcdab89-6745-23a1-efcd-ab89674523a1");
    let run = |words: &[&str]| {
        let mut command = rack.command(&[&["bmc", "log", "old"], words].concat());
        RunOutput::of(command.env("BMC_PASSWORD", "s3cret"))
    };
    let log = run(&[]);
    log.assert_exit(0);
    let lines: Vec<_> = log.stdout.lines().collect();
    assert_eq!(
        lines[..2],
        [
            "-                     -         SEL: Platform Security 0x2a: Pre-boot password violation \
             - user password",
            "-                     -         SEL: Temperature 0x30: Upper Non-critical going high",
        ]
    );
    // The entry from after the clock was set has a time.
    assert_eq!(lines.len(), 3, "{lines:?}");
    let last = lines[2];
    assert!(last.starts_with("2026-11-29T12:0"), "{last}");
    assert!(last.contains("Pre-boot password violation"), "{last}");
    let since = run(&["--since", "2026-11-29"]);
    assert_eq!(
        since.assert_exit(0).stdout.lines().collect::<Vec<_>>(),
        [last]
    );
    run(&["--log", "IML"])
        .assert_exit(3)
        .assert_contains(&["no log `IML`", "IPMI has only `SEL`"]);
}
