use std::fmt;

/// The language of a loader's boot script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// iPXE's scripts.
    Ipxe,
    /// GRUB's `grub.cfg`.
    Grub,
    /// PXELINUX's configuration.
    Pxelinux,
}

/// The table of dialects, in the order of the enum: the name, and the usual name of its script.
const TABLE: [(Dialect, &str, &str); 3] = [
    (Dialect::Ipxe, "ipxe", "boot.ipxe"),
    (Dialect::Grub, "grub", "grub.cfg"),
    (Dialect::Pxelinux, "pxelinux", "pxelinux.cfg"),
];

impl Dialect {
    /// Lists every dialect.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.0)
    }

    /// Returns the name that templates carry.
    pub fn name(self) -> &'static str {
        TABLE[self as usize].1
    }

    /// Returns the name of a script in it.
    pub fn script_name(self) -> &'static str {
        TABLE[self as usize].2
    }

    /// Reports whether a loader of this dialect can be signed for Secure Boot: GRUB, behind shim.
    pub fn can_be_signed(self) -> bool {
        self == Self::Grub
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lists_every_dialect_in_order() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.0 as usize, index);
        }
    }
}
