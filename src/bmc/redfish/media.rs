use super::{ChangeResult, POLL_INTERVAL, RedfishController};
use crate::bmc::error::BmcError;
use crate::bmc::fields::{Fields, members};
use crate::bmc::media::{VirtualDrive, choose};
use crate::bmc::request::{ChangeMethod, ChangeRequest};

/// The most virtual drives to read.
const MAX_DRIVES: usize = 16;
/// How often to read a drive back before an image counts as not inserted. A BMC may check the image
/// first.
const MAX_READS: u32 = 15;

impl RedfishController {
    /// Inserts an image into a virtual CD drive. Returns `false` if it was already inserted.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn insert_media(&mut self, url: &str) -> Result<bool, BmcError> {
        let drives = self.virtual_drives().await?;
        let Some(drive) = choose(&drives, url).cloned() else {
            return Err(BmcError::Unsupported {
                message: "the BMC has no virtual CD drive; it may need a license".to_owned(),
            });
        };
        if drive.holds(url) {
            return Ok(false);
        }
        if drive.inserted {
            self.eject(&drive).await?;
        }
        self.context.report_progress("inserting the image");
        let requests = drive.insert_requests(url, &self.quirks);
        self.change_drive(&drive, &requests, |drive| drive.holds(url))
            .await?;
        Ok(true)
    }

    /// Ejects the images in the virtual CD drives. Returns `false` if the drives were empty.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn eject_media(&mut self) -> Result<bool, BmcError> {
        let drives = self.virtual_drives().await?;
        let mut changed = false;
        for drive in drives
            .iter()
            .filter(|drive| drive.takes_cd() && drive.inserted)
        {
            changed = true;
            self.eject(drive).await?;
        }
        Ok(changed)
    }

    async fn eject(&mut self, drive: &VirtualDrive) -> Result<(), BmcError> {
        self.context.report_progress("ejecting the current image");
        self.change_drive(drive, &drive.eject_requests(), |drive| !drive.inserted)
            .await
    }

    /// Finds the virtual drives: newer services list them at the system, older ones at its manager.
    async fn virtual_drives(&mut self) -> Result<Vec<VirtualDrive>, BmcError> {
        self.context.report_progress("finding the virtual drives");
        let mut collections: Vec<String> = self.system.links.media.iter().cloned().collect();
        if collections.is_empty() {
            let mut managers = self.system.links.managers.clone();
            if managers.is_empty() {
                let path = self.root.managers.clone();
                managers = members(&self.session.require(&path).await?.body);
            }
            for manager in managers.iter().take(MAX_DRIVES) {
                let body = self.session.require(manager).await?.body;
                collections.extend(Fields::of(&body).link("VirtualMedia"));
            }
        }
        let mut drives = Vec::new();
        for collection in collections {
            for path in members(&self.session.require(&collection).await?.body) {
                if drives.len() < MAX_DRIVES {
                    drives.push(self.read_drive(&path).await?);
                }
            }
        }
        Ok(drives)
    }

    async fn read_drive(&mut self, path: &str) -> Result<VirtualDrive, BmcError> {
        let response = self.session.require(path).await?;
        let mut drive = VirtualDrive::read(path, &response.body);
        drive.etag = response.etag;
        Ok(drive)
    }

    /// Sends one request after another until the BMC accepts one, and waits for its effect.
    async fn change_drive(
        &mut self,
        drive: &VirtualDrive,
        requests: &[ChangeRequest],
        is_done: impl Fn(&VirtualDrive) -> bool,
    ) -> Result<(), BmcError> {
        let mut failure = None;
        for request in requests {
            let etag = match request.method {
                ChangeMethod::Patch => drive.etag.as_deref(),
                ChangeMethod::Post => None,
            };
            let result = loop {
                match self.send(request, etag).await? {
                    ChangeResult::Busy(_) => self.wait_for_self_test().await?,
                    result => break result,
                }
            };
            match result {
                ChangeResult::Planned => return Ok(()),
                ChangeResult::Accepted => return self.wait_for_drive(&drive.path, is_done).await,
                ChangeResult::Refused(error) | ChangeResult::Busy(error) => {
                    failure = Some(BmcError::or_clearer(failure, error));
                }
            }
        }
        Err(failure.unwrap_or_else(|| BmcError::Unsupported {
            message: "the virtual drive cannot be changed".to_owned(),
        }))
    }

    /// Reads a drive until it reports an accepted change.
    async fn wait_for_drive(
        &mut self,
        path: &str,
        is_done: impl Fn(&VirtualDrive) -> bool,
    ) -> Result<(), BmcError> {
        let mut reads = 0;
        loop {
            let drive = self.read_drive(path).await?;
            if is_done(&drive) {
                return Ok(());
            }
            reads += 1;
            if reads == MAX_READS {
                // The URL of the image may hold a token, so it is not shown.
                let actual = if drive.inserted {
                    "another image"
                } else {
                    "empty"
                };
                return Err(BmcError::NotApplied {
                    property: "the virtual drive".to_owned(),
                    expected: "the requested state".to_owned(),
                    actual: actual.to_owned(),
                });
            }
            self.context.pause(POLL_INTERVAL).await?;
        }
    }
}
