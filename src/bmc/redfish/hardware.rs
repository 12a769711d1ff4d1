use std::collections::HashSet;

use serde_json::Value;

use super::RedfishController;
use crate::bmc::error::BmcError;
use crate::bmc::fields::{Fields, members};
use crate::bmc::hardware::{Hardware, HardwareDisk, HardwareNic};

/// The most members of one collection to read.
const MAX_MEMBERS: usize = 64;

impl RedfishController {
    /// Reads the hardware of the machine. Lists the parts that cannot be read and continues.
    ///
    /// # Errors
    /// When the BMC can no longer be reached.
    pub async fn hardware(&mut self) -> Result<Hardware, BmcError> {
        let machine = self.system.machine.clone();
        let mut hardware = Hardware {
            manufacturer: machine.manufacturer,
            model: machine.model,
            serial: machine.serial,
            uuid: machine.uuid,
            bios: self.system.bios.clone(),
            ..Hardware::default()
        };
        let links = self.system.links.clone();
        let unread = &mut hardware.unread;
        self.context.report_progress("reading the interfaces");
        let interfaces = self.members(links.interfaces.as_deref(), unread).await?;
        hardware.nics = interfaces.iter().filter_map(HardwareNic::read).collect();
        self.context.report_progress("reading the disks");
        let mut drives = Vec::new();
        for storage in self.members(links.storage.as_deref(), unread).await? {
            drives.extend(Fields::of(&storage).links("Drives"));
        }
        for path in drives.iter().take(MAX_MEMBERS) {
            let drive = self.read_part(path, unread).await?;
            hardware
                .disks
                .extend(drive.as_ref().and_then(HardwareDisk::read));
        }
        if hardware.disks.is_empty() {
            let simple = links.simple_storage.as_deref();
            for storage in self.members(simple, unread).await? {
                let devices = Fields::of(&storage).items("Devices").iter();
                hardware
                    .disks
                    .extend(devices.filter_map(HardwareDisk::read));
            }
        }
        hardware
            .nics
            .sort_by(|left, right| (&left.id, left.mac).cmp(&(&right.id, right.mac)));
        // sushy-tools lists an interface twice.
        let mut known = HashSet::new();
        hardware.nics.retain(|nic| known.insert(nic.mac));
        Ok(hardware)
    }

    /// Reads the members of a collection that can be read.
    async fn members(
        &mut self,
        collection: Option<&str>,
        unread: &mut Vec<String>,
    ) -> Result<Vec<Value>, BmcError> {
        let Some(collection) = collection else {
            return Ok(Vec::new());
        };
        let paths = match self.read_part(collection, unread).await? {
            Some(body) => members(&body),
            None => Vec::new(),
        };
        let mut found = Vec::new();
        for path in paths.iter().take(MAX_MEMBERS) {
            found.extend(self.read_part(path, unread).await?);
        }
        Ok(found)
    }

    /// Reads a resource that may be missing. Adds the reason to `unread` if it cannot be read.
    async fn read_part(
        &mut self,
        path: &str,
        unread: &mut Vec<String>,
    ) -> Result<Option<Value>, BmcError> {
        match self.session.require(path).await {
            Ok(response) => Ok(Some(response.body)),
            Err(
                error @ (BmcError::Refused { .. }
                | BmcError::NotAllowed { .. }
                | BmcError::Malformed { .. }
                | BmcError::Redirected { .. }),
            ) => {
                unread.push(self.context.mask_error(error).to_string());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
