//! One host's way through its boot: firmware, loader, installer, and the boot after that.

mod firmware;
mod grub;
mod install;
mod ipxe;
mod pxelinux;

use std::time::{Duration, Instant};

use super::dhcp::{self, Answers};
use super::fetched::{Fetched, NotFetched};
use super::http::Web;
use super::other::OtherServer;
use super::tftp::{self, TftpClient};
use super::{Endpoints, Reach, Rehearsal, Rom, Step, Stop};
use crate::clients::dhcp::{BootFile, Client, ClientKind};
use crate::inventory::{Bundle, Host, Inventory, LoaderKind};
use crate::machine::{MacAddress, Sha256Digest};

use install::Ended;

/// Why a step stopped: reason and what to look at next.
type Stopped = (String, String);

const LOOK_AT_THE_SCRIPT: &str = "look at the script: `pxectl render`";

/// Plays one host through its boot chain.
///
/// `rom` is what the machine boots with, in place of what the inventory says.
pub fn rehearse(
    inventory: &Inventory,
    host: &Host,
    endpoints: &Endpoints,
    reach: Reach,
    rom: Option<Rom>,
) -> Rehearsal {
    let rom = rom.unwrap_or(Rom::Firmware(host.arch));
    let mut player = Player {
        inventory,
        host,
        endpoints,
        steps: Vec::new(),
        web: None,
        rom,
        tftp_client: TftpClient::ROM,
    };
    let stop = player.play(reach).err();
    Rehearsal {
        host: host.name.clone(),
        firmware: rom.to_string(),
        steps: player.steps,
        stop,
    }
}

struct Player<'a> {
    inventory: &'a Inventory,
    host: &'a Host,
    endpoints: &'a Endpoints,
    steps: Vec<Step>,
    web: Option<Web>,
    rom: Rom,
    /// How the loader that runs now asks for files by TFTP.
    tftp_client: TftpClient,
}

impl Player<'_> {
    fn play(&mut self, reach: Reach) -> Result<(), Stop> {
        let (kind, ended) = self.boot(reach)?;
        match ended {
            Ended::Boot { .. } if reach == Reach::Script => {
                let detail = "would install; stopping before a session starts (`--commit` goes on)";
                self.note("stop", detail.to_owned());
                Ok(())
            }
            Ended::Boot {
                kernel,
                arguments,
                initrds,
            } => {
                self.install(&kernel, &arguments, &initrds)?;
                self.boot_again(kind)
            }
            Ended::Image => Ok(()),
            Ended::LocalDisk if reach == Reach::Script => Ok(()),
            Ended::LocalDisk => Err(Stop {
                name: "script",
                reason: "the machine was sent to its local disk".into(),
                help: format!("`pxectl host provision {}` arms it", self.host.name),
            }),
            Ended::Hold(screen) => Err(Stop {
                name: "script",
                reason: format!("the machine is held: {screen}"),
                help: where_it_stands(&self.host.name),
            }),
        }
    }

    /// Boots the machine once: its firmware, and then the loader that the inventory names for it.
    fn boot(&mut self, reach: Reach) -> Result<(LoaderKind, Ended), Stop> {
        if self.rom == Rom::Ipxe {
            return Ok((LoaderKind::Ipxe, self.run_ipxe(reach)?));
        }
        let started = self.load_loader()?;
        let kind = started.kind();
        let ended = match kind {
            LoaderKind::Ipxe => self.run_ipxe(reach)?,
            LoaderKind::Grub => self.run_grub(&started, reach)?,
            LoaderKind::Pxelinux => self.run_pxelinux(&started, reach)?,
            LoaderKind::Image => {
                let detail = "it holds all that it boots, and asks for nothing more".to_owned();
                self.note("image", detail);
                Ended::Image
            }
        };
        Ok((kind, ended))
    }

    /// Boots once more: an installed host must go to its local disk. iPXE's loader was seen before;
    /// the others get a token with theirs, and so must ask for it anew.
    fn boot_again(&mut self, kind: LoaderKind) -> Result<(), Stop> {
        let ended = match kind {
            LoaderKind::Ipxe => self.run_ipxe(Reach::Script)?,
            _ => self.boot(Reach::Script)?.1,
        };
        match ended {
            Ended::LocalDisk => Ok(()),
            _ => Err(stop(
                "disk",
                (
                    "the installed host does not boot its local disk".into(),
                    String::new(),
                ),
            )),
        }
    }

    fn exchange(&self, client: &Client, transaction: u32) -> Result<Answers, Stopped> {
        let nic = self
            .host
            .boot_nic()
            .ok_or(("the host has no boot NIC".to_owned(), String::new()))?;
        let server = self.endpoints.dhcp.get(&nic.network).ok_or_else(|| {
            (
                format!("no DHCP server is known for network `{}`", nic.network),
                String::new(),
            )
        })?;
        let other = OtherServer::of(&self.inventory.site, nic);
        dhcp::exchange(client, *server, other.as_ref(), transaction)
    }

    fn client(&self, kind: ClientKind) -> Client {
        Client {
            kind,
            mac: self.mac(),
            uuid: self.host.uuid,
        }
    }

    fn mac(&self) -> MacAddress {
        let nic = self.host.boot_nic();
        nic.map_or(MacAddress::new([0; 6]), |nic| nic.mac)
    }

    fn bundle(&self) -> Option<&Bundle> {
        self.inventory
            .profile_of(self.host)
            .and_then(|profile| self.inventory.bundle_of(profile))
    }

    /// Reports whether the host boots with Secure Boot on.
    fn is_secure(&self) -> bool {
        let profile = self.inventory.profile_of(self.host);
        profile.is_some_and(|profile| profile.secure_boot)
    }

    /// Fetches a file by URL, or by TFTP from the server that it names, and keeps its first `keep`
    /// octets.
    fn fetch(
        &mut self,
        file: &BootFile,
        client: TftpClient,
        keep: usize,
    ) -> Result<Fetched, NotFetched> {
        let url = file.url();
        let Some(rest) = url.strip_prefix("tftp://") else {
            let web = self.open_web();
            return web
                .map_err(|(reason, _)| NotFetched::Broken(reason))?
                .file(&url, keep);
        };
        let (server, path) = rest.split_once('/').unwrap_or((rest, ""));
        let site = self.endpoints.server;
        if server != site.to_string() {
            let reason = format!("the boot server is {server}, not the site's {site}");
            return Err(NotFetched::Broken(reason));
        }
        let name = match file.name.starts_with("tftp://") {
            true => path,
            false => &file.name,
        };
        tftp::fetch(self.endpoints.tftp, name, client, keep)
    }

    /// Returns the HTTP client, which is made when it is first needed.
    fn open_web(&mut self) -> Result<&Web, Stopped> {
        let (base, at) = &self.endpoints.http;
        let web = match self.web.take() {
            Some(web) => web,
            None => Web::new(base, *at).map_err(|error| (error, String::new()))?,
        };
        Ok(self.web.insert(web))
    }

    fn text(&mut self, url: &str) -> Result<String, Stopped> {
        let help = "the log of `serve http` says why".to_owned();
        self.open_web()?.text(url).map_err(|error| (error, help))
    }

    /// Does one step, and notes how long it took.
    fn step<T>(
        &mut self,
        name: &'static str,
        act: impl FnOnce(&mut Self) -> Result<(T, String), Stopped>,
    ) -> Result<T, Stop> {
        let start = Instant::now();
        let (value, detail) = act(self).map_err(|stopped| stop(name, stopped))?;
        self.steps.push(Step {
            name,
            took: start.elapsed(),
            detail,
        });
        Ok(value)
    }

    /// Notes what takes no time of ours.
    fn note(&mut self, name: &'static str, detail: String) {
        self.steps.push(Step {
            name,
            took: Duration::ZERO,
            detail,
        });
    }
}

/// Says what tells why a host is held.
pub(super) fn where_it_stands(host: &str) -> String {
    format!("`pxectl host show {host}` says where it stands")
}

fn stop(name: &'static str, (reason, help): Stopped) -> Stop {
    Stop { name, reason, help }
}

/// Says what becomes of a menu at which nobody chooses.
fn waits(timeout: Duration, chosen: &str) -> String {
    let seconds = timeout.as_secs();
    format!("a menu waits {seconds} s; nobody chooses, so it takes `{chosen}`")
}

/// Reports whether a screen is the one of a machine that is held.
fn is_held(screen: &[String]) -> bool {
    screen
        .iter()
        .any(|line| line.starts_with("pxectl: on hold"))
}

/// Returns why a machine is held, from its screen.
fn held(screen: &[String]) -> String {
    screen
        .iter()
        .find_map(|line| line.strip_prefix("reason: "))
        .unwrap_or("no reason was given")
        .to_owned()
}

/// Returns what a script says of itself, in the words that its screen shows.
fn said<'t>(text: &'t str, before: &str) -> Option<&'t str> {
    let mut lines = text.lines();
    lines.find_map(|line| line.trim_start().strip_prefix(before))
}

fn short(digest: &Sha256Digest) -> String {
    digest.to_string().chars().take(12).collect()
}
