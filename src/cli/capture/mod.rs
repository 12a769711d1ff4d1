mod print;
mod select;
mod values;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use jiff::Timestamp;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use self::print::Printer;
use super::inventory::{Good, known_or_none};
use super::output::Output;
use super::{Exit, Global};
use crate::capture::{
    Capture as CaptureRun, CaptureError, CaptureOutcome, CaptureReader, CaptureWriter, Destination,
    FrameSource, Limits, LiveCapture, LiveOptions, STANDARD_HTTP_PORTS, Selection,
};
use crate::cli::error::{CommandError, CommandResult};
use crate::conversation::{FindingKind, Observer, Options};
use crate::inventory::Inventory;
use crate::machine::MacAddress;
use crate::shutdown::Shutdown;
use crate::wire::dhcp::TransactionId;

/// Explain how machines boot, from live packets or a capture file
#[derive(Debug, Args)]
#[command(after_help = "\
Follows each machine over DHCP, proxyDHCP, TFTP and HTTP, and shows which server
answered, which offer the machine accepted, and why. pxectl-capture(7) lists the
findings and their rules. The inventory, if there is one, names the machines.

A live capture includes all UDP, HTTP, unreachable ports and fragments, with up
to two VLAN tags. It prints events as they happen and ends with a report on ^C,
--duration or --count. Files are pcap or pcapng, uncompressed or compressed with
gzip or zstd. To read several files as one, use mergecap.

Examples:
  pxectl capture -I eth1
  pxectl capture -I eth1 --host worker-01 --write worker-01.pcapng
  pxectl capture --read rack.pcapng.gz --summary
  mergecap -w - a.pcapng b.pcapng | pxectl capture --read -
  pxectl capture -I eth1 --duration 2m --fail-on rogue,no-answer
  ssh switch tcpdump -w - | pxectl capture --read - --format json

Exit status: 0 without a finding of --fail-on, 1 with one, or if the file is not
a capture.")]
pub struct Capture {
    /// Interface to capture on [default: the only interface of the inventory]
    #[arg(short = 'I', long, value_name = "INTERFACE", conflicts_with = "read")]
    interface: Option<String>,

    /// Capture file to read; `-` for standard input
    #[arg(short, long, value_name = "FILE")]
    read: Option<PathBuf>,

    /// Write the packets to a pcapng file, with comments; `-` for standard output
    #[arg(short, long, value_name = "FILE")]
    write: Option<PathBuf>,

    /// Replace the file of --write if it exists
    #[arg(long, requires = "write")]
    force: bool,

    /// Keep boot tokens and capabilities in the file of --write; they are valid credentials
    #[arg(long, requires = "write")]
    keep_secrets: bool,

    /// Capture frames for other machines, too
    #[arg(long, conflicts_with = "read")]
    promiscuous: bool,

    /// HTTP port, in addition to 80, 443, 8080 and the site's; at most 60 in all
    #[arg(long, value_name = "PORT", conflicts_with = "read")]
    http_port: Vec<u16>,

    /// Show only this host of the inventory, with all its interfaces
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,

    /// Show only the machine with this Ethernet address
    #[arg(long, value_name = "MAC")]
    mac: Vec<MacAddress>,

    /// Show only this DHCP transaction, in hexadecimal, and no other protocol
    #[arg(long, value_name = "XID", value_parser = values::transaction)]
    xid: Vec<TransactionId>,

    /// Ignore packets before this time, such as 2026-05-01T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    since: Option<Timestamp>,

    /// Ignore packets after this time
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    until: Option<Timestamp>,

    /// Time limit of the capture, such as 90s or 5m
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    duration: Option<Duration>,

    /// Number of packets after which the capture ends
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// DHCP server that belongs here, as well as the inventory's; others are rogues
    #[arg(long, value_name = "ADDRESS")]
    server: Vec<Ipv4Addr>,

    /// Print only a table with one row for each machine
    #[arg(long)]
    summary: bool,

    /// Exit with status 1 on one of these findings, see pxectl-capture(7)
    #[arg(long, value_name = "FINDING", value_delimiter = ',')]
    fail_on: Vec<FindingKind>,
}

impl Capture {
    pub fn run(&self, global: &Global, output: &Output) -> CommandResult {
        let good = known_or_none(global, output)?;
        let inventory = good.as_ref().map(|Good { inventory, .. }| inventory);
        let Some(selection) = self.selection(inventory, output) else {
            return Ok(Exit::No);
        };
        let shutdown = Shutdown::new()?;
        listen_for_signals(shutdown.clone())?;
        let outcome = self.capture(inventory, selection, &shutdown, output)?;
        self.exit(outcome, output)
    }

    fn capture(
        &self,
        inventory: Option<&Inventory>,
        selection: Selection,
        shutdown: &Shutdown,
        output: &Output,
    ) -> Result<CaptureOutcome, CaptureError> {
        let live = LiveOptions {
            promiscuous: self.promiscuous,
            http_ports: self.http_ports(inventory),
        };
        let mut watched = None;
        let (mut source, filter): (Box<dyn FrameSource>, _) = match &self.read {
            Some(path) => (Box::new(CaptureReader::open(path, shutdown.clone())?), None),
            None => {
                let name = self.interface(inventory)?;
                let source = LiveCapture::open(&name, &live, shutdown.clone())?;
                watched = Some(name);
                (Box::new(source), Some(LiveCapture::filter(&live)))
            }
        };
        let writer = self.destination().map(|destination| {
            let read = self.read.as_deref().filter(|path| *path != Path::new("-"));
            CaptureWriter::create(&destination, read, filter, self.keep_secrets)
        });
        let writer = writer.transpose()?;
        let options = Options {
            servers: self.server.clone(),
            comment_blocks: writer.is_some(),
            ..Options::default()
        };
        let limits = Limits {
            count: self.count,
            duration: self.duration,
        };
        let is_live = self.read.is_none();
        let observer = Observer::new(inventory, options);
        let printer = self.printer(output);
        let mut on_line = |line| {
            if !printer.line(&line) {
                // The reader of the output is gone.
                shutdown.request();
            }
        };
        if let Some(name) = watched {
            output.note(&format!("capturing on `{name}`; press ^C to end"));
        }
        let capture = CaptureRun::new(observer, selection, limits, writer, is_live, &mut on_line);
        Ok(capture.run(source.as_mut()))
    }

    fn printer<'a>(&self, output: &'a Output) -> Printer<'a> {
        Printer {
            output,
            is_live: self.read.is_none(),
            is_summary: self.summary,
            is_aside: self.destination() == Some(Destination::Stdout),
            began: Cell::default(),
        }
    }

    fn exit(&self, ended: CaptureOutcome, output: &Output) -> CommandResult {
        let source = match &self.read {
            Some(path) => format!("`{}`", path.display()),
            None => "the capture".to_owned(),
        };
        self.printer(output).end(&ended, &source);
        if let Some(error) = ended.error {
            return Err(error.into());
        }
        let mut found = ended.report.findings.iter();
        match found.find(|it| self.fail_on.contains(&it.name)) {
            Some(finding) => {
                let machine = finding.machine.as_deref().unwrap_or("the segment");
                let text = format!("finding `{}`: {machine}: {}", finding.name, finding.seen);
                Err(CommandError::no(text).hint(finding.name.fix()))
            }
            None => Ok(Exit::Done),
        }
    }

    fn destination(&self) -> Option<Destination> {
        let path = self.write.as_ref()?;
        Some(match path.to_str() {
            Some("-") => Destination::Stdout,
            _ => Destination::File {
                path: path.clone(),
                replace: self.force,
            },
        })
    }

    /// Returns the named interface, or the only interface of the site.
    fn interface(&self, inventory: Option<&Inventory>) -> Result<String, CaptureError> {
        if let Some(name) = &self.interface {
            return Ok(name.clone());
        }
        let networks = inventory.map_or(&[][..], |it| &it.site.networks);
        let names: BTreeSet<&str> = networks
            .iter()
            .filter_map(|network| network.interface.as_deref())
            .collect();
        match Vec::from_iter(names)[..] {
            [name] => Ok(name.to_owned()),
            ref names => {
                let names = names.iter().map(|it| (*it).to_owned()).collect();
                Err(CaptureError::WhichInterface { names })
            }
        }
    }

    fn http_ports(&self, inventory: Option<&Inventory>) -> BTreeSet<u16> {
        let site = inventory.map(|it| it.site.server.http_port);
        let ports = STANDARD_HTTP_PORTS.into_iter().chain(site);
        ports.chain(self.http_port.iter().copied()).collect()
    }
}

/// On the first ^C or SIGTERM, ends with the report; on the second, at once.
fn listen_for_signals(shutdown: Shutdown) -> CommandResult<()> {
    let twice = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 3, Arc::clone(&twice))
            .context("cannot listen for signals")?;
    }
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("cannot listen for signals")?;
    std::thread::spawn(move || {
        for _ in signals.forever() {
            twice.store(true, Ordering::SeqCst);
            shutdown.request();
        }
    });
    Ok(())
}
