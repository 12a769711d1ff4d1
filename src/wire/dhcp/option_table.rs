//! The one table of the DHCP options that pxectl knows.
//!
//! To add an option, add a row. The inventory, the writer of replies, the checks of `capture` and its
//! timelines read their rules from here.
//!
//! Source: IANA, "Dynamic Host Configuration Protocol (DHCP) and Bootstrap Protocol (BOOTP)
//! Parameters".

use super::OptionCode;

/// The option in which iPXE keeps its own options (175), also called `DHCP_EB_ENCAP`.
pub const IPXE_ENCAPSULATED: OptionCode = OptionCode::Unknown(175);
/// The name of PXELINUX's configuration file (209). Source: RFC 5071 §5.
pub const PXELINUX_CONFIG_FILE: OptionCode = OptionCode::Unknown(209);
/// The prefix of every name that PXELINUX requests (210). Source: RFC 5071 §6.
pub const PXELINUX_PATH_PREFIX: OptionCode = OptionCode::Unknown(210);
/// How many seconds PXELINUX waits before it restarts a machine that cannot boot (211).
/// Source: RFC 5071 §7.
pub const PXELINUX_REBOOT_TIME: OptionCode = OptionCode::Unknown(211);

/// One DHCP option: everything that depends on its code alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionRow {
    /// The code.
    pub code: u8,
    /// The name, as the inventory and messages write it.
    pub name: &'static str,
    /// The shape of its value.
    pub shape: OptionShape,
    /// Why the inventory must not set it; `None` if it may.
    pub reservation: Option<Reservation>,
    /// When a reply that is too long loses it.
    pub retention: Retention,
    /// How firmware reads its bytes.
    pub firmware: FirmwareReading,
    /// A reply repeats it as the client sent it.
    pub is_echoed: bool,
}

/// The shape of an option's value. Numbers are in network byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionShape {
    /// Text without a NUL.
    Text,
    /// The name or URL of a file, which may hold a boot token.
    FileName,
    /// Exactly one IPv4 address.
    Address,
    /// One or more IPv4 addresses.
    Addresses,
    /// A number in one byte.
    U8,
    /// A number in two bytes.
    U16,
    /// A number in four bytes.
    U32,
    /// A number of seconds in four bytes.
    Seconds,
    /// A number of 512-byte blocks in two bytes.
    Blocks,
    /// Client architectures, two bytes each. Source: RFC 4578 §2.1.
    Architectures,
    /// A type byte and a UUID. Source: RFC 4578 §2.3.
    MachineIdentifier,
    /// Options inside the option. Source: RFC 2132 §8.4.
    SubOptions,
    /// Any bytes.
    Bytes,
}

/// Why the inventory must not set an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// What determines the value, as the predicate of a sentence about the option.
    pub reason: &'static str,
    /// The edit to make.
    pub help: &'static str,
    /// Whether `none` may omit the option from the replies to a machine.
    pub may_be_omitted: bool,
    /// Whether a class of clients may set the option.
    pub may_be_set_by_class: bool,
}

/// When a reply that is too long for its client loses an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// Never: the exchange or the boot depends on it.
    Essential,
    /// After all extras, the lowest rank first.
    DroppedAtRank(u8),
    /// First; of several, the one that was added last. Unknown options are extras, too.
    Extra,
}

/// How firmware reads an option's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FirmwareReading {
    /// Some clients read only the first part of a split option, so a reply never splits it.
    // Deviation: RFC 3396 §4 would split it; GRUB and firmware do not join the parts.
    pub only_first_part: bool,
    /// Some clients read or write past the end of the text, so a reply needs a PAD after it, and a NUL
    /// that the length counts does harm.
    // Deviation: edk2 overwrites the byte after option 67, some ROMs read past its end, and GRUB compares
    // option 60 as a C string; a NUL counted inside the option breaks others.
    pub past_the_end: bool,
}

/// Finds the row of an option.
pub fn option_row(code: OptionCode) -> Option<&'static OptionRow> {
    let code = u8::from(code);
    let index = TABLE.binary_search_by_key(&code, |row| row.code).ok()?;
    TABLE.get(index)
}

/// Finds the row of an option by its name.
pub fn option_named(name: &str) -> Option<&'static OptionRow> {
    TABLE.iter().find(|row| row.name == name)
}

/// Lists the table, sorted by code.
pub fn option_rows() -> impl Iterator<Item = &'static OptionRow> {
    TABLE.iter()
}

/// Names an option for people: its number, and its name if it has one, such as `67 (boot-file-name)`.
pub fn describe(code: OptionCode) -> String {
    let number = u8::from(code);
    match option_row(code) {
        Some(row) => format!("{number} ({})", row.name),
        None => number.to_string(),
    }
}

/// Returns when a reply that is too long loses an option.
pub(super) fn retention(code: OptionCode) -> Retention {
    option_row(code).map_or(Retention::Extra, |row| row.retention)
}

/// Returns how firmware reads an option.
pub(super) fn firmware_reading(code: OptionCode) -> FirmwareReading {
    option_row(code).map(|row| row.firmware).unwrap_or_default()
}

const REMOVE: &str = "remove this line";
const LAYOUT: Reservation = Reservation {
    reason: "is part of the message format",
    help: REMOVE,
    may_be_omitted: false,
    may_be_set_by_class: false,
};
const PROTOCOL: Reservation = Reservation {
    reason: "is part of the DHCP protocol",
    help: REMOVE,
    may_be_omitted: false,
    may_be_set_by_class: false,
};
const CLIENTS: Reservation = Reservation {
    reason: "is only sent by clients and relays",
    help: REMOVE,
    may_be_omitted: false,
    may_be_set_by_class: false,
};
/// The copy of the client's identifier, which clients from before RFC 6842 do not expect.
const IDENTIFIER: Reservation = Reservation {
    may_be_omitted: true,
    ..PROTOCOL
};
const SUBNET: Reservation = Reservation {
    reason: "is set by the network's `subnet`",
    help: "change `subnet` of the network",
    may_be_omitted: false,
    may_be_set_by_class: false,
};
const GATEWAY: Reservation = Reservation {
    reason: "is set by the network's `gateway`",
    help: "write `gateway: …` in the network",
    may_be_omitted: true,
    may_be_set_by_class: false,
};
const FIRMWARE: Reservation = Reservation {
    reason: "selects the boot file",
    help: "write `loader: …` in the host or its profile, or `loaders:` in the site",
    may_be_omitted: true,
    may_be_set_by_class: true,
};
const LEASE: Reservation = Reservation {
    reason: "is set by the lease",
    help: "write `lease_time: …` in the network",
    may_be_omitted: false,
    may_be_set_by_class: false,
};
const SEARCH: Reservation = Reservation {
    reason: "is set by the network's `search`",
    help: "write `search: […]` in the network",
    may_be_omitted: true,
    may_be_set_by_class: false,
};
const ROUTES: Reservation = Reservation {
    reason: "is set by the network's `routes`",
    help: "write `routes: […]` in the network",
    may_be_omitted: true,
    may_be_set_by_class: false,
};

use OptionShape::{
    Address, Addresses, Architectures, Blocks, Bytes, FileName, MachineIdentifier, Seconds,
    SubOptions, Text, U8, U16, U32,
};

/// Sorted by code.
const TABLE: [OptionRow; 54] = [
    row(0, "pad", Bytes).reserved(LAYOUT),
    row(1, "subnet-mask", Address).reserved(SUBNET).essential(),
    row(2, "time-offset", U32).dropped_at(2),
    row(3, "routers", Addresses).reserved(GATEWAY).essential(),
    row(4, "time-servers", Addresses),
    row(6, "domain-name-servers", Addresses).essential(),
    row(7, "log-servers", Addresses).dropped_at(1),
    row(12, "host-name", Text).dropped_at(11),
    row(13, "boot-file-size", Blocks).dropped_at(12),
    row(15, "domain-name", Text).dropped_at(9),
    row(16, "swap-server", Addresses),
    row(17, "root-path", Text),
    row(23, "default-ttl", U8),
    row(26, "interface-mtu", U16).dropped_at(5),
    row(28, "broadcast-address", Address)
        .reserved(SUBNET)
        .dropped_at(8),
    row(40, "nis-domain", Text),
    row(41, "nis-servers", Addresses),
    row(42, "ntp-servers", Addresses).dropped_at(3),
    row(43, "vendor-options", SubOptions)
        .reserved(FIRMWARE)
        .essential()
        .whole(),
    row(44, "netbios-name-servers", Addresses),
    row(46, "netbios-node-type", U8),
    row(50, "requested-address", Address)
        .reserved(LEASE)
        .essential(),
    row(51, "lease-time", Seconds).reserved(LEASE).essential(),
    row(52, "option-overload", U8).reserved(LAYOUT),
    row(53, "message-type", U8).reserved(PROTOCOL).essential(),
    row(54, "server-identifier", Address)
        .reserved(PROTOCOL)
        .essential(),
    row(55, "parameter-request-list", Bytes).reserved(PROTOCOL),
    row(56, "message", Text).reserved(PROTOCOL).essential(),
    row(57, "maximum-message-size", U16).reserved(PROTOCOL),
    row(58, "renewal-time", Seconds)
        .reserved(LEASE)
        .dropped_at(6),
    row(59, "rebinding-time", Seconds)
        .reserved(LEASE)
        .dropped_at(7),
    row(60, "vendor-class", Text)
        .reserved(FIRMWARE)
        .essential()
        .whole()
        .padded(),
    // Echoed: RFC 6842 §3.
    row(61, "client-identifier", Bytes)
        .reserved(IDENTIFIER)
        .essential()
        .echoed(),
    // The header's `siaddr` names the same server.
    row(66, "tftp-server-name", Text)
        .reserved(FIRMWARE)
        .dropped_at(13)
        .padded(),
    row(67, "boot-file-name", FileName)
        .reserved(FIRMWARE)
        .essential()
        .whole()
        .padded(),
    row(77, "user-class", Text).reserved(CLIENTS),
    // Echoed byte for byte (RFC 3046 §2.2); the layout puts it last.
    row(82, "relay-agent-information", SubOptions)
        .reserved(CLIENTS)
        .essential()
        .echoed(),
    row(93, "client-architecture", Architectures).reserved(CLIENTS),
    row(94, "client-network-interface", Bytes).reserved(CLIENTS),
    // Echoed: GRUB builds the name of its configuration from the copy in the DHCPACK.
    row(97, "client-machine-identifier", MachineIdentifier)
        .reserved(CLIENTS)
        .essential()
        .echoed(),
    row(100, "posix-timezone", Text),
    row(101, "tzdb-timezone", Text),
    row(114, "captive-portal", Text),
    // Echoed by a server that follows it, as ours does behind relays (RFC 3011 §2).
    row(118, "subnet-selection", Address)
        .reserved(CLIENTS)
        .echoed(),
    row(119, "domain-search", Bytes)
        .reserved(SEARCH)
        .dropped_at(4),
    // Option 3 holds the default route, too.
    row(121, "classless-static-routes", Bytes)
        .reserved(ROUTES)
        .dropped_at(10),
    row(150, "tftp-server-addresses", Addresses),
    row(175, "ipxe", SubOptions).reserved(FIRMWARE).essential(),
    row(208, "pxelinux-magic", Bytes),
    row(209, "pxelinux-config-file", FileName),
    row(210, "pxelinux-path-prefix", FileName),
    row(211, "pxelinux-reboot-time", U32),
    row(252, "proxy-autodiscovery", Text),
    row(255, "end", Bytes).reserved(LAYOUT),
];

const fn row(code: u8, name: &'static str, shape: OptionShape) -> OptionRow {
    OptionRow {
        code,
        name,
        shape,
        reservation: None,
        retention: Retention::Extra,
        firmware: FirmwareReading {
            only_first_part: false,
            past_the_end: false,
        },
        is_echoed: false,
    }
}

impl OptionRow {
    const fn reserved(mut self, reservation: Reservation) -> Self {
        self.reservation = Some(reservation);
        self
    }

    const fn essential(mut self) -> Self {
        self.retention = Retention::Essential;
        self
    }

    const fn dropped_at(mut self, rank: u8) -> Self {
        self.retention = Retention::DroppedAtRank(rank);
        self
    }

    const fn whole(mut self) -> Self {
        self.firmware.only_first_part = true;
        self
    }

    const fn echoed(mut self) -> Self {
        self.is_echoed = true;
        self
    }

    const fn padded(mut self) -> Self {
        self.firmware.past_the_end = true;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_names_and_ranks_are_unique() {
        assert!(TABLE.is_sorted_by(|a, b| a.code < b.code));
        for (index, row) in TABLE.iter().enumerate() {
            let others = || TABLE[..index].iter();
            assert!(others().all(|other| other.name != row.name), "{}", row.name);
            let is_ranked = matches!(row.retention, Retention::DroppedAtRank(_));
            let has_same_rank = others().any(|other| other.retention == row.retention);
            assert!(!is_ranked || !has_same_rank, "{}", row.name);
            assert_eq!(option_row(row.code.into()), Some(row));
            assert_eq!(option_named(row.name), Some(row));
        }
    }

    #[test]
    fn an_option_is_described_by_its_number_and_name() {
        assert_eq!(describe(OptionCode::BootfileName), "67 (boot-file-name)");
        assert_eq!(describe(OptionCode::Unknown(224)), "224");
    }
}
