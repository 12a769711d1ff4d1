//! What a log shows of secrets that machines, or a broken inventory, put where none belong.

use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Stdio};

use pxectl::token::Purpose;
use rustix::process::{Pid, Signal, kill_process};

use crate::serve::PATIENCE;
use crate::serve::server::OPTIONS;
use crate::serve::web::Web;
use crate::support::program_log::ProgramLog;
use crate::support::rack::Rack;

/// `pxectl serve` with a log of either format; killed when dropped.
struct Logged {
    child: Child,
    log: ProgramLog,
    next: usize,
    format: &'static str,
}

impl Logged {
    fn start(rack: &Rack, service: &str, format: &'static str) -> Self {
        let options = OPTIONS.map(|option| if option == "json" { format } else { option });
        let mut command = rack.command(&[&["serve", service], &options[..]].concat());
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = ProgramLog::read(child.stderr.take().unwrap());
        Self {
            child,
            log,
            next: 0,
            format,
        }
    }

    /// Reads on to a line that holds some words, and returns it.
    fn wait_for(&mut self, words: &[&str]) -> String {
        let index = self.log.wait_for(self.next, PATIENCE, |line| {
            words.iter().all(|word| line.contains(word))
        });
        self.next = index + 1;
        self.log.lines()[index].clone()
    }

    /// Waits until a service is ready, and returns its address.
    fn ready(&mut self, service: &str) -> SocketAddr {
        let service = match self.format {
            "json" => format!("\"service\":\"{service}\""),
            _ => format!(" {service:<5} ready"),
        };
        let line = self.wait_for(&["ready", &service]);
        let digits = |text: &str| {
            text.chars()
                .take_while(char::is_ascii_digit)
                .collect::<String>()
        };
        let mut ports = line.split("127.0.0.1:").skip(1).map(digits);
        let port = ports.next().and_then(|port| port.parse().ok());
        SocketAddr::from((
            [127, 0, 0, 1],
            port.unwrap_or_else(|| panic!("no port in {line}")),
        ))
    }

    /// Ends it cleanly, and returns its whole log.
    fn stop(mut self) -> String {
        let pid = Pid::from_raw(self.child.id() as i32).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        self.log.wait_for_end(PATIENCE);
        let log = self.log.lines().join("\n");
        assert!(self.child.wait().unwrap().success(), "{log}");
        log
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a read request by TFTP, byte for byte, and waits for the refusal.
fn refused(server: SocketAddr, request: &[u8]) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(request, server).unwrap();
    let mut buffer = [0; 1024];
    let length = socket.recv(&mut buffer).unwrap();
    assert_eq!(buffer[..2], [0, 5], "{:?}", &buffer[..length]);
}

/// Odd requests that hold a secret: in names that are not text, that climb or are too long, in their
/// modes and options, whole and cut up, and in places where none belongs.
fn odd_requests(secret: &str) -> Vec<Vec<u8>> {
    let percent: String = secret.bytes().map(|it| format!("%{it:02x}")).collect();
    let (start, end) = secret.split_at(11);
    let names = [
        format!("m/52-54-00-85-00-01/{secret}/../x"),
        format!("m/52-54-00-85-00-01/{secret}\x01"),
        format!("../s/{secret}/x"),
        format!("s\\{secret}\\..\\x"),
        format!("../{secret}"),
        format!("../\x01{secret}"),
        format!("../{percent}"),
        format!("../{start}\u{200b}{end}"),
        secret.to_string(),
        format!("x-{secret}-x"),
        format!("boot.ipxe?token={secret}"),
        format!("{}{secret}", "../".repeat(40)),
    ];
    let mut requests: Vec<Vec<u8>> = names
        .iter()
        .map(|name| [b"\0\x01", name.as_bytes(), b"\0octet\0"].concat())
        .collect();
    requests.push([b"\0\x01../x\xff\xfe", secret.as_bytes(), b"\xff\0octet\0"].concat());
    for mode in [
        secret.to_owned(),
        format!("m/52-54-00-85-00-01/{secret}/\u{202e}x"),
    ] {
        requests.push([b"\0\x01x\0", mode.as_bytes(), b"\0"].concat());
    }
    requests
}

#[test]
fn no_log_shows_a_secret_or_what_is_invisible() {
    let rack = Rack::beside_store();
    rack.done(&["host", "provision", "worker-01", "--yes"]);
    let secrets = [
        rack.boot_url().1,
        rack.capability("worker-01", Purpose::Seed),
        rack.capability("worker-01", Purpose::Callback),
    ];
    for format in ["json", "text"] {
        let mut server = Logged::start(&rack, "all", format);
        let (tftp, http) = (server.ready("tftp"), server.ready("http"));
        let mut sent = 0;
        for secret in &secrets {
            for request in odd_requests(secret) {
                refused(tftp, &request);
                sent += 1;
            }
            for path in [
                format!("/{secret}"),
                format!("/files/{secret}"),
                format!("/%2e%2e/{secret}"),
                format!("/s/x{secret}/installed"),
                format!("/x?token={secret}"),
                format!("/\u{202e}{secret}"),
            ] {
                let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
                let mut web = Web::connect(http);
                web.send(head.as_bytes());
                web.read_to_end();
            }
        }
        let log = server.stop();
        let refused = log.matches("tftp").count();
        assert!(refused >= sent, "{refused} of {sent} are in\n{log}");
        for secret in &secrets {
            assert!(!log.contains(&secret[..]), "{secret} is in\n{log}");
            let percent: String = secret.bytes().map(|it| format!("%{it:02x}")).collect();
            assert!(!log.contains(&percent), "{percent} is in\n{log}");
            // Each half of one that was cut up.
            assert!(
                !log.contains(&secret[11..]),
                "the end of {secret} is in\n{log}"
            );
        }
        assert!(log.contains("•••"), "{log}");
        for c in ['\u{202e}', '\u{200b}', '\u{1}'] {
            assert!(!log.contains(c), "{c:?} is in\n{log}");
        }
        assert!(log.contains("202e"), "{log}");
    }
}

#[test]
fn the_log_of_a_refused_reload_shows_no_password() {
    const WRONG: [&str; 8] = [
        "password: {value: Hunter2}",
        "password: [Hunter2]",
        "pasword: Hunter2",
        "password: \"Hunter2",
        "password: Hunter2, nonsense: 1",
        "password: {env: Hunter2}, nonsense: 1",
        "token: {a: Hunter2}",
        "nonsense: \"https://root:Hunter2@10.0.0.1\"",
    ];
    for format in ["json", "text"] {
        let rack = Rack::beside_store();
        let before = std::fs::read_to_string(rack.file("hosts.yaml")).unwrap();
        let mut server = Logged::start(&rack, "http", format);
        server.ready("http");
        for wrong in WRONG {
            let bmc = format!("bmc: {{url: \"https://10.0.0.1\", username: a, {wrong}}}\narch:");
            rack.rewrite("hosts.yaml", |_| before.replacen("arch:", &bmc, 1));
            server.wait_for(&["refused", "last valid"]);
        }
        let log = server.stop();
        assert!(!log.contains("Hunter2"), "{log}");
        assert!(
            log.contains("nonsense") && log.contains("hosts.yaml"),
            "{log}"
        );
    }
}
