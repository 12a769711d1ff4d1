use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Subcommand};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::inventory::{Good, load_settled, state};
use super::output::Output;
use super::witness::WitnessOption;
use super::{Exit, Global};
use crate::cli::error::CommandResult;
use crate::respond::dhcp::SERVER_PORT;
use crate::serve::active::{ActiveInventory, LoadedInventory};
use crate::serve::log::{Level, Log};
use crate::serve::preflight::preflight;
use crate::serve::reload::{ReloadTrigger, Reloader};
use crate::serve::run::Shared;
use crate::serve::service::{Addresses, Service, any};
use crate::serve::sweep::{log_settled, sweep};
use crate::shutdown::Shutdown;
use crate::store::{RunningServer, SqliteStore, Store};
use crate::workspace::bundle_directory;
use crate::workspace::files::{Surroundings, refused_roots};

/// How long the last lines of the log may take to be written.
const LOG_TIME: Duration = Duration::from_secs(2);

/// Answer the machines of the site, in the foreground
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
#[command(after_help = "\
A changed inventory becomes active at once, or on SIGHUP. An invalid one is
refused with its errors, and so is one that changes `server.address` or
`server.http_port`, which need a restart; the last valid inventory stays
active. ^C and SIGTERM end cleanly.

Examples:
  pxectl serve all -i rack-a
  pxectl serve dhcp -i rack-a            one pane a server, over the same store
  pxectl serve http -i rack-a --log-format json
  pxectl serve all --dhcp-port 6767 --tftp-port 6969   without privileges")]
pub struct Serve {
    #[command(subcommand)]
    command: Command,

    /// Port of DHCP; on any but 67, replies go back to their sender
    #[arg(long, global = true, value_name = "PORT", default_value_t = SERVER_PORT)]
    dhcp_port: u16,

    /// Port of TFTP
    #[arg(long, global = true, value_name = "PORT", default_value_t = 69)]
    tftp_port: u16,

    /// Port of HTTP; the URLs that machines are given stay those of the site [default:
    /// `server.http_port` of the site]
    #[arg(long, global = true, value_name = "PORT")]
    http_port: Option<u16>,

    /// Address to listen on for TFTP and HTTP [default: all]
    #[arg(long, global = true, value_name = "ADDRESS")]
    listen: Option<Ipv4Addr>,

    #[command(flatten)]
    witness: WitnessOption,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Command {
    /// Give out addresses and boot files
    Dhcp,
    /// Serve loaders, their configurations, and kernels to loaders that know no HTTP
    Tftp,
    /// Serve scripts, sessions and bundles
    Http,
    /// All three, in one process
    All,
}

impl Command {
    fn services(self) -> &'static [Service] {
        match self {
            Self::Dhcp => &[Service::Dhcp],
            Self::Tftp => &[Service::Tftp],
            Self::Http => &[Service::Http],
            Self::All => &[Service::Dhcp, Service::Tftp, Service::Http],
        }
    }
}

impl Serve {
    pub fn run(&self, global: &Global, output: &Output) -> CommandResult {
        let good = load_settled(global, output)?;
        let log = output.log();
        let ended = self.run_with(global, output, good, &log);
        log.flush(LOG_TIME);
        ended
    }

    fn run_with(&self, global: &Global, output: &Output, good: Good, log: &Log) -> CommandResult {
        let services = self.command.services();
        let listen = self.listen.unwrap_or(Ipv4Addr::UNSPECIFIED);
        let site = &good.inventory.site;
        let addresses = Addresses {
            dhcp: any(self.dhcp_port),
            tftp: SocketAddrV4::new(listen, self.tftp_port),
            http: SocketAddrV4::new(listen, self.http_port.unwrap_or(site.server.http_port)),
        };
        let mut fatal = false;
        let directory = good.snapshot.directory();
        let bundles = bundle_directory(directory, &good.inventory, global.bundles.as_deref());
        let state_directory = state(global, &good.inventory)?;
        let stores = (bundles.as_deref(), Some(state_directory.as_path()));
        let surroundings = Surroundings::new(directory, &good.inventory, stores.0, stores.1);
        let refused = refused_roots(&good.inventory, directory, &surroundings);
        for obstacle in preflight(site, services, addresses, directory, stores.0, &refused) {
            fatal |= obstacle.fatal;
            if obstacle.fatal {
                output.error(&obstacle.what, &obstacle.help);
            } else {
                output.warning(&obstacle.what, &obstacle.help);
            }
        }
        let directory = state_directory;
        let running = RunningServer::list(&directory).unwrap_or_default();
        for service in services {
            // The leases have one writer; two would promise an address twice.
            if let Some(other) = running
                .iter()
                .find(|server| *service == Service::Dhcp && server.role == service.name())
            {
                let what = format!(
                    "process {} serves dhcp from the same store `{}`",
                    other.pid,
                    directory.display()
                );
                output.error(&what, "stop it first, or give another `--state`");
                fatal = true;
            }
        }
        if fatal {
            return Ok(Exit::Failed);
        }
        let witness = self.witness.place()?;
        let store = Arc::new(SqliteStore::open_or_create(&directory, witness)?);
        let settled = store.settle()?;
        let registrations: Result<Vec<_>, _> = services
            .iter()
            .map(|service| store.register_server(&directory, service.name(), std::process::id()))
            .collect();
        let _registrations =
            registrations.context("cannot register this server in the state directory")?;
        log.event(Level::Info, "serve", "store", store.location());
        log_settled(log, &settled);
        self.serve(global, good, store, log.clone(), addresses, &directory)?;
        Ok(Exit::Done)
    }

    fn serve(
        &self,
        global: &Global,
        good: Good,
        store: Arc<SqliteStore>,
        log: Log,
        addresses: Addresses,
        directory: &std::path::Path,
    ) -> CommandResult<()> {
        let Good {
            snapshot,
            inventory,
            templates,
        } = good;
        // The directory that we stand in may be replaced by another of its name.
        let snapshot = snapshot
            .at_absolute_path()
            .context("cannot tell where the inventory lies")?;
        let bundles = global.bundles.as_deref().map(std::path::absolute);
        let bundles = bundles
            .transpose()
            .context("cannot tell where the bundle store lies")?;
        let bundles = bundles.as_deref();
        let active = ActiveInventory::new(LoadedInventory::new(
            &snapshot, inventory, templates, bundles, directory,
        ));
        let shared = Shared {
            active: active.clone(),
            store,
            log: log.clone(),
            shutdown: Shutdown::new()?,
        };
        let servers = shared.bind(self.command.services(), addresses, directory)?;
        let (reloader, trigger) = Reloader::new(snapshot.directory(), bundles, active, log.clone());
        drop(snapshot);
        // What changed between the reading and the watch raised no event.
        trigger.if_changed();
        listen_for_signals(shared.shutdown.clone(), trigger, log.clone())?;
        std::thread::scope(|scope| {
            scope.spawn(|| reloader.run(&shared.shutdown));
            scope.spawn(|| sweep(shared.store.as_ref(), &log, &shared.shutdown));
            let ended = servers.run(&shared);
            shared.shutdown.request();
            ended
        })?;
        log.event(Level::Info, "serve", "stopped", "ended cleanly");
        Ok(())
    }
}

/// The first ^C or SIGTERM ends cleanly, the second at once; SIGHUP reloads.
fn listen_for_signals(shutdown: Shutdown, reload: ReloadTrigger, log: Log) -> CommandResult<()> {
    let twice = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 3, Arc::clone(&twice))
            .context("cannot listen for signals")?;
    }
    let mut signals =
        Signals::new([SIGINT, SIGTERM, SIGHUP]).context("cannot listen for signals")?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            if signal == SIGHUP {
                reload.force();
                continue;
            }
            twice.store(true, Ordering::SeqCst);
            log.event(
                Level::Info,
                "serve",
                "stopping",
                "ending; once more ends at once",
            );
            shutdown.request();
        }
    });
    Ok(())
}
