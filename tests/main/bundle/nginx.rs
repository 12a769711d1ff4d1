use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::bundle::workshop::{Workshop, wait_for};
use crate::support::tool::run_tool_in;

/// nginx on loopback, which serves `web/` of a workshop: below `/` at full speed, below `/slow/` at 400 KiB
/// per second and connection, below `/whole/` at the same rate without ranges, and only a status below
/// `/500`, `/503` and `/429`. Stops when dropped.
pub struct Nginx {
    child: Child,
    port: u16,
    secure: u16,
    log: PathBuf,
}

/// One response in the log of nginx.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedResponse {
    pub status: u16,
    pub path: String,
    pub range: String,
    /// The times of its beginning and end, in seconds.
    pub begun: f64,
    pub ended: f64,
}

impl Nginx {
    pub fn start(workshop: &Workshop) -> Self {
        let directory = workshop.path("nginx");
        fs::create_dir_all(&directory).unwrap();
        fs::create_dir_all(workshop.path("web")).unwrap();
        // A port that was just free: another process hardly gets it so soon.
        let free = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (first, second) = (free(), free());
        let [port, secure] = [first, second].map(|it| it.local_addr().unwrap().port());
        let made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout key \
                    -out cert -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE";
        run_tool_in(
            &directory,
            "openssl",
            &made.split_whitespace().collect::<Vec<_>>(),
        );
        let (at, web) = (directory.display(), workshop.path("web"));
        let web = web.display();
        let configuration = format!(
            "daemon off; worker_processes 1; user root; pid {at}/pid; error_log {at}/error;\n\
             events {{}}\n\
             http {{\n\
             log_format responses '$status $msec $request_time $uri \"$http_range\"';\n\
             access_log {at}/access responses;\n\
             client_body_temp_path {at}/a; proxy_temp_path {at}/b; fastcgi_temp_path {at}/c;\n\
             uwsgi_temp_path {at}/d; scgi_temp_path {at}/e;\n\
             server {{\n\
             listen 127.0.0.1:{port};\n\
             listen 127.0.0.1:{secure} ssl; ssl_certificate {at}/cert; ssl_certificate_key {at}/key;\n\
             root {web};\n\
             location /slow/ {{ alias {web}/; limit_rate 400k; }}\n\
             location /whole/ {{ alias {web}/; limit_rate 400k; max_ranges 0; }}\n\
             location /circle/ {{ return 302 /circle/again; }}\n\
             location = /project/releases/latest {{ return 302 /project/releases/tag/v1.10.1; }}\n\
             location = /project/releases/tag/v1.10.1 {{ return 200 release; }}\n\
             location /500 {{ return 500; }}\n\
             location /503 {{ return 503; }}\n\
             location /429 {{ add_header Retry-After 1 always; return 429; }}\n\
             location /redirected/ {{ return 302 http://127.0.0.1:{port}/image; }}\n\
             location /secret/ {{ alias {web}/; auth_basic secret; auth_basic_user_file {at}/users; }}\n\
             }}\n\
             }}\n"
        );
        fs::write(directory.join("nginx.conf"), configuration).unwrap();
        fs::write(directory.join("users"), "anna:{PLAIN}p@ss\n").unwrap();
        let child = Command::new("/usr/sbin/nginx")
            .arg("-p")
            .arg(&directory)
            .arg("-c")
            .arg(directory.join("nginx.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let nginx = Self {
            child,
            port,
            secure,
            log: directory.join("access"),
        };
        wait_for("nginx", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        nginx
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Returns a URL with TLS, whose certificate is [`Nginx::certificate`].
    pub fn secure_url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.secure)
    }

    pub fn certificate(&self) -> PathBuf {
        self.log.with_file_name("cert")
    }

    /// Cuts every connection: kills the worker process; nginx starts another one.
    pub fn cut(&self) {
        let pid = self.child.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        for child in children.split_whitespace() {
            let child = Pid::from_raw(child.parse().unwrap()).unwrap();
            kill_process(child, Signal::KILL).unwrap();
        }
    }

    /// Lists the responses so far.
    pub fn responses(&self) -> Vec<LoggedResponse> {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let responses = text.lines().map(|line| {
            let mut words = line.split(' ');
            let status = words.next().unwrap().parse().unwrap();
            let ended: f64 = words.next().unwrap().parse().unwrap();
            let took: f64 = words.next().unwrap().parse().unwrap();
            LoggedResponse {
                status,
                begun: ended - took,
                ended,
                path: words.next().unwrap().to_owned(),
                range: words.next().unwrap().trim_matches('"').to_owned(),
            }
        });
        responses.collect()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let pid = Pid::from_raw(self.child.id() as i32).unwrap();
        let _ = kill_process(pid, Signal::QUIT);
        let _ = self.child.wait();
    }
}
