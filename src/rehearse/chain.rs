use std::time::Instant;

use super::http::Web;
use super::{Endpoints, Reach, Rehearsal, Step, Stop, dhcp, tftp};
use crate::clients::dhcp::{Client, ClientKind};
use crate::clients::ipxe::{Interpreter, Purpose, Settings, Step as ScriptStep, Value};
use crate::inventory::{Bundle, Host, Installer, Inventory};
use crate::machine::{Architecture, Sha256Digest};
use crate::wire::dhcp::DhcpMessage;

/// Why a step stopped: reason and what to look at next.
type Stopped = (String, String);

/// Plays one host through its boot chain.
///
/// `firmware` is what the machine boots with, in place of what the inventory says.
pub fn rehearse(
    inventory: &Inventory,
    host: &Host,
    endpoints: &Endpoints,
    reach: Reach,
    firmware: Option<Architecture>,
) -> Rehearsal {
    let mut player = Player {
        inventory,
        host,
        endpoints,
        steps: Vec::new(),
        web: None,
        firmware: firmware.unwrap_or(host.arch),
    };
    let stop = player.play(reach).err();
    Rehearsal {
        host: host.name.clone(),
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
    firmware: Architecture,
}

/// How a script ended.
enum Ended {
    /// It started a kernel.
    Boot {
        kernel: String,
        arguments: String,
        initrds: Vec<String>,
    },
    /// It left for the local disk.
    LocalDisk,
    /// It held the machine; the screen.
    Hold(String),
}

impl Player<'_> {
    fn play(&mut self, reach: Reach) -> Result<(), Stop> {
        self.load_loader()?;
        let ended = self.run_script(reach)?;
        match ended {
            Ended::Boot {
                kernel,
                arguments,
                initrds,
            } => {
                if reach == Reach::Script {
                    let detail =
                        "would install; stopping before a session starts (`--commit` goes on)"
                            .to_owned();
                    self.steps.push(Step {
                        name: "stop",
                        took: std::time::Duration::ZERO,
                        detail,
                    });
                    return Ok(());
                }
                self.check_files(&kernel, &initrds)?;
                self.check_image(&arguments)?;
                let seeds = self.fetch_seeds(&arguments)?;
                self.call_back(&seeds)?;
                self.boot_again()
            }
            Ended::LocalDisk if reach == Reach::Script => Ok(()),
            Ended::LocalDisk => Err(Stop {
                name: "script",
                reason: "the machine was sent to its local disk".into(),
                help: format!("`pxectl host provision {}` arms it", self.host.name),
            }),
            Ended::Hold(screen) => Err(Stop {
                name: "script",
                reason: format!("the machine is held: {screen}"),
                help: format!("`pxectl host show {}` says where it stands", self.host.name),
            }),
        }
    }

    /// The firmware gets an address, and its loader.
    fn load_loader(&mut self) -> Result<(), Stop> {
        let kind = match self.firmware {
            Architecture::Bios => ClientKind::BiosPxe,
            architecture if architecture.is_http() => ClientKind::EdkHttp(architecture),
            architecture => ClientKind::EdkPxe(architecture),
        };
        let client = self.client(kind);
        let boot = self.step("dhcp", |player| {
            let (ack, reason) = player.exchange(&client, 1)?;
            let boot = client.boot_file(&ack).map_err(|error| {
                let help = format!("has `loaders:` of the site one for `{}`?", player.firmware);
                (format!("no boot file: {error}"), help)
            })?;
            let detail = format!("{}, boots {} ({reason})", ack.your_address, boot.url());
            Ok((boot, detail))
        })?;
        let help = "put the loader into a directory of `server.files`; on Debian, the package `ipxe` has it";
        let failed = |error: String| (format!("`{}`: {error}", boot.name), help.to_owned());
        if self.firmware.is_http() {
            return self.step("http", |player| {
                let (size, digest) = player.open_web()?.digest(&boot.name).map_err(failed)?;
                Ok((
                    (),
                    format!("{}: {size} octets, sha256 {}", boot.name, short(&digest)),
                ))
            });
        }
        self.step("tftp", |player| {
            if boot.server != player.endpoints.server {
                let site = player.endpoints.server;
                let reason = format!("the boot server is {}, not the site's {site}", boot.server);
                return Err((reason, "another DHCP server may have answered".into()));
            }
            let (size, digest) = tftp::fetch(player.endpoints.tftp, &boot.name).map_err(failed)?;
            Ok((
                (),
                format!("{}: {size} octets, sha256 {}", boot.name, short(&digest)),
            ))
        })
    }

    /// iPXE gets its script and runs it.
    fn run_script(&mut self, reach: Reach) -> Result<Ended, Stop> {
        let client = self.client(ClientKind::ipxe(self.firmware.without_http()));
        let (settings, url) = self.step("dhcp", |player| {
            let (ack, _) = player.exchange(&client, 2)?;
            let boot = client
                .boot_file(&ack)
                .map_err(|error| (format!("no script: {error}"), String::new()))?;
            let url = boot.url();
            let shown = url.split('?').next().unwrap_or_default().to_owned();
            let settings = player.settings(&client, &ack);
            Ok((
                (settings, url),
                format!("iPXE: {}, script {shown}", ack.your_address),
            ))
        })?;
        let script = self.step("script", |player| {
            let text = player.text(&url)?;
            Ok((
                text.clone(),
                format!(
                    "{} lines: asks iPXE which machine it runs on",
                    text.lines().count()
                ),
            ))
        })?;
        let mut interpreter =
            Interpreter::new(&url, script.as_bytes(), settings).map_err(|error| {
                stop(
                    "script",
                    (
                        error.to_string(),
                        "look at the script: `pxectl render`".into(),
                    ),
                )
            })?;
        self.interpret(&mut interpreter, reach)
    }

    fn interpret(&mut self, interpreter: &mut Interpreter, reach: Reach) -> Result<Ended, Stop> {
        let mut screen: Vec<String> = Vec::new();
        let mut kernel = None;
        let start = Instant::now();
        loop {
            match interpreter.next() {
                ScriptStep::Print(line) => {
                    if !line.trim().is_empty() {
                        screen.push(line.trim().to_owned());
                    }
                }
                ScriptStep::Wait(_)
                    if screen
                        .iter()
                        .any(|line| line.starts_with("pxectl: on hold")) =>
                {
                    return Ok(Ended::Hold(reason(&screen)));
                }
                ScriptStep::Wait(_) | ScriptStep::Prompt { .. } => {}
                ScriptStep::Choose { timeout, chosen } => {
                    let detail = format!(
                        "a menu waits {} s; nobody chooses, so it takes `{chosen}`",
                        timeout.as_secs()
                    );
                    self.steps.push(Step {
                        name: "menu",
                        took: start.elapsed(),
                        detail,
                    });
                }
                ScriptStep::Fetch {
                    url,
                    purpose: Purpose::Chain,
                } => {
                    let text = self.step("script", |player| {
                        let text = player.text(&url)?;
                        let said = text
                            .lines()
                            .find_map(|line| line.strip_prefix("echo pxectl: "));
                        Ok((text.clone(), said.unwrap_or("another script").to_owned()))
                    })?;
                    interpreter.supply(Ok(text.as_bytes()));
                }
                ScriptStep::Fetch { url, purpose } => {
                    if purpose == Purpose::Kernel {
                        kernel = Some(url.clone());
                    }
                    if reach == Reach::Script {
                        let (arguments, initrds) = (String::new(), Vec::new());
                        return Ok(Ended::Boot {
                            kernel: url,
                            arguments,
                            initrds,
                        });
                    }
                    // What it is made of is checked once the script has named everything.
                    interpreter.supply(Ok(b"\x7fELF"));
                }
                ScriptStep::Boot {
                    kernel_url,
                    arguments,
                    initrds,
                } => {
                    let initrds = initrds.into_iter().map(|initrd| initrd.url).collect();
                    return Ok(Ended::Boot {
                        kernel: kernel.unwrap_or(kernel_url),
                        arguments,
                        initrds,
                    });
                }
                ScriptStep::LocalDisk { how } => {
                    self.steps.push(Step {
                        name: "disk",
                        took: start.elapsed(),
                        detail: how,
                    });
                    return Ok(Ended::LocalDisk);
                }
                ScriptStep::Exit(status) => {
                    let detail = format!(
                        "iPXE exits with {status}; the firmware goes on with its next boot entry"
                    );
                    self.steps.push(Step {
                        name: "disk",
                        took: start.elapsed(),
                        detail,
                    });
                    return Ok(Ended::LocalDisk);
                }
                ScriptStep::Failed {
                    line,
                    command,
                    reason,
                    ..
                } => {
                    let reason = format!("line {line}, `{command}`: {reason}");
                    return Err(stop(
                        "script",
                        (reason, "look at the script: `pxectl render`".into()),
                    ));
                }
                other => {
                    let reason = format!(
                        "the script ended with {other:?}; its screen: {}",
                        screen.join(" / ")
                    );
                    return Err(stop(
                        "script",
                        (reason, "look at the script: `pxectl render`".into()),
                    ));
                }
            }
        }
    }

    /// Fetches kernel and initrds, and compares them with the bundle.
    fn check_files(&mut self, kernel: &str, initrds: &[String]) -> Result<(), Stop> {
        let urls = std::iter::once(kernel).chain(initrds.iter().map(String::as_str));
        for url in urls {
            let name = if url == kernel { "kernel" } else { "initrd" };
            self.step(name, |player| player.check_file(url))?;
        }
        Ok(())
    }

    fn check_file(&self, url: &str) -> Result<((), String), Stopped> {
        let help = || {
            "`pxectl host provision` verifies every file of the bundle, and names the one at fault"
                .to_owned()
        };
        let (size, digest) = self.web()?.digest(url).map_err(|error| (error, help()))?;
        let key = url.rsplit('/').next().unwrap_or_default();
        let file = self.bundle().and_then(|bundle| bundle.files.get(key));
        match file {
            Some(file) if file.sha256 == digest && file.size == size => Ok((
                (),
                format!(
                    "{}: {size} octets, sha256 {} as pinned",
                    file.path,
                    short(&digest)
                ),
            )),
            Some(file) => {
                let reason = format!(
                    "{} octets, sha256 {digest}; the bundle pins {} octets, {}",
                    size, file.size, file.sha256
                );
                Err((reason, help()))
            }
            None => Ok((
                (),
                format!(
                    "{size} octets, sha256 {} (not of the bundle)",
                    short(&digest)
                ),
            )),
        }
    }

    /// Fetches the image that the kernel's command line names, and compares it with the bundle.
    fn check_image(&mut self, arguments: &str) -> Result<(), Stop> {
        let image = |word: &&str| word.starts_with("url=") && word.ends_with("/files/iso");
        let url = arguments.split_whitespace().find(image);
        match url.and_then(|word| word.strip_prefix("url=")) {
            Some(url) => self.step("image", |player| player.check_file(url)),
            None => Ok(()),
        }
    }

    /// Fetches the seeds that the kernel's command line names; returns their texts.
    fn fetch_seeds(&mut self, arguments: &str) -> Result<String, Stop> {
        let installer = self
            .inventory
            .profile_of(self.host)
            .map(|profile| profile.installer);
        let words = || arguments.split_whitespace();
        let named: Vec<String> = match installer {
            Some(Installer::Autoinstall) => {
                let root = words().find_map(|word| word.strip_prefix("ds=nocloud-net;s="));
                let seeds = Installer::Autoinstall.seeds();
                root.map(|root| seeds.iter().map(|seed| format!("{root}{seed}")).collect())
                    .unwrap_or_default()
            }
            Some(Installer::Preseed) => words()
                .filter_map(|word| word.strip_prefix("url="))
                .map(str::to_owned)
                .collect(),
            None => Vec::new(),
        };
        if named.is_empty() {
            let reason = format!("the kernel's command line names no seed: {arguments}");
            return Err(stop(
                "seed",
                (
                    reason,
                    "a template of the script may have left it out".into(),
                ),
            ));
        }
        let mut all = String::new();
        for url in named {
            self.step("seed", |player| {
                let text = player.text(&url)?;
                let name = url.rsplit('/').next().unwrap_or_default().to_owned();
                all.push_str(&text);
                all.push('\n');
                Ok(((), format!("{name}: {} octets", text.len())))
            })?;
        }
        Ok(all)
    }

    /// Reports as the installer would, to the URLs that its seeds name.
    fn call_back(&mut self, seeds: &str) -> Result<(), Stop> {
        for kind in ["progress", "installed"] {
            let suffix = format!("/{kind}");
            let base = self.endpoints.http.0.clone();
            let found = seeds
                .split(|c: char| c.is_whitespace() || "\"'`;)".contains(c))
                .find(|word| word.starts_with(&base) && word.ends_with(&suffix))
                .map(str::to_owned);
            self.step("callback", |player| {
                let url = found.ok_or_else(|| {
                    let help = "without it the host stays `provisioning`: let its seed post to `session.callbacks`";
                    (format!("no seed names the callback `{kind}`"), help.to_owned())
                })?;
                let answer = player.web()?.post(&url, "rehearsal").map_err(|error| (error, String::new()))?;
                Ok(((), format!("{kind}: {}", answer.trim())))
            })?;
        }
        Ok(())
    }

    /// Boots once more: an installed host must go to its local disk.
    fn boot_again(&mut self) -> Result<(), Stop> {
        match self.run_script(Reach::Script)? {
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

    fn exchange(
        &self,
        client: &Client,
        transaction: u32,
    ) -> Result<(DhcpMessage, &'static str), Stopped> {
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
        dhcp::exchange(client, *server, transaction)
    }

    fn client(&self, kind: ClientKind) -> Client {
        let mac = self
            .host
            .boot_nic()
            .map_or(crate::machine::MacAddress::new([0; 6]), |nic| nic.mac);
        Client {
            kind,
            mac,
            uuid: self.host.uuid,
        }
    }

    fn settings(&self, client: &Client, ack: &DhcpMessage) -> Settings {
        let mut settings = client.settings(ack);
        for (name, value) in [("serial", &self.host.serial), ("asset", &self.host.asset)] {
            if let Some(value) = value {
                settings.set(name, Value::Text(value.clone()));
            }
        }
        settings
    }

    fn bundle(&self) -> Option<&Bundle> {
        self.inventory
            .profile_of(self.host)
            .and_then(|profile| self.inventory.bundle_of(profile))
    }

    /// Returns the HTTP client, which is made when it is first needed.
    fn open_web(&mut self) -> Result<&Web, Stopped> {
        let (base, at) = &self.endpoints.http;
        if self.web.is_none() {
            self.web = Some(Web::new(base, *at).map_err(|error| (error, String::new()))?);
        }
        self.web()
    }

    fn web(&self) -> Result<&Web, Stopped> {
        self.web
            .as_ref()
            .ok_or_else(|| ("no HTTP client is open".to_owned(), String::new()))
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
}

fn stop(name: &'static str, (reason, help): Stopped) -> Stop {
    Stop { name, reason, help }
}

fn reason(screen: &[String]) -> String {
    screen
        .iter()
        .find_map(|line| line.strip_prefix("reason: "))
        .unwrap_or("no reason was given")
        .to_owned()
}

fn short(digest: &Sha256Digest) -> String {
    digest.to_string().chars().take(12).collect()
}
