use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

/// The addresses where the servers of a rehearsal listen. What they serve names the site's addresses,
/// which are mapped to these without changing a served byte.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// DHCP, for each network of the site.
    pub dhcp: BTreeMap<String, DhcpEndpoint>,
    /// TFTP.
    pub tftp: SocketAddr,
    /// HTTP: the root of the site's URLs, and the address of the server.
    pub http: (String, SocketAddr),
    /// The address that the site hands out as its server.
    pub server: Ipv4Addr,
}

/// The addresses of DHCP for one network.
#[derive(Clone, Copy, Debug)]
pub struct DhcpEndpoint {
    /// The server that machines reach at port 67.
    pub at: SocketAddr,
    /// The server that machines reach at port 4011. Clients use it on networks with `mode: proxy`.
    pub boot_server: Option<SocketAddr>,
}
