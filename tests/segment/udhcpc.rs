use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::machines::Program;
use crate::segment::Segment;

/// What it does with its lease: takes the address and the router, and says so.
const SCRIPT: &str = r#"#!/bin/sh
case $1 in
bound | renew)
    ip address flush dev "$interface"
    ip address add "$ip/$mask" dev "$interface"
    [ -z "$router" ] || ip route replace default via "$router" dev "$interface"
    echo "$1 ip=$ip mask=$mask router=$router server=$serverid lease=$lease" >&2
    ;;
deconfig) ip link set "$interface" up ;;
nak) echo "nak $message" >&2 ;;
esac
"#;

/// BusyBox' client of addresses. It takes answers by raw frames, and asks for no broadcast.
pub struct Udhcpc {
    program: Program,
    _directory: TempDir,
}

/// What it was given.
#[derive(Debug, PartialEq, Eq)]
pub struct Lease {
    pub address: Ipv4Addr,
    pub router: Option<Ipv4Addr>,
    /// Option 54.
    pub server: Ipv4Addr,
}

impl Udhcpc {
    /// Starts it on an interface of a machine.
    pub fn start(segment: &Segment, machine: &str, interface: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("script");
        std::fs::write(&script, SCRIPT).unwrap();
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
        let mut command = segment.command(machine, "/usr/bin/busybox");
        command.args([
            "udhcpc", "-f", "-t", "20", "-T", "2", "-R", "-i", interface, "-s",
        ]);
        let program = Program::start({
            command.arg(script);
            command
        });
        Self {
            program,
            _directory: directory,
        }
    }

    /// Waits until it has an address.
    pub fn bound(&mut self) -> Lease {
        lease(&self.program.wait_for(&["bound ip="]))
    }

    /// Makes it prolong its lease, at the server alone, and waits until it has.
    pub fn renew(&mut self) -> Lease {
        self.program.signal(Signal::USR1);
        lease(&self.program.wait_for(&["renew ip="]))
    }

    /// Makes it give its address back.
    pub fn release(&mut self) {
        self.program.signal(Signal::USR2);
    }
}

fn lease(line: &str) -> Lease {
    let value = |key: &str| {
        let mut words = line.split_whitespace();
        words.find_map(|word| word.strip_prefix(key)).unwrap()
    };
    Lease {
        address: value("ip=").parse().unwrap(),
        router: value("router=").parse().ok(),
        server: value("server=").parse().unwrap(),
    }
}
