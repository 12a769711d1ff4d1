use std::collections::VecDeque;
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
            match self.try_all_overrides(request).await? {
                Attempt::Done(result) => return Ok(result),
                Attempt::Busy => self.wait_for_self_test().await?,
                Attempt::Failed(error) => return Err(self.with_boot_targets(request, error)),
            }
        }
    }

    /// Sends each form of an override until the BMC reports the override.
    async fn try_all_overrides(&mut self, request: &BootRequest) -> Result<Attempt, BmcError> {
        let (mut failure, mut every_boot) = (None, None);
        let mut changes = self.override_requests(request);
        while let Some(change) = changes.pop_front() {
            // After an override that applies to every boot, only the settings resource can be
            // better.
            if every_boot.is_some() && !change.waits_for_boot {
                continue;
            }
            let knew_settings = self.settings_path().is_some();
            match self.try_override(request, &change).await? {
                Attempt::Done(result @ OverrideResult::Set { every_boot: true }) => {
                    every_boot = Some(result);
                }
                Attempt::Done(result) => return Ok(Attempt::Done(result)),
                Attempt::Busy => return Ok(Attempt::Busy),
                // A false success is more informative than the refusals that follow it.
                Attempt::Failed(error @ BmcError::NotApplied { .. }) => failure = Some(error),
                Attempt::Failed(error) => failure = failure.or(Some(error)),
            }
            if !knew_settings && self.settings_path().is_some() {
                // The refusal named the settings resource.
                changes = self.override_requests(request);
            }
        }
        Ok(match (every_boot, failure) {
            (Some(result), _) => Attempt::Done(result),
            (None, Some(error)) => Attempt::Failed(error),
            (None, None) => Attempt::Busy,
        })
    }

    fn override_requests(&self, request: &BootRequest) -> VecDeque<ChangeRequest> {
        let mut quirks = self.quirks;
        quirks.settings_first |= self.named_settings.is_some();
        let settings = self.settings_path();
        let requests = request.override_requests(&self.system, settings, &quirks);
        requests.into()
    }

    /// Returns the path of the settings resource that the system lists, or that a refusal named.
    fn settings_path(&self) -> Option<&str> {
        let named = self.named_settings.as_deref();
        named.or(self.system.settings.as_deref())
    }

    /// Adds the boot targets that the BMC supports to a refusal.
    fn with_boot_targets(&self, request: &BootRequest, error: BmcError) -> BmcError {
        let supported = self.system.boot_targets.clone();
        let is_refused = match &error {
            BmcError::Refused { .. } => true,
            BmcError::OperationFailed { .. } | BmcError::NotApplied { .. } => {
                !request.is_listed(&self.system)
            }
            _ => false,
        };
        if !is_refused || supported.is_empty() {
            return error;
        }
        BmcError::BootTargetRefused {
            refusal: error.to_string(),
            target: request.target_name(&self.system),
            supported,
        }
    }

    /// Sends one form of an override and reads it back.
    async fn try_override(
        &mut self,
        request: &BootRequest,
        change: &ChangeRequest,
    ) -> Result<Attempt, BmcError> {
        let etag = if change.waits_for_boot {
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
            let (property, expected, actual) = match self.read_back(request, change).await? {
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
    ) -> Result<OverrideCheck, BmcError> {
        self.refresh().await?;
        let current = request.check(&self.system.machine.boot, &self.system);
        if !change.waits_for_boot || current == OverrideCheck::Active {
            return Ok(current);
        }
        // The settings resource reports pending values until they take effect.
        let response = self.session.get(&change.path).await?;
        let settings = System::read(&change.path, &response.body);
        let pending = request.check(&settings.machine.boot, &self.system);
        Ok(match (current, pending) {
            (OverrideCheck::ActiveEveryBoot, OverrideCheck::Mismatch { .. }) => {
                OverrideCheck::ActiveEveryBoot
            }
            (_, pending) => pending,
        })
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
        let attributes = json!({ "Attributes": attributes });
        let request = ChangeRequest::patch_settings(&settings, attributes);
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
