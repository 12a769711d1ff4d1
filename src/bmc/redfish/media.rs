use reqwest::Method;

use super::{Redfish, Sent};
use crate::bmc::BmcError;
use crate::bmc::fields::{Fields, members};
use crate::bmc::media::{Drive, Way, choose};

/// How many drives are looked at.
const MOST: usize = 16;
/// How often a drive is looked at until it holds what it has accepted: it may first check the image.
const LOOKS: u32 = 15;

impl Redfish {
    /// Inserts an image into a virtual CD drive. Returns whether it was not there already.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn insert(&mut self, url: &str) -> Result<bool, BmcError> {
        self.context.says("looking for its virtual drives");
        let drives = self.drives().await?;
        let Some(drive) = choose(&drives, url).cloned() else {
            return Err(BmcError::Unsupported {
                what: "it has no virtual CD drive; it may need a license".to_owned(),
            });
        };
        if drive.holds(url) {
            return Ok(false);
        }
        if drive.inserted {
            self.context.says("ejecting what is in its drive");
            self.carry_out(&drive, &drive.ejecting(), |it| !it.inserted)
                .await?;
        }
        self.context.says("inserting the image");
        let ways = drive.inserting(url, &self.quirks);
        self.carry_out(&drive, &ways, |it| it.holds(url)).await?;
        Ok(true)
    }

    /// Ejects what is in the virtual CD drives. Returns whether there was anything.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn eject(&mut self) -> Result<bool, BmcError> {
        self.context.says("looking for its virtual drives");
        let drives = self.drives().await?;
        let mut was_any = false;
        for drive in drives
            .iter()
            .filter(|drive| drive.takes_cd() && drive.inserted)
        {
            was_any = true;
            self.context.says("ejecting what is in its drive");
            self.carry_out(drive, &drive.ejecting(), |it| !it.inserted)
                .await?;
        }
        Ok(was_any)
    }

    /// Finds the virtual drives: newer services show them at the system, older ones at its manager.
    async fn drives(&mut self) -> Result<Vec<Drive>, BmcError> {
        let mut collections: Vec<String> = self.system.links.media.iter().cloned().collect();
        if collections.is_empty() {
            let mut managers = self.system.links.managers.clone();
            if managers.is_empty() {
                let place = self.root.managers.clone();
                managers = members(&self.account.need(&place).await?.body);
            }
            for manager in managers.iter().take(MOST) {
                let body = self.account.need(manager).await?.body;
                collections.extend(Fields::of(&body).link("VirtualMedia"));
            }
        }
        let mut drives = Vec::new();
        for collection in collections {
            for path in members(&self.account.need(&collection).await?.body) {
                if drives.len() < MOST {
                    drives.push(self.drive(&path).await?);
                }
            }
        }
        Ok(drives)
    }

    async fn drive(&mut self, path: &str) -> Result<Drive, BmcError> {
        let answer = self.account.need(path).await?;
        let mut drive = Drive::read(path, &answer.body);
        drive.etag = answer.etag;
        Ok(drive)
    }

    /// Tries ways until the drive is as wanted.
    async fn carry_out(
        &mut self,
        drive: &Drive,
        ways: &[Way],
        is_done: impl Fn(&Drive) -> bool,
    ) -> Result<(), BmcError> {
        let mut failure = None;
        for way in ways {
            let (method, etag) = match way.is_action {
                true => (Method::POST, None),
                false => (Method::PATCH, drive.etag.as_deref()),
            };
            let sent = loop {
                let (path, body) = (&way.rung.path, &way.rung.body);
                match self.send(method.clone(), path, body, etag).await? {
                    Sent::NotNow(_) => self.wait_out_self_test().await?,
                    sent => break sent,
                }
            };
            match sent {
                Sent::Planned => return Ok(()),
                Sent::Refused(error) | Sent::NotNow(error) => {
                    failure = Some(BmcError::or_better(failure, error));
                }
                Sent::Accepted => {
                    let mut seen = self.drive(&drive.path).await?;
                    let mut looks = 1;
                    while !is_done(&seen) && looks < LOOKS {
                        self.context.pause(super::LOOK).await?;
                        seen = self.drive(&drive.path).await?;
                        looks += 1;
                    }
                    if is_done(&seen) {
                        return Ok(());
                    }
                    // The image's URL may hold a token of its own: it is not shown.
                    return Err(BmcError::NotTaken {
                        what: "its virtual drive".to_owned(),
                        wanted: "as was asked for".to_owned(),
                        seen: match seen.inserted {
                            true => "holding another image".to_owned(),
                            false => "empty".to_owned(),
                        },
                    });
                }
            }
        }
        Err(failure.unwrap_or_else(|| BmcError::Unsupported {
            what: "its virtual drive takes nothing".to_owned(),
        }))
    }
}
