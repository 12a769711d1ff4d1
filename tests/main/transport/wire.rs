use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

/// Time limit for every wait, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The direction of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Up,
    Down,
}

/// When an event happens on a wire.
#[derive(Clone, Copy, Debug)]
pub enum When {
    /// After so many bytes in one direction, on all connections together.
    Bytes(Way, u64),
    /// When a request begins with this text.
    Request(&'static str),
}

/// The event.
#[derive(Clone, Copy, Debug)]
pub enum What {
    /// All traffic stops, and the test is notified.
    Hold,
    /// The connection is cut so many times; later ones work.
    Cut(usize),
}

/// A proxy to a server, with an event. It ends with the process.
pub struct Wire {
    pub address: SocketAddr,
    held: mpsc::Receiver<()>,
}

struct State {
    when: When,
    what: What,
    bytes: AtomicU64,
    happened: AtomicUsize,
    hold: mpsc::Sender<()>,
}

impl Wire {
    pub fn start(to: &str, when: When, what: What) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let (hold, held) = mpsc::channel();
        let state = Arc::new(State {
            when,
            what,
            bytes: AtomicU64::new(0),
            happened: AtomicUsize::new(0),
            hold,
        });
        let to = to.to_owned();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(&to).expect("the server listens");
                for (way, from, to) in [(Way::Up, &client, &server), (Way::Down, &server, &client)]
                {
                    let from = from.try_clone().expect("the same stream");
                    let to = to.try_clone().expect("the same stream");
                    let state = Arc::clone(&state);
                    thread::spawn(move || state.carry(way, from, to));
                }
            }
        });
        Self { address, held }
    }

    /// Waits until the traffic stops.
    #[track_caller]
    pub fn wait(&self) {
        self.held.recv_timeout(PATIENCE).expect("it comes to that");
    }

    pub fn place(&self, repository: &str) -> String {
        format!("docker://{}/{repository}", self.address)
    }
}

impl State {
    fn carry(&self, way: Way, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            let passes = self.passes(way, &buffer[..read]);
            if to.write_all(&buffer[..passes.unwrap_or(read)]).is_err() {
                break;
            }
            match (passes, self.what) {
                (None, _) => {}
                (Some(_), What::Hold) => {
                    let _ = self.hold.send(());
                    loop {
                        thread::park();
                    }
                }
                (Some(_), What::Cut(_)) => break,
            }
        }
        for stream in [from, to] {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Returns how many bytes still pass if the event happens now.
    fn passes(&self, way: Way, piece: &[u8]) -> Option<usize> {
        let size = piece.len() as u64;
        let passes = match self.when {
            When::Request(start) => {
                let here = way == Way::Up && piece.starts_with(start.as_bytes());
                here.then_some(0)
            }
            When::Bytes(wanted, _) if wanted != way => None,
            When::Bytes(_, after) => {
                let before = self.bytes.fetch_add(size, Ordering::SeqCst);
                (before + size > after).then(|| after.saturating_sub(before) as usize)
            }
        }?;
        let happened = self.happened.fetch_add(1, Ordering::SeqCst);
        match self.what {
            What::Cut(times) if happened >= times => None,
            _ => Some(passes),
        }
    }
}
