use crate::machine::{Architecture, Dialect, MacAddress, SystemUuid};
use crate::token::TokenError;

/// The most characters of a serial number or an asset tag that are kept.
pub const IDENTITY_LIMIT: usize = 64;

/// What a machine says of itself when it asks for its script.
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
    /// What it reads its script as: whose script it asks for.
    pub dialect: Dialect,
    /// What became of its boot token.
    pub token: TokenState,
}

impl BootRequest {
    /// Lists what the machine showed of itself besides its Ethernet address, under the names that the
    /// inventory uses.
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

/// What became of a request's boot token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// It was made for this machine and is in time.
    Good,
    /// The site does not ask for one.
    NotAsked,
    /// The request held none.
    Missing,
    /// The request held one that is not good.
    Bad(TokenError),
}
