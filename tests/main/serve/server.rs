use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::serve::PATIENCE;
use crate::serve::web::Web;
use crate::support::program_log::ProgramLog;
use crate::support::rack::Rack;

/// Free ports, on loopback where it can be chosen, and a log that a program reads.
pub const OPTIONS: [&str; 11] = [
    "--dhcp-port",
    "0",
    "--tftp-port",
    "0",
    "--http-port",
    "0",
    "--listen",
    "127.0.0.1",
    "--log-format",
    "json",
    "--verbose",
];

/// `pxectl serve`; killed when dropped.
pub struct Server {
    child: Child,
    log: ProgramLog,
    ports: Vec<(String, u16)>,
}

impl Server {
    pub fn start(rack: &Rack, service: &str) -> Self {
        Self::start_with(
            &mut rack.command(&[&["serve", service], &OPTIONS[..]].concat()),
            service,
        )
    }

    /// Starts a command that serves, and waits until it is ready.
    pub fn start_with(command: &mut Command, service: &str) -> Self {
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = ProgramLog::read(child.stderr.take().unwrap());
        let mut server = Self {
            child,
            log,
            ports: Vec::new(),
        };
        let services = match service {
            "all" => &["dhcp", "tftp", "http"][..],
            _ => &[service],
        };
        for service in services {
            let line = server.wait_for(0, |line| {
                line["event"] == "ready" && line["service"] == *service
            });
            let message = line["message"].as_str().unwrap();
            let port = message
                .rsplit(':')
                .next()
                .and_then(|port| port.parse().ok());
            let port = port.unwrap_or_else(|| panic!("no port in {message}"));
            server.ports.push(((*service).to_owned(), port));
        }
        server
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The address of a service.
    pub fn address(&self, service: &str) -> SocketAddr {
        let port = self.ports.iter().find(|(name, _)| name == service);
        SocketAddr::from((Ipv4Addr::LOCALHOST, port.expect("a service that runs").1))
    }

    /// The memory that it holds, in octets.
    pub fn memory(&self) -> u64 {
        let path = format!("/proc/{}/statm", self.child.id());
        let text = std::fs::read_to_string(path).unwrap();
        let pages: u64 = text.split(' ').nth(1).unwrap().parse().unwrap();
        pages * 4096
    }

    /// Connects to the HTTP server.
    pub fn web(&self) -> Web {
        Web::connect(self.address("http"))
    }

    /// Returns the number of lines so far, to wait for later ones.
    pub fn mark(&mut self) -> usize {
        self.log.lines().len()
    }

    /// Waits for a line that the log has after `mark`.
    #[track_caller]
    pub fn wait_for(&mut self, mark: usize, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let parse = |line: &str| serde_json::from_str::<Value>(line).ok();
        let index = self.log.wait_for(mark, PATIENCE, |line| {
            parse(line).is_some_and(|line| is_wanted(&line))
        });
        parse(&self.log.lines()[index]).expect("the same line")
    }

    /// Waits for an event, and returns its message.
    #[track_caller]
    pub fn event(&mut self, mark: usize, event: &str) -> String {
        let line = self.wait_for(mark, |line| line["event"] == event);
        line["message"].as_str().unwrap_or_default().to_owned()
    }

    /// How many lines so far tell of an event.
    pub fn count(&mut self, event: &str) -> usize {
        let event = format!("\"event\":\"{event}\"");
        let lines = self.log.lines().iter();
        lines.filter(|line| line.contains(&event)).count()
    }

    /// Returns the whole log so far.
    pub fn log(&mut self) -> String {
        self.log.lines().join("\n")
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id() as i32).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Kills it, as a power cut would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it has ended by itself, and has said everything.
    pub fn ended(&mut self) -> ExitStatus {
        self.log.wait_for_end(PATIENCE);
        self.child.wait().unwrap()
    }

    /// Ends it cleanly, and returns its whole log.
    pub fn stop(mut self) -> String {
        self.signal(Signal::TERM);
        let status = self.ended();
        let log = self.log();
        assert!(
            status.success() && log.contains("ended cleanly"),
            "{status}: {log}"
        );
        log
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
