/// Help text for missing privileges.
pub const PRIVILEGES: &str = "run as root, or first run \
     `setcap cap_net_bind_service,cap_net_raw,cap_net_admin=+ep $(command -v pxectl)`";

/// A failed requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// Whether it prevents the start of the servers.
    pub fatal: bool,
    /// The problem.
    pub what: String,
    /// The fix.
    pub help: String,
}
