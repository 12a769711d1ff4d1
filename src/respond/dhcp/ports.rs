/// The port on which servers and relays listen.
pub const SERVER_PORT: u16 = 67;
/// The port on which clients listen.
pub const CLIENT_PORT: u16 = 68;
/// The port on which firmware requests its boot file from a proxyDHCP server.
pub const BOOT_SERVER_PORT: u16 = 4011;
