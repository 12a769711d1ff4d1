use serde::{Deserialize, Serialize};

/// Who gives the addresses of a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DhcpMode {
    /// We do, and nobody else.
    #[default]
    Authoritative,
    /// Another server; we only say what to boot (proxyDHCP).
    Proxy,
}
