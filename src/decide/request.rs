use crate::loader::Dialect;
use crate::machine::{Architecture, MacAddress, SystemUuid};
use crate::token::TokenError;

/// What a machine reports about itself when it requests its script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootRequest {
    /// The Ethernet address of the interface that booted.
    pub mac: MacAddress,
    /// Its SMBIOS UUID.
    pub uuid: Option<SystemUuid>,
    /// Its SMBIOS serial number, cleaned.
    pub serial: Option<String>,
    /// Its SMBIOS asset tag, cleaned.
    pub asset: Option<String>,
    /// Its firmware and processor.
    pub architecture: Option<Architecture>,
    /// The language of the requested script.
    pub dialect: Dialect,
    /// The result of the check of its boot token.
    pub token: TokenState,
}

impl BootRequest {
    /// Lists what the machine reported besides its Ethernet address, under the names of the inventory's keys.
    pub fn shown(&self) -> Vec<(&'static str, String)> {
        [
            ("uuid", self.uuid.map(|uuid| uuid.to_string())),
            ("serial", self.serial.clone()),
            ("asset", self.asset.clone()),
            ("arch", self.architecture.map(|arch| arch.name().to_owned())),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }
}

/// The result of the check of a request's boot token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// The token is valid for this machine and has not expired.
    Good,
    /// The site does not require a token.
    NotAsked,
    /// The request has no token.
    Missing,
    /// The request has an invalid token.
    Bad(TokenError),
}
