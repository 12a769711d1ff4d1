//! Compares `pxectl bundle publish` and `pull` with `skopeo copy`: the same files, to and from the same
//! docker-registry on loopback.
//!
//! `cargo bench --bench registry [-- MEBIBYTES]` copies four files of that size (default: 512) each way,
//! with each program in turn. It prints the ratio of the times, the times, and the peak memory. The registry
//! runs on the same processors, so its work is part of every time.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
#[path = "../shared/mod.rs"]
mod shared;

use pxectl::bundle::BundleStore;
use pxectl::inventory::Bundle;
use shared::program::find;
use shared::usage;

/// How often each copy is measured; the median counts.
const ROUNDS: usize = 3;
/// The time between two samples of a process.
const SAMPLE: Duration = Duration::from_millis(5);
const FILES: u64 = 4;
/// The size of each file.
const MEBIBYTES: u64 = 512;

fn main() -> anyhow::Result<()> {
    for program in ["docker-registry", "skopeo"] {
        if find(program).is_none() {
            return write_out(&format!("left out: {program} is not installed\n"));
        }
    }
    let mebibytes = std::env::args().skip(1).find_map(|it| it.parse().ok());
    let directory = tempfile::tempdir()?;
    let store = directory.path().join("bundles");
    fill(&store, mebibytes.unwrap_or(MEBIBYTES) << 20)?;
    let mut figures = [const { Vec::new() }; 4];
    for round in 0..ROUNDS {
        for (number, figures) in figures.iter_mut().enumerate() {
            let (is_ours, is_up) = (number % 2 == 0, number < 2);
            figures.push(measure(directory.path(), &store, is_ours, is_up)?);
        }
        write_out(&format!("round {} of {ROUNDS} is done\n", round + 1))?;
    }
    let [up, skopeo_up, down, skopeo_down] = figures.map(median);
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["", "to", "from"]);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let ratio = |ours: &CopyCost, other: &CopyCost| {
        let ratio = ours.time.as_secs_f64() / other.time.as_secs_f64();
        format!("{ratio:.2}")
    };
    let row = |name: &str, of: &dyn Fn(&CopyCost) -> String, up, down| {
        [name.to_owned(), of(up), of(down)]
    };
    let memory = |figure: &CopyCost| format!("{} MiB", figure.memory >> 20);
    let processor = |figure: &CopyCost| format!("{:.1} s", figure.processor.as_secs_f64());
    let time = |figure: &CopyCost| format!("{:.1} s", figure.time.as_secs_f64());
    table.add_row([
        "time, pxectl to skopeo".to_owned(),
        ratio(&up, &skopeo_up),
        ratio(&down, &skopeo_down),
    ]);
    for (name, of) in [
        ("time", &time as &dyn Fn(&CopyCost) -> String),
        ("CPU time", &processor),
        ("memory", &memory),
    ] {
        table.add_row(row(&format!("{name}, pxectl"), of, &up, &down));
        table.add_row(row(
            &format!("{name}, skopeo"),
            of,
            &skopeo_up,
            &skopeo_down,
        ));
    }
    write_out(&format!("\n{table}\n"))
}

/// Creates a bundle of several files, whose content does not repeat.
fn fill(store: &Path, bytes: u64) -> anyhow::Result<()> {
    let store = BundleStore::open_or_create(store)?;
    let mut files = serde_json::Map::new();
    for number in 0..FILES {
        let mut blob = store.begin_blob()?;
        let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut piece = Vec::with_capacity(1 << 20);
        for _ in 0..bytes >> 20 {
            piece.clear();
            while piece.len() < 1 << 20 {
                // Xorshift: content that cannot be compressed.
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                piece.extend(state.to_le_bytes());
            }
            blob.append(&piece)?;
        }
        let (sha256, size) = blob.finish()?;
        let name = format!("file-{number}");
        let file = serde_json::json!({"path": name, "sha256": sha256.to_string(), "size": size});
        files.insert(name, file);
    }
    let json = serde_json::json!({"name": "bench", "arch": "x86_64", "files": files});
    let bundle: Bundle = serde_json::from_value(json)?;
    store.add_bundle(&bundle)?;
    Ok(())
}

/// The cost of one run.
#[derive(Clone, Copy)]
struct CopyCost {
    time: Duration,
    processor: Duration,
    memory: u64,
}

fn median(mut figures: Vec<CopyCost>) -> CopyCost {
    figures.sort_by_key(|figure| figure.time);
    figures[figures.len() / 2]
}

/// Copies once: to an empty registry, or from a registry into an empty store.
fn measure(directory: &Path, store: &Path, is_ours: bool, is_up: bool) -> anyhow::Result<CopyCost> {
    let data = tempfile::tempdir_in(directory)?;
    let registry = Registry::start(data.path())?;
    let there = format!("docker://{}/bench:bench", registry.host);
    let layout = |path: &Path| format!("oci:{}:bench", path.display());
    let skopeo = |arguments: [&str; 3]| {
        let mut command = Command::new("skopeo");
        command.args(["copy", "--insecure-policy"]).args(arguments);
        command
    };
    let pxectl = |arguments: &[&str], store: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pxectl"));
        command.arg("bundle").args(arguments);
        command.args(["--plain-http", "--bundles"]).arg(store);
        // A file that does not exist: no credentials.
        command.env("REGISTRY_AUTH_FILE", data.path().join("none"));
        command
    };
    let publish = || pxectl(&["publish", "bench", &there], store);
    let copy = data.path().join("copy");
    match (is_ours, is_up) {
        (true, true) => run(publish()),
        (false, true) => run(skopeo(["--dest-tls-verify=false", &layout(store), &there])),
        (true, false) => {
            run(publish())?;
            run(pxectl(&["pull", &there], &copy))
        }
        (false, false) => {
            run(publish())?;
            run(skopeo(["--src-tls-verify=false", &there, &layout(&copy)]))
        }
    }
}

/// Runs a program to its end, and samples its memory.
fn run(mut command: Command) -> anyhow::Result<CopyCost> {
    let begin = Instant::now();
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut child = child.with_context(|| format!("cannot run {command:?}"))?;
    let stderr = child.stderr.take().context("standard error is not piped")?;
    let last_line =
        thread::spawn(move || BufReader::new(stderr).lines().map_while(Result::ok).last());
    let mut peak = 0;
    // `None` after it has ended; its CPU time can still be read until `wait`.
    while let Some(memory) = usage::memory(child.id(), "VmHWM")? {
        peak = memory;
        thread::sleep(SAMPLE);
    }
    let (time, processor) = (begin.elapsed(), usage::processor_time(child.id())?);
    let status = child.wait()?;
    let last_line = last_line.join().ok().flatten().unwrap_or_default();
    ensure!(
        status.success(),
        "{command:?} ended with {status}: {last_line}"
    );
    Ok(CopyCost {
        time,
        processor,
        memory: peak,
    })
}

struct Registry {
    child: Child,
    host: String,
}

impl Registry {
    fn start(directory: &Path) -> anyhow::Result<Self> {
        let file = directory.join("registry.yml");
        let data = directory.join("data");
        let config = format!(
            "version: 0.1\nlog: {{accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"127.0.0.1:0\"}}\n",
            data.display()
        );
        fs::write(&file, config)?;
        let mut child = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child.stderr.take().context("standard error is not piped")?;
        let mut lines = BufReader::new(stderr).lines();
        let host = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, rest) = line.split_once("listening on ")?;
            Some(rest.split(['"', ',']).next()?.to_owned())
        });
        let Some(host) = host else {
            bail!("docker-registry does not listen");
        };
        thread::spawn(move || lines.for_each(drop));
        Ok(Self { child, host })
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write_out(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("cannot print")
}
