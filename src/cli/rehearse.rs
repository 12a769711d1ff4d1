use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::inventory::{Good, bundles, load};
use super::output::Output;
use super::select::Select;
use super::temporary::TemporaryState;
use super::{Exit, Global};
use crate::inventory::{Host, Inventory};
use crate::machine::Architecture;
use crate::provision::{NotArmed, provision};
use crate::rehearse::{Endpoints, Reach, Rehearsal, RehearsalServers, rehearse};
use crate::serve::live::Loaded;
use crate::serve::log::{Level, Log, LogFormat};
use crate::store::SqliteStore;

/// How many hosts are played at once.
const AT_ONCE: usize = 8;

/// Play the firmware of hosts through their whole boot chain, without hardware
#[derive(Debug, Args)]
#[command(after_help = "\
Without --server it starts the servers itself, on loopback and free ports, with a temporary store in
which every host is armed; nothing of it remains. Against a live server it stops before a session
starts, unless --commit says otherwise: then the host counts as installed.

Examples:
  pxectl rehearse -i rack-a --all
  pxectl rehearse -i rack-a worker-01 --format json
  pxectl rehearse -i rack-a worker-01 --server 127.0.0.1 --dhcp-port 6767 --tftp-port 6969

Exit status: 0 when every chain went to its end, 1 when one stopped.")]
pub struct Rehearse {
    #[command(flatten)]
    select: Select,

    /// The firmware to play: bios, uefi-x64, http-x64, … [default: each host's `arch`]
    #[arg(long, value_name = "ARCH", value_parser = parse_architecture)]
    firmware: Option<Architecture>,

    /// A live server, in place of one for this rehearsal
    #[arg(long, value_name = "ADDRESS")]
    server: Option<IpAddr>,

    /// Go on to the end against a live server: fetch kernel and seeds, and report `installed`
    #[arg(long, requires = "server")]
    commit: bool,

    /// DHCP port of the live server; on 67 it would answer the machine, not us
    #[arg(long, value_name = "PORT", default_value_t = 6767)]
    dhcp_port: u16,

    /// TFTP port of the live server
    #[arg(long, value_name = "PORT", default_value_t = 69)]
    tftp_port: u16,

    /// HTTP port of the live server [default: `server.http_port` of the site]
    #[arg(long, value_name = "PORT")]
    http_port: Option<u16>,
}

fn parse_architecture(text: &str) -> Result<Architecture, String> {
    let known = || {
        Architecture::all()
            .map(Architecture::name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    text.parse()
        .map_err(|error| format!("{error}; known are {}", known()))
}

impl Rehearse {
    pub fn run(&self, global: &Global, output: &Output) -> anyhow::Result<Exit> {
        let good = match load(global, output) {
            Ok(good) => good,
            Err(exit) => return Ok(exit),
        };
        let hosts = match self.select.find(&good.inventory, output) {
            Ok(hosts) => hosts,
            Err(exit) => return Ok(exit),
        };
        let start = Instant::now();
        let rehearsals = match self.server {
            Some(address) => {
                let endpoints = self.live_endpoints(&good.inventory, address);
                let reach = if self.commit {
                    Reach::Whole
                } else {
                    Reach::Script
                };
                play(
                    &good.inventory,
                    &hosts,
                    &endpoints,
                    (reach, self.firmware),
                    output,
                )
            }
            None => alone(global, &good, &hosts, self.firmware, output)?,
        };
        let stopped = rehearsals
            .iter()
            .filter(|rehearsal| rehearsal.stop.is_some())
            .count();
        if output.is_json() {
            output.json(&json!({ "rehearsals": rehearsals, "stopped": stopped }));
        } else {
            for rehearsal in &rehearsals {
                output.result(&text(rehearsal));
            }
            let (all, took) = (rehearsals.len(), start.elapsed().as_secs_f64());
            let how_far = match self.server {
                Some(_) if !self.commit => "went as far as their script",
                _ => "went to the end of their chain",
            };
            let whole = all - stopped;
            output.result(&format!(
                "{whole} of {all} hosts {how_far}, in {took:.2} s\n"
            ));
        }
        Ok(if stopped == 0 { Exit::Done } else { Exit::No })
    }

    fn live_endpoints(&self, inventory: &Inventory, address: IpAddr) -> Endpoints {
        let server = &inventory.site.server;
        let dhcp: BTreeMap<String, SocketAddr> = inventory
            .site
            .networks
            .iter()
            .map(|network| {
                (
                    network.name.clone(),
                    SocketAddr::new(address, self.dhcp_port),
                )
            })
            .collect();
        Endpoints {
            dhcp,
            tftp: SocketAddr::new(address, self.tftp_port),
            http: (
                server.base_url.clone(),
                SocketAddr::new(address, self.http_port.unwrap_or(server.http_port)),
            ),
            server: server.address,
        }
    }
}

/// Arms every host in a temporary store, serves it on loopback, and plays them.
fn alone(
    global: &Global,
    good: &Good,
    hosts: &[&Host],
    firmware: Option<Architecture>,
    output: &Output,
) -> anyhow::Result<Vec<Rehearsal>> {
    let state = TemporaryState::new()?;
    let store = Arc::new(SqliteStore::open(state.path()).context("cannot make a temporary store")?);
    let bundles = bundles(global, good)?;
    let deadline = good.inventory.site.provisioning.deadline;
    let outcomes = provision(
        &good.inventory,
        &bundles,
        store.as_ref(),
        hosts,
        deadline,
        &mut |_| {},
    )?;
    let said = Buffer::default();
    let log = Log::new(
        LogFormat::Text { color: false },
        Level::Warn,
        Box::new(said.clone()),
    );
    let checked = good.snapshot.check();
    let (inventory, templates) = checked
        .good
        .context("the inventory changed while it was read")?;
    let loaded = Loaded::new(
        &good.snapshot,
        inventory,
        templates,
        global.bundles.as_deref(),
    );
    let servers = RehearsalServers::start(loaded, store, state.path(), log)?;
    let mut rehearsals = play(
        &good.inventory,
        hosts,
        servers.endpoints(),
        (Reach::Whole, firmware),
        output,
    );
    drop(servers);
    let unarmed: HashMap<&str, &NotArmed> = outcomes
        .iter()
        .filter_map(|(name, outcome)| Some((*name, outcome.as_ref().err()?)))
        .collect();
    for rehearsal in &mut rehearsals {
        if let Some(why) = unarmed.get(rehearsal.host.as_str())
            && !rehearsal.was_not_armed(&why.to_string(), why.help())
        {
            let what = format!("`{}` could not be armed: {why}", rehearsal.host);
            output.warning(&what, why.help());
        }
    }
    if rehearsals.iter().any(|rehearsal| rehearsal.stop.is_some()) {
        let said = said
            .0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if !said.is_empty() {
            output.note("the servers said:");
            output.note(String::from_utf8_lossy(&said).trim_end());
        }
    }
    Ok(rehearsals)
}

/// Plays hosts, several at once, and returns what came of each in their order.
fn play(
    inventory: &Inventory,
    hosts: &[&Host],
    endpoints: &Endpoints,
    (reach, firmware): (Reach, Option<Architecture>),
    output: &Output,
) -> Vec<Rehearsal> {
    let bar = progress(hosts.len(), output);
    let next = AtomicUsize::new(0);
    let done: Mutex<BTreeMap<usize, Rehearsal>> = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(hosts.len()) {
            scope.spawn(|| {
                while let Some((index, host)) = {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    hosts.get(index).map(|host| (index, host))
                } {
                    let rehearsal = rehearse(inventory, host, endpoints, reach, firmware);
                    bar.inc(1);
                    done.lock()
                        .unwrap_or_else(|poisoned| poisoned.into_inner())
                        .insert(index, rehearsal);
                }
            });
        }
    });
    bar.finish_and_clear();
    done.into_inner()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
        .into_values()
        .collect()
}

fn progress(hosts: usize, output: &Output) -> ProgressBar {
    let target = if output.shows_progress() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(hosts as u64), target);
    if let Ok(style) = ProgressStyle::with_template("rehearsing {bar:40} {pos}/{len}") {
        bar.set_style(style);
    }
    bar
}

fn text(rehearsal: &Rehearsal) -> String {
    let mut text = format!("{}\n", rehearsal.host);
    for step in &rehearsal.steps {
        let took = format!("{:.1} ms", step.took.as_secs_f64() * 1e3);
        text.push_str(&format!("  {:<9} {took:>9}  {}\n", step.name, step.detail));
    }
    if let Some(stop) = &rehearsal.stop {
        text.push_str(&format!("  {:<9}   stopped  {}\n", stop.name, stop.reason));
        if !stop.help.is_empty() {
            text.push_str(&format!("  {:>20}  = help: {}\n", "", stop.help));
        }
    }
    text.push('\n');
    text
}

/// Keeps what the servers say, to be shown when a chain stops.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
