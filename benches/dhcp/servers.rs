//! The servers that are compared, each with the same pool.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::shared::link::{Link, SERVER, SERVER_INTERFACE, SUBNET};
use crate::shared::program::find;

/// The pool of each server: 64,000 addresses.
pub const POOL: (Ipv4Addr, Ipv4Addr) =
    (Ipv4Addr::new(10, 99, 4, 0), Ipv4Addr::new(10, 99, 253, 255));

/// A server that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// What answers without looking anything up: the most that the client and the wire can do.
    Stateless,
    Pxectl,
    Kea,
    Dnsmasq,
}

impl Server {
    /// Those to compare, in this order.
    pub const ALL: [Self; 4] = [Self::Stateless, Self::Kea, Self::Pxectl, Self::Dnsmasq];

    /// Returns its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stateless => "none: a stateless responder",
            Self::Pxectl => "pxectl serve dhcp",
            Self::Kea => "Kea, memfile, 2 threads",
            Self::Dnsmasq => "dnsmasq, lease file",
        }
    }

    /// Finds its program, where it is installed.
    pub fn program(self) -> Option<PathBuf> {
        match self {
            Self::Stateless => std::env::current_exe().ok(),
            Self::Pxectl => Some(env!("CARGO_BIN_EXE_pxectl").into()),
            Self::Kea => find("kea-dhcp4"),
            Self::Dnsmasq => find("dnsmasq"),
        }
    }

    /// Returns the command that runs it on the server's machine; it keeps everything in a directory.
    ///
    /// # Errors
    /// When its configuration cannot be written.
    pub fn command(self, link: &Link, program: &Path, directory: &Path) -> anyhow::Result<Command> {
        let mut command = link.on_server(program);
        let put = |name: &str, text: String| {
            let path = directory.join(name);
            fs::write(&path, text)
                .with_context(|| format!("cannot write `{}`", path.display()))
                .map(|()| path)
        };
        match self {
            Self::Stateless => {
                command.arg(crate::RESPOND);
            }
            Self::Pxectl => {
                put("site.yaml", site())?;
                command.arg("--inventory").arg(directory);
                command.arg("--state").arg(directory.join("state"));
                command.args(["serve", "dhcp"]);
            }
            Self::Kea => {
                let leases = directory.join("leases.csv");
                let configuration = put("kea.json", kea(&leases))?;
                command.arg("-c").arg(configuration);
                command.env("KEA_PIDFILE_DIR", directory);
                command.env("KEA_LOCKFILE_DIR", directory);
            }
            Self::Dnsmasq => {
                let (first, last) = POOL;
                command.args(["--keep-in-foreground", "--conf-file=/dev/null", "--port=0"]);
                command.args([
                    "--user=root",
                    "--pid-file",
                    "--no-ping",
                    "--dhcp-authoritative",
                ]);
                command.arg(format!("--interface={SERVER_INTERFACE}"));
                command.args(["--bind-interfaces", "--quiet-dhcp", "--log-facility=-"]);
                command.arg("--dhcp-lease-max=64000");
                command.arg(format!("--dhcp-range={first},{last},255.255.0.0,30m"));
                let leases = directory.join("leases");
                command.arg(format!("--dhcp-leasefile={}", leases.display()));
            }
        }
        Ok(command)
    }
}

fn site() -> String {
    let (first, last) = POOL;
    format!(
        "kind: Site\nname: bench\nserver:\n  address: {SERVER}\nnetworks:\n  - name: prov0\n    \
         subnet: {SUBNET}\n    interface: {SERVER_INTERFACE}\n    relays: [{SUBNET}]\n    lease_time: 30m\n    \
         pool: {first}-{last}\nloaders: {{bios: undionly.kpxe}}\n"
    )
}

/// Kea says nothing but warnings here: a line for each lease would cost it.
fn kea(leases: &Path) -> String {
    let (first, last) = POOL;
    let leases = leases.display();
    format!(
        r#"{{"Dhcp4": {{
  "interfaces-config": {{"interfaces": ["{SERVER_INTERFACE}"]}},
  "multi-threading": {{"enable-multi-threading": true, "thread-pool-size": 2, "packet-queue-size": 64}},
  "lease-database": {{"type": "memfile", "persist": true, "name": "{leases}", "lfc-interval": 0}},
  "valid-lifetime": 1800,
  "subnet4": [{{"id": 1, "subnet": "{SUBNET}", "pools": [{{"pool": "{first} - {last}"}}]}}],
  "loggers": [{{"name": "kea-dhcp4", "severity": "WARN", "output_options": [{{"output": "stderr"}}]}}]
}}}}"#
    )
}
