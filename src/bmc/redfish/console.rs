use serde_json::Value;

use super::RedfishController;
use crate::bmc::console::ConsoleOffer;
use crate::bmc::error::BmcError;
use crate::bmc::fields::Fields;

impl RedfishController {
    /// Reads which serial consoles the BMC offers.
    ///
    /// # Errors
    /// When the BMC can no longer be reached.
    pub async fn console_offer(&mut self) -> Result<ConsoleOffer, BmcError> {
        self.context.report_progress("finding the serial console");
        let path = self.system.path.clone();
        let system = self.session.require(&path).await?.body;
        let (mut manager, mut protocols) = (Value::Null, Value::Null);
        if let Some(path) = self.system.links.managers.first().cloned() {
            manager = self.optional_body(&path).await?;
        }
        if let Some(path) = Fields::of(&manager).link("NetworkProtocol") {
            protocols = self.optional_body(&path).await?;
        }
        Ok(ConsoleOffer::read(&system, &manager, &protocols))
    }
}
