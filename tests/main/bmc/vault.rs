//! An emulated HashiCorp Vault.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::bmc::emulator::PASSWORD;

/// HashiCorp Vault, as a client that reads one secret sees it: both versions of its key-value
/// engine, at `kv1/` and `secret/`.
pub struct Vault {
    pub address: SocketAddr,
    /// The requested paths.
    pub requests: Arc<Mutex<Vec<String>>>,
}

impl Vault {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&requests);
        // The thread ends with the process, and each test has its own process.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                respond(stream, &log);
            }
        });
        Self { address, requests }
    }
}

fn respond(mut stream: TcpStream, log: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(stream.try_clone().expect("the stream")).lines();
    let first = lines.next().and_then(Result::ok).unwrap_or_default();
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let headers: Vec<String> = lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .map(|line| line.to_ascii_lowercase())
        .collect();
    log.lock().expect("the list").push(path.clone());
    let known = headers.iter().any(|it| it == "x-vault-token: the-token");
    let fields = json!({"password": PASSWORD, "other": "x"});
    let (status, body) = match path.as_str() {
        _ if !known => ("403 Forbidden", json!({"errors": ["permission denied"]})),
        "/v1/kv1/bmc" => ("200 OK", json!({"data": fields})),
        "/v1/secret/data/bmc" => ("200 OK", json!({"data": {"data": fields, "metadata": {}}})),
        path if path.starts_with("/v1/sys/internal/ui/mounts/secret") => {
            let mount = json!({"options": {"version": "2"}, "path": "secret/", "type": "kv"});
            ("200 OK", json!({"data": mount}))
        }
        path if path.starts_with("/v1/sys/internal/ui/mounts/kv1") => {
            let mount = json!({"options": null, "path": "kv1/", "type": "kv"});
            ("200 OK", json!({"data": mount}))
        }
        _ => ("404 Not Found", json!({"errors": []})),
    };
    let body = body.to_string();
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
}
