use serde::{Deserialize, Serialize};

/// Who owns the addresses of a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DhcpMode {
    /// pxectl alone.
    #[default]
    Authoritative,
    /// Another DHCP server. pxectl only sends boot data (proxyDHCP).
    Proxy,
}
