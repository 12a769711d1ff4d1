//! IPMI simulators of other projects.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::bmc::installed::installed;
use crate::bmc::rack::HostDocument;
use crate::support::rack::Rack;

const PATIENCE: Duration = Duration::from_secs(60);

/// A simulator on a free loopback port; it ends with the test.
pub struct Simulator {
    child: Child,
    pub port: u16,
    directory: tempfile::TempDir,
}

impl Simulator {
    /// Starts OpenIPMI's simulator: user `admin`, password `s3cret`.
    pub fn openipmi() -> Self {
        let (directory, port) = (tempfile::tempdir().expect("a directory"), free_port());
        let serial = serial_port();
        let serial_port = serial.local_addr().expect("its address").port();
        let path = |name: &str| directory.path().join(name).display().to_string();
        fs::create_dir(path("state")).expect("a directory");
        // The simulator runs this program to read and change the simulated hardware. It refuses the
        // changes in the file `refused`.
        let chassis = format!(
            "#!/bin/sh\necho \"$@\" >>{calls}\n\
             if [ \"$2\" = set ]; then\n\
             grep -qx \"$3\" {refused} && exit 1\n\
             [ \"$3\" = power ] && echo \"power:$4\" >{power}\n\
             exit 0\nfi\n\
             shift 2\nfor property; do\n\
             case $property in\npower) cat {power} ;;\nboot) cat {boot} ;;\nesac\ndone\n\
             exit 0\n",
            calls = path("calls"),
            refused = path("refused"),
            power = path("power"),
            boot = path("boot")
        );
        fs::write(path("boot"), "boot:none\n").expect("a file");
        fs::write(path("power"), "power:1\n").expect("a file");
        fs::write(path("refused"), "").expect("a file");
        fs::write(path("chassis"), chassis).expect("a program");
        let auths = ["callback", "user", "operator", "admin"]
            .map(|level| format!("allowed_auths_{level} none md2 md5 straight\n"));
        let lan = format!(
            "name \"sim\"\nset_working_mc 0x20\nstartlan 1\naddr 127.0.0.1 {port}\npriv_limit admin\n{}\
             guid a123456789abcdefa123456789abcdef\nendlan\nchassis_control \"/bin/sh {} 0x20\"\n\
             sol \"tcp:127.0.0.1:{serial_port}\" 115200\n\
             user 1 true \"\" \"test\" user 10 none md2 md5 straight\n\
             user 2 true \"admin\" \"s3cret\" admin 10 none md2 md5 straight\n",
            auths.concat(),
            path("chassis")
        );
        fs::write(path("lan.conf"), lan).expect("a file");
        let fru: Vec<String> = fru().iter().map(|byte| format!("{byte:#04x}")).collect();
        let commands = format!(
            "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02\n\
             mc_add_fru_data 0x20 0 {} data {}\n\
             sel_enable 0x20 1000 0x0a\n\
             sel_add 0x20 0x02 0 0 0 0 0x20 0x00 0x04 0x06 0x2a 0x6f 0x01 0xff 0xff\n\
             sel_add 0x20 0x02 0 0 0 0 0x20 0x00 0x04 0x01 0x30 0x01 0x57 0x64 0x5a\n\
             mc_enable 0x20\n",
            fru.len(),
            fru.join(" ")
        );
        fs::write(path("sim.emu"), commands).expect("a file");
        let mut command = Command::new("ipmi_sim");
        command.args(["-n", "-c", &path("lan.conf"), "-f", &path("sim.emu")]);
        command.args(["-s", &path("state")]);
        thread::spawn(move || echo(&serial));
        Self::start(command, directory, port)
    }

    /// Refuses a kind of change from now on: `power`, `reset` or `shutdown`.
    pub fn refuse(&self, change: &str) {
        fs::write(self.directory.path().join("refused"), change).expect("a file");
    }

    /// Starts pyghmi's simulator: user `admin`, password `password`.
    pub fn pyghmi() -> Self {
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

    /// Requests the authentication capabilities, which needs no session, until there is a response.
    /// Source: IPMI 2.0 §22.13, Get Channel Authentication Capabilities.
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

    /// Sets the clock of the event log, and appends an entry.
    pub fn set_sel_time(&self, time: &str) {
        let time: jiff::Timestamp = time.parse().expect("a time");
        let seconds = u32::try_from(time.as_second()).expect("a time of this century");
        let [a, b, c, d] = seconds.to_le_bytes().map(|byte| byte.to_string());
        // Source: IPMI 2.0 §31.11, Set SEL Time.
        self.ipmitool(&["raw", "0x0a", "0x49", &a, &b, &c, &d]);
        let event = self.directory.path().join("event");
        fs::write(&event, "0x04 0x06 0x2a 0x6f 0x01 0xff 0xff # event\n").expect("a file");
        self.ipmitool(&["sel", "add", &event.display().to_string()]);
    }

    fn ipmitool(&self, words: &[&str]) {
        let output = Command::new("ipmitool")
            .args(["-I", "lanplus", "-C", "3", "-H", "127.0.0.1", "-U", "admin"])
            .args(["-P", "s3cret", "-p", &self.port.to_string()])
            .args(words)
            .output()
            .expect("it runs");
        assert!(output.status.success(), "{output:?}");
    }

    /// Returns the content of a file that the simulator writes.
    pub fn log(&self, name: &str) -> String {
        fs::read_to_string(self.directory.path().join(name)).unwrap_or_default()
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Opens the serial port of the simulated machine.
fn serial_port() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a port")
}

/// Answers on the serial port, as a machine with a console does.
fn echo(serial: &TcpListener) {
    while let Ok((mut stream, _)) = serial.accept() {
        let mut bytes = [0; 256];
        while let Ok(count @ 1..) = stream.read(&mut bytes) {
            let typed = String::from_utf8_lossy(&bytes[..count]).to_uppercase();
            let _ = stream.write_all(format!("console:{typed}").as_bytes());
        }
    }
}

/// Makes a rack of one host with IPMI.
pub fn ipmi_rack(port: u16, uuid: &str) -> Rack {
    Rack::with_hosts(&[HostDocument {
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

fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.local_addr().expect("its address").port()
}

/// Makes a FRU with a product area. Source: IPMI Platform Management FRU Information Storage 1.0
/// §12.
fn fru() -> Vec<u8> {
    let summed = |mut area: Vec<u8>| {
        let sum = area.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
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
