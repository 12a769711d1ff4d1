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
use crate::cli::error::CommandResult;
use crate::inventory::{Host, Inventory};
use crate::provision::{Arming, NotArmed, provision};
use crate::rehearse::{DhcpEndpoint, Endpoints, Reach, Rehearsal, RehearsalServers, Rom, rehearse};
use crate::serve::active::LoadedInventory;
use crate::serve::log::{Level, Log, LogFormat};
use crate::store::SqliteStore;

/// How many hosts are played at once.
const AT_ONCE: usize = 8;

/// Play the firmware of hosts through their whole boot chain, without hardware
#[derive(Debug, Args)]
#[command(after_help = "\
Without --server it starts the servers itself, on loopback and free ports, with
a temporary store in which every host is armed; nothing of it remains. Against
a live server it stops before a session starts, unless --commit says otherwise:
then the host counts as installed.

What follows the firmware is decided by the loader that the inventory names:
iPXE, shim and GRUB, PXELINUX, or an image that asks for nothing more.
--firmware all plays each host with whatever its `arch` allows: PXE and UEFI
HTTP boot, or under a BIOS PXE and iPXE in the card's ROM (bios-ipxe).

Examples:
  pxectl rehearse -i rack-a --all
  pxectl rehearse -i rack-a --all --firmware all
  pxectl rehearse -i rack-a worker-01 --format json
  pxectl rehearse -i rack-a worker-01 --server 127.0.0.1 --dhcp-port 6767 \\
      --tftp-port 6969

Exit status: 0 when every chain went to its end, 1 when one stopped.")]
pub struct Rehearse {
    #[command(flatten)]
    select: Select,

    /// The firmware to play: bios, bios-ipxe, uefi-x64, http-x64, …, or all that a host may have, one
    /// after the other [default: each host's `arch`]
    #[arg(long, value_name = "ARCH", value_parser = parse_firmware)]
    firmware: Option<Played>,

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

/// Which firmware is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Played {
    /// One for every host.
    One(Rom),
    /// Whatever each host's record allows.
    All,
}

fn parse_firmware(text: &str) -> Result<Played, String> {
    match text {
        "all" => Ok(Played::All),
        text => text
            .parse()
            .map(Played::One)
            .map_err(|error: String| format!("{error}, all")),
    }
}

/// A host, and what it boots with, where that is not what its record says.
type Boot<'h> = (&'h Host, Option<Rom>);

/// Lists who boots with what, in rounds: in each of them a host boots once.
fn rounds<'h>(
    inventory: &Inventory,
    hosts: &[&'h Host],
    played: Option<Played>,
) -> Vec<Vec<Boot<'h>>> {
    if played != Some(Played::All) {
        let rom = match played {
            Some(Played::One(rom)) => Some(rom),
            _ => None,
        };
        return vec![hosts.iter().map(|host| (*host, rom)).collect()];
    }
    let mut rounds: Vec<Vec<Boot<'h>>> = Vec::new();
    for host in hosts {
        let mut roms = Rom::of_host(inventory, host);
        if roms.is_empty() {
            // It stops, and so says that there is no loader.
            roms.push(Rom::Firmware(host.arch));
        }
        for (index, rom) in roms.into_iter().enumerate() {
            if rounds.len() == index {
                rounds.push(Vec::new());
            }
            rounds[index].push((*host, Some(rom)));
        }
    }
    rounds
}

impl Rehearse {
    pub fn run(&self, global: &Global, output: &Output) -> CommandResult {
        let good = load(global, output)?;
        let hosts = self.select.find(&good.inventory)?;
        let start = Instant::now();
        let mut rehearsals = Vec::new();
        for boots in rounds(&good.inventory, &hosts, self.firmware) {
            rehearsals.extend(match self.server {
                Some(address) => {
                    let endpoints = self.live_endpoints(&good.inventory, address);
                    let reach = if self.commit {
                        Reach::Whole
                    } else {
                        Reach::Script
                    };
                    play(&good.inventory, &boots, &endpoints, reach, output)
                }
                None => alone(global, &good, &boots, output)?,
            });
        }
        let place = |it: &Rehearsal| hosts.iter().position(|host| host.name == it.host);
        rehearsals.sort_by_key(place);
        let stopped = rehearsals
            .iter()
            .filter(|rehearsal| rehearsal.stop.is_some())
            .count();
        if output.is_json() {
            output.json(&json!({ "rehearsals": rehearsals, "stopped": stopped }));
        } else {
            for rehearsal in &rehearsals {
                output.result(&text(rehearsal, self.firmware.is_some()));
            }
            let (all, took) = (rehearsals.len(), start.elapsed().as_secs_f64());
            let how_far = match self.server {
                Some(_) if !self.commit => "went as far as their script",
                _ => "went to the end of their chain",
            };
            let what = match self.firmware {
                Some(Played::All) => "boots",
                _ => "hosts",
            };
            let whole = all - stopped;
            output.result(&format!(
                "{whole} of {all} {what} {how_far}, in {took:.2} s\n"
            ));
        }
        Ok(if stopped == 0 { Exit::Done } else { Exit::No })
    }

    fn live_endpoints(&self, inventory: &Inventory, address: IpAddr) -> Endpoints {
        let server = &inventory.site.server;
        let endpoint = DhcpEndpoint {
            at: SocketAddr::new(address, self.dhcp_port),
            boot_server: None,
        };
        let networks = inventory.site.networks.iter();
        let dhcp = networks.map(|it| (it.name.clone(), endpoint)).collect();
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
    boots: &[Boot<'_>],
    output: &Output,
) -> CommandResult<Vec<Rehearsal>> {
    let hosts: Vec<&Host> = boots.iter().map(|(host, _)| *host).collect();
    let temporary = TemporaryState::new()?;
    let state = temporary.path().join("state");
    let store = Arc::new(
        SqliteStore::open_or_create(&state, &temporary.path().join("witness"))
            .and_then(SqliteStore::without_sync)
            .context("cannot make a temporary store")?,
    );
    let bundles = bundles(global, good)?;
    let how = Arming {
        deadline: good.inventory.site.provisioning.deadline,
        // `validate` warns of it; here nothing is installed.
        allow_retired: true,
    };
    let outcomes = provision(
        &good.inventory,
        &bundles,
        store.as_ref(),
        &hosts,
        how,
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
    let loaded = LoadedInventory::new(
        &good.snapshot,
        inventory,
        templates,
        global.bundles.as_deref(),
        &state,
    );
    let servers = RehearsalServers::start(loaded, store, &state, log)?;
    let mut rehearsals = play(
        &good.inventory,
        boots,
        servers.endpoints(),
        Reach::Whole,
        output,
    );
    drop(servers);
    let unarmed: HashMap<&str, &NotArmed> = outcomes
        .iter()
        .filter_map(|(name, outcome)| Some((*name, outcome.as_ref().err()?)))
        .collect();
    for rehearsal in &mut rehearsals {
        rehearsal.store_is_gone();
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
            output.note("log of the servers:");
            output.note(String::from_utf8_lossy(&said).trim_end());
        }
    }
    Ok(rehearsals)
}

/// Plays hosts, several at once, and returns what came of each in their order.
fn play(
    inventory: &Inventory,
    boots: &[Boot<'_>],
    endpoints: &Endpoints,
    reach: Reach,
    output: &Output,
) -> Vec<Rehearsal> {
    let bar = progress(boots.len(), output);
    let next = AtomicUsize::new(0);
    let done: Mutex<BTreeMap<usize, Rehearsal>> = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(boots.len()) {
            scope.spawn(|| {
                while let Some((index, (host, rom))) = {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    boots.get(index).map(|boot| (index, *boot))
                } {
                    let rehearsal = rehearse(inventory, host, endpoints, reach, rom);
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

fn text(rehearsal: &Rehearsal, with_firmware: bool) -> String {
    let mut text = if with_firmware {
        format!("{} as {}\n", rehearsal.host, rehearsal.firmware)
    } else {
        format!("{}\n", rehearsal.host)
    };
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
