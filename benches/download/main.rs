//! Measures `pxectl bundle build` of four files from nginx on loopback, beside four `curl` at once.
//!
//! `cargo bench --bench download` prints a table: with a server that gives each connection so much a
//! second, where the network is what is waited for, and with one that gives all it has. The two take
//! turns, and both write to files in memory; `curl` neither hashes nor syncs what it writes.

#[path = "../shared/mod.rs"]
mod shared;

mod server;

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use tempfile::TempDir;

use server::Nginx;
use shared::program::find;
use shared::usage;

/// The directory of Linux's file system in memory.
const MEMORY: &str = "/dev/shm";
/// The number of files.
const FILES: usize = 4;
/// The time between two samples of a process's memory.
const SAMPLE: Duration = Duration::from_millis(2);

/// The rows of the table: a title, the size of each file in bytes, the path for its rate, and the number of runs.
const ROWS: [(&str, u64, &str, usize); 3] = [
    ("4 × 64 MiB, 16 MiB/s each", 64 << 20, "/limited/", 3),
    ("4 × 256 MiB, no limit", 256 << 20, "/", 5),
    ("4 × 1 GiB, no limit", 1 << 30, "/", 3),
];

fn main() -> anyhow::Result<()> {
    let (Some(nginx), Some(curl)) = (find("nginx"), find("curl")) else {
        return write_out("left out: needs nginx and curl\n");
    };
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["files", "curl", "pxectl", "curl / pxectl", "peak memory"]);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for (name, bytes, path, runs) in ROWS {
        let directory = directory()?;
        let at = directory.path();
        fs::create_dir_all(at.join("web"))?;
        for file in 0..FILES {
            File::create(at.join(format!("web/{file}")))?.set_len(bytes + file as u64)?;
        }
        let server = Nginx::start(&nginx, at)?;
        let (mut curl_times, mut pxectl_times, mut peak) = (Vec::new(), Vec::new(), 0);
        for _ in 0..runs {
            curl_times.push(with_curl(&curl, at, &server, path)?);
            let (time, memory) = with_pxectl(at, &server, path)?;
            pxectl_times.push(time);
            peak = peak.max(memory);
        }
        let (curl_times, pxectl_times) = (median(curl_times), median(pxectl_times));
        table.add_row([
            name.to_owned(),
            format!("{curl_times:.2} s"),
            format!("{pxectl_times:.2} s"),
            format!("{:.2}", curl_times / pxectl_times),
            format!("{} MiB", peak >> 20),
        ]);
    }
    write_out(&format!("{table}\n"))
}

/// Fetches all files with a `curl` each; returns how long that took, in seconds.
fn with_curl(curl: &Path, at: &Path, server: &Nginx, path: &str) -> anyhow::Result<f64> {
    let to = at.join("curl");
    fs::create_dir_all(&to)?;
    let start = Instant::now();
    let start_one = |file: usize| {
        Command::new(curl)
            .args(["--silent", "--fail", "--output"])
            .arg(to.join(file.to_string()))
            .arg(server.url(&format!("{path}{file}")))
            .stdin(Stdio::null())
            .spawn()
    };
    let running: Vec<Child> = (0..FILES).map(start_one).collect::<Result<_, _>>()?;
    for mut child in running {
        ensure!(child.wait()?.success(), "`curl` failed");
    }
    let time = start.elapsed().as_secs_f64();
    fs::remove_dir_all(&to)?;
    Ok(time)
}

/// Builds a bundle of all files; returns how long that took, in seconds, and the most memory, in
/// bytes.
fn with_pxectl(at: &Path, server: &Nginx, path: &str) -> anyhow::Result<(f64, u64)> {
    let mut spec = String::from("kind: BundleSpec\nname: a\narch: x86_64\nfiles:\n");
    for file in 0..FILES {
        let url = server.url(&format!("{path}{file}"));
        spec += &format!("  file-{file}: {{from: '{url}', unverified: true}}\n");
    }
    fs::write(at.join("spec.yaml"), spec)?;
    let start = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_pxectl"))
        .args([
            "bundle",
            "build",
            "spec.yaml",
            "--quiet",
            "--bundles",
            "store",
        ])
        .current_dir(at)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?;
    let mut peak = 0;
    let status = loop {
        peak = usage::memory(child.id(), "VmHWM")?.unwrap_or(peak);
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(SAMPLE);
    };
    let time = start.elapsed().as_secs_f64();
    ensure!(status.success(), "`pxectl bundle build` failed");
    fs::remove_dir_all(at.join("store"))?;
    Ok((time, peak))
}

/// Makes a directory in memory, where the system has that.
fn directory() -> anyhow::Result<TempDir> {
    tempfile::tempdir_in(MEMORY)
        .or_else(|_| tempfile::tempdir())
        .context("cannot make a directory")
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn write_out(text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("cannot print")
}
