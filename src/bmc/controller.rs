//! One interface to a machine, whatever its controller speaks.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::boot::{Taken, Wanted};
use super::hardware::Hardware;
use super::identity::same_uuid;
use super::power::plan;
use super::redfish::{Redfish, StaticAddress};
use super::resource::System;
use super::tools::{Target, Tools};
use super::trust::SeenCertificate;
use super::{BmcError, BootDone, Context, Ipmi, Machine, PowerState, PowerVerb};
use crate::inventory::BmcScheme;
use crate::machine::{ControllerRecord, SystemUuid};

/// How long a machine may take to lose its power, or get it.
const POWER_TIME: Duration = Duration::from_secs(40);
const LOOK: Duration = Duration::from_secs(2);

/// One machine behind a controller.
pub enum Controller {
    /// By Redfish.
    Redfish(Box<Redfish>),
    /// By IPMI.
    Ipmi(Box<ByIpmi>),
}

/// One machine behind a controller that speaks IPMI.
pub struct ByIpmi {
    /// The controller; none before it is opened.
    ipmi: Option<Ipmi>,
    /// What it said of its machine last.
    machine: Machine,
    context: Arc<Context>,
    /// What the store knows of it.
    kept: Option<ControllerRecord>,
}

impl Controller {
    /// Makes the way to a controller; nothing is sent yet.
    ///
    /// # Errors
    /// When the file of authorities cannot be used.
    pub fn new(context: &Arc<Context>, target: &Target, tools: &Tools) -> Result<Self, BmcError> {
        Ok(match target.bmc.url.scheme {
            BmcScheme::Https | BmcScheme::Http => {
                Self::Redfish(Box::new(Redfish::new(context, target, tools)?))
            }
            BmcScheme::Ipmi => Self::Ipmi(Box::new(ByIpmi {
                ipmi: None,
                machine: Machine::default(),
                context: Arc::clone(context),
                kept: target.kept.clone(),
            })),
        })
    }

    /// Connects, and reads what the controller says of its machine.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn open(&mut self, target: &Target, tools: &Arc<Tools>) -> Result<(), BmcError> {
        match self {
            Self::Redfish(redfish) => redfish.open(target, tools).await,
            Self::Ipmi(by_ipmi) => by_ipmi.open(target, tools).await,
        }
    }

    /// Returns what the controller said of its machine last.
    pub fn machine(&self) -> &Machine {
        match self {
            Self::Redfish(redfish) => redfish.machine(),
            Self::Ipmi(by_ipmi) => &by_ipmi.machine,
        }
    }

    /// Returns what was seen of its certificate.
    pub fn certificate(&self) -> Option<SeenCertificate> {
        match self {
            Self::Redfish(redfish) => redfish.certificate(),
            Self::Ipmi(_) => None,
        }
    }

    /// Returns what the store knows of it by now.
    pub fn kept(&self) -> Option<&ControllerRecord> {
        match self {
            Self::Redfish(redfish) => redfish.kept(),
            Self::Ipmi(by_ipmi) => by_ipmi.kept.as_ref(),
        }
    }

    /// Changes the power, and waits for what comes of it. Returns whether anything was to be done.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn power(&mut self, verb: PowerVerb) -> Result<bool, BmcError> {
        match self {
            Self::Redfish(redfish) => redfish.power(verb).await,
            Self::Ipmi(by_ipmi) => by_ipmi.power(verb).await,
        }
    }

    /// Tells the machine what to boot next, once.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn boot(&mut self, wanted: &Wanted) -> Result<BootDone, BmcError> {
        match self {
            Self::Redfish(redfish) => redfish.boot(wanted).await,
            Self::Ipmi(by_ipmi) => by_ipmi.boot(wanted).await,
        }
    }

    /// Gives HTTP boot a static address.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn set_static_address(&mut self, address: &StaticAddress) -> Result<(), BmcError> {
        match self {
            Self::Redfish(redfish) => redfish.set_static_address(address).await,
            Self::Ipmi(_) => Err(by_redfish_only("a static address for HTTP boot")),
        }
    }

    /// Inserts an image into a virtual CD drive. Returns whether it was not there already.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn insert(&mut self, url: &str) -> Result<bool, BmcError> {
        match self {
            Self::Redfish(redfish) => redfish.insert(url).await,
            Self::Ipmi(_) => Err(by_redfish_only("virtual media")),
        }
    }

    /// Ejects what is in the virtual CD drives. Returns whether there was anything.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn eject(&mut self) -> Result<bool, BmcError> {
        match self {
            Self::Redfish(redfish) => redfish.eject().await,
            Self::Ipmi(_) => Err(by_redfish_only("virtual media")),
        }
    }

    /// Reads what is in the machine.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn hardware(&mut self) -> Result<Hardware, BmcError> {
        match self {
            Self::Redfish(redfish) => redfish.hardware().await,
            Self::Ipmi(by_ipmi) => Ok(by_ipmi.hardware()),
        }
    }

    /// Ends the session.
    pub async fn close(&mut self) {
        if let Self::Redfish(redfish) = self {
            redfish.close().await;
        }
    }
}

impl ByIpmi {
    async fn open(&mut self, target: &Target, tools: &Arc<Tools>) -> Result<(), BmcError> {
        let password = tools.password(&target.bmc).await?;
        self.context.says("asking by IPMI");
        let (host, port) = (target.bmc.url.host.clone(), target.bmc.url.port());
        let (context, username) = (Arc::clone(&self.context), target.bmc.username.clone());
        let mut ipmi = Ipmi::new(context, host, port, username, password);
        self.machine = ipmi.machine().await?;
        if let (Some(wanted), Some(seen)) = (target.host.uuid, self.machine.uuid)
            && same_uuid(wanted, reversed(seen))
        {
            self.machine.uuid = Some(wanted);
        }
        self.ipmi = Some(ipmi);
        Ok(())
    }

    async fn power(&mut self, verb: PowerVerb) -> Result<bool, BmcError> {
        let ipmi = self.ipmi.as_mut().ok_or(BmcError::Stopped)?;
        // IPMI offers everything: where nothing is to be done, nothing is planned.
        let steps = plan(verb, self.machine.power, &[]).unwrap_or_default();
        let Some(last) = steps.last() else {
            return Ok(false);
        };
        let verb = match self.machine.power {
            PowerState::Off => PowerVerb::On,
            _ => verb,
        };
        self.context.says("changing its power");
        ipmi.power(verb).await?;
        if self.context.dry_run {
            return Ok(true);
        }
        let end = Instant::now() + POWER_TIME;
        loop {
            self.machine = ipmi.machine().await?;
            let state = self.machine.power;
            if state == last.until || state == PowerState::Unknown {
                return Ok(true);
            }
            if verb != PowerVerb::Graceful && Instant::now() >= end {
                return Err(BmcError::NotTaken {
                    what: "its power".to_owned(),
                    wanted: last.until.to_string(),
                    seen: state.to_string(),
                });
            }
            self.context.pause(LOOK).await?;
        }
    }

    async fn boot(&mut self, wanted: &Wanted) -> Result<BootDone, BmcError> {
        let ipmi = self.ipmi.as_mut().ok_or(BmcError::Stopped)?;
        self.context.says("setting what it boots next");
        if wanted.verify(&self.machine.boot, &System::default()) == Taken::Yes {
            return Ok(BootDone::Already { each_time: false });
        }
        ipmi.boot(&wanted.target, wanted.uefi).await?;
        Ok(match self.context.dry_run {
            true => BootDone::Planned,
            false => BootDone::Set { each_time: false },
        })
    }

    fn hardware(&self) -> Hardware {
        let machine = self.machine.clone();
        Hardware {
            manufacturer: machine.manufacturer,
            model: machine.model,
            serial: machine.serial,
            uuid: machine.uuid,
            unread: vec!["interfaces and disks are told by Redfish only".to_owned()],
            ..Hardware::default()
        }
    }
}

/// Reads a UUID from its other end. IPMI sends it so, some controllers do not, and `ipmitool` has
/// to guess. Source: IPMI 2.0 §20.8.
fn reversed(uuid: SystemUuid) -> SystemUuid {
    let mut octets = uuid.octets();
    octets.reverse();
    SystemUuid::from_wire(octets).swapped()
}

fn by_redfish_only(what: &str) -> BmcError {
    BmcError::Unsupported {
        what: format!("{what} is done by Redfish only, and `bmc.url` says IPMI"),
    }
}
