//! A wire at full speed.

use std::fs::File;
use std::net::{SocketAddrV4, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use rustix::process::{Pid, Signal, kill_process};

use crate::PXECTL;
use crate::shared::link::{Link, SERVER, SERVER_INTERFACE};
use crate::shared::program::find;
use crate::shared::usage;

/// Datagrams a second, and for how long.
const RATES: [u64; 2] = [100_000, 200_000];
const SECONDS: u64 = 10;
const PAYLOAD: usize = 200;
/// What one program does first until it watches.
const START: Duration = Duration::from_secs(2);

/// What came of one program.
struct LiveRun {
    sent: u64,
    /// How fast they were really sent.
    rate: f64,
    seen: u64,
    dropped: u64,
    processor: Duration,
}

/// Watches with each program in turn; returns a table.
///
/// # Errors
/// When the wire cannot be made, or a program fails.
pub fn measure() -> anyhow::Result<Table> {
    let link = Link::new(1)?;
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["watching", "sent", "a second", "seen", "dropped", "CPU s"]);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for (title, program, arguments) in [
        (
            "pxectl capture",
            PXECTL,
            &["capture", "--summary", "-I", SERVER_INTERFACE][..],
        ),
        (
            "pxectl capture --write",
            PXECTL,
            &[
                "capture",
                "--summary",
                "-I",
                SERVER_INTERFACE,
                "--write",
                "/dev/null",
                "--force",
            ],
        ),
        (
            "tcpdump -w",
            "tcpdump",
            &["-n", "-i", SERVER_INTERFACE, "-w", "/dev/null", "udp"],
        ),
        (
            "dumpcap -w",
            "dumpcap",
            &["-q", "-i", SERVER_INTERFACE, "-f", "udp", "-w", "/dev/null"],
        ),
    ] {
        let Some(program) = Some(program)
            .filter(|it| it.contains('/'))
            .map(Into::into)
            .or_else(|| find(program))
        else {
            crate::write_out(&format!("left out: {program} is not installed\n"))?;
            continue;
        };
        for rate in RATES {
            let directory = tempfile::tempdir()?;
            let said = directory.path().join("said");
            let mut command = link.on_server(&program);
            command.args(arguments).current_dir(directory.path());
            let outcome = watch(&link, command, &said, rate)?;
            table.add_row([
                title.to_owned(),
                outcome.sent.to_string(),
                format!("{:.0}", outcome.rate),
                outcome.seen.to_string(),
                outcome.dropped.to_string(),
                format!("{:.1}", outcome.processor.as_secs_f64()),
            ]);
        }
    }
    Ok(table)
}

fn watch(
    link: &Link,
    mut command: Command,
    said: &std::path::Path,
    rate: u64,
) -> anyhow::Result<LiveRun> {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = command.stderr(File::create(said)?).spawn()?;
    std::thread::sleep(START);
    let sent = link.as_client(|| send(rate));
    // What lies in the kernel is taken yet.
    std::thread::sleep(START);
    let processor = usage::processor_time(child.id());
    end(&mut child)?;
    let (sent, time) = sent?;
    let text = std::fs::read_to_string(said)?;
    let number = |words: &[&str]| -> Option<u64> {
        let line = words
            .iter()
            .find_map(|word| text.lines().rev().find(|it| it.contains(word)));
        let part = |line: &str| {
            let word = words.iter().find(|word| line.contains(**word))?;
            let (before, after) = line.split_once(word)?;
            let last = before.split([' ', ',']).rfind(|it| !it.is_empty())?;
            last.parse()
                .ok()
                .or_else(|| after.trim().split(['/', ' ']).next()?.parse().ok())
        };
        part(line?)
    };
    let seen = number(&[" packets captured", " frames,", "Packets captured:"]);
    let dropped = number(&[" packets dropped by kernel", " dropped by the kernel"]);
    let dropped = dropped.or_else(|| {
        // dumpcap: received/dropped on interface: SEEN/DROPPED
        let line = text.lines().find(|it| it.contains("received/dropped"))?;
        line.split(": ")
            .nth(1)?
            .split(['/', ' '])
            .nth(1)?
            .parse()
            .ok()
    });
    Ok(LiveRun {
        sent,
        rate: sent as f64 / time.as_secs_f64(),
        seen: seen.with_context(|| format!("no count in: {text}"))?,
        dropped: dropped.with_context(|| format!("no drops in: {text}"))?,
        processor: processor?,
    })
}

/// Sends so many a second, a millisecond's at once.
fn send(rate: u64) -> anyhow::Result<(u64, Duration)> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    let to = SocketAddrV4::new(SERVER, 9);
    let payload = [7; PAYLOAD];
    let total = rate * SECONDS;
    let (start, mut sent) = (Instant::now(), 0);
    while sent < total {
        let due = (start.elapsed().as_secs_f64() * rate as f64) as u64;
        while sent < due.min(total) {
            // That nobody listens there comes back as an error of the next.
            let _ = socket.send_to(&payload, to);
            sent += 1;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok((sent, start.elapsed()))
}

fn end(child: &mut Child) -> anyhow::Result<()> {
    kill_process(Pid::from_child(child), Signal::INT)?;
    child.wait()?;
    Ok(())
}
