//! One interface to a machine, through Redfish or IPMI.

use std::sync::Arc;

use super::boot::{BootRequest, OverrideResult, StaticAddress};
use super::context::TaskContext;
use super::error::BmcError;
use super::hardware::Hardware;
use super::ipmi::IpmiController;
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

    /// Changes the power and waits for the result. Returns whether there was anything to do.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn change_power(&mut self, action: PowerAction) -> Result<bool, BmcError> {
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

    /// Logs out.
    pub async fn close(&mut self) {
        if let Self::Redfish(redfish) = self {
            redfish.close().await;
        }
    }
}

fn needs_redfish(feature: &str) -> BmcError {
    BmcError::Unsupported {
        message: format!("{feature} needs Redfish, but `bmc.url` uses IPMI"),
    }
}
