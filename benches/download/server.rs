use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, geteuid, kill_process};

/// Time limit for the server to listen.
const PATIENCE: Duration = Duration::from_secs(30);

/// nginx on loopback, which serves `web/` of a directory: below `/` at full speed, below `/limited/` at 16
/// MiB per second and connection. It stops when it is dropped.
pub struct Nginx {
    child: Child,
    port: u16,
}

impl Nginx {
    /// Starts it.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(program: &Path, directory: &Path) -> anyhow::Result<Self> {
        // A port that was just free: another process hardly gets it so soon.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let at = directory.display();
        let user = if geteuid().is_root() {
            "user root;"
        } else {
            ""
        };
        let configuration = format!(
            "daemon off; {user} pid {at}/pid; error_log {at}/error;\n\
             events {{}}\n\
             http {{\n\
             access_log off; sendfile on;\n\
             client_body_temp_path {at}/a; proxy_temp_path {at}/b; fastcgi_temp_path {at}/c;\n\
             uwsgi_temp_path {at}/d; scgi_temp_path {at}/e;\n\
             server {{\n\
             listen 127.0.0.1:{port}; root {at}/web;\n\
             location /limited/ {{ alias {at}/web/; limit_rate 16m; }}\n\
             }}\n\
             }}\n"
        );
        let file = directory.join("nginx.conf");
        fs::write(&file, configuration)?;
        let mut child = Command::new(program)
            .arg("-p")
            .arg(directory)
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot run `{}`", program.display()))?;
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = child.try_wait()? {
                bail!("nginx ended with {status}");
            }
            if Instant::now() > deadline {
                bail!("nginx does not listen");
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(Self { child, port })
    }

    /// Returns the URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::QUIT);
        let _ = self.child.wait();
    }
}
