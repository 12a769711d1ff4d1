use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

/// Debian's docker-registry on a free port of loopback; it ends with the test.
pub struct DockerRegistry {
    child: Child,
    access: PathBuf,
    pub host: String,
}

impl DockerRegistry {
    /// Starts it with its data in `directory`. With `password`, only `anna` has access, with the password
    /// `s3cret`.
    pub fn start(directory: &Path, password: bool) -> Self {
        let mut more = String::new();
        if password {
            let file = directory.join("htpasswd");
            let line = "anna:$2b$04$pySyAxSrXI/DitC7d5jL/.D.Dj/BgOK70X/KgO4TqNOHpey3.9RW6\n";
            std::fs::write(&file, line).expect("a file");
            more = format!(
                "auth: {{htpasswd: {{realm: test, path: {}}}}}\n",
                file.display()
            );
        }
        Self::with(directory, "", &more)
    }

    /// Starts it with more lines below `http`, and more sections of configuration.
    pub fn with(directory: &Path, http: &str, more: &str) -> Self {
        let config = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\n\
             http:\n  addr: \"127.0.0.1:0\"\n{http}{more}",
            directory.join("data").display()
        );
        let file = directory.join("registry.yml");
        std::fs::write(&file, config).expect("a file");
        let access = directory.join("access.log");
        let mut child = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdout(File::create(&access).expect("a file"))
            .stderr(Stdio::piped())
            .spawn()
            .expect("docker-registry runs");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let host = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                let (_, rest) = line.split_once("listening on ")?;
                Some(rest.split(['"', ',']).next()?.to_owned())
            })
            .expect("it says where it listens");
        thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            access,
            host,
        }
    }

    pub fn place(&self, repository: &str) -> String {
        format!("docker://{}/{repository}", self.host)
    }

    /// Lists the responses so far, each as `METHOD PATH STATUS`.
    pub fn responses(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.access).expect("its log");
        let lines = text.lines().filter_map(|line| {
            let (_, rest) = line.split_once('"')?;
            let (request, rest) = rest.split_once('"')?;
            let request = request.rsplit_once(' ')?.0;
            Some(format!("{request} {}", rest.split_whitespace().next()?))
        });
        lines.collect()
    }

    /// Counts the responses that begin and end so.
    pub fn count(&self, start: &str, end: &str) -> usize {
        let answered = self.responses();
        let fits = |it: &&String| it.starts_with(start) && it.ends_with(end);
        answered.iter().filter(fits).count()
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A received request.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub headers: String,
    /// The body, or its beginning.
    pub body: String,
}

/// Returns the whole response; then the connection is closed.
type Answer = dyn Fn(&Request, usize) -> Vec<u8> + Send + Sync;

/// A registry whose responses come from the test.
pub struct FakeRegistry {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl FakeRegistry {
    /// Starts one; `answer` gets the request, and the number of requests before it.
    pub fn start(answer: impl Fn(&Request, usize) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let asked: Arc<Mutex<Vec<Request>>> = Arc::default();
        let seen = Arc::clone(&asked);
        let answer: Arc<Answer> = Arc::new(answer);
        // It ends with the process: each test has its own process.
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                thread::spawn(move || serve(stream, &seen, &*answer));
            }
        });
        Self { address, asked }
    }

    pub fn place(&self, reference: &str) -> String {
        format!("docker://{}/boot/{reference}", self.address)
    }

    /// Lists the requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.asked.lock().expect("the list").clone()
    }
}

fn serve(mut stream: TcpStream, seen: &Mutex<Vec<Request>>, answer: &Answer) {
    let mut reader = BufReader::new(stream.try_clone().expect("the same stream"));
    let mut request = Request::default();
    let mut line = String::new();
    let mut length = 0;
    while reader.read_line(&mut line).is_ok_and(|read| read > 0) && line.trim() != "" {
        if request.method.is_empty() {
            let mut words = line.split(' ').map(str::to_owned);
            request.method = words.next().unwrap_or_default();
            request.path = words.next().unwrap_or_default();
        } else {
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            request.headers += &lower;
        }
        line.clear();
    }
    let mut body = reader.take(length);
    let mut start = Vec::new();
    let _ = body.by_ref().take(4096).read_to_end(&mut start);
    request.body = String::from_utf8_lossy(&start).into_owned();
    let _ = std::io::copy(&mut body, &mut std::io::sink());
    let before = {
        let mut seen = seen.lock().expect("the list");
        seen.push(request.clone());
        seen.len() - 1
    };
    let _ = stream.write_all(&answer(&request, before));
}

/// Builds a response.
pub fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend(body);
    bytes
}
