//! Measures whole processes of `pxectl` over an inventory of 10,000 hosts.
//!
//! `cargo bench --bench inventory` prints one table for an inventory that uses the built-in
//! templates, and one for an inventory that overrides a template, so that `validate` renders every
//! host. The files are in memory: the table says what the program costs, not the disk. (For some
//! seconds after files were deleted, ext4 looks at each of their inodes again before it gives out a
//! new one, so that a second run of `render --out` can take ten times as long as the first.)

#[path = "../shared/mod.rs"]
mod shared;

mod process;
mod rack;

use std::path::Path;
use std::process::Command;

use anyhow::Context;
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use tempfile::TempDir;

use process::{Cost, Serving};

/// How often each command runs.
const RUNS: usize = 7;
/// Where Linux keeps files in memory.
const MEMORY: &str = "/dev/shm";

fn main() -> anyhow::Result<()> {
    for (title, template) in [
        ("built-in templates", None),
        ("a template overridden", Some(rack::TEMPLATE)),
    ] {
        let inventory = directory()?;
        rack::write(inventory.path(), template)?;
        let table = measure(inventory.path())?;
        write_out(&format!("\n{} hosts, {title}\n{table}\n", rack::HOSTS))?;
    }
    Ok(())
}

/// Runs every command, and returns a row for each.
fn measure(inventory: &Path) -> anyhow::Result<Table> {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header([
        "command",
        "target",
        "wall: median",
        "least",
        "most",
        "CPU: median",
        "most memory",
        "at that moment",
    ]);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut row = |name: &str, target: &str, costs: &[Cost]| {
        let walls = Spread::of(costs, |cost| cost.wall.as_secs_f64());
        let cpu = Spread::of(costs, |cost| cost.cpu.as_secs_f64());
        let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let peak = Spread::of(costs, |cost| mebibytes(cost.peak));
        let resident = Spread::of(costs, |cost| mebibytes(cost.resident.unwrap_or(0)));
        table.add_row([
            name.to_owned(),
            target.to_owned(),
            format!("{:.3} s", walls.median),
            format!("{:.3} s", walls.least),
            format!("{:.3} s", walls.most),
            format!("{:.2} s", cpu.median),
            format!("{:.0} MiB", peak.most),
            match resident.most {
                0.0 => String::new(),
                most => format!("{most:.0} MiB"),
            },
        ]);
    };

    let validate = repeat(|| process::run(pxectl(inventory).arg("validate")))?;
    row("validate", "< 1 s", &validate);
    let to_files = repeat(|| {
        let out = directory()?;
        process::run(
            pxectl(inventory)
                .args(["render", "--all", "--out"])
                .arg(out.path()),
        )
    })?;
    row("render --all --out DIR", "< 1 s", &to_files);
    let to_stdout = repeat(|| process::run(pxectl(inventory).args(["render", "--all"])))?;
    row("render --all > /dev/null", "< 1 s", &to_stdout);

    let (mut ready, mut asked) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let serving = Serving::start(pxectl(inventory).args(["serve", "all"]))?;
        ready.push(serving.ready()?);
        asked.push(serving.ask(&rack::boot_request())?);
        serving.end()?;
    }
    row("serve all, until ready", "< 1 s, < 100 MiB", &ready);
    row("serve all, one request", "< 100 MiB", &asked);
    Ok(table)
}

/// Makes a directory in memory, where the system has that.
fn directory() -> anyhow::Result<TempDir> {
    tempfile::tempdir_in(MEMORY)
        .or_else(|_| tempfile::tempdir())
        .context("cannot make a directory")
}

fn pxectl(inventory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pxectl"));
    command.arg("--inventory").arg(inventory);
    command
}

fn repeat(mut run: impl FnMut() -> anyhow::Result<Cost>) -> anyhow::Result<Vec<Cost>> {
    (0..RUNS).map(|_| run()).collect()
}

/// What several runs of one command have in common.
struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    fn of(costs: &[Cost], value: impl Fn(&Cost) -> f64) -> Self {
        let mut values: Vec<f64> = costs.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        Self {
            least: values[0],
            median: values[values.len() / 2],
            most: values[values.len() - 1],
        }
    }
}

fn write_out(text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("cannot print")
}
