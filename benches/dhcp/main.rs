//! Measures `pxectl serve dhcp` beside its peers: two machines on one wire, and perfdhcp.
//!
//! `cargo bench --bench dhcp`, as root, asks each server in turn for 4-way exchanges at rising rates
//! until it falls behind, and prints a table. A peer that is not installed is left out. Client and
//! server share the processors, and the first row, a server that does nothing, says how much of the
//! time the client takes: nothing can be faster than that.
//!
//! Each server starts with a pool of 64,000 addresses and no lease, and is asked by 50,000 clients
//! behind a relay, as perfdhcp is one. `pxectl` syncs every lease to the disk before its ACK; the
//! peers do not, and only `pxectl` writes a line for each message.

#[path = "../shared/mod.rs"]
mod shared;

mod perfdhcp;
mod servers;
mod stateless;

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use pxectl::store::{LeaseStore, SqliteLeases};

use perfdhcp::{Perfdhcp, Run};
use servers::Server;
use shared::link::Link;
use shared::program::{Program, find};
use shared::usage;

/// The word that makes this program the stateless responder.
const RESPOND: &str = "respond";
/// How many exchanges a second are asked for, until a server falls behind.
const RATES: [u32; 6] = [500, 4_000, 8_000, 14_000, 20_000, 28_000];
/// A server that completes less than this share of what it was asked for is not asked for more.
const BEHIND: f64 = 0.6;
/// The rate at which losses are compared.
const COMPARED: u32 = 8_000;

fn main() -> anyhow::Result<()> {
    if std::env::args().nth(1).as_deref() == Some(RESPOND) {
        return stateless::respond();
    }
    let Some(perfdhcp) = find("perfdhcp") else {
        return write_out("left out: perfdhcp (kea-admin) is not installed\n");
    };
    if !rustix::process::geteuid().is_root() || find("ip").is_none() {
        return write_out("left out: it needs root and iproute2, for network namespaces\n");
    }
    let link = Link::new(1)?;
    let perfdhcp = Perfdhcp::new(&link, &perfdhcp);
    let mut measured = Vec::new();
    for server in Server::ALL {
        match server.program() {
            Some(program) => measured.push(measure(&link, &perfdhcp, server, &program)?),
            None => write_out(&format!("left out: {} is not installed\n", server.name()))?,
        }
    }
    write_out(&format!("\n{}\n", table(&measured)))
}

/// What a server did.
struct Measured {
    server: Server,
    /// The most exchanges that it completed in a second, and at which rate.
    best: Run,
    /// What it did at the rate at which losses are compared.
    compared: Option<Run>,
    /// The processor time of an exchange, where it completed most.
    each: Duration,
    /// The most memory that it held, in bytes.
    peak: u64,
    /// How many leases it had made durable in the end, where we can tell.
    leases: Option<usize>,
}

fn measure(
    link: &Link,
    perfdhcp: &Perfdhcp<'_>,
    server: Server,
    program: &Path,
) -> anyhow::Result<Measured> {
    let directory = tempfile::tempdir()?;
    let command = server.command(link, program, directory.path())?;
    let running = Program::start(command, 67, directory.path())?;
    let mut best: Option<(Run, Duration)> = None;
    let mut compared = None;
    for rate in RATES {
        let before = usage::processor_time(running.process())?;
        let run = perfdhcp.run(rate)?;
        let used = usage::processor_time(running.process())?.saturating_sub(before);
        write_out(&format!(
            "{:<30} asked {rate:>6}/s: {:>6.0}/s, {:>4.1} % lost, {:>4} µs CPU an exchange\n",
            server.name(),
            run.rate,
            100.0 * run.lost(),
            run.each(used).as_micros(),
        ))?;
        compared = compared.or((rate == COMPARED).then_some(run));
        if best.as_ref().is_none_or(|(best, _)| run.rate > best.rate) {
            best = Some((run, run.each(used)));
        }
        if rate >= COMPARED && run.rate < BEHIND * f64::from(rate) {
            break;
        }
    }
    let (best, each) = best.context("nothing was asked")?;
    let peak = usage::memory(running.process(), "VmHWM")?.context("it has ended")?;
    drop(running);
    let state = directory.path().join("state");
    let leases = match SqliteLeases::open_read_only(&state) {
        Ok(Some(leases)) => Some(leases.load()?.len()),
        _ => None,
    };
    ensure!(best.completed > 0, "{} answered nothing", server.name());
    Ok(Measured {
        server,
        best,
        compared,
        each,
        peak,
        leases,
    })
}

fn table(measured: &[Measured]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header([
        "server",
        "exchanges/s",
        "of the ceiling",
        "times Kea",
        "lost at 8,000/s",
        "CPU an exchange",
        "most memory",
        "leases on disk",
    ]);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let rate_of = |server| {
        let row = measured.iter().find(|row| row.server == server);
        row.map(|row| row.best.rate)
    };
    let (ceiling, kea) = (rate_of(Server::Stateless), rate_of(Server::Kea));
    for row in measured {
        table.add_row([
            row.server.name().to_owned(),
            format!("{:.0}", row.best.rate),
            ceiling.map_or_else(String::new, |it| {
                format!("{:.0} %", 100.0 * row.best.rate / it)
            }),
            kea.map_or_else(String::new, |it| format!("{:.1}", row.best.rate / it)),
            row.compared
                .map_or_else(String::new, |run| format!("{:.1} %", 100.0 * run.lost())),
            format!("{} µs", row.each.as_micros()),
            format!("{:.0} MiB", row.peak as f64 / f64::from(1 << 20)),
            row.leases.map_or_else(String::new, |it| it.to_string()),
        ]);
    }
    table
}

fn write_out(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("cannot print")
}
