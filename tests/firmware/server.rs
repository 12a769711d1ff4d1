use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;

use crate::boot_site::BootSite;
use crate::network::Network;
use crate::program::run_program;
use crate::program_log::ProgramLog;

/// `pxectl serve all` in a network; killed when dropped.
pub struct Server<'a> {
    network: &'a Network,
    site: &'a BootSite,
    child: Child,
    log: ProgramLog,
    read: usize,
}

/// One line of the server's log.
#[derive(Clone, Debug, Deserialize)]
pub struct Event {
    /// What happened.
    pub event: String,
    /// Which server says so.
    pub service: Option<String>,
    /// The machine's address.
    pub mac: Option<String>,
    /// The host, where the machine is known.
    pub host: Option<String>,
}

impl<'a> Server<'a> {
    /// Starts the servers and waits until all three are ready.
    pub fn start(network: &'a Network, site: &'a BootSite) -> Self {
        let mut child = pxectl(network, site)
            .args(["serve", "all", "--log-format", "json"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = ProgramLog::read(child.stderr.take().unwrap());
        let mut server = Self {
            network,
            site,
            child,
            log,
            read: 0,
        };
        let mut ready: Vec<String> = (0..3)
            .filter_map(|_| server.wait_for_event("ready", crate::STEP).service)
            .collect();
        ready.sort();
        assert_eq!(ready, ["dhcp", "http", "tftp"]);
        server
    }

    /// Waits for the next event of this kind after the one that was waited for last.
    ///
    /// # Panics
    /// When `within` has passed or the server has ended, with its whole log.
    pub fn wait_for_event(&mut self, kind: &str, within: Duration) -> Event {
        let wanted = |line: &str| parse(line).filter(|event| event.event == kind);
        let is_wanted = |line: &str| wanted(line).is_some();
        let index = self.log.wait_for(self.read, within, is_wanted);
        self.read = index + 1;
        wanted(&self.log.lines()[index]).expect("the same line")
    }

    /// Runs another `pxectl` on the same inventory and state and returns its output.
    pub fn pxectl(&self, arguments: &[&str]) -> String {
        run_program(pxectl(self.network, self.site).args(arguments))
    }

    /// Returns the phase of a host, as `host show` prints it.
    pub fn phase(&self, host: &str) -> String {
        let shown = self.pxectl(&["host", "show", host, "--format", "json"]);
        let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
        shown["phase"].as_str().unwrap_or_default().to_owned()
    }

    /// Asks the server to end, which it must do cleanly.
    pub fn stop(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.log.wait_for_end(crate::STEP);
        let status = self.child.wait().unwrap();
        assert!(status.success(), "`pxectl serve all` ended with {status}");
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pxectl(network: &Network, site: &BootSite) -> Command {
    let mut pxectl = network.server_command(env!("CARGO_BIN_EXE_pxectl"));
    pxectl.arg("-i").arg(site.inventory());
    pxectl.arg("--state").arg(site.state());
    pxectl.env("PXECTL_WITNESS", site.state().with_extension("witness"));
    pxectl.env("BMC_PASSWORD", crate::controller::PASSWORD);
    pxectl
}

fn parse(line: &str) -> Option<Event> {
    serde_json::from_str(line).ok()
}
