//! Compares `pxectl bundle` with `sha256sum`, `cp`, and `cp` followed by `sync`, on large local files.
//!
//! `cargo bench --bench bundle [-- MEBIBYTES]` creates two files of that size together (default: 2048) in
//! a directory of `TMPDIR`, which needs six times as much space. It prints the time and the peak memory of
//! each task, and the time of each peer as a percentage of it. All files are read once before, so that the
//! disk is only written.
//!
//! The limit: `pxectl` hashes what it copies. SHA-256 of 1 GiB takes 0.85 s of CPU time with the processor's
//! SHA instructions, as long as `openssl dgst`; copying and syncing 1 GiB takes `cp` and `sync` 0.5 s to 0.6 s.
//! The hash has a second thread, so two idle cores hide it behind the copy. On busy cores, the sum of the CPU
//! times counts, which is 2.7 to 3.2 times that of `cp` and `sync`. The sync at the end is short, because the
//! disk writes while a file is copied.

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
/// The time between two samples of a process's memory.
const SAMPLE: Duration = Duration::from_millis(5);

/// A program that a task is compared with.
#[derive(Clone, Copy, PartialEq)]
enum Peer {
    Hash,
    Copy,
    DurableCopy,
}

struct BenchTask {
    title: &'static str,
    /// A shell command in the directory of the files; `$B` is `pxectl`.
    line: &'static str,
    /// The file or directory to remove afterwards.
    leaves: &'static str,
    peers: &'static [Peer],
}

const TASKS: [BenchTask; 9] = [
    BenchTask::new("sha256sum", "sha256sum kernel image", "", &[]),
    BenchTask::new("cp", "mkdir c && cp kernel image c/", "c", &[]),
    BenchTask::new(
        "cp and sync",
        "mkdir c && cp kernel image c/ && sync c/kernel c/image",
        "c",
        &[],
    ),
    BenchTask::new(
        "bundle verify",
        "$B bundle verify --bundles store",
        "",
        &[Peer::Hash],
    ),
    BenchTask::new(
        "bundle build",
        "$B bundle build spec.txt --bundles b",
        "b",
        &ALL,
    ),
    BenchTask::new(
        "bundle publish DIR",
        "$B bundle publish a b --bundles store",
        "b",
        &ALL,
    ),
    BenchTask::new(
        "bundle publish TAR",
        "$B bundle publish a b.tar --bundles store",
        "b.tar",
        &ALL,
    ),
    BenchTask::new(
        "bundle pull DIR",
        "$B bundle pull store a --bundles b",
        "b",
        &ALL,
    ),
    BenchTask::new(
        "bundle pull TAR",
        "$B bundle pull a.tar a --bundles b",
        "b",
        &ALL,
    ),
];
const ALL: [Peer; 3] = [Peer::Hash, Peer::Copy, Peer::DurableCopy];

impl BenchTask {
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
struct TaskCost {
    wall: Duration,
    peak: u64,
}

fn main() -> anyhow::Result<()> {
    let mebibytes = std::env::args().find_map(|argument| argument.parse::<u64>().ok());
    let bytes = mebibytes.unwrap_or(2048) << 20;
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

fn table(costs: &[TaskCost; TASKS.len()]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    let head = [
        "task",
        "time",
        "of sha256sum",
        "of cp",
        "of cp and sync",
        "peak memory",
    ];
    table.set_header(head);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let seconds = |at: usize| costs[at].wall.as_secs_f64();
    for (at, task) in TASKS.iter().enumerate() {
        // More than 100 %: `pxectl` is faster.
        let percentage = |peer: Peer, peer_at: usize| {
            if task.peers.contains(&peer) {
                format!("{:.0} %", 100.0 * seconds(peer_at) / seconds(at))
            } else {
                String::new()
            }
        };
        table.add_row([
            task.title.to_owned(),
            format!("{:.2} s", seconds(at)),
            percentage(Peer::Hash, 0),
            percentage(Peer::Copy, 1),
            percentage(Peer::DurableCopy, 2),
            format!("{:.0} MiB", costs[at].peak as f64 / f64::from(1 << 20)),
        ]);
    }
    table
}

/// Runs a shell command, and samples the memory of its process.
fn run(line: &str, directory: &Path) -> anyhow::Result<TaskCost> {
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
        .stderr(File::create(directory.join("stderr"))?)
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
        let stderr = fs::read_to_string(directory.join("stderr"))?;
        bail!("`{line}` ended with {status}: {stderr}");
    }
    Ok(TaskCost { wall, peak })
}

fn write_out(text: &str) -> anyhow::Result<()> {
    io::stdout()
        .write_all(text.as_bytes())
        .context("cannot print")
}
