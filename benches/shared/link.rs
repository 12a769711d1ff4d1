//! Two machines on one wire: network namespaces around a veth pair.

use std::fs::File;
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The interface of the server, and its address.
pub const SERVER_INTERFACE: &str = "prov0";
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
/// The interface of the clients, and their first address.
pub const CLIENT_INTERFACE: &str = "eth0";
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 2);
/// The network of both.
pub const SUBNET: &str = "10.99.0.0/16";

/// The wire; its namespaces are removed by name when dropped.
pub struct Link {
    server: String,
    client: String,
}

impl Link {
    /// Connects a server with clients that have so many addresses, which follow on [`CLIENT`].
    ///
    /// # Errors
    /// When `ip` fails, as it does without root.
    pub fn new(clients: u32) -> anyhow::Result<Self> {
        let process = std::process::id();
        let link = Self {
            server: format!("pxectl-bench-{process}-server"),
            client: format!("pxectl-bench-{process}-client"),
        };
        let Self { server, client } = &link;
        ip(&["netns", "add", server])?;
        ip(&["netns", "add", client])?;
        ip(&[
            "-n",
            server,
            "link",
            "add",
            SERVER_INTERFACE,
            "type",
            "veth",
            "peer",
            "name",
            CLIENT_INTERFACE,
            "netns",
            client,
        ])?;
        for (namespace, interface) in [(server, SERVER_INTERFACE), (client, CLIENT_INTERFACE)] {
            ip(&["-n", namespace, "link", "set", "lo", "up"])?;
            ip(&["-n", namespace, "link", "set", interface, "up"])?;
        }
        let address = format!("{SERVER}/16");
        ip(&[
            "-n",
            server,
            "addr",
            "add",
            &address,
            "dev",
            SERVER_INTERFACE,
        ])?;
        let addresses = (0..clients).map(client_address);
        let batch: String = addresses
            .map(|address| format!("addr add {address}/16 dev {CLIENT_INTERFACE}\n"))
            .collect();
        let mut batched = Command::new("ip")
            .args(["-n", client, "-batch", "-"])
            .stdin(Stdio::piped())
            .spawn()?;
        let mut stdin = batched
            .stdin
            .take()
            .context("standard input is not piped")?;
        stdin.write_all(batch.as_bytes())?;
        drop(stdin);
        ensure!(batched.wait()?.success(), "cannot add addresses");
        Ok(link)
    }

    /// Returns a command that runs on the server's machine; `ip` replaces itself, so that the child
    /// is the program.
    pub fn on_server(&self, program: impl AsRef<Path>) -> Command {
        on(&self.server, program.as_ref())
    }

    /// Returns a command that runs on the clients' machine.
    pub fn on_client(&self, program: impl AsRef<Path>) -> Command {
        on(&self.client, program.as_ref())
    }

    /// Does something on the clients' machine, in a thread of this process.
    pub fn as_client<T: Send>(
        &self,
        act: impl FnOnce() -> anyhow::Result<T> + Send,
    ) -> anyhow::Result<T> {
        let namespace = File::open(format!("/run/netns/{}", self.client))?;
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                let network = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(namespace.as_fd(), network)?;
                act()
            });
            thread
                .join()
                .unwrap_or_else(|fault| std::panic::resume_unwind(fault))
        })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        for namespace in [&self.server, &self.client] {
            // A failure here must not hide the one that ended the benchmark.
            let _ = Command::new("ip")
                .args(["netns", "delete", namespace])
                .status();
        }
    }
}

/// Returns the address of a client.
pub fn client_address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(CLIENT.to_bits() + number)
}

fn on(namespace: &str, program: &Path) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).arg(program);
    command
}

fn ip(args: &[&str]) -> anyhow::Result<()> {
    let status = Command::new("ip").args(args).status();
    let status = status.context("cannot run `ip`")?;
    ensure!(
        status.success(),
        "`ip {}` ended with {status}",
        args.join(" ")
    );
    Ok(())
}
