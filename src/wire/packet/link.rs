use std::fmt;

/// The link-layer header of captured frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkType {
    /// An Ethernet header.
    Ethernet,
    /// An IP header.
    RawIp,
    /// The Linux cooked header, for captures on several interfaces.
    LinuxCooked,
    /// The second version of that header, which includes the interface.
    LinuxCooked2,
    /// An unsupported header, by its number.
    Unknown(u16),
}

impl LinkType {
    /// Returns the link type of its number in a capture file.
    ///
    /// Source: <https://www.tcpdump.org/linktypes.html>.
    pub fn from_number(number: u16) -> Self {
        match number {
            1 => Self::Ethernet,
            // Some systems used these numbers for raw IP before it had one.
            12 | 14 | 101 | 228 => Self::RawIp,
            113 => Self::LinuxCooked,
            276 => Self::LinuxCooked2,
            other => Self::Unknown(other),
        }
    }

    /// Returns its number in a capture file.
    pub fn number(self) -> u16 {
        match self {
            Self::Ethernet => 1,
            Self::RawIp => 101,
            Self::LinuxCooked => 113,
            Self::LinuxCooked2 => 276,
            Self::Unknown(number) => number,
        }
    }
}

/// The VLAN tags of a frame, at most two, outermost first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct VlanTags(pub(super) [Option<u16>; 2]);

impl VlanTags {
    /// No tags.
    pub const NONE: Self = Self([None; 2]);

    /// Creates tags from VLAN numbers, outermost first.
    pub fn new(outer: Option<u16>, inner: Option<u16>) -> Self {
        Self([outer, inner])
    }

    /// Lists the VLAN numbers, outermost first.
    pub fn ids(self) -> impl Iterator<Item = u16> {
        self.0.into_iter().flatten()
    }

    /// Reports whether the frame has no tag.
    pub fn is_empty(self) -> bool {
        self.0[0].is_none()
    }
}

impl fmt::Display for VlanTags {
    /// Prints `20`, `100.20` for two tags, or nothing without a tag.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, id) in self.ids().enumerate() {
            write!(f, "{}{id}", if index > 0 { "." } else { "" })?;
        }
        Ok(())
    }
}
