//! What a BMC reports about its machine.

use std::fmt;

use serde::Serialize;

use crate::machine::{Secret, SystemUuid};

/// The state and identity of one machine, as its BMC reports them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MachineStatus {
    /// The power state.
    pub power: PowerState,
    /// The manufacturer.
    pub manufacturer: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// The serial number, unless it is a placeholder.
    pub serial: Option<String>,
    /// The SMBIOS UUID, unless it is a placeholder.
    pub uuid: Option<SystemUuid>,
    /// The boot override.
    pub boot: BootOverride,
    /// The health, in the words of the BMC: `OK`, `Warning`, `Critical`.
    pub health: Option<String>,
    /// Whether the firmware is in its power-on self-test, as far as the BMC reports it.
    pub in_post: bool,
    /// Secure Boot. Only `status` reads it.
    pub secure_boot: Option<SecureBoot>,
    /// The boot order. Only `status` reads it.
    pub boot_order: Vec<BootOption>,
}

/// The state of Secure Boot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SecureBoot {
    /// Whether Secure Boot was active during the current boot.
    pub active: Option<bool>,
    /// Whether Secure Boot will be active during the next boot.
    pub enabled: Option<bool>,
    /// The mode, in the words of the BMC: `UserMode`, `SetupMode`, …
    pub mode: Option<String>,
}

/// One entry of the boot order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BootOption {
    /// The identifier: `Boot0003`.
    pub reference: String,
    /// The name that the firmware shows.
    pub name: Option<String>,
}

/// The power state of a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PowerState {
    /// The machine is running.
    On,
    /// The machine is off.
    Off,
    /// The machine is powering on.
    PoweringOn,
    /// The machine is powering off.
    PoweringOff,
    /// The BMC does not report a power state.
    #[default]
    Unknown,
}

impl fmt::Display for PowerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::On => "on",
            Self::Off => "off",
            Self::PoweringOn => "powering on",
            Self::PoweringOff => "powering off",
            Self::Unknown => "unknown",
        })
    }
}

/// The boot override of a machine, in the words of the BMC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BootOverride {
    /// `Disabled`, `Once` or `Continuous`.
    pub enabled: Option<String>,
    /// `None`, `Pxe`, `UefiHttp`, `Hdd`, `Cd`, …
    pub target: Option<String>,
    /// `UEFI` or `Legacy`.
    pub mode: Option<String>,
    /// The URI of HTTP boot. It may hold a boot token, so it is never printed.
    #[serde(skip)]
    pub uri: Option<Secret>,
}
