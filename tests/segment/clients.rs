//! DHCP clients that nobody here wrote get an address, keep it, and give it back.

use std::fs::{self, Permissions};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::machines::{Program, Server};
use crate::program::run_program;
use crate::segment::{INTERFACE, Segment};

const DHCLIENT: &str = "/usr/sbin/dhclient";
const BUSYBOX: &str = "/usr/bin/busybox";
const NETWORKD: &str = "/usr/lib/systemd/systemd-networkd";

/// Leases so short that a client renews while we watch.
const SITE: &str = "\
kind: Site
name: rack-a
server: {address: 10.86.0.1}
networks:
  - name: prov0
    subnet: 10.86.0.0/24
    interface: prov0
    gateway: 10.86.0.1
    pool: 10.86.0.200-10.86.0.202
    lease_time: 20s
loaders: {uefi-x64: snponly.efi}
---
kind: Profile
name: bare
installer: preseed
bundle: rescue
---
kind: Bundle
name: rescue
arch: x86_64
files:
  kernel: {path: linux, sha256: \"ad6ee40a67983b25960651f7fd20808aa6f3a3504000183cb05a57f268f1c269\", size: 4096}
  initrd: {path: initrd.gz, sha256: \"a4c721bd307dbc2e4aa76b1bf69c42a541c571df929f7c7bd30d93574e7f7a48\", size: 65536}
---
kind: Host
name: worker-01
profile: bare
uuid: 4c4c4544-0035-5a10-8054-b4c04f4e0132
arch: uefi-x64
nics: [{mac: \"52:54:00:86:00:07\", network: prov0, ip: 10.86.0.58, boot: true}]
disk: {wwn: \"0x5000c500a1b2c301\"}
";

/// A machine of the inventory and one of the pool, each with the address that it gets.
const MACHINES: [(&str, &str, Ipv4Addr); 2] = [
    ("known", "52:54:00:86:00:07", Ipv4Addr::new(10, 86, 0, 58)),
    ("guest", "52:54:00:86:00:09", Ipv4Addr::new(10, 86, 0, 200)),
];

/// A segment with the server and both machines.
struct Scene {
    segment: Segment,
    server: Server,
    directory: TempDir,
}

impl Scene {
    fn new(program: &str) -> Option<Self> {
        let mut segment = Segment::with_programs("10.86.0.1/24", &[program])?;
        for (name, mac, _) in MACHINES {
            segment.plug(name, mac, None);
        }
        let server = Server::start(&segment, SITE);
        let directory = tempfile::tempdir().unwrap();
        Some(Self {
            segment,
            server,
            directory,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file for a client, and returns its path.
    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// A script that sets up the interface as the client has learned, and touches nothing else of
    /// this system, such as its resolver.
    fn script(&self) -> PathBuf {
        let path = self.write(
            "configure",
            &format!(
                "#!/bin/sh\n\
                 set -e\n\
                 address=\"$ip$new_ip_address\"\n\
                 mask=\"$subnet$new_subnet_mask\"\n\
                 router=\"$router$new_routers\"\n\
                 case \"$1$reason\" in\n\
                 bound|renew|BOUND|RENEW|REBIND)\n\
                 ip address replace \"$address/$mask\" dev {INTERFACE}\n\
                 ip route replace default via \"$router\";;\n\
                 deconfig|PREINIT|RELEASE|EXPIRE|STOP)\n\
                 ip address flush dev {INTERFACE};;\n\
                 esac\n"
            ),
        );
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// A dhclient on a machine, with files of its own.
    fn dhclient(&self, name: &str, mode: &str, script: &Path, configuration: &Path) -> Command {
        let mut command = self.segment.command(name, DHCLIENT);
        command.args(["-4", "-v", mode, "-cf"]).arg(configuration);
        command.arg("-lf").arg(self.path(&format!("{name}.leases")));
        command.arg("-pf").arg(self.path(&format!("{name}.pid")));
        command.arg("-sf").arg(script).arg(INTERFACE);
        command
    }

    /// Waits until a machine was given its address, and is configured as it was told to be.
    fn is_bound(&mut self, (name, mac, address): (&str, &str, Ipv4Addr)) {
        let address = address.to_string();
        self.server
            .wait_for_event_with("dhcp-ack", &[mac, &address]);
        let found = self.segment.wait_for_configuration(name, &address);
        assert!(found.contains(&format!(" {address}/24 ")), "{found}");
        assert!(found.contains("default via 10.86.0.1 "), "{found}");
        let leases = self.server.leases();
        let is_its_own = |lease: &&pxectl::machine::Lease| {
            lease.holder.is_some_and(|holder| holder.to_string() == mac)
        };
        let held: Vec<String> = leases
            .iter()
            .filter(is_its_own)
            .map(|lease| lease.address.to_string())
            .collect();
        assert_eq!(held, [address]);
    }

    /// Waits until a machine has kept its address.
    fn is_renewed(&mut self, (_, mac, address): (&str, &str, Ipv4Addr)) {
        let address = address.to_string();
        self.server
            .wait_for_event_with("dhcp-ack", &[mac, &address]);
    }

    /// Waits until a machine has given its address back, and nobody has it any more.
    fn is_released(&mut self, (_, mac, address): (&str, &str, Ipv4Addr)) {
        let free = format!("{address} is free again");
        self.server
            .wait_for_event_with("dhcp-ignored", &[mac, &free]);
        let leases = self.server.leases();
        let left: Vec<_> = leases.iter().filter(|it| it.address == address).collect();
        assert!(left.is_empty(), "{left:?}");
    }

    /// Ends the server, which has met nothing that it did not expect.
    fn end(self) {
        let (leases, log) = self.server.stop_with_log();
        assert_eq!(leases, 0);
        for sign in [r#""level":"error""#, "dhcp-nak", "dhcp-malformed"] {
            assert!(!log.contains(sign), "{sign} in {log}");
        }
    }
}

#[test]
fn dhclient_gets_renews_and_releases_its_address() {
    let Some(mut scene) = Scene::new(DHCLIENT) else {
        return;
    };
    let script = scene.script();
    let configuration = scene.write(
        "dhclient.conf",
        "send vendor-class-identifier \"PXEClient:Arch:00007:UNDI:003016\";\n\
         request subnet-mask, routers, host-name, domain-name-servers;\n",
    );
    for machine in MACHINES {
        let (name, ..) = machine;
        let dhclient = |mode| scene.dhclient(name, mode, &script, &configuration);
        let (foreground, mut release) = (dhclient("-d"), dhclient("-r"));
        let mut client = Program::start(foreground);
        client.wait_for(&["bound to", &machine.2.to_string(), "renewal in"]);
        scene.is_bound(machine);
        client.wait_for(&["DHCPACK of", &machine.2.to_string()]);
        client.wait_for(&["bound to", &machine.2.to_string(), "renewal in"]);
        scene.is_renewed(machine);
        run_program(&mut release);
        scene.is_released(machine);
    }
    scene.end();
}

#[test]
fn dhclient_that_remembers_an_address_of_another_network_is_refused_and_asks_anew() {
    let Some(mut scene) = Scene::new(DHCLIENT) else {
        return;
    };
    let script = scene.script();
    let configuration = scene.write("dhclient.conf", "request subnet-mask, routers;\n");
    scene.write(
        "known.leases",
        &format!(
            "lease {{\n\
             interface \"{INTERFACE}\";\n\
             fixed-address 192.168.7.7;\n\
             option subnet-mask 255.255.255.0;\n\
             option routers 192.168.7.1;\n\
             option dhcp-server-identifier 192.168.7.1;\n\
             renew never;\nrebind never;\nexpire never;\n\
             }}\n"
        ),
    );
    let [known, _] = MACHINES;
    let client = scene.dhclient(known.0, "-d", &script, &configuration);
    let mut client = Program::start(client);
    client.wait_for(&["DHCPREQUEST for 192.168.7.7 "]);
    let line = scene.server.wait_for_event("dhcp-nak");
    let why = "192.168.7.7 does not belong to 10.86.0.0/24";
    assert!(line.contains(why) && line.contains(known.1), "{line}");
    client.wait_for(&["DHCPNAK from 10.86.0.1"]);
    client.wait_for(&["bound to 10.86.0.58"]);
    scene.is_bound(known);
    scene.server.stop();
}

#[test]
fn udhcpc_gets_renews_and_releases_its_address_as_a_uefi_machine() {
    let Some(mut scene) = Scene::new(BUSYBOX) else {
        return;
    };
    let script = scene.script();
    for machine in MACHINES {
        let (name, _, address) = machine;
        let mut command = scene.segment.command(name, BUSYBOX);
        command.args(["udhcpc", "-f", "-i", INTERFACE]);
        command.args(["-x", "0x5d:0007", "-V", "PXEClient:Arch:00007:UNDI:003016"]);
        command.args(["-O", "66", "-O", "67", "-s"]).arg(&script);
        let mut client = Program::start(command);
        let lease = format!("lease of {address} obtained from 10.86.0.1, lease time 20");
        client.wait_for(&[&lease]);
        scene.is_bound(machine);
        client.signal(Signal::USR1);
        client.wait_for(&["sending renew to server 10.86.0.1"]);
        client.wait_for(&[&lease]);
        scene.is_renewed(machine);
        client.signal(Signal::USR2);
        scene.is_released(machine);
        client.wait_for(&["entering released state"]);
    }
    scene.end();
}

#[test]
fn systemd_networkd_gets_renews_and_releases_its_address() {
    let Some(mut scene) = Scene::new(NETWORKD) else {
        return;
    };
    let network = scene.write(
        "10-eth0.network",
        &format!(
            "[Match]\nName={INTERFACE}\n\
             [Network]\nDHCP=ipv4\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n\
             [DHCPv4]\nDUIDType=link-layer\n"
        ),
    );
    for machine in MACHINES {
        let mut client = Program::start(networkd(&scene.segment, machine.0, &network));
        let address = format!("DHCPv4 address {}/24", machine.2);
        client.wait_for(&[&address, "gateway 10.86.0.1 acquired from 10.86.0.1"]);
        scene.is_bound(machine);
        client.wait_for(&["DHCPv4 client: REQUEST (renewing)"]);
        scene.is_renewed(machine);
        client.signal(Signal::TERM);
        scene.is_released(machine);
    }
    scene.end();
}

/// systemd's network manager without systemd: where `/sys` cannot be written it waits for no udev,
/// and `/run` is its own.
fn networkd(segment: &Segment, name: &str, network: &Path) -> Command {
    let script = format!(
        "set -e\n\
         mount -o remount,bind,ro /sys\n\
         mount -t tmpfs tmpfs /run\n\
         mkdir -p /run/systemd/network\n\
         cp '{}' /run/systemd/network/\n\
         mkdir -p /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp\n\
         chown -R systemd-network /run/systemd/netif\n\
         export SYSTEMD_LOG_LEVEL=debug SYSTEMD_LOG_TARGET=console\n\
         exec {NETWORKD}\n",
        network.display()
    );
    let mut command = segment.command(name, "/bin/sh");
    command.args(["-c", &script]);
    command
}
