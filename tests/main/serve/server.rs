use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::serve::PATIENCE;
use crate::serve::rack::Rack;
use crate::serve::web::Web;

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
    lines: Receiver<String>,
    seen: Vec<String>,
    ports: Vec<(String, u16)>,
}

impl Server {
    pub fn start(rack: &Rack, service: &str) -> Self {
        Self::start_with(
            &mut rack.pxectl(&[&["serve", service], &OPTIONS[..]].concat()),
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
            child,
            lines,
            seen: Vec::new(),
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

    /// The number of lines seen so far, to wait for what comes after them.
    pub fn mark(&mut self) -> usize {
        while let Ok(line) = self.lines.try_recv() {
            self.seen.push(line);
        }
        self.seen.len()
    }

    /// Waits for a line that the log has after `mark`.
    pub fn wait_for(&mut self, mark: usize, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + PATIENCE;
        let mut next = mark;
        loop {
            while let Some(line) = self.seen.get(next) {
                next += 1;
                if let Ok(line) = serde_json::from_str::<Value>(line)
                    && is_wanted(&line)
                {
                    return line;
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.seen.push(line),
                Err(error) => panic!("no such line ({error}) in\n{}", self.seen.join("\n")),
            }
        }
    }

    /// Waits for an event, and returns its message.
    pub fn event(&mut self, mark: usize, event: &str) -> String {
        let line = self.wait_for(mark, |line| line["event"] == event);
        line["message"].as_str().unwrap_or_default().to_owned()
    }

    /// How many lines so far tell of an event.
    pub fn count(&mut self, event: &str) -> usize {
        self.mark();
        let event = format!("\"event\":\"{event}\"");
        self.seen
            .iter()
            .filter(|line| line.contains(&event))
            .count()
    }

    /// The whole log so far.
    pub fn log(&mut self) -> String {
        self.mark();
        self.seen.join("\n")
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
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.seen.push(line),
                // Its standard error is closed, so it is ending.
                Err(RecvTimeoutError::Disconnected) => return self.child.wait().unwrap(),
                Err(RecvTimeoutError::Timeout) => panic!("it goes on:\n{}", self.seen.join("\n")),
            }
        }
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
