use serde_json::Value;

use super::Redfish;
use crate::bmc::BmcError;
use crate::bmc::fields::{Fields, members};
use crate::bmc::hardware::{Hardware, SeenDisk, SeenNic};

/// How many interfaces and how many drives are read.
const MOST: usize = 64;

impl Redfish {
    /// Reads what is in the machine. A part that cannot be read is named, and the rest is read.
    ///
    /// # Errors
    /// When the controller can no longer be spoken to.
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
        self.context.says("reading its interfaces");
        let links = self.system.links.clone();
        for nic in self
            .members(links.interfaces.as_deref(), &mut hardware.unread)
            .await?
        {
            hardware.nics.extend(SeenNic::read(&nic));
        }
        self.context.says("reading its disks");
        let mut drives = Vec::new();
        for storage in self
            .members(links.storage.as_deref(), &mut hardware.unread)
            .await?
        {
            drives.extend(Fields::of(&storage).links("Drives"));
        }
        for path in drives.iter().take(MOST) {
            let drive = self.part(path, &mut hardware.unread).await?;
            hardware
                .disks
                .extend(drive.and_then(|drive| SeenDisk::read(&drive)));
        }
        if hardware.disks.is_empty() {
            let simple = links.simple_storage.as_deref();
            for storage in self.members(simple, &mut hardware.unread).await? {
                let devices = Fields::of(&storage).items("Devices");
                hardware
                    .disks
                    .extend(devices.iter().filter_map(SeenDisk::read));
            }
        }
        hardware
            .nics
            .sort_by(|one, other| (&one.id, one.mac).cmp(&(&other.id, other.mac)));
        // sushy-tools lists an interface twice.
        let mut known = std::collections::HashSet::new();
        hardware.nics.retain(|nic| known.insert(nic.mac));
        Ok(hardware)
    }

    /// Reads the members of a collection, those that can be read.
    async fn members(
        &mut self,
        collection: Option<&str>,
        unread: &mut Vec<String>,
    ) -> Result<Vec<Value>, BmcError> {
        let Some(collection) = collection else {
            return Ok(Vec::new());
        };
        let listed = match self.part(collection, unread).await? {
            Some(body) => members(&body),
            None => Vec::new(),
        };
        let mut found = Vec::new();
        for path in listed.iter().take(MOST) {
            found.extend(self.part(path, unread).await?);
        }
        Ok(found)
    }

    /// Reads a resource that may well be missing.
    async fn part(
        &mut self,
        path: &str,
        unread: &mut Vec<String>,
    ) -> Result<Option<Value>, BmcError> {
        match self.account.need(path).await {
            Ok(answer) => Ok(Some(answer.body)),
            Err(
                error @ (BmcError::Refused { .. }
                | BmcError::NotAllowed { .. }
                | BmcError::Malformed { .. }
                | BmcError::Redirected { .. }),
            ) => {
                unread.push(self.context.masked(error).to_string());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
