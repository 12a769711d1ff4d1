use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;

use crate::network::{Network, output};
use crate::rack::Rack;

/// `pxectl serve all` in a network; killed when dropped.
pub struct Server<'a> {
    network: &'a Network,
    rack: &'a Rack,
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
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
    pub fn start(network: &'a Network, rack: &'a Rack) -> Self {
        let mut child = pxectl(network, rack)
            .args(["serve", "all", "--log-format", "json"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut server = Self {
            network,
            rack,
            child,
            lines,
            seen: Vec::new(),
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
        let deadline = Instant::now() + within;
        loop {
            while let Some(line) = self.seen.get(self.read) {
                self.read += 1;
                if let Some(event) = parse(line).filter(|event| event.event == kind) {
                    return event;
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.seen.push(line),
                Err(reason) => {
                    let log = self.seen.join("\n");
                    panic!("no event `{kind}` within {within:?}: {reason}; the log:\n{log}")
                }
            }
        }
    }

    /// Runs another `pxectl` on the same inventory and state and returns its output.
    pub fn pxectl(&self, arguments: &[&str]) -> String {
        output(pxectl(self.network, self.rack).args(arguments))
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

fn pxectl(network: &Network, rack: &Rack) -> Command {
    let mut pxectl = network.server_command(env!("CARGO_BIN_EXE_pxectl"));
    pxectl.arg("-i").arg(rack.inventory());
    pxectl.arg("--state").arg(rack.state());
    pxectl.env("PXECTL_WITNESS", rack.state().with_extension("witness"));
    pxectl.env("BMC_PASSWORD", crate::controller::PASSWORD);
    pxectl
}

fn parse(line: &str) -> Option<Event> {
    serde_json::from_str(line).ok()
}
