use std::time::Instant;

use super::outcome::BootOutcome;
use super::player::{
    Player, hold_reason, is_hold_screen, menu_timeout, script_error, shown_message,
};
use crate::clients::dhcp::{BootFile, Client, ClientKind};
use crate::clients::ipxe::{Interpreter, IpxeStep, Purpose, Settings, Value};
use crate::rehearse::report::{ChainFailure, Reach, StepError};
use crate::wire::dhcp::DhcpMessage;

impl Player<'_> {
    /// iPXE gets its address by DHCP, fetches its script and runs it.
    pub(super) fn run_ipxe(&mut self, reach: Reach) -> Result<BootOutcome, ChainFailure> {
        let kind = ClientKind::ipxe(self.rom.architecture().without_http());
        let client = self.client(kind);
        let (settings, url) = self.step("dhcp", |player| {
            let replies = player.exchange(&client, 2)?;
            let boot = client
                .boot_file(replies.boot_reply())
                .map_err(|error| StepError::new(format!("no script: {error}")))?;
            let url = boot.url();
            let shown_url = url.split('?').next().unwrap_or_default();
            let ack = &replies.acknowledgement;
            let detail = format!("iPXE: {}, script {shown_url}", ack.your_address);
            Ok(((player.settings(&client, ack), url), detail))
        })?;
        let script = self.step("script", |player| {
            let text = player.text(&url)?;
            let lines = text.lines().count();
            Ok((
                text,
                format!("{lines} lines: makes iPXE identify its machine"),
            ))
        })?;
        let mut interpreter = Interpreter::new(&url, script.as_bytes(), settings)
            .map_err(|error| script_error(error.to_string()))?;
        self.interpret_ipxe(&mut interpreter, reach)
    }

    fn interpret_ipxe(
        &mut self,
        interpreter: &mut Interpreter,
        reach: Reach,
    ) -> Result<BootOutcome, ChainFailure> {
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
                IpxeStep::Wait(_) if is_hold_screen(&screen) => {
                    return Ok(BootOutcome::Hold(hold_reason(&screen)));
                }
                IpxeStep::Wait(_) | IpxeStep::Prompt { .. } => {}
                IpxeStep::Choose { timeout, chosen } => {
                    self.note("menu", menu_timeout(timeout, &chosen));
                }
                IpxeStep::Fetch {
                    url,
                    purpose: Purpose::Chain,
                } => {
                    let text = self.step("script", |player| {
                        let text = player.text(&url)?;
                        let message = shown_message(&text, "echo pxectl: ");
                        let detail = message.unwrap_or("another script").to_owned();
                        Ok((text, detail))
                    })?;
                    interpreter.supply(Ok(text.as_bytes()));
                }
                IpxeStep::Fetch { url, purpose } => {
                    if purpose == Purpose::Kernel {
                        kernel = Some(url.clone());
                    }
                    if reach == Reach::Script {
                        return Ok(BootOutcome::Kernel {
                            kernel: file_at(url),
                            arguments: String::new(),
                            initrds: Vec::new(),
                        });
                    }
                    // The files are checked once the script has named all of them.
                    interpreter.supply(Ok(b"\x7fELF"));
                }
                IpxeStep::Boot {
                    kernel_url,
                    arguments,
                    initrds,
                } => {
                    let initrds = initrds.into_iter().map(|initrd| file_at(initrd.url));
                    return Ok(BootOutcome::Kernel {
                        kernel: file_at(kernel.unwrap_or(kernel_url)),
                        arguments,
                        initrds: initrds.collect(),
                    });
                }
                IpxeStep::LocalDisk { how } => {
                    self.record("disk", start, how);
                    return Ok(BootOutcome::LocalDisk);
                }
                IpxeStep::Exit(status) => {
                    let detail = format!(
                        "iPXE exits with status {status}; the firmware tries its next boot entry"
                    );
                    self.record("disk", start, detail);
                    return Ok(BootOutcome::LocalDisk);
                }
                IpxeStep::Failed {
                    line,
                    command,
                    reason,
                    ..
                } => return Err(script_error(format!("line {line}, `{command}`: {reason}"))),
                other => {
                    let screen = screen.join(" / ");
                    let reason = format!("the script ended with {other:?}; screen: {screen}");
                    return Err(script_error(reason));
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

fn file_at(url: String) -> BootFile {
    BootFile {
        server: std::net::Ipv4Addr::UNSPECIFIED,
        name: url,
    }
}
