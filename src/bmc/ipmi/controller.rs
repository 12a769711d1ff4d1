use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::client::IpmiClient;
use crate::bmc::boot::{BootRequest, OverrideResult};
use crate::bmc::boot_override::OverrideCheck;
use crate::bmc::console::SolConsole;
use crate::bmc::context::TaskContext;
use crate::bmc::error::BmcError;
use crate::bmc::hardware::Hardware;
use crate::bmc::identity::same_uuid;
use crate::bmc::log::{LogEntry, LogQuery};
use crate::bmc::power::{POWER_CHANGE_TIME, PowerAction, PowerSequence, plan};
use crate::bmc::resource::System;
use crate::bmc::services::Services;
use crate::bmc::status::{MachineStatus, PowerState};
use crate::bmc::target::BmcTarget;
use crate::machine::{ControllerRecord, SystemUuid};

/// The interval between two reads of a power state that changes.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// The chassis control commands of IPMI, by the reset types of Redfish with the same effect.
const RESET_TYPES: [(&str, PowerAction); 5] = [
    ("On", PowerAction::On),
    ("ForceOff", PowerAction::Off),
    ("GracefulShutdown", PowerAction::Graceful),
    ("PowerCycle", PowerAction::Cycle),
    ("ForceRestart", PowerAction::Reset),
];

/// One machine behind a BMC that speaks IPMI.
pub struct IpmiController {
    /// The client; `None` before the connection is open.
    client: Option<IpmiClient>,
    /// The last status of the machine.
    machine: MachineStatus,
    context: Arc<TaskContext>,
    record: Option<ControllerRecord>,
}

impl IpmiController {
    /// Prepares the connection to a BMC without sending anything.
    pub fn new(context: &Arc<TaskContext>, target: &BmcTarget) -> Self {
        Self {
            client: None,
            machine: MachineStatus::default(),
            context: Arc::clone(context),
            record: target.record.clone(),
        }
    }

    /// Connects, and reads the status of the machine.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn open(
        &mut self,
        target: &BmcTarget,
        services: &Arc<Services>,
    ) -> Result<(), BmcError> {
        let password = services.password(&target.bmc).await?;
        self.context.report_progress("connecting over IPMI");
        let (host, port) = (target.bmc.url.host.clone(), target.bmc.url.port());
        let (context, username) = (Arc::clone(&self.context), target.bmc.username.clone());
        let mut client = IpmiClient::new(context, host, port, username, password);
        self.machine = client.machine().await?;
        if let (Some(expected), Some(found)) = (target.host.uuid, self.machine.uuid)
            && same_uuid(expected, reversed(found))
        {
            self.machine.uuid = Some(expected);
        }
        self.client = Some(client);
        Ok(())
    }

    /// Returns the last status of the machine.
    pub fn machine(&self) -> &MachineStatus {
        &self.machine
    }

    /// Returns the store's record of the BMC.
    pub fn record(&self) -> Option<&ControllerRecord> {
        self.record.as_ref()
    }

    /// Changes the power and waits for the result. Returns what was done, or `None` if there was
    /// nothing to do.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn change_power(
        &mut self,
        action: PowerAction,
    ) -> Result<Option<PowerAction>, BmcError> {
        self.context.report_progress("changing the power");
        let supported = RESET_TYPES.map(|(reset_type, _)| reset_type.to_owned());
        // IPMI supports every action, so the list is empty only if there is nothing to do.
        let sequences = plan(action, self.machine.power, &supported).unwrap_or_default();
        let mut refusal = None;
        for sequence in &sequences {
            match self.run_sequence(sequence, action).await {
                Ok(()) => return Ok(Some(sequence.effect)),
                // `ipmitool` reports a refused request like any other failure.
                Err(error @ BmcError::Program { .. }) if refusal.is_none() => {
                    refusal = Some(error);
                }
                Err(BmcError::Program { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        refusal.map_or(Ok(None), Err)
    }

    async fn run_sequence(
        &mut self,
        sequence: &PowerSequence,
        action: PowerAction,
    ) -> Result<(), BmcError> {
        let client = self.client.as_mut().ok_or(BmcError::Interrupted)?;
        for step in &sequence.steps {
            let command = RESET_TYPES
                .iter()
                .find(|(name, _)| step.reset_types.contains(name));
            let Some((_, command)) = command else {
                continue;
            };
            client.change_power(*command).await?;
            if self.context.dry_run {
                continue;
            }
            let deadline = Instant::now() + POWER_CHANGE_TIME;
            loop {
                self.machine = client.machine().await?;
                let power = self.machine.power;
                if power == step.until || power == PowerState::Unknown {
                    break;
                }
                if action != PowerAction::Graceful && Instant::now() >= deadline {
                    return Err(BmcError::PowerUnchanged {
                        expected: step.until.to_string(),
                        actual: power.to_string(),
                    });
                }
                self.context.pause(POLL_INTERVAL).await?;
            }
        }
        Ok(())
    }

    /// Sets a one-time boot override.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn set_boot(&mut self, request: &BootRequest) -> Result<OverrideResult, BmcError> {
        let client = self.client.as_mut().ok_or(BmcError::Interrupted)?;
        self.context.report_progress("setting the next boot");
        if request.check(&self.machine.boot, &System::default()) == OverrideCheck::Active {
            return Ok(OverrideResult::AlreadySet { every_boot: false });
        }
        client.set_boot(&request.target, request.uefi).await?;
        Ok(if self.context.dry_run {
            OverrideResult::Planned
        } else {
            OverrideResult::Set { every_boot: false }
        })
    }

    /// Reads the selected entries of the system event log, the newest last.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn read_log(&mut self, query: &LogQuery) -> Result<Vec<LogEntry>, BmcError> {
        let client = self.client.as_mut().ok_or(BmcError::Interrupted)?;
        let is_other = |name: &String| !name.eq_ignore_ascii_case("SEL");
        if let Some(name) = query.log.as_ref().filter(|name| is_other(name)) {
            let message = format!("the BMC has no log `{name}`; IPMI has only `SEL`");
            return Err(BmcError::NoLog { message });
        }
        self.context.report_progress("reading the event log");
        Ok(query.select(vec![client.sel().await?]))
    }

    /// Prepares a console over the serial port of the machine (serial over LAN).
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn console(&mut self, take_over: bool) -> Result<SolConsole, BmcError> {
        let client = self.client.as_mut().ok_or(BmcError::Interrupted)?;
        self.context.report_progress("preparing the console");
        client.sol_console(take_over).await
    }

    /// Returns the hardware of the machine, as far as IPMI reports it.
    pub fn hardware(&self) -> Hardware {
        let machine = self.machine.clone();
        Hardware {
            manufacturer: machine.manufacturer,
            model: machine.model,
            serial: machine.serial,
            uuid: machine.uuid,
            unread: vec!["IPMI does not report interfaces and disks".to_owned()],
            ..Hardware::default()
        }
    }
}

/// Reverses the bytes of a UUID. IPMI sends UUIDs in this order, some BMCs do not, and `ipmitool`
/// has to guess. Source: IPMI 2.0 §20.8.
fn reversed(uuid: SystemUuid) -> SystemUuid {
    let mut bytes = uuid.octets();
    bytes.reverse();
    SystemUuid::from_wire(bytes).swapped()
}
