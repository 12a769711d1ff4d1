//! IPMI by `ipmitool`, against two controllers that others wrote: OpenIPMI's simulator, which knows
//! only old ciphers and never says that boot flags are valid, and pyghmi's, which takes them.

use std::fs;
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pxectl::bmc::{BmcError, BootTarget, Context, Ipmi, PowerState, PowerVerb};
use pxectl::machine::Secret;

use crate::installed::installed;
use crate::rack::{HostKeys, Rack, said};
use crate::requirements::missing;

const PATIENCE: Duration = Duration::from_secs(60);

/// A simulator on a free port of loopback; it ends with the test.
struct Simulator {
    child: Child,
    port: u16,
    directory: tempfile::TempDir,
}

impl Simulator {
    /// OpenIPMI's: its user is `admin`, its password `s3cret`.
    fn openipmi() -> Self {
        let (directory, port) = (tempfile::tempdir().expect("a directory"), free_port());
        let place = |name: &str| directory.path().join(name).display().to_string();
        fs::create_dir(place("state")).expect("a directory");
        // It asks this program for what hardware would do, and tells it what to do.
        let chassis = format!(
            "#!/bin/sh\necho \"$@\" >>{0}\n[ \"$2\" = get ] || exit 0\nshift 2\nfor what; do\n\
             case $what in\npower) echo power:1 ;;\nboot) cat {1} ;;\nesac\ndone\n\
             exit 0\n",
            place("calls"),
            place("boot")
        );
        fs::write(place("boot"), "boot:none\n").expect("a file");
        fs::write(place("chassis"), chassis).expect("a program");
        let auths = ["callback", "user", "operator", "admin"]
            .map(|level| format!("allowed_auths_{level} none md2 md5 straight\n"));
        let lan = format!(
            "name \"sim\"\nset_working_mc 0x20\nstartlan 1\naddr 127.0.0.1 {port}\npriv_limit admin\n{}\
             guid a123456789abcdefa123456789abcdef\nendlan\nchassis_control \"/bin/sh {} 0x20\"\n\
             user 1 true \"\" \"test\" user 10 none md2 md5 straight\n\
             user 2 true \"admin\" \"s3cret\" admin 10 none md2 md5 straight\n",
            auths.concat(),
            place("chassis")
        );
        fs::write(place("lan.conf"), lan).expect("a file");
        let fru: Vec<String> = fru().iter().map(|octet| format!("{octet:#04x}")).collect();
        let commands = format!(
            "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02\n\
             mc_add_fru_data 0x20 0 {} data {}\nmc_enable 0x20\n",
            fru.len(),
            fru.join(" ")
        );
        fs::write(place("sim.emu"), commands).expect("a file");
        let mut command = Command::new("ipmi_sim");
        command.args(["-n", "-c", &place("lan.conf"), "-f", &place("sim.emu")]);
        command.args(["-s", &place("state")]);
        Self::start(command, directory, port)
    }

    /// pyghmi's: its user is `admin`, its password `password`.
    fn pyghmi() -> Self {
        let (directory, port) = (tempfile::tempdir().expect("a directory"), free_port());
        let mut command = Command::new(installed("python/bin/python"));
        command.args([
            "-u",
            "-m",
            "pyghmi.cmd.fakebmc",
            "--port",
            &port.to_string(),
        ]);
        Self::start(command, directory, port)
    }

    fn start(mut command: Command, directory: tempfile::TempDir, port: u16) -> Self {
        let log = fs::File::create(directory.path().join("log")).expect("a log");
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log"))
            .stderr(log)
            .spawn()
            .expect("it runs");
        let simulator = Self {
            child,
            port,
            directory,
        };
        simulator.wait_until_it_answers();
        simulator
    }

    /// Asks for its ciphers, which needs no session, until there is an answer. Source: IPMI 2.0
    /// §22.13, Get Channel Authentication Capabilities.
    fn wait_until_it_answers(&self) {
        const ASK: [u8; 23] = [
            6, 0, 0xff, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0x20, 0x18, 0xc8, 0x81, 0, 0x38, 0x8e, 4,
            0xb5,
        ];
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let step = Duration::from_millis(200);
        socket.set_read_timeout(Some(step)).expect("a time");
        let until = Instant::now() + PATIENCE;
        let mut answer = [0; 64];
        loop {
            let _ = socket.send_to(&ASK, ("127.0.0.1", self.port));
            if socket.recv(&mut answer).is_ok() {
                return;
            }
            assert!(Instant::now() < until, "no answer: {}", self.log("log"));
        }
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.directory.path().join(name)).unwrap_or_default()
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.local_addr().expect("its address").port()
}

/// A FRU with a product area. Source: IPMI Platform Management FRU Information Storage 1.0 §12.
fn fru() -> Vec<u8> {
    let summed = |mut area: Vec<u8>| {
        let sum = area
            .iter()
            .fold(0_u8, |sum, octet| sum.wrapping_add(*octet));
        area.push(sum.wrapping_neg());
        area
    };
    let mut product = vec![1, 0, 25];
    for text in ["Contoso", "R7", "part", "1", "C7X9K2", "A-0008"] {
        product.push(0xc0 | text.len() as u8);
        product.extend(text.as_bytes());
    }
    product.push(0xc1);
    while product.len() % 8 != 7 {
        product.push(0);
    }
    product[1] = ((product.len() + 1) / 8) as u8;
    [summed(vec![1, 0, 0, 0, 1, 0, 0]), summed(product)].concat()
}

const PROGRAMS: [&str; 2] = ["ipmitool", "ipmi_sim"];

fn pyghmi() -> [String; 2] {
    ["ipmitool".to_owned(), installed("python/bin/fakebmc")]
}

struct Client {
    runtime: tokio::runtime::Runtime,
    context: Arc<Context>,
    ipmi: Ipmi,
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
        let context = Context::new("host", PATIENCE, dry_run, Arc::new(|_, _| {}));
        let context = Arc::new(context);
        drop(inside);
        let secret = Secret::new(password.to_owned());
        let (host, username) = ("127.0.0.1".to_owned(), username.to_owned());
        let ipmi = Ipmi::new(Arc::clone(&context), host, port, username, secret);
        Self {
            runtime,
            context,
            ipmi,
        }
    }

    fn machine(&mut self) -> Result<pxectl::bmc::Machine, BmcError> {
        self.runtime.block_on(self.ipmi.machine())
    }

    fn power(&mut self, verb: PowerVerb) -> Result<(), BmcError> {
        self.runtime.block_on(self.ipmi.power(verb))
    }

    fn boot(&mut self, target: &BootTarget, uefi: bool) -> Result<(), BmcError> {
        self.runtime.block_on(self.ipmi.boot(target, uefi))
    }
}

#[test]
fn an_old_controller_says_who_its_machine_is() {
    if missing(&PROGRAMS) {
        return;
    }
    let simulator = Simulator::openipmi();
    let machine = Client::new(simulator.port, "admin", "s3cret").machine();
    let machine = machine.expect("it answers, by the older suite of ciphers");
    assert_eq!(machine.power, PowerState::On);
    assert_eq!(machine.manufacturer.as_deref(), Some("Contoso"));
    assert_eq!(machine.model.as_deref(), Some("R7"));
    assert_eq!(machine.serial.as_deref(), Some("C7X9K2"));
    let uuid = machine.uuid.expect("a UUID").to_string();
    assert_eq!(uuid, "efcdab89-6745-23a1-efcd-ab89674523a1");
}

#[test]
fn boot_flags_that_are_not_valid_are_noticed_and_nothing_is_rebooted() {
    if missing(&PROGRAMS) {
        return;
    }
    let simulator = Simulator::openipmi();
    let mut client = Client::new(simulator.port, "admin", "s3cret");
    let taken = client.boot(&BootTarget::Pxe, true);
    let Err(BmcError::NotTaken { what, wanted, seen }) = taken else {
        panic!("{taken:?}");
    };
    let said = (what.as_str(), wanted.as_str(), seen.as_str());
    assert_eq!(said, ("the boot device", "Pxe", "not valid"));
    let calls = simulator.log("calls");
    assert!(calls.contains("set boot pxe"), "{calls}");
    assert!(!calls.contains("set power"), "{calls}");
}

#[test]
fn each_power_command_reaches_the_controller() {
    if missing(&PROGRAMS) {
        return;
    }
    let simulator = Simulator::openipmi();
    let mut client = Client::new(simulator.port, "admin", "s3cret");
    for (verb, call) in [
        (PowerVerb::On, "set power 1"),
        (PowerVerb::Reset, "set reset 1"),
        (PowerVerb::Graceful, "set shutdown 1"),
        (PowerVerb::Off, "set power 0"),
    ] {
        client.power(verb).expect("it is done");
        let calls = simulator.log("calls");
        assert!(calls.contains(call), "{verb:?}: {calls}");
    }
}

#[test]
fn one_boot_is_set_and_read_back() {
    if missing(&pyghmi()) {
        return;
    }
    let simulator = Simulator::pyghmi();
    let mut client = Client::new(simulator.port, "admin", "password");
    for (target, uefi, wanted) in [
        (BootTarget::Pxe, true, "Pxe"),
        (BootTarget::Disk, false, "Hdd"),
        (BootTarget::Cd, true, "Cd"),
        (BootTarget::Pxe, false, "Pxe"),
    ] {
        client.boot(&target, uefi).expect("it is taken");
        let boot = client.machine().expect("it answers").boot;
        assert_eq!(boot.target.as_deref(), Some(wanted));
        assert_eq!(boot.enabled.as_deref(), Some("Once"));
    }
    let uri = "http://10.0.0.1/x".to_owned();
    let refused = client.boot(&BootTarget::Http { uri: uri.into() }, true);
    assert!(
        matches!(refused, Err(BmcError::Unsupported { .. })),
        "{refused:?}"
    );
    // This controller has neither FRU nor GUID: who its machine is stays open.
    let machine = client.machine().expect("it answers");
    assert_eq!((machine.uuid, machine.serial), (None, None));

    client.power(PowerVerb::On).expect("it is done");
    assert_eq!(client.machine().expect("it answers").power, PowerState::On);
    client.power(PowerVerb::Graceful).expect("it is done");
    assert_eq!(client.machine().expect("it answers").power, PowerState::Off);
    assert!(simulator.log("log").contains("politely shut down"));
}

#[test]
fn a_wrong_password_and_a_controller_that_is_not_there_are_told_apart() {
    if missing(&PROGRAMS) {
        return;
    }
    let simulator = Simulator::openipmi();
    for (username, password) in [("admin", "another"), ("nobody", "s3cret")] {
        let refused = Client::new(simulator.port, username, password).machine();
        let Err(error @ BmcError::WrongPassword { .. }) = &refused else {
            panic!("{refused:?}");
        };
        assert!(!error.to_string().contains(password), "{error}");
    }
    let nobody = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = nobody.local_addr().expect("its address").port();
    drop(nobody);
    let absent = Client::new(port, "admin", "s3cret").machine();
    assert!(
        matches!(absent, Err(BmcError::Unreachable { .. })),
        "{absent:?}"
    );
}

/// A rack of one host, whose controller is chosen in the inventory.
fn rack(port: u16, uuid: &str) -> Rack {
    Rack::new(&[HostKeys {
        name: "old".to_owned(),
        uuid: uuid.to_owned(),
        serial: "C7X9K2".to_owned(),
        mac: "52:54:00:85:00:01".to_owned(),
        arch: "uefi-x64",
        bmc: format!(
            "{{url: \"ipmi://127.0.0.1:{port}\", username: admin, password: {{env: BMC_PASSWORD}}}}"
        ),
    }])
}

#[test]
fn the_inventory_chooses_ipmi_and_the_password_goes_by_the_environment_alone() {
    if missing(&PROGRAMS) {
        return;
    }
    let simulator = Simulator::openipmi();
    // The same octets from either end.
    for uuid in [
        "efcdab89-6745-23a1-efcd-ab89674523a1",
        "a1234567-89ab-cdef-a123-456789abcdef",
    ] {
        let rack = rack(simulator.port, uuid);
        // What ipmitool is given, and then ipmitool.
        let place = rack.file("bin");
        fs::create_dir(&place).expect("a directory");
        let seen = rack.file("seen").display().to_string();
        let wrapper =
            format!("#!/bin/sh\n{{ echo \"$@\"; env; }} >>{seen}\nexec /usr/bin/ipmitool \"$@\"\n");
        fs::write(place.join("ipmitool"), wrapper).expect("a program");
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(place.join("ipmitool"), executable).expect("a mode");
        let mut command = rack.pxectl(&["bmc", "status", "old"]);
        command
            .env("BMC_PASSWORD", "s3cret")
            .env("IPMITOOL_PASSWORD", "of-somebody-else");
        command.env("PATH", format!("{}:/usr/bin:/bin", place.display()));
        let status = said(&mut command);
        status.ended(0).says(&["on", "R7"]);
        assert!(!status.all().contains("s3cret"), "{}", status.all());
        assert!(
            !status.all().contains("another machine"),
            "{}",
            status.all()
        );
        let seen = fs::read_to_string(seen).expect("what was given");
        let with = |text: &str| seen.lines().filter(|line| line.contains(text)).count();
        assert_eq!(with("s3cret"), with("IPMI_PASSWORD=s3cret"), "{seen}");
        assert!(with("s3cret") > 0 && with("chassis status") > 0, "{seen}");
        assert_eq!(with("of-somebody-else") + with("BMC_PASSWORD"), 0, "{seen}");
    }
    let another = rack(simulator.port, "5d2e8f10-7c34-4b9a-a6e1-90f3c27d4b58");
    let mut command = another.pxectl(&["bmc", "power", "off", "old", "--yes"]);
    said(command.env("BMC_PASSWORD", "s3cret"))
        .ended(3)
        .says(&["another machine"]);
    assert!(!simulator.log("calls").contains("set power"));
}

#[test]
fn one_command_boots_an_old_machine_into_the_network() {
    if missing(&pyghmi()) {
        return;
    }
    let simulator = Simulator::pyghmi();
    let rack = rack(simulator.port, "efcdab89-6745-23a1-efcd-ab89674523a1");
    let run = |words: &[&str]| {
        let mut command = rack.pxectl(&[&["bmc"], words, &["old"]].concat());
        said(command.env("BMC_PASSWORD", "password"))
    };
    let planned = run(&["boot-pxe", "--dry-run"]);
    planned.ended(0).says(&[
        "ipmitool chassis bootdev pxe options=efiboot",
        "ipmitool chassis power on",
    ]);
    run(&["status"]).ended(0).says(&["off"]);
    run(&["boot-pxe", "--yes"]).ended(0).says(&["on"]);
    run(&["status"]).ended(0).says(&["on", "Pxe"]);
    run(&["power", "off", "--yes"]).ended(0).says(&["off"]);
    assert!(simulator.log("log").contains("abruptly remove power"));
    run(&["inventory"]).ended(0);
    run(&["boot-http", "--yes", "--url", "http://10.20.0.10/x.efi"])
        .ended(3)
        .says(&["HTTP boot", "help"]);
    // Without the program, it says what to install.
    let mut command = rack.pxectl(&["bmc", "status", "old"]);
    command
        .env("BMC_PASSWORD", "password")
        .env("PATH", "/nowhere");
    said(&mut command)
        .ended(3)
        .says(&["ipmitool", "not installed", "install the package"]);
}

#[test]
fn a_dry_run_notes_its_commands_without_address_and_password() {
    let mut client = Client::with(1, "admin", "s3cret", true);
    client
        .boot(&BootTarget::Pxe, true)
        .expect("nothing is sent");
    client.power(PowerVerb::Reset).expect("nothing is sent");
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
