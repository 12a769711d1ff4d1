use reqwest::Method;
use serde_json::json;

use super::{Redfish, Sent};
use crate::bmc::boot::{Rung, Taken, Wanted};
use crate::bmc::fields::Fields;
use crate::bmc::resource::System;
use crate::bmc::{BmcError, BootDone};
use crate::machine::Secret;

impl Redfish {
    /// Tells the machine what to boot next, once: climbs the ladder until what is read back is what
    /// was wanted.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn boot(&mut self, wanted: &Wanted) -> Result<BootDone, BmcError> {
        self.context.says("setting what it boots next");
        let seen = &self.system.machine.boot;
        match wanted.verify(seen, &self.system) {
            Taken::Yes => return Ok(BootDone::Already { each_time: false }),
            Taken::EachTime => return Ok(BootDone::Already { each_time: true }),
            Taken::No { .. } => {}
        }
        if let (true, Some(options)) = (
            self.quirks.reads_boot_options,
            &self.system.links.boot_options,
        ) {
            // Lenovo's settings do not exist before somebody has read them.
            let options = options.clone();
            self.account.get(&options).await?;
        }
        loop {
            let ladder = wanted.ladder(&self.system, &self.quirks);
            let mut failure = None;
            let mut is_not_now = false;
            for rung in &ladder {
                match self.climb(wanted, rung).await? {
                    Climbed::Done(done) => return Ok(done),
                    Climbed::NotNow => {
                        is_not_now = true;
                        break;
                    }
                    // A lie says more than the refusals that follow it.
                    Climbed::Failed(error @ BmcError::NotTaken { .. }) => {
                        failure = Some(error);
                    }
                    Climbed::Failed(error) => failure = failure.or(Some(error)),
                }
            }
            match failure {
                Some(error) if !is_not_now => return Err(error),
                _ => self.wait_out_self_test().await?,
            }
        }
    }

    async fn climb(&mut self, wanted: &Wanted, rung: &Rung) -> Result<Climbed, BmcError> {
        let is_settings = rung.path != self.system.path;
        let etag = match is_settings {
            true => self.account.get(&rung.path).await?.etag,
            false => self.system.etag.clone(),
        };
        let sent = self
            .send(Method::PATCH, &rung.path, &rung.body, etag.as_deref())
            .await?;
        let refused = match sent {
            Sent::Planned => return Ok(Climbed::Done(BootDone::Planned)),
            Sent::NotNow(_) => return Ok(Climbed::NotNow),
            Sent::Accepted => None,
            // Dell's 13th generation refuses and yet obeys: what is read back decides.
            Sent::Refused(error) => Some(error),
        };
        let mut looks = 0;
        loop {
            let taken = self.read_back(wanted, rung, is_settings).await?;
            let (what, wanted, seen) = match taken {
                Taken::Yes => return Ok(Climbed::Done(BootDone::Set { each_time: false })),
                Taken::EachTime => return Ok(Climbed::Done(BootDone::Set { each_time: true })),
                Taken::No { what, wanted, seen } => (what, wanted, seen),
            };
            if let Some(error) = refused {
                return Ok(Climbed::Failed(error));
            }
            // Some need a moment until they show what they have accepted.
            looks += 1;
            if looks == 3 {
                return Ok(Climbed::Failed(BmcError::NotTaken {
                    what: what.to_owned(),
                    wanted,
                    seen,
                }));
            }
            self.context.pause(super::LOOK).await?;
        }
    }

    async fn read_back(
        &mut self,
        wanted: &Wanted,
        rung: &Rung,
        is_settings: bool,
    ) -> Result<Taken, BmcError> {
        self.look().await?;
        let taken = wanted.verify(&self.system.machine.boot, &self.system);
        if !is_settings || !matches!(taken, Taken::No { .. }) {
            return Ok(taken);
        }
        // Settings are shown where they were sent until they take effect.
        let answer = self.account.get(&rung.path).await?;
        let pending = System::read(&rung.path, &answer.body);
        Ok(wanted.verify(&pending.machine.boot, &self.system))
    }

    /// Gives HTTP boot a static address by the settings of the firmware, where it is known how.
    /// They last until they are changed.
    ///
    /// # Errors
    /// [`BmcError::Unsupported`] where it is not known how; else see [`BmcError`].
    pub async fn set_static_address(&mut self, address: &StaticAddress) -> Result<(), BmcError> {
        let unknown = |what: &str| BmcError::Unsupported {
            what: format!("a static address for HTTP boot: {what}"),
        };
        let Some(names) = self.quirks.static_address else {
            return Err(unknown(
                "nobody has taught pxectl the settings of this firmware",
            ));
        };
        let Some(path) = self.system.links.bios.clone() else {
            return Err(unknown("it does not show the settings of its firmware"));
        };
        self.context.says("setting its address for HTTP boot");
        let bios = self.account.need(&path).await?;
        let fields = Fields::of(&bios.body);
        let known = fields.object("Attributes");
        let settings = fields.object("@Redfish.Settings").link("SettingsObject");
        let settings = settings.ok_or_else(|| unknown("its firmware takes no settings"))?;
        let optional = |value: Option<std::net::Ipv4Addr>| value.map(|it| it.to_string());
        let wanted = [
            (names.no_dhcp.0, Some(names.no_dhcp.1.to_owned())),
            (names.address, Some(address.address.to_string())),
            (names.mask, Some(address.mask.to_string())),
            (names.gateway, optional(address.gateway)),
            (names.dns, optional(address.dns)),
            (names.url, Some(address.url.expose().to_owned())),
        ];
        let mut attributes = serde_json::Map::new();
        for (name, value) in wanted {
            let Some(value) = value else { continue };
            if known.value(name).is_none() {
                return Err(unknown(&format!("its firmware has no setting `{name}`")));
            }
            if known.raw(name) != Some(&value) {
                attributes.insert(name.to_owned(), json!(value));
            }
        }
        if attributes.is_empty() {
            return Ok(());
        }
        let etag = self.account.get(&settings).await?.etag;
        let body = json!({ "Attributes": attributes });
        match self
            .send(Method::PATCH, &settings, &body, etag.as_deref())
            .await?
        {
            Sent::Planned => {}
            Sent::Accepted => self
                .context
                .changed(format!("address for HTTP boot set to {}", address.address)),
            Sent::NotNow(error) | Sent::Refused(error) => return Err(error),
        }
        Ok(())
    }
}

/// The static address of HTTP boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticAddress {
    /// The address.
    pub address: std::net::Ipv4Addr,
    /// The mask of its subnet.
    pub mask: std::net::Ipv4Addr,
    /// The gateway.
    pub gateway: Option<std::net::Ipv4Addr>,
    /// The first name server.
    pub dns: Option<std::net::Ipv4Addr>,
    /// The URL.
    pub url: Secret,
}

enum Climbed {
    Done(BootDone),
    NotNow,
    Failed(BmcError),
}
