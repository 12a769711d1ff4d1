use std::time::Instant;

use super::install::Ended;
use super::{LOOK_AT_THE_SCRIPT, Player, Reach, held, stop, waits};
use crate::clients::dhcp::{BootFile, Client, ClientKind};
use crate::clients::ipxe::{Interpreter, IpxeStep, Purpose, Settings, Value};
use crate::rehearse::{Step, Stop};
use crate::wire::dhcp::DhcpMessage;

impl Player<'_> {
    /// iPXE asks for its address, gets its script and runs it.
    pub(super) fn run_ipxe(&mut self, reach: Reach) -> Result<Ended, Stop> {
        let kind = ClientKind::ipxe(self.rom.architecture().without_http());
        let client = self.client(kind);
        let (settings, url) = self.step("dhcp", |player| {
            let answers = player.exchange(&client, 2)?;
            let boot = client
                .boot_file(answers.naming())
                .map_err(|error| (format!("no script: {error}"), String::new()))?;
            let url = boot.url();
            let shown = url.split('?').next().unwrap_or_default().to_owned();
            let ack = &answers.acknowledgement;
            let settings = player.settings(&client, ack);
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
        let mut interpreter = Interpreter::new(&url, script.as_bytes(), settings)
            .map_err(|error| stop("script", (error.to_string(), LOOK_AT_THE_SCRIPT.into())))?;
        self.interpret_ipxe(&mut interpreter, reach)
    }

    fn interpret_ipxe(
        &mut self,
        interpreter: &mut Interpreter,
        reach: Reach,
    ) -> Result<Ended, Stop> {
        let mut screen: Vec<String> = Vec::new();
        let mut kernel = None;
        let start = Instant::now();
        loop {
            match interpreter.next() {
                IpxeStep::Print(line) => {
                    if !line.trim().is_empty() {
                        screen.push(line.trim().to_owned());
                    }
                }
                IpxeStep::Wait(_)
                    if screen
                        .iter()
                        .any(|line| line.starts_with("pxectl: on hold")) =>
                {
                    return Ok(Ended::Hold(held(&screen)));
                }
                IpxeStep::Wait(_) | IpxeStep::Prompt { .. } => {}
                IpxeStep::Choose { timeout, chosen } => {
                    self.note("menu", waits(timeout, &chosen));
                }
                IpxeStep::Fetch {
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
                IpxeStep::Fetch { url, purpose } => {
                    if purpose == Purpose::Kernel {
                        kernel = Some(url.clone());
                    }
                    if reach == Reach::Script {
                        let (arguments, initrds) = (String::new(), Vec::new());
                        return Ok(Ended::Boot {
                            kernel: by_url(url),
                            arguments,
                            initrds,
                        });
                    }
                    // What it is made of is checked once the script has named everything.
                    interpreter.supply(Ok(b"\x7fELF"));
                }
                IpxeStep::Boot {
                    kernel_url,
                    arguments,
                    initrds,
                } => {
                    let initrds = initrds.into_iter().map(|initrd| by_url(initrd.url));
                    let initrds = initrds.collect();
                    return Ok(Ended::Boot {
                        kernel: by_url(kernel.unwrap_or(kernel_url)),
                        arguments,
                        initrds,
                    });
                }
                IpxeStep::LocalDisk { how } => {
                    self.steps.push(Step {
                        name: "disk",
                        took: start.elapsed(),
                        detail: how,
                    });
                    return Ok(Ended::LocalDisk);
                }
                IpxeStep::Exit(status) => {
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
                IpxeStep::Failed {
                    line,
                    command,
                    reason,
                    ..
                } => {
                    let reason = format!("line {line}, `{command}`: {reason}");
                    return Err(stop("script", (reason, LOOK_AT_THE_SCRIPT.into())));
                }
                other => {
                    let reason = format!(
                        "the script ended with {other:?}; its screen: {}",
                        screen.join(" / ")
                    );
                    return Err(stop("script", (reason, LOOK_AT_THE_SCRIPT.into())));
                }
            }
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
}

fn by_url(url: String) -> BootFile {
    BootFile {
        server: std::net::Ipv4Addr::UNSPECIFIED,
        name: url,
    }
}
