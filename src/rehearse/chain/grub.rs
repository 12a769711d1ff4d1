//! GRUB, alone or behind shim: which files it requests, and how it runs its configuration.

use std::collections::BTreeSet;
use std::io::{Cursor, Read};
use std::time::Instant;

use fatfs::{FileSystem, FsOptions};

use super::firmware::{LARGEST_KEPT, StartedLoader, describe_download};
use super::outcome::BootOutcome;
use super::player::{
    Player, hold_reason, is_hold_screen, menu_timeout, script_error, shown_message,
};
use crate::clients::Origin;
use crate::clients::dhcp::{BootFile, ClientKind};
use crate::clients::grub::{Grub, GrubNetwork, GrubPrefix};
use crate::clients::grub_script::{GrubMachine, GrubStep, Interpreter, Lease, Purpose};
use crate::clients::shim::{Shim, ShimRelease};
use crate::inventory::Loader;
use crate::rehearse::report::{ChainFailure, Reach, StepError};
use crate::rehearse::tftp::TftpClient;
use crate::wire::path::shown_path;

/// A configuration of GRUB, and the variables that are set before it runs.
struct GrubConfiguration {
    name: String,
    text: String,
    variables: Vec<(&'static str, String)>,
}

impl Player<'_> {
    /// shim, if used, loads GRUB. GRUB finds its configuration and runs it.
    pub(super) fn run_grub(
        &mut self,
        started: &StartedLoader,
        reach: Reach,
    ) -> Result<BootOutcome, ChainFailure> {
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
        let GrubConfiguration {
            name,
            text,
            variables,
        } = configuration;
        let interpreter = Interpreter::new(&name, &text, machine, variables);
        let interpreter = interpreter
            .map_err(|error| script_error(format!("`{}`, {error}", shown_path(&name))))?;
        self.interpret_grub(interpreter, reach)
    }

    /// shim requests the optional files beside it, and GRUB.
    fn run_shim(&mut self, started: &StartedLoader, over_http: bool) -> Result<(), ChainFailure> {
        let shim = Shim {
            architecture: self.rom.architecture(),
            release: ShimRelease::V16,
        };
        self.step("shim", |player| {
            let origin = if over_http {
                shim.after_http(&started.file.name)
            } else {
                Some(shim.after_pxe(started.replies.for_shim()))
            };
            let origin = origin
                .ok_or_else(|| StepError::new(format!("`{}` is not a URL", started.file.name)))?;
            let requests = shim.requests(&origin);
            let (file, downloaded, count) = player.request_files(&requests, TftpClient::SHIM)?;
            let shown = shown_path(&file.name);
            let signature = player.check_signature(&shown, &downloaded.content)?;
            let detail = describe_download(&shown, &downloaded);
            Ok(((), format!("requests {count} files; {detail}{signature}")))
        })
    }

    /// GRUB requests its lists of modules and its configuration.
    fn find_configuration(
        &mut self,
        started: &StartedLoader,
        over_http: bool,
    ) -> Result<(GrubConfiguration, String), StepError> {
        let architecture = self.rom.architecture();
        let (cpu, platform) = architecture
            .grub()
            .ok_or_else(|| StepError::new("there is no GRUB for this firmware"))?;
        let address = started.replies.acknowledgement.your_address;
        let network = if over_http {
            GrubNetwork::after_http(&started.file.name, address, self.mac())
        } else {
            GrubNetwork::after_pxe(&started.replies.acknowledgement_bytes)
        };
        let network = network.ok_or_else(|| StepError::new("GRUB finds no network card"))?;
        if let Origin::Tftp { server, .. } = &network.origin
            && server.is_unspecified()
        {
            let reason = "GRUB reads only the ACK of the server that owns the addresses, and that ACK names no boot server";
            let help = "set `next-server` and the boot file in the other DHCP server, or use iPXE, which does not need them";
            return Err(StepError::new(reason).help(help));
        }
        let grub = Grub {
            platform: format!("{cpu}-{platform}"),
            prefix: prefix(&started.loader),
        };
        let requests = grub.requests(&network);
        let (file, downloaded, count) = self.request_files(&requests, TftpClient::GRUB)?;
        let text = String::from_utf8_lossy(&downloaded.content).into_owned();
        let name = shown_path(&file.name);
        let lines = text.lines().count();
        let detail = format!(
            "requests {count} files; {name}: {lines} lines: makes GRUB identify its machine"
        );
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
        let configuration = GrubConfiguration {
            name: file.url(),
            text,
            variables,
        };
        Ok((configuration, detail))
    }

    /// The firmware mounts the volume, which must contain shim, GRUB and its configuration.
    fn in_volume(&mut self, volume: &[u8]) -> Result<(GrubConfiguration, String), StepError> {
        let broken = |reason: String| {
            StepError::new(format!("cannot boot the volume: {reason}"))
                .help("the log of `serve http` has the reason")
        };
        let architecture = self.rom.architecture();
        let letters = architecture.cpu().efi_letters();
        let system = FileSystem::new(Cursor::new(volume.to_vec()), FsOptions::new())
            .map_err(|error| broken(error.to_string()))?;
        let read = |path: &str| {
            let mut content = Vec::new();
            let opened = system.root_dir().open_file(path);
            let read = opened.and_then(|mut file| file.read_to_end(&mut content));
            read.map_err(|error| broken(format!("`{path}`: {error}")))?;
            if content.is_empty() {
                return Err(broken(format!("`{path}` is empty")));
            }
            Ok(content)
        };
        let mut parts = Vec::new();
        for path in [
            format!("EFI/BOOT/BOOT{}.EFI", letters.to_uppercase()),
            format!("EFI/BOOT/grub{letters}.efi"),
        ] {
            let content = read(&path)?;
            let signature = self.check_signature(&path, &content)?;
            parts.push(format!("{path} ({} bytes{signature})", content.len()));
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
        let configuration = GrubConfiguration {
            name: format!("(hd0)/{path}"),
            text,
            variables,
        };
        Ok((configuration, format!("contains {}", parts.join(", "))))
    }

    fn interpret_grub(
        &mut self,
        mut grub: Interpreter,
        reach: Reach,
    ) -> Result<BootOutcome, ChainFailure> {
        let mut screen: Vec<String> = Vec::new();
        let start = Instant::now();
        loop {
            let shown = match grub.next() {
                GrubStep::Print(line) => Some(line),
                GrubStep::Wait(_) | GrubStep::Reboot if is_hold_screen(&screen) => {
                    return Ok(BootOutcome::Hold(hold_reason(&screen)));
                }
                GrubStep::Wait(_) => None,
                GrubStep::Choose { timeout, chosen } => {
                    self.note("menu", menu_timeout(timeout, &chosen));
                    None
                }
                GrubStep::Dhcp => {
                    let lease = self.step("dhcp", Self::net_bootp)?;
                    grub.supply_lease(Ok(lease))
                }
                GrubStep::Fetch { file, purpose } => match purpose {
                    Purpose::Kernel if reach == Reach::Script => {
                        return Ok(BootOutcome::Kernel {
                            kernel: file,
                            arguments: String::new(),
                            initrds: Vec::new(),
                        });
                    }
                    // The files are checked once the script has named all of them.
                    Purpose::Kernel | Purpose::Initrd => grub.supply(Ok(b"MZ")),
                    _ => self.answer_grub(&mut grub, &file, purpose),
                },
                GrubStep::Boot {
                    kernel,
                    arguments,
                    initrds,
                } => {
                    return Ok(BootOutcome::Kernel {
                        kernel,
                        arguments,
                        initrds,
                    });
                }
                GrubStep::LocalDisk { how } => {
                    self.record("disk", start, how);
                    return Ok(BootOutcome::LocalDisk);
                }
                GrubStep::Failed {
                    script,
                    line,
                    command,
                    reason,
                } => {
                    let shown = shown_path(&script);
                    let reason = format!("`{shown}`, line {line}, `{command}`: {reason}");
                    return Err(script_error(reason));
                }
                other => {
                    let screen = screen.join(" / ");
                    let reason = format!("GRUB ended with {other:?}; screen: {screen}");
                    return Err(script_error(reason));
                }
            };
            let shown = shown.map(|line| line.trim().to_owned());
            screen.extend(shown.filter(|line| !line.is_empty()));
        }
    }

    /// Downloads a file that a script requests, and hands it over. The script handles a missing file.
    ///
    /// Returns the line that the screen shows.
    fn answer_grub(
        &mut self,
        grub: &mut Interpreter,
        file: &BootFile,
        purpose: Purpose,
    ) -> Option<String> {
        let start = Instant::now();
        match self.fetch(file, TftpClient::GRUB, LARGEST_KEPT) {
            Ok(downloaded) => {
                if matches!(purpose, Purpose::Configuration | Purpose::Source) {
                    let text = String::from_utf8_lossy(&downloaded.content);
                    let message = shown_message(&text, "echo 'pxectl: ");
                    let detail =
                        message.map_or("another configuration", |it| it.trim_end_matches('\''));
                    self.record("script", start, detail.to_owned());
                }
                grub.supply(Ok(&downloaded.content))
            }
            Err(error) => {
                let text = format!("`{}`: {error}", shown_path(&file.name));
                self.record("missing", start, text.clone());
                grub.supply(Err(text))
            }
        }
    }

    /// GRUB in a volume gets its own address by DHCP.
    fn net_bootp(&mut self) -> Result<(Lease, String), StepError> {
        let kind = ClientKind::Grub(self.rom.architecture());
        let ack = self.exchange(&self.client(kind), 3)?.acknowledgement;
        let lease = Lease {
            address: ack.your_address,
            mac: self.mac(),
            next_server: ack.server_address,
            boot_file: String::from_utf8_lossy(&ack.boot_file).into_owned(),
        };
        let address = lease.address;
        let detail = format!("GRUB: {address}, as a client without a client architecture");
        Ok((lease, detail))
    }

    /// Lists the loaders on the disk of an installed system.
    fn disk_files(&self) -> BTreeSet<String> {
        let letters = self.rom.architecture().cpu().efi_letters();
        let profile = self.inventory.profile_of(self.host);
        let vendor = profile.map(|profile| profile.installer.efi_vendor());
        let own = vendor.map(|vendor| format!("/EFI/{vendor}/shim{letters}.efi"));
        let fallback = format!("/EFI/BOOT/BOOT{}.EFI", letters.to_uppercase());
        own.into_iter().chain([fallback]).collect()
    }
}

/// Reports whether the first stage is shim: it has a second stage, or the file name of shim.
fn has_shim(loader: &Loader) -> bool {
    let name = loader.first.rsplit('/').next().unwrap_or_default();
    let by_name = ["shim", "bootnet"].iter().any(|it| name.starts_with(it));
    loader.second.is_some() || by_name
}

/// Returns where a GRUB looks for its files. A GRUB behind shim and a signed GRUB have Debian's prefix
/// built in.
fn prefix(loader: &Loader) -> GrubPrefix {
    let name = loader.first.rsplit('/').next().unwrap_or_default();
    if has_shim(loader) || name.starts_with("grubnet") || name.ends_with(".signed") {
        GrubPrefix::DebianSigned
    } else {
        GrubPrefix::Own
    }
}
