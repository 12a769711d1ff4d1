//! Measures what `pxectl bundle` does with large files on one machine beside `sha256sum` and `cp`, in
//! the same run.
//!
//! `cargo bench --bench bundle [-- MEBIBYTES]` makes two files of that size together (2048 where it
//! is left out) in a directory of `TMPDIR`, of which it needs six times as much, and prints for each
//! task how long it took, the time of the peer that does the same, and the most memory that it took.
//! Ours hashes what it copies and makes it durable; so its peers are `sha256sum`, `cp`, and
//! `cp` followed by `sync` of the copy. All of it is read once before: the disk is measured in
//! writing alone.

#[path = "../shared/mod.rs"]
mod shared;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};

use shared::usage;

/// How often each task is done; the median counts.
const ROUNDS: usize = 3;
const FILES: [&str; 2] = ["kernel", "image"];
/// How often the memory of a running process is looked at.
const SAMPLE: Duration = Duration::from_millis(5);

/// What a task is held against.
#[derive(Clone, Copy, PartialEq)]
enum Peer {
    Hash,
    Copy,
    DurableCopy,
}

struct Task {
    title: &'static str,
    /// Words for a shell, in the directory of the files; `$B` is our binary.
    line: &'static str,
    /// What it leaves, which goes before the next.
    leaves: &'static str,
    peers: &'static [Peer],
}

const TASKS: [Task; 9] = [
    Task::new("sha256sum", "sha256sum kernel image", "", &[]),
    Task::new("cp", "mkdir c && cp kernel image c/", "c", &[]),
    Task::new(
        "cp and sync",
        "mkdir c && cp kernel image c/ && sync c/kernel c/image",
        "c",
        &[],
    ),
    Task::new(
        "bundle verify",
        "$B bundle verify --bundles store",
        "",
        &[Peer::Hash],
    ),
    Task::new(
        "bundle build",
        "$B bundle build spec.txt --bundles b",
        "b",
        &ALL,
    ),
    Task::new(
        "bundle publish DIR",
        "$B bundle publish a b --bundles store",
        "b",
        &ALL,
    ),
    Task::new(
        "bundle publish TAR",
        "$B bundle publish a b.tar --bundles store",
        "b.tar",
        &ALL,
    ),
    Task::new(
        "bundle pull DIR",
        "$B bundle pull store a --bundles b",
        "b",
        &ALL,
    ),
    Task::new(
        "bundle pull TAR",
        "$B bundle pull a.tar a --bundles b",
        "b",
        &ALL,
    ),
];
const ALL: [Peer; 3] = [Peer::Hash, Peer::Copy, Peer::DurableCopy];

impl Task {
    const fn new(
        title: &'static str,
        line: &'static str,
        leaves: &'static str,
        peers: &'static [Peer],
    ) -> Self {
        Self {
            title,
            line,
            leaves,
            peers,
        }
    }
}

#[derive(Clone, Copy)]
struct Cost {
    wall: Duration,
    peak: u64,
}

fn main() -> anyhow::Result<()> {
    let asked = std::env::args()
        .filter_map(|it| it.parse::<u64>().ok())
        .next();
    let bytes = asked.unwrap_or(2048) << 20;
    let directory = tempfile::tempdir()?;
    let at = directory.path();
    for (file, part) in FILES.iter().zip([bytes / 8, bytes - bytes / 8]) {
        let mut random = File::open("/dev/urandom")?.take(part);
        io::copy(&mut random, &mut File::create(at.join(file))?)?;
    }
    let files = FILES
        .map(|file| format!("{file}: {{from: {file}}}"))
        .join(", ");
    let spec = format!("kind: BundleSpec\nname: a\narch: x86_64\nfiles: {{{files}}}\n");
    fs::write(at.join("spec.txt"), spec)?;
    run("$B bundle build spec.txt --bundles store", at)?;
    run("$B bundle publish a a.tar --bundles store", at)?;
    run("cat kernel image a.tar store/blobs/sha256/*; sync", at)?;

    let mut costs = [const { Vec::new() }; TASKS.len()];
    for round in 0..ROUNDS {
        for (task, costs) in TASKS.iter().zip(&mut costs) {
            costs.push(run(task.line, at).context(task.title)?);
            let left = at.join(task.leaves);
            if !task.leaves.is_empty() {
                fs::remove_dir_all(&left).or_else(|_| fs::remove_file(&left))?;
            }
        }
        write_out(&format!("round {} of {ROUNDS} is done\n", round + 1))?;
    }
    let costs = costs.map(|mut costs| {
        costs.sort_by_key(|cost| cost.wall);
        costs[costs.len() / 2]
    });
    let size = bytes >> 20;
    write_out(&format!("\n{size} MiB in two files\n{}\n", table(&costs)))
}

fn table(costs: &[Cost; TASKS.len()]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    let head = [
        "task",
        "time",
        "of sha256sum",
        "of cp",
        "of cp and sync",
        "most memory",
    ];
    table.set_header(head);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let seconds = |at: usize| costs[at].wall.as_secs_f64();
    for (at, task) in TASKS.iter().enumerate() {
        let beside = |peer: Peer, other: usize| match task.peers.contains(&peer) {
            // More than 100 %: ours is faster.
            true => format!("{:.0} %", 100.0 * seconds(other) / seconds(at)),
            false => String::new(),
        };
        table.add_row([
            task.title.to_owned(),
            format!("{:.2} s", seconds(at)),
            beside(Peer::Hash, 0),
            beside(Peer::Copy, 1),
            beside(Peer::DurableCopy, 2),
            format!("{:.0} MiB", costs[at].peak as f64 / f64::from(1 << 20)),
        ]);
    }
    table
}

/// Runs words in a shell which one program ends, and looks at the memory of that meanwhile.
fn run(line: &str, directory: &Path) -> anyhow::Result<Cost> {
    let line = match line.strip_prefix("$B") {
        Some(rest) => format!("exec \"$B\"{rest}"),
        None => line.to_owned(),
    };
    let start = Instant::now();
    let mut child = Command::new("sh")
        .args(["-c", &line])
        .current_dir(directory)
        .env("B", env!("CARGO_BIN_EXE_pxectl"))
        .env_remove("PXECTL_BUNDLES")
        .stdout(Stdio::null())
        .stderr(File::create(directory.join("said"))?)
        .spawn()?;
    let mut peak = 0;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let now = usage::memory(child.id(), "VmHWM").unwrap_or_default();
        peak = now.unwrap_or(peak).max(peak);
        std::thread::sleep(SAMPLE);
    };
    let wall = start.elapsed();
    if !status.success() {
        let said = fs::read_to_string(directory.join("said"))?;
        bail!("`{line}` ended with {status}: {said}");
    }
    Ok(Cost { wall, peak })
}

fn write_out(text: &str) -> anyhow::Result<()> {
    io::stdout()
        .write_all(text.as_bytes())
        .context("cannot print")
}
