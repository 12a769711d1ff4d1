//! GRUB, alone or behind shim: what it asks for, and what it makes of its configurations.

use std::collections::BTreeSet;
use std::io::{Cursor, Read};
use std::time::Instant;

use fatfs::{FileSystem, FsOptions};

use super::firmware::{LARGEST_KEPT, Started, described};
use super::install::Ended;
use super::{LOOK_AT_THE_SCRIPT, Player, Reach, Stopped, held, is_held, said, stop, waits};
use crate::clients::Origin;
use crate::clients::dhcp::{BootFile, ClientKind};
use crate::clients::grub::{Grub, GrubNetwork, GrubPrefix};
use crate::clients::grub_script::{GrubMachine, GrubStep, Interpreter, Lease, Purpose};
use crate::clients::shim::{Shim, ShimRelease};
use crate::inventory::{Installer, Loader};
use crate::rehearse::tftp::TftpClient;
use crate::rehearse::{Step, Stop};
use crate::wire::path::shown_path;

/// A configuration, and the variables that GRUB has set before it.
struct Configuration {
    name: String,
    text: String,
    variables: Vec<(&'static str, String)>,
}

impl Player<'_> {
    /// shim, where there is one, loads GRUB; GRUB finds its configuration and runs it.
    pub(super) fn run_grub(&mut self, started: &Started, reach: Reach) -> Result<Ended, Stop> {
        let over_http = self.rom.architecture().is_http();
        let configuration = match started.volume() {
            Some(volume) => self.step("volume", |player| player.in_volume(volume))?,
            None => {
                if has_shim(&started.loader) {
                    self.run_shim(started, over_http)?;
                }
                self.step("grub", |player| {
                    player.find_configuration(started, over_http)
                })?
            }
        };
        self.tftp_client = TftpClient::GRUB;
        let machine = GrubMachine {
            uuid: self.host.uuid,
            serial: self.host.serial.clone(),
            asset: self.host.asset.clone(),
            disk_files: self.disk_files(),
            has_http: prefix(&started.loader) == GrubPrefix::Own,
        };
        let Configuration {
            name,
            text,
            variables,
        } = configuration;
        let interpreter = Interpreter::new(&name, &text, machine, variables);
        let interpreter = interpreter.map_err(|error| {
            let reason = format!("`{}`, {error}", shown_path(&name));
            stop("script", (reason, LOOK_AT_THE_SCRIPT.into()))
        })?;
        self.interpret_grub(interpreter, reach)
    }

    /// shim asks for what may lie beside it, and for GRUB.
    fn run_shim(&mut self, started: &Started, over_http: bool) -> Result<(), Stop> {
        let shim = Shim {
            architecture: self.rom.architecture(),
            release: ShimRelease::V16,
        };
        self.step("shim", |player| {
            let origin = match over_http {
                true => shim.after_http(&started.file.name),
                false => Some(shim.after_pxe(started.answers.for_shim())),
            };
            let origin = origin.ok_or_else(|| {
                let reason = format!("`{}` is no URL", started.file.name);
                (reason, String::new())
            })?;
            let wanted = shim.requests(&origin);
            let (file, fetched, asked) = player.asks_for(&wanted, TftpClient::SHIM)?;
            let shown = shown_path(&file.name);
            let signed = player.checked(&shown, &fetched.octets)?;
            let detail = described(&shown, &fetched);
            Ok(((), format!("asks for {asked} names; {detail}{signed}")))
        })
    }

    /// GRUB asks for its modules' lists and its configuration.
    fn find_configuration(
        &mut self,
        started: &Started,
        over_http: bool,
    ) -> Result<(Configuration, String), Stopped> {
        let nothing = |reason: &str| (reason.to_owned(), String::new());
        let architecture = self.rom.architecture();
        let (cpu, platform) = architecture
            .grub()
            .ok_or_else(|| nothing("there is no GRUB for this firmware"))?;
        let address = started.answers.acknowledgement.your_address;
        let network = match over_http {
            true => GrubNetwork::after_http(&started.file.name, address, self.mac()),
            false => GrubNetwork::after_pxe(&started.answers.octets),
        };
        let network = network.ok_or_else(|| nothing("GRUB finds no network of its own"))?;
        if let Origin::Tftp { server, .. } = &network.origin
            && server.is_unspecified()
        {
            let reason = "GRUB reads the answer of the server that gives the address alone, and that names no boot server";
            let help = "GRUB behind a proxy needs the other server to name ours (`next-server`) and the boot file; iPXE does not";
            return Err((reason.into(), help.into()));
        }
        let grub = Grub {
            platform: format!("{cpu}-{platform}"),
            prefix: prefix(&started.loader),
        };
        let wanted = grub.requests(&network);
        let (file, fetched, asked) = self.asks_for(&wanted, TftpClient::GRUB)?;
        let text = String::from_utf8_lossy(&fetched.octets).into_owned();
        let name = shown_path(&file.name);
        let lines = text.lines().count();
        let detail =
            format!("asks for {asked} names; {name}: {lines} lines: asks which machine it runs on");
        let (device, server, directory) = match &network.origin {
            Origin::Tftp { server, prefix } => {
                (format!("tftp,{server}"), server.to_string(), prefix.clone())
            }
            Origin::Http { prefix } => {
                let rest = prefix.split_once("://").map_or("", |(_, rest)| rest);
                let (server, path) = rest.split_once('/').unwrap_or((rest, ""));
                (
                    format!("http,{server}"),
                    server.to_owned(),
                    format!("/{path}"),
                )
            }
        };
        let directory = directory.trim_end_matches('/');
        let variables = vec![
            ("cmdpath", format!("({device}){directory}")),
            ("root", device),
            ("net_default_ip", network.address.to_string()),
            ("net_default_mac", network.mac.to_string()),
            ("net_default_server", server),
            ("grub_cpu", cpu.to_owned()),
            ("grub_platform", platform.to_owned()),
        ];
        let configuration = Configuration {
            name: file.url(),
            text,
            variables,
        };
        Ok((configuration, detail))
    }

    /// Firmware makes a disk of the volume, on which shim, GRUB and its configuration must lie.
    fn in_volume(&mut self, octets: &[u8]) -> Result<(Configuration, String), Stopped> {
        let broken = |reason: String| {
            let reason = format!("the volume cannot be booted: {reason}");
            (
                reason,
                "the log of `serve http` says how it was made".to_owned(),
            )
        };
        let architecture = self.rom.architecture();
        let letters = architecture.cpu().efi_letters();
        let system = FileSystem::new(Cursor::new(octets.to_vec()), FsOptions::new())
            .map_err(|error| broken(error.to_string()))?;
        let read = |path: &str| {
            let mut content = Vec::new();
            let opened = system.root_dir().open_file(path);
            let read = opened.and_then(|mut file| file.read_to_end(&mut content));
            read.map_err(|error| broken(format!("`{path}`: {error}")))?;
            match content.is_empty() {
                true => Err(broken(format!("`{path}` is empty"))),
                false => Ok(content),
            }
        };
        let mut parts = Vec::new();
        for path in [
            format!("EFI/BOOT/BOOT{}.EFI", letters.to_uppercase()),
            format!("EFI/BOOT/grub{letters}.efi"),
        ] {
            let content = read(&path)?;
            let signed = self.checked(&path, &content)?;
            parts.push(format!("{path} ({} octets{signed})", content.len()));
        }
        let path = "grub/grub.cfg";
        let text = String::from_utf8_lossy(&read(path)?).into_owned();
        parts.push(format!("{path} ({} lines)", text.lines().count()));
        let (cpu, platform) = architecture.grub().unwrap_or_default();
        let variables = vec![
            ("cmdpath", "(hd0)/EFI/BOOT".to_owned()),
            ("root", "hd0".to_owned()),
            ("grub_cpu", cpu.to_owned()),
            ("grub_platform", platform.to_owned()),
        ];
        let configuration = Configuration {
            name: format!("(hd0)/{path}"),
            text,
            variables,
        };
        Ok((configuration, format!("holds {}", parts.join(", "))))
    }

    fn interpret_grub(&mut self, mut grub: Interpreter, reach: Reach) -> Result<Ended, Stop> {
        let mut screen: Vec<String> = Vec::new();
        let start = Instant::now();
        loop {
            let shown = match grub.next() {
                GrubStep::Print(line) => Some(line),
                GrubStep::Wait(_) | GrubStep::Reboot if is_held(&screen) => {
                    return Ok(Ended::Hold(held(&screen)));
                }
                GrubStep::Wait(_) => None,
                GrubStep::Choose { timeout, chosen } => {
                    self.note("menu", waits(timeout, &chosen));
                    None
                }
                GrubStep::Dhcp => {
                    let lease = self.step("dhcp", Self::net_bootp)?;
                    grub.supply_lease(Ok(lease))
                }
                GrubStep::Fetch { file, purpose } => match purpose {
                    Purpose::Kernel if reach == Reach::Script => {
                        return Ok(Ended::Boot {
                            kernel: file,
                            arguments: String::new(),
                            initrds: Vec::new(),
                        });
                    }
                    // What it is made of is checked once the script has named everything.
                    Purpose::Kernel | Purpose::Initrd => grub.supply(Ok(b"MZ")),
                    _ => self.answer_grub(&mut grub, &file, purpose),
                },
                GrubStep::Boot {
                    kernel,
                    arguments,
                    initrds,
                } => {
                    return Ok(Ended::Boot {
                        kernel,
                        arguments,
                        initrds,
                    });
                }
                GrubStep::LocalDisk { how } => {
                    self.steps.push(Step {
                        name: "disk",
                        took: start.elapsed(),
                        detail: how,
                    });
                    return Ok(Ended::LocalDisk);
                }
                GrubStep::Failed {
                    script,
                    line,
                    command,
                    reason,
                } => {
                    let shown = shown_path(&script);
                    let reason = format!("`{shown}`, line {line}, `{command}`: {reason}");
                    return Err(stop("script", (reason, LOOK_AT_THE_SCRIPT.into())));
                }
                other => {
                    let screen = screen.join(" / ");
                    let reason = format!("GRUB ended with {other:?}; its screen: {screen}");
                    return Err(stop("script", (reason, LOOK_AT_THE_SCRIPT.into())));
                }
            };
            let shown = shown.map(|line| line.trim().to_owned());
            screen.extend(shown.filter(|line| !line.is_empty()));
        }
    }

    /// Fetches what a script asks for, and hands it over; what is missing is the script's affair.
    ///
    /// Returns what the screen shows of it.
    fn answer_grub(
        &mut self,
        grub: &mut Interpreter,
        file: &BootFile,
        purpose: Purpose,
    ) -> Option<String> {
        let start = Instant::now();
        match self.fetch(file, TftpClient::GRUB, LARGEST_KEPT) {
            Ok(fetched) => {
                if matches!(purpose, Purpose::Configuration | Purpose::Source) {
                    let text = String::from_utf8_lossy(&fetched.octets);
                    let said = said(&text, "echo 'pxectl: ");
                    let said = said.map_or("another configuration", |it| it.trim_end_matches('\''));
                    self.steps.push(Step {
                        name: "script",
                        took: start.elapsed(),
                        detail: said.to_owned(),
                    });
                }
                grub.supply(Ok(&fetched.octets))
            }
            Err(error) => {
                let shown = shown_path(&file.name);
                let text = format!("`{shown}`: {error}");
                self.steps.push(Step {
                    name: "missing",
                    took: start.elapsed(),
                    detail: text.clone(),
                });
                grub.supply(Err(text))
            }
        }
    }

    /// GRUB in a volume asks for an address of its own.
    fn net_bootp(&mut self) -> Result<(Lease, String), Stopped> {
        let kind = ClientKind::Grub(self.rom.architecture());
        let answers = self.exchange(&self.client(kind), 3)?;
        let ack = answers.acknowledgement;
        let lease = Lease {
            address: ack.your_address,
            mac: self.mac(),
            next_server: ack.server_address,
            boot_file: String::from_utf8_lossy(&ack.boot_file).into_owned(),
        };
        let address = lease.address;
        let detail = format!("GRUB: {address}, as a client that says nothing of its firmware");
        Ok((lease, detail))
    }

    /// Lists the loaders that an installed system leaves on its disk.
    fn disk_files(&self) -> BTreeSet<String> {
        let letters = self.rom.architecture().cpu().efi_letters();
        let profile = self.inventory.profile_of(self.host);
        let vendor = profile.map(|profile| match profile.installer {
            Installer::Autoinstall => "ubuntu",
            Installer::Preseed => "debian",
        });
        let own = vendor.map(|vendor| format!("/EFI/{vendor}/shim{letters}.efi"));
        let fallback = format!("/EFI/BOOT/BOOT{}.EFI", letters.to_uppercase());
        own.into_iter().chain([fallback]).collect()
    }
}

/// Reports whether what firmware starts is shim: it has a second stage, or its name says so.
fn has_shim(loader: &Loader) -> bool {
    let name = loader.first.rsplit('/').next().unwrap_or_default();
    let by_name = ["shim", "bootnet"].iter().any(|it| name.starts_with(it));
    loader.second.is_some() || by_name
}

/// Returns where a GRUB looks for its files: those that come behind shim, and those that are signed,
/// have Debian's prefix built in.
fn prefix(loader: &Loader) -> GrubPrefix {
    let name = loader.first.rsplit('/').next().unwrap_or_default();
    match has_shim(loader) || name.starts_with("grubnet") || name.ends_with(".signed") {
        true => GrubPrefix::DebianSigned,
        false => GrubPrefix::Own,
    }
}
