use std::sync::Arc;

use super::{BmcError, BootTarget, Context, Machine, PowerVerb};
use crate::workspace::Secret;

/// A controller that speaks IPMI over the LAN, through the program `ipmitool`.
///
/// The password goes to it by the environment (`IPMI_PASSWORD` with `-E`), never as an argument.
pub struct Ipmi {
    context: Arc<Context>,
    host: String,
    port: u16,
    username: String,
    password: Secret,
}

impl Ipmi {
    /// Names a controller; nothing is sent yet.
    pub fn new(
        context: Arc<Context>,
        host: String,
        port: u16,
        username: String,
        password: Secret,
    ) -> Self {
        Self {
            context,
            host,
            port,
            username,
            password,
        }
    }

    /// Reads what the controller says of its machine: power, identity (FRU, GUID), boot options.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn machine(&mut self) -> Result<Machine, BmcError> {
        let _ = (
            &self.context,
            &self.host,
            self.port,
            &self.username,
            &self.password,
        );
        Err(BmcError::Unsupported {
            what: "IPMI".to_owned(),
        })
    }

    /// Sends one power command, without waiting for what comes of it. Under `--dry-run` it is noted
    /// in the context instead.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn power(&mut self, verb: PowerVerb) -> Result<(), BmcError> {
        Err(BmcError::Unsupported {
            what: format!("power {verb:?} by IPMI"),
        })
    }

    /// Tells the machine what to boot next, once, and reads it back. `uefi` says whether its
    /// firmware is UEFI.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn boot(&mut self, target: &BootTarget, uefi: bool) -> Result<(), BmcError> {
        Err(BmcError::Unsupported {
            what: format!("booting {target:?} by IPMI, UEFI: {uefi}"),
        })
    }
}
