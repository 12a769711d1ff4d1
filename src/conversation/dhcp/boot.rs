//! The boot file that a client loads after DHCP, and whether it can run it.

use std::net::Ipv4Addr;

use super::exchange::{BootServerRequest, Exchange};
use super::specified;
use crate::clients::dhcp::{BootFile, BootSource, Client, ClientKind};
use crate::conversation::display::display_file;
use crate::conversation::finding::FindingKind;
use crate::conversation::loader;
use crate::conversation::machine::{Boot, Expected};
use crate::conversation::machines::MachineId;
use crate::conversation::observer::Observer;
use crate::machine::Firmware;
use crate::wire::dhcp::{DhcpMessage, IpxeFeature, OptionCode};

impl Observer<'_> {
    /// Records the boot file that a client loads after its DHCPACK. Returns the request to port 4011 that it
    /// must send first, if it must.
    pub(super) fn decide_boot(
        &mut self,
        id: MachineId,
        exchange: &mut Exchange,
        ack: &DhcpMessage,
    ) -> Option<BootServerRequest> {
        let client = exchange.client.clone()?;
        if matches!(client.kind, ClientKind::Grub(_)) {
            return None;
        }
        let due = self.recorder.start_point(self.machines.get_mut(id)?);
        let (answer, server) = match exchange.selection().map(|it| it.boot) {
            None | Some(BootSource::Acknowledgement) => (ack, ack.server_address),
            Some(BootSource::Proxy(offer)) => (offer, offer.server_address),
            Some(BootSource::BootServer(server)) => {
                return Some(BootServerRequest {
                    transaction: ack.transaction_id,
                    server,
                    sent: None,
                    expected: due,
                    attempts: 0,
                    is_answered: false,
                });
            }
        };
        if client.kind == ClientKind::RaspberryPi {
            let server = client.boot_server(answer);
            let server = server.map_or_else(|| "no server".to_owned(), |it| it.to_string());
            let text = format!("its own file names from {server} by TFTP (it ignores option 67)");
            let machine = self.machines.get_mut(id)?;
            self.recorder.record(machine, "boots", text);
            return None;
        }
        match client.boot_file(answer) {
            Ok(_) => {
                let answer = answer.clone();
                self.boots(id, Some(&client), &answer, server);
            }
            Err(reason) => exchange.unbootable = Some(reason.to_string()),
        }
        None
    }

    /// Records the boot file that a client loads by a reply, and what is wrong with it.
    pub(super) fn boots(
        &mut self,
        id: MachineId,
        client: Option<&Client>,
        answer: &DhcpMessage,
        server: Ipv4Addr,
    ) {
        let Some(machine) = self.machines.get_mut(id) else {
            return;
        };
        let Some(client) = client else {
            return;
        };
        let file = match client.boot_file(answer) {
            Ok(file) => file,
            Err(reason) => {
                let text = reason.to_string();
                self.recorder
                    .report_finding(machine, FindingKind::UnusableBootFile, text);
                return;
            }
        };
        let boot = Boot {
            file: display_file(&file.name),
            server: specified(file.server),
        };
        let text = match boot.server {
            Some(server) => format!("`{}` from {server} by TFTP", boot.file),
            None => format!("`{}`", boot.file),
        };
        let text = format!("{text} ({})", name_source(client, answer));
        machine.stage().boot = Some(boot);
        machine.expected = Some(Expected {
            name: file.name.clone(),
            is_option_only: answer.boot_file.is_empty()
                && answer.options.contains(OptionCode::BootfileName),
            architecture: client.kind.architecture(),
            is_firmware: !matches!(client.kind, ClientKind::Ipxe { .. }),
        });
        self.recorder.record(machine, "boots", text);
        self.check_file(id, client, &file);
        self.check_mapping(id, Some(client), answer, server);
    }

    /// Checks by its name whether a client can run a file.
    fn check_file(&mut self, id: MachineId, client: &Client, file: &BootFile) {
        let Some(machine) = self.machines.get_mut(id) else {
            return;
        };
        let name = display_file(&file.name);
        let architecture = client.kind.architecture();
        if let ClientKind::Ipxe { features, .. } = &client.kind {
            let loads_http = features.contains(&IpxeFeature::Http);
            let boots_linux = match architecture.firmware() {
                Firmware::Bios => features.contains(&IpxeFeature::BzImage),
                _ => features.contains(&IpxeFeature::Efi),
            };
            // An iPXE without the needed features receives ours, once.
            let runs_ours = machine.stages.len() > 1
                && machine
                    .stages
                    .iter()
                    .filter(|it| it.name.starts_with("iPXE"))
                    .count()
                    > 1;
            if loader::is_ipxe(&file.name) && (loads_http && boots_linux || runs_ours) {
                let text = format!("iPXE receives `{name}`, which is iPXE again");
                self.recorder
                    .report_finding(machine, FindingKind::IpxeLoop, text);
            }
        }
        let target = loader::by_name(&file.name);
        if let Some(mismatch) = target.mismatch(architecture) {
            let text = format!("{architecture} receives `{name}`, {mismatch}");
            self.recorder
                .report_finding(machine, FindingKind::WrongLoader, text);
        }
    }

    /// Checks whether machines of different kinds receive the same file.
    pub(super) fn check_mapping(
        &mut self,
        id: MachineId,
        client: Option<&Client>,
        answer: &DhcpMessage,
        server: Ipv4Addr,
    ) {
        let Some(client) = client else {
            return;
        };
        // A script is the same for every iPXE, and GRUB and a Raspberry Pi load no boot file.
        if matches!(
            client.kind,
            ClientKind::Ipxe { .. } | ClientKind::Grub(_) | ClientKind::RaspberryPi
        ) {
            return;
        }
        let Ok(file) = client.boot_file(answer) else {
            return;
        };
        let architecture = client.kind.architecture();
        let name = without_machine(&file.name);
        let shown = display_file(&name);
        let Some(first) = self.mapping.conflict(server, name, architecture) else {
            return;
        };
        let text = format!("{server} sends `{shown}` to {first} and to {architecture}");
        if let Some(machine) = self.machines.get_mut(id) {
            self.recorder
                .report_finding(machine, FindingKind::NoArchMapping, text);
        }
    }
}

/// Removes the parts of one of our paths that differ between machines.
fn without_machine(name: &str) -> String {
    let parts: Vec<&str> = name.split('/').collect();
    match parts.iter().position(|part| *part == "m") {
        Some(at) if parts.len() > at + 3 => {
            format!("{}m/{}", parts[..at].join("/"), parts[at + 3..].join("/"))
        }
        _ => name.to_owned(),
    }
}

/// Returns which field or option named the boot file.
fn name_source(client: &Client, answer: &DhcpMessage) -> String {
    let option = answer.options.text(OptionCode::BootfileName);
    let has_option = option.is_some_and(|name| !name.is_empty());
    let has_field = !answer.boot_file.is_empty();
    let prefers_option = matches!(client.kind, ClientKind::EdkPxe(_) | ClientKind::EdkHttp(_));
    let name = match (has_option, has_field) {
        (true, true) if prefers_option => "option 67 takes precedence over `file`",
        (true, true) => "`file` takes precedence over option 67",
        (true, false) => "option 67",
        _ => "`file`",
    };
    name.to_owned()
}
