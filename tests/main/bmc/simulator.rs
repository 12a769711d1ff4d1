//! IPMI simulators of other projects.

use std::fs;
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::bmc::installed::installed;

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
        let place = |name: &str| directory.path().join(name).display().to_string();
        fs::create_dir(place("state")).expect("a directory");
        // The simulator runs this program to read and change the simulated hardware.
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
        let fru: Vec<String> = fru().iter().map(|byte| format!("{byte:#04x}")).collect();
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
