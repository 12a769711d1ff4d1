mod table;

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::Serialize;

use table::{FindingRow, TABLE};

use crate::inventory::{Severity, nearest};

/// What can be wrong with a boot, by what the packets show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingKind {
    /// A DHCP server that is not ours answers too.
    Rogue,
    /// Nobody answers a DHCPDISCOVER.
    NoAnswer,
    /// There are offers, and the machine takes none.
    NoOfferTaken,
    /// A DHCPREQUEST stays without an answer.
    NoAcknowledgement,
    /// A server refuses an address.
    Nak,
    /// A machine found its address in use.
    Declined,
    /// A bare `PXEClient` without an answer on port 4011.
    BinlWithout4011,
    /// An answer on port 4011 comes from another port.
    WrongPort4011,
    /// A loader for other firmware.
    WrongLoader,
    /// The same loader for all kinds of firmware.
    NoArchMapping,
    /// iPXE is handed an iPXE.
    IpxeLoop,
    /// A boot file that this client cannot ask for.
    UnusableBootFile,
    /// shim asks for its second stage without a directory.
    ShimBareName,
    /// A reply under 300 bytes.
    ReplyTooShort,
    /// A reply longer than the client takes.
    ReplyTooLong,
    /// A NUL counted in a text.
    NulInBootFile,
    /// Options in the fields of the boot file or the server's name.
    Overload,
    /// Boot data in pieces.
    SplitOption,
    /// Option 43 in a proxy's offer to UEFI.
    ProxyOption43,
    /// A mask without room for hosts.
    NarrowMask,
    /// A reply that is not whole.
    MalformedReply,
    /// A reply without the relay's option.
    RelayWithout82Echo,
    /// An answer on another VLAN.
    VlanMismatch,
    /// TFTP blocks over the MTU.
    BlksizeOverMtu,
    /// TFTP blocks sent again.
    TftpRetransmits,
    /// A TFTP request without an answer.
    TftpSilent,
    /// A file that the machine needs is not there.
    MissingFile,
    /// A TFTP transfer ended with an error.
    TftpError,
    /// An HTTP server refused.
    HttpError,
    /// An HTTP server does not answer.
    HttpSilent,
    /// A redirect for a client that follows none.
    HttpRedirect,
    /// A length that the client needs is not said.
    HttpWithoutLength,
    /// A transfer broke off.
    TransferCut,
    /// A transfer was slow.
    SlowTransfer,
    /// Nobody listens where the machine asks.
    PortUnreachable,
}

impl FindingKind {
    /// Lists every kind.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.kind)
    }

    /// Returns the name, by which `--fail-on` knows it.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Returns how bad it is.
    pub fn severity(self) -> Severity {
        self.row().severity
    }

    /// Returns the rule that was broken, with its source.
    pub fn rule(self) -> &'static str {
        self.row().rule
    }

    /// Returns what to do.
    pub fn fix(self) -> &'static str {
        self.row().fix
    }

    fn row(self) -> &'static FindingRow {
        // The table lists every variant in the order of the enum; a test holds it to that.
        &TABLE[self as usize]
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for FindingKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The text names no finding.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{seen}` is not a finding{}", .near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
pub struct UnknownFinding {
    seen: String,
    near: Option<&'static str>,
}

impl FromStr for FindingKind {
    type Err = UnknownFinding;

    fn from_str(text: &str) -> Result<Self, UnknownFinding> {
        let found = TABLE.iter().find(|row| row.name == text);
        found.map(|row| row.kind).ok_or_else(|| UnknownFinding {
            seen: text.chars().take(64).collect(),
            near: nearest(text, TABLE.iter().map(|row| row.name)),
        })
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of fault it is.
    pub name: FindingKind,
    /// How bad it is.
    pub severity: Severity,
    /// The machine that it hurts: its name, else its Ethernet address; `None` where it is the wire's.
    pub machine: Option<String>,
    /// When it was seen first.
    pub at: Timestamp,
    /// The number of the packet that showed it.
    pub packet: u64,
    /// What was seen.
    pub seen: String,
    /// How often it was seen.
    pub count: u64,
    /// The rule that was broken, with its source.
    pub rule: &'static str,
    /// What to do.
    pub fix: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lists_every_finding_in_order_and_says_something_of_each() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.kind as usize, index, "{}", row.name);
            assert_eq!(row.name.parse(), Ok(row.kind));
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(row.name.chars().all(plain), "{}", row.name);
            assert!(row.rule.len() > 20 && row.fix.len() > 20, "{}", row.name);
            let same = TABLE.iter().filter(|other| other.name == row.name);
            assert_eq!(same.count(), 1, "{}", row.name);
        }
    }

    #[test]
    fn a_slip_in_a_name_is_told_the_near_one() {
        for (text, said) in [
            ("rouge", "`rouge` is not a finding; did you mean `rogue`?"),
            (
                "no-answr",
                "`no-answr` is not a finding; did you mean `no-answer`?",
            ),
            ("everything", "`everything` is not a finding"),
        ] {
            let error = text.parse::<FindingKind>().unwrap_err();
            assert_eq!(error.to_string(), said);
        }
    }
}
