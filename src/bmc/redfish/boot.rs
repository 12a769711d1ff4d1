use std::net::Ipv4Addr;

use serde_json::{Map, json};

use super::{ChangeResult, POLL_INTERVAL, RedfishController};
use crate::bmc::boot::{BootRequest, OverrideResult, StaticAddress};
use crate::bmc::boot_override::OverrideCheck;
use crate::bmc::error::BmcError;
use crate::bmc::fields::Fields;
use crate::bmc::request::ChangeRequest;
use crate::bmc::resource::System;

/// How often to read an override back before it counts as not applied.
const MAX_READS: u32 = 3;

/// The result of sending one form of an override.
enum Attempt {
    Done(OverrideResult),
    Busy,
    Failed(BmcError),
}

impl RedfishController {
    /// Sets a one-time boot override: sends one form after another until the BMC reports the
    /// override.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn set_boot(&mut self, request: &BootRequest) -> Result<OverrideResult, BmcError> {
        self.context.report_progress("setting the next boot");
        match request.check(&self.system.machine.boot, &self.system) {
            OverrideCheck::Active => return Ok(OverrideResult::AlreadySet { every_boot: false }),
            OverrideCheck::ActiveEveryBoot => {
                return Ok(OverrideResult::AlreadySet { every_boot: true });
            }
            OverrideCheck::Mismatch { .. } => {}
        }
        if self.quirks.must_read_boot_options
            && let Some(options) = self.system.links.boot_options.clone()
        {
            // On Lenovo BMCs, the boot settings do not exist before this resource is read.
            self.session.get(&options).await?;
        }
        loop {
            let mut failure = None;
            let mut is_busy = false;
            for change in request.override_requests(&self.system, &self.quirks) {
                match self.try_override(request, &change).await? {
                    Attempt::Done(result) => return Ok(result),
                    Attempt::Busy => {
                        is_busy = true;
                        break;
                    }
                    // A false success is more informative than the refusals that follow it.
                    Attempt::Failed(error @ BmcError::NotApplied { .. }) => failure = Some(error),
                    Attempt::Failed(error) => failure = failure.or(Some(error)),
                }
            }
            match failure {
                Some(error) if !is_busy => return Err(error),
                _ => self.wait_for_self_test().await?,
            }
        }
    }

    /// Sends one form of an override and reads it back.
    async fn try_override(
        &mut self,
        request: &BootRequest,
        change: &ChangeRequest,
    ) -> Result<Attempt, BmcError> {
        let is_settings = change.path != self.system.path;
        let etag = if is_settings {
            self.session.get(&change.path).await?.etag
        } else {
            self.system.etag.clone()
        };
        let refusal = match self.send(change, etag.as_deref()).await? {
            ChangeResult::Planned => return Ok(Attempt::Done(OverrideResult::Planned)),
            ChangeResult::Busy(_) => return Ok(Attempt::Busy),
            ChangeResult::Accepted => None,
            // 13th-generation Dell BMCs refuse the change but apply it, so the value decides.
            ChangeResult::Refused(error) => Some(error),
        };
        let mut reads = 0;
        loop {
            let (property, expected, actual) =
                match self.read_back(request, change, is_settings).await? {
                    OverrideCheck::Active => {
                        return Ok(Attempt::Done(OverrideResult::Set { every_boot: false }));
                    }
                    OverrideCheck::ActiveEveryBoot => {
                        return Ok(Attempt::Done(OverrideResult::Set { every_boot: true }));
                    }
                    OverrideCheck::Mismatch {
                        property,
                        expected,
                        actual,
                    } => (property, expected, actual),
                };
            if let Some(error) = refusal {
                return Ok(Attempt::Failed(error));
            }
            // Some BMCs report an accepted value with a delay.
            reads += 1;
            if reads == MAX_READS {
                return Ok(Attempt::Failed(BmcError::NotApplied {
                    property: format!("`{property}`"),
                    expected,
                    actual,
                }));
            }
            self.context.pause(POLL_INTERVAL).await?;
        }
    }

    async fn read_back(
        &mut self,
        request: &BootRequest,
        change: &ChangeRequest,
        is_settings: bool,
    ) -> Result<OverrideCheck, BmcError> {
        self.refresh().await?;
        let check = request.check(&self.system.machine.boot, &self.system);
        if !is_settings || !matches!(check, OverrideCheck::Mismatch { .. }) {
            return Ok(check);
        }
        // The settings resource reports pending values until they take effect.
        let response = self.session.get(&change.path).await?;
        let pending = System::read(&change.path, &response.body);
        Ok(request.check(&pending.machine.boot, &self.system))
    }

    /// Sets a static address for HTTP boot in the firmware settings, if their names are known. The
    /// settings stay until they are changed again.
    ///
    /// # Errors
    /// [`BmcError::Unsupported`] when the names are not known; otherwise see [`BmcError`].
    pub async fn set_static_address(&mut self, address: &StaticAddress) -> Result<(), BmcError> {
        let unsupported = |reason: &str| BmcError::Unsupported {
            message: format!("cannot set a static address for HTTP boot: {reason}"),
        };
        let Some(names) = self.quirks.static_address else {
            return Err(unsupported(
                "pxectl does not know the settings of this firmware",
            ));
        };
        let Some(path) = self.system.links.bios.clone() else {
            return Err(unsupported("the BMC does not show the firmware settings"));
        };
        self.context
            .report_progress("setting the address for HTTP boot");
        let bios = self.session.require(&path).await?;
        let fields = Fields::of(&bios.body);
        let current = fields.object("Attributes");
        let settings = fields.object("@Redfish.Settings").link("SettingsObject");
        let settings =
            settings.ok_or_else(|| unsupported("the firmware settings cannot be changed"))?;
        let optional = |value: Option<Ipv4Addr>| value.map(|address| address.to_string());
        let values = [
            (names.no_dhcp.0, Some(names.no_dhcp.1.to_owned())),
            (names.address, Some(address.address.to_string())),
            (names.mask, Some(address.mask.to_string())),
            (names.gateway, optional(address.gateway)),
            (names.dns, optional(address.dns)),
            (names.url, Some(address.url.expose().to_owned())),
        ];
        let mut attributes = Map::new();
        for (name, value) in values {
            let Some(value) = value else { continue };
            if current.value(name).is_none() {
                return Err(unsupported(&format!(
                    "the firmware has no setting `{name}`"
                )));
            }
            if current.raw(name) != Some(&value) {
                attributes.insert(name.to_owned(), json!(value));
            }
        }
        if attributes.is_empty() {
            return Ok(());
        }
        let etag = self.session.get(&settings).await?.etag;
        let request = ChangeRequest::patch(&settings, json!({ "Attributes": attributes }));
        match self.send(&request, etag.as_deref()).await? {
            ChangeResult::Planned => Ok(()),
            ChangeResult::Accepted => {
                let address = address.address;
                self.context
                    .record_change(format!("address for HTTP boot set to {address}"));
                Ok(())
            }
            ChangeResult::Busy(error) | ChangeResult::Refused(error) => Err(error),
        }
    }
}
