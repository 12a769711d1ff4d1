//! One interface to a machine, through Redfish or IPMI.

use std::sync::Arc;

use super::boot::{BootRequest, OverrideResult, StaticAddress};
use super::console::{ConsoleOffer, ConsoleRequest, DEFAULT_IPMI_PORT, SolConsole};
use super::context::TaskContext;
use super::error::BmcError;
use super::hardware::Hardware;
use super::ipmi::{IpmiClient, IpmiController};
use super::log::{LogEntry, LogQuery};
use super::power::PowerAction;
use super::redfish::RedfishController;
use super::services::Services;
use super::status::MachineStatus;
use super::target::BmcTarget;
use super::trust::PresentedCertificate;
use crate::inventory::BmcScheme;
use crate::machine::ControllerRecord;

/// One machine and its BMC.
pub enum Controller {
    /// Through Redfish.
    Redfish(Box<RedfishController>),
    /// Through IPMI.
    Ipmi(Box<IpmiController>),
}

impl Controller {
    /// Prepares the connection to a BMC without sending anything.
    ///
    /// # Errors
    /// When the file of certificate authorities is unusable.
    pub fn new(
        context: &Arc<TaskContext>,
        target: &BmcTarget,
        services: &Services,
    ) -> Result<Self, BmcError> {
        Ok(match target.bmc.url.scheme {
            BmcScheme::Https | BmcScheme::Http => {
                Self::Redfish(Box::new(RedfishController::new(context, target, services)?))
            }
            BmcScheme::Ipmi => Self::Ipmi(Box::new(IpmiController::new(context, target))),
        })
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
        match self {
            Self::Redfish(redfish) => redfish.open(target, services).await,
            Self::Ipmi(ipmi) => ipmi.open(target, services).await,
        }
    }

    /// Returns the last status of the machine.
    pub fn machine(&self) -> &MachineStatus {
        match self {
            Self::Redfish(redfish) => redfish.machine(),
            Self::Ipmi(ipmi) => ipmi.machine(),
        }
    }

    /// Returns the certificate that the BMC presented.
    pub fn certificate(&self) -> Option<PresentedCertificate> {
        match self {
            Self::Redfish(redfish) => redfish.certificate(),
            Self::Ipmi(_) => None,
        }
    }

    /// Returns the store's record of the BMC, with the changes of this task.
    pub fn record(&self) -> Option<&ControllerRecord> {
        match self {
            Self::Redfish(redfish) => redfish.record(),
            Self::Ipmi(ipmi) => ipmi.record(),
        }
    }

    /// Checks that the BMC supports a power action, without changing anything.
    ///
    /// # Errors
    /// [`BmcError::Unsupported`].
    pub async fn check_power(&mut self, action: PowerAction) -> Result<(), BmcError> {
        match self {
            Self::Redfish(redfish) => redfish.check_power(action).await,
            // IPMI supports every action.
            Self::Ipmi(_) => Ok(()),
        }
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
        match self {
            Self::Redfish(redfish) => redfish.change_power(action).await,
            Self::Ipmi(ipmi) => ipmi.change_power(action).await,
        }
    }

    /// Sets a one-time boot override.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn set_boot(&mut self, request: &BootRequest) -> Result<OverrideResult, BmcError> {
        match self {
            Self::Redfish(redfish) => redfish.set_boot(request).await,
            Self::Ipmi(ipmi) => ipmi.set_boot(request).await,
        }
    }

    /// Sets a static address for HTTP boot.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn set_static_address(&mut self, address: &StaticAddress) -> Result<(), BmcError> {
        match self {
            Self::Redfish(redfish) => redfish.set_static_address(address).await,
            Self::Ipmi(_) => Err(needs_redfish("a static address for HTTP boot")),
        }
    }

    /// Inserts an image into a virtual CD drive. Returns `false` if it was already inserted.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn insert_media(&mut self, url: &str) -> Result<bool, BmcError> {
        match self {
            Self::Redfish(redfish) => redfish.insert_media(url).await,
            Self::Ipmi(_) => Err(needs_redfish("virtual media")),
        }
    }

    /// Ejects the images in the virtual CD drives. Returns `false` if the drives were empty.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn eject_media(&mut self) -> Result<bool, BmcError> {
        match self {
            Self::Redfish(redfish) => redfish.eject_media().await,
            Self::Ipmi(_) => Err(needs_redfish("virtual media")),
        }
    }

    /// Reads the hardware of the machine.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn hardware(&mut self) -> Result<Hardware, BmcError> {
        match self {
            Self::Redfish(redfish) => redfish.hardware().await,
            Self::Ipmi(ipmi) => Ok(ipmi.hardware()),
        }
    }

    /// Adds Secure Boot and the boot order to the status of the machine.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn read_details(&mut self) -> Result<(), BmcError> {
        match self {
            Self::Redfish(redfish) => redfish.read_details().await,
            // IPMI reports neither.
            Self::Ipmi(_) => Ok(()),
        }
    }

    /// Reads the selected entries of the event logs, the newest last.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn read_log(&mut self, query: &LogQuery) -> Result<Vec<LogEntry>, BmcError> {
        match self {
            Self::Redfish(redfish) => redfish.read_log(query).await,
            Self::Ipmi(ipmi) => ipmi.read_log(query).await,
        }
    }

    /// Prepares a serial console over IPMI, which many BMCs speak beside Redfish.
    ///
    /// # Errors
    /// [`BmcError::NoConsole`] when the BMC does not offer such a console; otherwise see
    /// [`BmcError`].
    pub async fn console(
        &mut self,
        request: ConsoleRequest,
        target: &BmcTarget,
        services: &Arc<Services>,
        context: &Arc<TaskContext>,
    ) -> Result<SolConsole, BmcError> {
        let redfish = match self {
            Self::Redfish(redfish) => redfish,
            Self::Ipmi(ipmi) => return ipmi.console(request.take_over).await,
        };
        let offer = redfish.console_offer().await?;
        let port = match offer.ipmi {
            Some(port) => port,
            None if request.force_ipmi => DEFAULT_IPMI_PORT,
            None => return Err(no_console(&offer, target)),
        };
        let (host, username) = (target.bmc.url.host.clone(), target.bmc.username.clone());
        let password = services.password(&target.bmc).await?;
        context.report_progress("preparing the console");
        let mut client = IpmiClient::new(Arc::clone(context), host, port, username, password);
        client.sol_console(request.take_over).await
    }

    /// Logs out.
    pub async fn close(&mut self) {
        if let Self::Redfish(redfish) = self {
            redfish.close().await;
        }
    }
}

/// Makes the error for a BMC without a console over IPMI. The help names the console that it offers.
fn no_console(offer: &ConsoleOffer, target: &BmcTarget) -> BmcError {
    let host = &target.host.name;
    let Some(ssh) = &offer.ssh else {
        return BmcError::NoConsole {
            message: "the BMC does not offer a serial console over IPMI or SSH".to_owned(),
            help: format!(
                "enable IPMI over LAN on the BMC, or try `pxectl bmc console {host} --ipmi`"
            ),
        };
    };
    let command = ssh.command_line(&target.bmc.username, &target.bmc.url.host);
    let then = match &ssh.command {
        Some(command) => format!(", then enter `{command}`"),
        None => String::new(),
    };
    BmcError::NoConsole {
        message: "the BMC offers its serial console over SSH, not over IPMI".to_owned(),
        help: format!("run `{command}`{then}"),
    }
}

fn needs_redfish(feature: &str) -> BmcError {
    BmcError::Unsupported {
        message: format!("{feature} needs Redfish, but `bmc.url` uses IPMI"),
    }
}
