//! The boot chain of one host: firmware, loader, installer, and the boot after the install.

mod firmware;
mod grub;
mod install;
mod ipxe;
mod outcome;
mod player;
mod pxelinux;

use super::endpoints::Endpoints;
use super::report::{ChainFailure, Reach, Rehearsal, StepError, host_status_help};
use super::rom::Rom;
use crate::inventory::{Host, Inventory};
use crate::loader::LoaderKind;

use outcome::BootOutcome;
use player::Player;

/// Plays one host through its boot chain.
///
/// `rom` replaces the firmware that the inventory records.
pub fn rehearse(
    inventory: &Inventory,
    host: &Host,
    endpoints: &Endpoints,
    reach: Reach,
    rom: Option<Rom>,
) -> Rehearsal {
    let rom = rom.unwrap_or(Rom::Firmware(host.arch));
    let mut player = Player::new(inventory, host, endpoints, rom);
    let stop = player.play(reach).err();
    Rehearsal {
        host: host.name.clone(),
        firmware: rom.to_string(),
        steps: player.steps,
        stop,
    }
}

impl Player<'_> {
    fn play(&mut self, reach: Reach) -> Result<(), ChainFailure> {
        let (kind, outcome) = self.boot(reach)?;
        match outcome {
            BootOutcome::Kernel { .. } if reach == Reach::Script => {
                let detail =
                    "would install; stops here, before a session starts (`--commit` continues)";
                self.note("stop", detail.to_owned());
                Ok(())
            }
            BootOutcome::Kernel {
                kernel,
                arguments,
                initrds,
            } => {
                self.install(&kernel, &arguments, &initrds)?;
                self.boot_again(kind)
            }
            BootOutcome::Image => Ok(()),
            BootOutcome::LocalDisk if reach == Reach::Script => Ok(()),
            BootOutcome::LocalDisk => {
                let help = format!("run `pxectl host provision {}` to arm it", self.host.name);
                Err(StepError::new("the machine was sent to its local disk")
                    .help(help)
                    .at("script"))
            }
            BootOutcome::Hold(reason) => {
                Err(StepError::new(format!("the machine is held: {reason}"))
                    .help(host_status_help(&self.host.name))
                    .at("script"))
            }
        }
    }

    /// Boots the machine once: its firmware, then the loader that the inventory gives it.
    fn boot(&mut self, reach: Reach) -> Result<(LoaderKind, BootOutcome), ChainFailure> {
        if self.rom == Rom::Ipxe {
            return Ok((LoaderKind::Ipxe, self.run_ipxe(reach)?));
        }
        let started = self.load_loader()?;
        let kind = started.kind();
        let outcome = match kind {
            LoaderKind::Ipxe => self.run_ipxe(reach)?,
            LoaderKind::Grub => self.run_grub(&started, reach)?,
            LoaderKind::Pxelinux => self.run_pxelinux(&started, reach)?,
            LoaderKind::Image => {
                let detail = "the image contains everything that it boots".to_owned();
                self.note("image", detail);
                BootOutcome::Image
            }
        };
        Ok((kind, outcome))
    }

    /// Boots again: an installed host must go to its local disk. iPXE starts at its script. The other
    /// loaders get a boot token with their file, so they are loaded again.
    fn boot_again(&mut self, kind: LoaderKind) -> Result<(), ChainFailure> {
        let outcome = match kind {
            LoaderKind::Ipxe => self.run_ipxe(Reach::Script)?,
            LoaderKind::Grub | LoaderKind::Pxelinux | LoaderKind::Image => {
                self.boot(Reach::Script)?.1
            }
        };
        match outcome {
            BootOutcome::LocalDisk => Ok(()),
            _ => {
                let reason = "the installed host does not boot its local disk";
                Err(StepError::new(reason).at("disk"))
            }
        }
    }
}
