use serde_json::Value;

use super::RedfishController;
use crate::bmc::error::BmcError;
use crate::bmc::firmware::boot_order;
use crate::bmc::status::SecureBoot;

/// The most boot options to request one by one.
const MAX_BOOT_OPTIONS: usize = 32;

impl RedfishController {
    /// Adds Secure Boot and the boot order to the status of the machine, as far as the BMC reports
    /// them.
    ///
    /// # Errors
    /// When the BMC can no longer be reached.
    pub async fn read_details(&mut self) -> Result<(), BmcError> {
        self.context.report_progress("reading the boot order");
        if let Some(path) = self.system.links.secure_boot.clone() {
            let body = self.optional_body(&path).await?;
            self.system.machine.secure_boot = SecureBoot::read(&body);
        }
        let references = self.system.boot_order.clone();
        let options = match self.system.links.boot_options.clone() {
            Some(path) if !references.is_empty() => {
                optional(self.read_members(&path, MAX_BOOT_OPTIONS).await)?.unwrap_or_default()
            }
            _ => Vec::new(),
        };
        self.system.machine.boot_order = boot_order(&references, &options);
        Ok(())
    }

    /// Reads a resource, or null if the BMC does not have it or does not show it to this account.
    pub(super) async fn optional_body(&mut self, path: &str) -> Result<Value, BmcError> {
        let response = optional(self.session.require(path).await)?;
        Ok(response.map_or(Value::Null, |response| response.body))
    }
}

/// Returns `None` for a resource that the BMC does not have or does not show to this account.
pub(super) fn optional<T>(result: Result<T, BmcError>) -> Result<Option<T>, BmcError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(
            BmcError::Refused { .. }
            | BmcError::NotAllowed { .. }
            | BmcError::LicenseRequired { .. }
            | BmcError::Malformed { .. }
            | BmcError::Redirected { .. },
        ) => Ok(None),
        Err(error) => Err(error),
    }
}
