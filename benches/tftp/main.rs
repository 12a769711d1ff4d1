//! Measures `pxectl serve tftp` beside its peers: two machines on one wire, and a client of our own
//! that checks every byte.
//!
//! `cargo bench --bench tftp`, as root, lets each server in turn send files to one client and to
//! many, whole and with losses, and prints a table. A peer that is not installed is left out;
//! tftpd-hpa and atftpd cannot be installed together, so either may lie unpacked in a directory that
//! `PXECTL_BENCH_PEERS` names. Client and server share the processors: the client's own work is in
//! every figure.
//!
//! `PXECTL_BENCH_BASELINE` names another `pxectl` to measure beside this one, round by round:
//! `PXECTL_BENCH_BASELINE=/tmp/pxectl-before cargo bench --bench tftp -- pxectl`. It counts as a peer.
//!
//! Losses are made by the client, in both directions and after a seed: the network's own would drop
//! many blocks at once where a server hands the kernel many at once.

#[path = "../shared/mod.rs"]
mod shared;

mod crowd;
mod fetch;
mod servers;

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use tempfile::TempDir;

use crowd::CrowdResult;
use fetch::Wish;
use servers::Server;
use shared::link::Link;
use shared::program::{Program, find};
use shared::usage;

/// How often everything without losses is measured; the median counts.
const ROUNDS: usize = 3;
/// How long a server may take for one figure; what has come until then counts.
const MOST: Duration = Duration::from_secs(8);
/// The most clients at once.
const CROWD: u32 = 200;
const MEGABYTE: usize = 1_000_000;

/// One column of the table.
struct Task {
    title: &'static str,
    clients: u32,
    window: u16,
    megabytes: usize,
    one_lost_of: Option<u64>,
}

const TASKS: [Task; 8] = [
    Task::new("1 client, w=1", 1, 1, 16),
    Task::new("w=8", 1, 8, 32),
    Task::new("w=64", 1, 64, 32),
    Task::new("40 clients, w=1", 40, 1, 2),
    Task::new("w=8", 40, 8, 4),
    Task::new("200 x 1 MB, w=1", 200, 1, 1),
    Task::new("1 MB, w=1, 1 % lost", 1, 1, 1).with_losses(),
    Task::new("20 MB, w=8, 1 % lost", 1, 8, 20).with_losses(),
];

impl Task {
    const fn new(title: &'static str, clients: u32, window: u16, megabytes: usize) -> Self {
        Self {
            title,
            clients,
            window,
            megabytes,
            one_lost_of: None,
        }
    }

    const fn with_losses(mut self) -> Self {
        self.one_lost_of = Some(100);
        self
    }
}

fn main() -> anyhow::Result<()> {
    if !rustix::process::geteuid().is_root() || find("ip").is_none() {
        return write_out("left out: it needs root and iproute2, for network namespaces\n");
    }
    let link = Link::new(CROWD)?;
    let files = Files::new()?;
    let mut rows = Vec::new();
    // `cargo bench --bench tftp -- pxectl` measures those servers alone whose names begin so.
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|it| it != "--bench")
        .collect();
    let is_wanted =
        |name: &str| wanted.is_empty() || wanted.iter().any(|it| name.starts_with(it.as_str()));
    for server in Server::ALL.into_iter().filter(|it| is_wanted(it.name())) {
        match server.program() {
            None if server == Server::Baseline => {}
            Some(program) => rows.push((server, program, [const { Vec::new() }; TASKS.len()])),
            None => write_out(&format!("left out: {} is not installed\n", server.name()))?,
        }
    }
    for round in 0..ROUNDS {
        for (server, program, outcomes) in &mut rows {
            for (task, outcomes) in TASKS.iter().zip(outcomes) {
                // Losses are the same each time, and some peers take long for them.
                if task.one_lost_of.is_none() || round == 0 {
                    outcomes.push(measure(&link, *server, program, &files, task)?);
                }
            }
        }
        write_out(&format!("round {} of {ROUNDS} is done\n", round + 1))?;
    }
    let rows: Vec<ResultRow> = rows
        .into_iter()
        .map(|(server, _, outcomes)| ResultRow {
            server,
            figures: outcomes.map(|outcomes| Figure::median(&outcomes)),
        })
        .collect();
    write_out(&format!("\n{}\n", table(&rows)))
}

/// What a server did for one task.
#[derive(Clone, Copy)]
struct Measured {
    outcome: CrowdResult,
    /// The processor time of the server, from its start.
    processor: Duration,
}

/// Runs one server for one task.
fn measure(
    link: &Link,
    server: Server,
    program: &Path,
    files: &Files,
    task: &Task,
) -> anyhow::Result<Option<Measured>> {
    let directory = tempfile::tempdir()?;
    let command = server.command(link, program, directory.path(), files.directory.path())?;
    let running = Program::start(command, 69, directory.path())?;
    let (name, bytes) = files.of(task.megabytes);
    let wish = Wish {
        name,
        bytes,
        window: task.window,
        one_lost_of: task.one_lost_of,
    };
    let outcome = link.as_client(|| crowd::fetch(wish, task.clients, MOST));
    let processor = usage::processor_time(running.process())?;
    drop(running);
    match outcome {
        Ok(outcome) => Ok(Some(Measured { outcome, processor })),
        Err(error) if server == Server::Pxectl => Err(error.context(task.title)),
        Err(error) => {
            write_out(&format!("{}, {}: {error:#}\n", server.name(), task.title))?;
            Ok(None)
        }
    }
}

/// What is served, on disk and in memory.
struct Files {
    directory: TempDir,
    bytes: Vec<u8>,
    names: Vec<(usize, String)>,
}

impl Files {
    /// Makes a file of each size; each begins like the largest.
    fn new() -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let sizes = TASKS.iter().map(|task| task.megabytes);
        let largest = sizes.clone().max().unwrap_or(0) * MEGABYTE;
        // No two blocks are alike.
        let words = (0..largest as u64 / 8).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        let mut names = Vec::new();
        for size in sizes {
            let name = format!("file-{size}");
            std::fs::write(directory.path().join(&name), &bytes[..size * MEGABYTE])?;
            names.push((size, name));
        }
        Ok(Self {
            directory,
            bytes,
            names,
        })
    }

    fn of(&self, megabytes: usize) -> (&str, &[u8]) {
        let name = self.names.iter().find(|(size, _)| *size == megabytes);
        let name = name.map_or("", |(_, name)| name);
        (name, &self.bytes[..megabytes * MEGABYTE])
    }
}

struct ResultRow {
    server: Server,
    figures: [Option<Figure>; TASKS.len()],
}

/// What a server did in one column.
#[derive(Clone, Copy)]
struct Figure {
    /// Bytes a second, of all clients together.
    speed: f64,
    /// Seconds of processors for a gigabyte, of the server and of the clients.
    server: f64,
    clients: f64,
    is_complete: bool,
}

impl Figure {
    /// Returns the one in the middle; none where it ever failed.
    fn median(runs: &[Option<Measured>]) -> Option<Self> {
        let runs: Option<Vec<Measured>> = runs.iter().copied().collect();
        let of = |Measured { outcome, processor }: &Measured| Self {
            speed: outcome.bytes as f64 / outcome.time.as_secs_f64(),
            server: processor.as_secs_f64() * 1e9 / outcome.bytes.max(1) as f64,
            clients: outcome.processor.as_secs_f64() * 1e9 / outcome.bytes.max(1) as f64,
            is_complete: outcome.is_complete,
        };
        let mut figures: Vec<Self> = runs?.iter().map(of).collect();
        figures.sort_by(|one, other| one.speed.total_cmp(&other.speed));
        figures.get(figures.len() / 2).copied()
    }
}

fn table(rows: &[ResultRow]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    let titles = TASKS.iter().map(|task| task.title);
    table.set_header(std::iter::once("MB/s").chain(titles));
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for row in rows {
        let figures = row.figures.iter().map(|figure| match figure {
            None => "fails".to_owned(),
            Some(figure) => {
                let unfinished = if figure.is_complete { "" } else { "…" };
                let places = if figure.speed < 1e7 { 2 } else { 0 };
                format!("{:.places$}{unfinished}", figure.speed / MEGABYTE as f64)
            }
        });
        table.add_row(std::iter::once(row.server.name().to_owned()).chain(figures));
    }
    let speeds = |of: &dyn Fn(&ResultRow) -> bool, column: usize| {
        let figures = rows
            .iter()
            .filter(|row| of(row))
            .filter_map(|row| row.figures[column]);
        figures.map(|figure| figure.speed).max_by(f64::total_cmp)
    };
    let ratios = (0..TASKS.len()).map(|column| {
        let ours = speeds(&|row| row.server == Server::Pxectl, column);
        let best = speeds(&|row| row.server != Server::Pxectl, column);
        match (ours, best) {
            (Some(ours), Some(best)) if best > 0.0 => format!("{:.1} x", ours / best),
            _ => String::new(),
        }
    });
    table.add_row(std::iter::once("ours to the best peer".to_owned()).chain(ratios));
    for row in rows {
        let name = format!("{}, CPU s/GB + clients", row.server.name());
        let figures = row.figures.iter().map(|figure| match figure {
            // It waits late for the processes that it makes, one for each transfer.
            Some(Figure { clients, .. }) if row.server == Server::TftpdHpa => {
                format!("? + {clients:.1}")
            }
            Some(Figure {
                server, clients, ..
            }) => format!("{server:.1} + {clients:.1}"),
            None => String::new(),
        });
        table.add_row(std::iter::once(name).chain(figures));
    }
    table
}

fn write_out(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("cannot print")
}
