//! Measures `pxectl capture` beside its peers: how fast a large file is read, and what a wire at full
//! speed loses.
//!
//! `cargo bench --bench capture` writes a capture of one gibibyte, two hundred machines that boot, and
//! reads it from the page cache; as root it also watches a wire on which a thread sends a hundred
//! thousand datagrams a second. A peer that is not installed is left out. `PXECTL_BENCH_MIB` asks for
//! another size.

#[path = "../shared/mod.rs"]
mod shared;

mod file;
mod live;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};

use shared::program::find;

const PXECTL: &str = env!("CARGO_BIN_EXE_pxectl");
/// How often each file is read; the median counts.
const ROUNDS: usize = 3;
const MEBIBYTE: u64 = 1 << 20;

/// One program, and what it is told to do with a file.
struct Reader {
    title: &'static str,
    program: &'static str,
    before: &'static [&'static str],
    after: &'static [&'static str],
    /// It takes so long that a part of the file has to do.
    is_slow: bool,
}

const READERS: [Reader; 6] = [
    Reader {
        title: "pxectl capture --summary",
        program: PXECTL,
        before: &["capture", "--summary", "--read"],
        after: &[],
        is_slow: false,
    },
    Reader {
        title: "pxectl capture --write /dev/null",
        program: PXECTL,
        before: &[
            "capture",
            "--summary",
            "--write",
            "/dev/null",
            "--force",
            "--read",
        ],
        after: &[],
        is_slow: false,
    },
    Reader {
        title: "capinfos -c: counts packets",
        program: "capinfos",
        before: &["-c"],
        after: &[],
        is_slow: false,
    },
    Reader {
        title: "tcpdump -w /dev/null: copies",
        program: "tcpdump",
        before: &["-r"],
        after: &["-w", "/dev/null"],
        is_slow: false,
    },
    Reader {
        title: "tcpdump -n: prints",
        program: "tcpdump",
        before: &["-n", "-r"],
        after: &[],
        is_slow: true,
    },
    Reader {
        title: "tshark -q -z io,phs: dissects",
        program: "tshark",
        before: &["-n", "-q", "-z", "io,phs", "-r"],
        after: &[],
        is_slow: true,
    },
];

fn main() -> anyhow::Result<()> {
    let size = std::env::var("PXECTL_BENCH_MIB").ok();
    let size = size.map_or(Ok(1024), |text| text.parse::<u64>())?;
    let directory = tempfile::tempdir()?;
    let (large, small) = (
        directory.path().join("large"),
        directory.path().join("small"),
    );
    for (path, size) in [(&large, size * MEBIBYTE), (&small, size * MEBIBYTE / 16)] {
        let packets = file::write(path, size)?;
        let size = std::fs::metadata(path)?.len() / MEBIBYTE;
        write_out(&format!("{size} MiB, {packets} packets\n"))?;
    }
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["reading", "MB/s", "ours to it", "memory"]);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut ours = None;
    for reader in &READERS {
        let Some(program) = find(reader.program)
            .or_else(|| Some(reader.program.into()).filter(|it: &std::path::PathBuf| it.exists()))
        else {
            write_out(&format!("left out: {} is not installed\n", reader.program))?;
            continue;
        };
        let path = if reader.is_slow { &small } else { &large };
        let mut runs = Vec::new();
        for _ in 0..ROUNDS {
            runs.push(measure(reader, &program, path)?);
        }
        runs.sort_by_key(|(time, _)| *time);
        let (time, memory) = runs[ROUNDS / 2];
        let speed = std::fs::metadata(path)?.len() as f64 / 1e6 / time.as_secs_f64();
        let ours = *ours.get_or_insert(speed);
        table.add_row([
            reader.title.to_owned(),
            format!("{speed:.0}"),
            format!("{:.1} x", ours / speed),
            format!("{} MiB", memory / 1024),
        ]);
    }
    write_out(&format!("\n{}\n\n", table.trim_fmt()))?;
    if rustix::process::geteuid().is_root() && find("ip").is_some() {
        write_out(&format!("{}\n", live::measure()?))?;
    } else {
        write_out("left out: a wire needs root and iproute2, for network namespaces\n")?;
    }
    Ok(())
}

/// Runs a program over a file; returns how long it took, and the most memory in KiB.
fn measure(reader: &Reader, program: &Path, path: &Path) -> anyhow::Result<(Duration, u64)> {
    let mut command = Command::new(program);
    command.args(reader.before).arg(path).args(reader.after);
    command.current_dir(path.parent().context("a directory")?);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let start = Instant::now();
    let mut child = command.spawn().context("cannot run it")?;
    let mut memory = 0;
    let status = loop {
        if let Ok(Some(peak)) = shared::usage::memory(child.id(), "VmHWM") {
            memory = memory.max(peak / 1024);
        }
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    if !status.success() {
        bail!("{}: {status}", reader.title);
    }
    Ok((start.elapsed(), memory))
}

pub(crate) fn write_out(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("cannot print")
}
