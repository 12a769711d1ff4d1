use std::fmt;
use std::str::FromStr;

use crate::inventory::{Host, Inventory};
use crate::machine::{Architecture, Firmware};

/// The first program of a network boot: the machine's firmware, or the ROM of its network card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rom {
    /// The firmware's own PXE or HTTP boot.
    Firmware(Architecture),
    /// iPXE in the ROM of the network card, under a BIOS. It needs no loader.
    Ipxe,
}

/// The name of [`Rom::Ipxe`] on the command line.
const IPXE: &str = "bios-ipxe";

impl Rom {
    /// Lists every name, for messages.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Architecture::all().map(Architecture::name).chain([IPXE])
    }

    /// Returns the client architecture.
    pub fn architecture(self) -> Architecture {
        match self {
            Self::Firmware(architecture) => architecture,
            Self::Ipxe => Architecture::Bios,
        }
    }

    /// Lists what a host may boot with: what its document allows and the inventory has a loader for.
    /// A machine with other firmware is held, because it does not match the document.
    pub fn of_host(inventory: &Inventory, host: &Host) -> Vec<Self> {
        let over_http = host.arch.over_http();
        let more = match host.arch.firmware() {
            Firmware::Bios => Some(Self::Ipxe),
            Firmware::Uefi => Some(Self::Firmware(over_http)),
            Firmware::Uboot | Firmware::RaspberryPi => None,
        };
        let has_loader = |rom: &Self| {
            let loader = inventory.loader_of(Some(host), rom.architecture());
            *rom == Self::Ipxe || loader.is_some()
        };
        let own = [Self::Firmware(host.arch)].into_iter();
        own.chain(more).filter(has_loader).collect()
    }
}

impl fmt::Display for Rom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Firmware(architecture) => architecture.fmt(f),
            Self::Ipxe => f.pad(IPXE),
        }
    }
}

impl FromStr for Rom {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == IPXE {
            return Ok(Self::Ipxe);
        }
        text.parse().map(Self::Firmware).map_err(|error| {
            let known: Vec<_> = Self::names().collect();
            format!("{error}; known are {}", known.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_parsed() {
        for name in Rom::names() {
            let rom: Rom = name.parse().unwrap();
            assert_eq!(rom.to_string(), name);
        }
        assert_eq!("bios-ipxe".parse(), Ok(Rom::Ipxe));
        let error = "amiga".parse::<Rom>().unwrap_err();
        assert!(error.starts_with("`amiga` is not a client architecture; known are bios, "));
        assert!(error.ends_with(", bios-ipxe"), "{error}");
    }
}
