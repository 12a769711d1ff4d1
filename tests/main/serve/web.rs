use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use socket2::{Domain, Type};

use crate::serve::PATIENCE;

/// One connection to an HTTP server, octet by octet.
pub struct Web {
    stream: TcpStream,
    rest: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The head without its last line end; the date is replaced.
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn status(&self) -> u16 {
        let status = self.head.split(' ').nth(1).and_then(|it| it.parse().ok());
        status.unwrap_or_else(|| panic!("no status in {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let prefix = format!("{name}: ");
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(&prefix))
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Web {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let rest = Vec::new();
        Self { stream, rest }
    }

    /// Connects from an address of this machine.
    pub fn connect_from(source: Ipv4Addr, address: SocketAddr) -> Self {
        let socket = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let source = SocketAddr::from((source, 0));
        socket.bind(&source.into()).unwrap();
        socket.connect(&address.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let rest = Vec::new();
        Self { stream, rest }
    }

    pub fn send(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).unwrap();
    }

    /// Sends as much as the server takes before it closes.
    pub fn send_some(&mut self, octets: &[u8]) {
        let _ = self.stream.write_all(octets);
    }

    /// Reads until the server closes; a reset is a close too.
    pub fn read_to_end(mut self) -> String {
        let mut buffer = [0; 4096];
        while let Ok(read) = self.stream.read(&mut buffer) {
            if read == 0 {
                break;
            }
            self.rest.extend(&buffer[..read]);
        }
        String::from_utf8_lossy(&self.rest).into_owned()
    }

    pub fn get(&mut self, target: &str) -> Answer {
        self.ask("GET", target, &[], "")
    }

    pub fn post(&mut self, target: &str, body: &str) -> Answer {
        self.ask("POST", target, &[], body)
    }

    pub fn ask(&mut self, method: &str, target: &str, headers: &[&str], body: &str) -> Answer {
        let mut request = format!("{method} {target} HTTP/1.1\r\nHost: 10.20.0.10:8080\r\n");
        for header in headers {
            request.push_str(&format!("{header}\r\n"));
        }
        if !body.is_empty() {
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        request.push_str(body);
        self.send(request.as_bytes());
        self.answer(method == "HEAD")
    }

    /// Reads one answer; that to a HEAD has no body.
    pub fn answer(&mut self, is_head: bool) -> Answer {
        let end = loop {
            if let Some(at) = self.rest.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            self.read();
        };
        let head: Vec<u8> = self.rest.drain(..end + 4).collect();
        let head = String::from_utf8(head[..end].to_vec()).unwrap();
        let lines: Vec<&str> = head
            .split("\r\n")
            .map(|line| {
                if line.starts_with("Date: ") {
                    "Date: …"
                } else {
                    line
                }
            })
            .collect();
        let mut answer = Answer {
            head: lines.join("\n"),
            body: Vec::new(),
        };
        if !is_head && answer.status() != 304 {
            let length = answer.header("Content-Length").expect("a length");
            let length: usize = length.parse().unwrap();
            while self.rest.len() < length {
                self.read();
            }
            answer.body = self.rest.drain(..length).collect();
        }
        answer
    }

    fn read(&mut self) {
        let mut buffer = [0; 64 << 10];
        let read = self.stream.read(&mut buffer).unwrap();
        let so_far = String::from_utf8_lossy(&self.rest);
        assert!(
            read > 0,
            "the server closed the connection after {so_far:?}"
        );
        self.rest.extend(&buffer[..read]);
    }
}
