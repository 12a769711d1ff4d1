//! Serial consoles: which ones a BMC offers, and how to open one.

use serde_json::Value;

use super::fields::Fields;
use crate::machine::Secret;

/// The port of IPMI over LAN. Source: IPMI 2.0 §13.1.2.
pub const DEFAULT_IPMI_PORT: u16 = 623;
const SSH_PORT: u16 = 22;

/// A serial console over IPMI (serial over LAN), ready to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SolConsole {
    /// The address of the BMC.
    pub host: String,
    /// The UDP port.
    pub port: u16,
    /// The account.
    pub username: String,
    /// The password.
    pub password: Secret,
    /// The cipher suite that the BMC supports.
    pub cipher_suite: &'static str,
}

/// How to open a console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsoleRequest {
    /// Whether to use IPMI even if Redfish does not offer it.
    pub force_ipmi: bool,
    /// Whether to end another session on the console first.
    pub take_over: bool,
}

/// The serial consoles that a BMC offers through Redfish.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsoleOffer {
    /// The port of IPMI.
    pub ipmi: Option<u16>,
    /// The console over SSH.
    pub ssh: Option<SshConsole>,
}

/// A serial console over SSH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshConsole {
    /// The TCP port.
    pub port: u16,
    /// The command that opens the console, if the SSH session does not start with it.
    pub command: Option<String>,
}

impl ConsoleOffer {
    /// Reads the consoles from the resources of a system, its manager and the network protocols of
    /// the manager. A missing resource is null. A protocol that is disabled is not offered.
    ///
    /// Source: DSP0268, ComputerSystem and Manager `SerialConsole`, ManagerNetworkProtocol.
    pub fn read(system: &Value, manager: &Value, protocols: &Value) -> Self {
        let in_system = Fields::of(system).object("SerialConsole");
        let in_manager = Fields::of(manager).object("SerialConsole");
        let protocols = Fields::of(protocols);
        let is_disabled = |name: &str| {
            let in_system = in_system.object(name).boolean("ServiceEnabled");
            let in_protocols = protocols.object(name).boolean("ProtocolEnabled");
            in_system == Some(false) || in_protocols == Some(false)
        };
        let manager_types = in_manager.texts("ConnectTypesSupported");
        let is_listed = |name: &str| {
            let in_system = in_system.object(name).boolean("ServiceEnabled") == Some(true);
            let in_manager = in_manager.boolean("ServiceEnabled") != Some(false)
                && manager_types.iter().any(|it| it.eq_ignore_ascii_case(name));
            in_system || in_manager
        };
        let port = |name: &str| {
            let ports = [in_system.object(name), protocols.object(name)];
            let port = ports.iter().find_map(|fields| fields.number("Port"));
            port.map(|port| port as u16).filter(|port| *port > 0)
        };
        // IPMI over LAN includes serial over LAN.
        let has_ipmi =
            is_listed("IPMI") || protocols.object("IPMI").boolean("ProtocolEnabled") == Some(true);
        Self {
            ipmi: (has_ipmi && !is_disabled("IPMI"))
                .then(|| port("IPMI").unwrap_or(DEFAULT_IPMI_PORT)),
            ssh: (is_listed("SSH") && !is_disabled("SSH")).then(|| SshConsole {
                port: port("SSH").unwrap_or(SSH_PORT),
                command: in_system.object("SSH").text("ConsoleEntryCommand"),
            }),
        }
    }
}

impl SshConsole {
    /// Returns the command line that opens the console.
    pub fn command_line(&self, username: &str, host: &str) -> String {
        let port = match self.port {
            SSH_PORT => String::new(),
            port => format!("-p {port} "),
        };
        format!("ssh {port}{username}@{host}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn offered_consoles_are_found_in_each_form() {
        let none = || json!(null);
        // The shapes of NVIDIA BlueField, HPE iLO, Lenovo XClarity and Dell iDRAC.
        let bluefield = json!({"SerialConsole": {
            "IPMI": {"ServiceEnabled": true},
            "SSH": {"ServiceEnabled": true, "Port": 2200},
        }});
        let ssh_only = json!({"SerialConsole": {
            "IPMI": {"ServiceEnabled": false},
            "SSH": {"ServiceEnabled": true, "Port": 22, "ConsoleEntryCommand": "console 1"},
        }});
        let ilo = json!({"SerialConsole": {
            "ServiceEnabled": true, "ConnectTypesSupported": ["SSH", "IPMI", "Oem"],
        }});
        let idrac =
            json!({"SerialConsole": {"ServiceEnabled": false, "ConnectTypesSupported": []}});
        let with_ipmi = |enabled: bool| json!({"IPMI": {"ProtocolEnabled": enabled, "Port": 623}});
        for (system, manager, protocols, ipmi, ssh) in [
            (bluefield, none(), none(), Some(623), Some(2200)),
            (ssh_only, none(), with_ipmi(true), None, Some(22)),
            (none(), ilo.clone(), none(), Some(623), Some(22)),
            (none(), ilo, with_ipmi(false), None, Some(22)),
            (none(), idrac.clone(), with_ipmi(true), Some(623), None),
            (none(), idrac, with_ipmi(false), None, None),
            (none(), none(), none(), None, None),
        ] {
            let offer = ConsoleOffer::read(&system, &manager, &protocols);
            let found = (offer.ipmi, offer.ssh.as_ref().map(|ssh| ssh.port));
            assert_eq!(found, (ipmi, ssh), "{system} {manager} {protocols}");
        }
    }

    #[test]
    fn ssh_command_names_an_unusual_port() {
        let console = |port| SshConsole {
            port,
            command: None,
        };
        let line = console(2200).command_line("admin", "10.21.0.58");
        assert_eq!(line, "ssh -p 2200 admin@10.21.0.58");
        let line = console(22).command_line("admin", "10.21.0.58");
        assert_eq!(line, "ssh admin@10.21.0.58");
    }
}
