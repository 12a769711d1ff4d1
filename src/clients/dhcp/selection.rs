//! How clients classify offers, and the result of their choice.

use std::fmt;
use std::net::Ipv4Addr;

use crate::wire::dhcp::DhcpMessage;

/// A client's classification of an offer. `Display` explains what it means for the boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferClass {
    /// `PXEClient` with boot data that the client can use at once.
    Pxe {
        /// Whether the offer has no address.
        proxy: bool,
    },
    /// `PXEClient` without such data: the client sends a request to port 4011 (BINL).
    Binl {
        /// Whether the offer has no address.
        proxy: bool,
    },
    /// `HTTPClient` with a URL.
    Http {
        /// Whether the offer has no address.
        proxy: bool,
    },
    /// An address, with or without a boot file.
    Plain {
        /// Whether the offer names a boot file.
        boot_file: bool,
    },
    /// No menu with `Raspberry Pi Boot`, which a Raspberry Pi needs.
    NoMenu {
        /// Whether the offer has no address.
        proxy: bool,
    },
    /// The client drops it.
    Dropped(DropReason),
}

/// Why a client drops an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// It is not a DHCPOFFER.
    NoOffer,
    /// It has neither an address nor the client's vendor class.
    NothingForTheClient,
    /// It requires MTFTP, which is obsolete.
    Mtftp,
    /// It has option 60 `HTTPClient`, but no URL.
    NoUrl,
}

impl fmt::Display for OfferClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pxe { proxy: false } => "an address and PXE boot data: preferred to all others",
            Self::Pxe { proxy: true } => {
                "PXE boot data for another server's address (old edk2 drops the first offer of this \
                 kind that has option 43)"
            }
            Self::Binl { proxy: false } => {
                "an address and option 60 `PXEClient` without discovery options in 43: the client \
                 needs a response on port 4011, or it fails (a BIOS ROM with PXE-E55)"
            }
            Self::Binl { proxy: true } => {
                "option 60 `PXEClient` without an address: the client requests the boot file on port \
                 4011"
            }
            Self::Http { proxy: false } => "an address and a URL to boot",
            Self::Http { proxy: true } => "a URL to boot, for another server's address",
            Self::Plain { boot_file: true } => {
                "an address and a boot file without option 60: used when no PXE offer competes"
            }
            Self::Plain { boot_file: false } => "an address without a boot file",
            Self::NoMenu { proxy: false } => {
                "an address without the boot menu (43.9 `Raspberry Pi Boot`, and 43.10) that a \
                 Raspberry Pi needs"
            }
            Self::NoMenu { proxy: true } => {
                "neither an address nor a boot menu (43.9 `Raspberry Pi Boot`, and 43.10)"
            }
            Self::Dropped(DropReason::NoOffer) => "dropped: not a DHCPOFFER",
            Self::Dropped(DropReason::NothingForTheClient) => {
                "dropped: neither an address nor the client's vendor class in option 60"
            }
            Self::Dropped(DropReason::Mtftp) => "dropped: it requires multicast TFTP",
            Self::Dropped(DropReason::NoUrl) => {
                "dropped: option 60 is `HTTPClient`, but neither option 67 nor `file` has a URL"
            }
        })
    }
}

/// The offer that a client accepts, and the source of its boot file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection<'a> {
    /// The offer whose address the client requests.
    pub offer: &'a DhcpMessage,
    /// The source of the boot file's name.
    pub boot: BootSource<'a>,
    /// The reason, for the operator.
    pub reason: &'static str,
}

/// The source of the boot file's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootSource<'a> {
    /// The DHCPACK of the server that assigns the address.
    Acknowledgement,
    /// The offer of a second server, without an address.
    Proxy(&'a DhcpMessage),
    /// A DHCPACK from port 4011 of this server, which the client has yet to request.
    BootServer(Ipv4Addr),
}

/// No offer lets the client boot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoOffer {
    /// There is no offer.
    #[error("no offer arrived (a BIOS ROM prints PXE-E51)")]
    Silence,
    /// No offer has an address.
    #[error("no offer has an address; offers: {}", list(.seen))]
    NoAddress {
        /// The classes of the offers, in their order.
        seen: Vec<OfferClass>,
    },
    /// There is an address without a boot file.
    #[error("no offer names a boot file (a BIOS ROM prints PXE-E53); offers: {}", list(.seen))]
    NothingToBoot {
        /// The classes of the offers, in their order.
        seen: Vec<OfferClass>,
    },
}

fn list(seen: &[OfferClass]) -> String {
    let texts: Vec<_> = seen.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

/// An offer with its class.
pub(super) type ClassifiedOffer<'a> = (&'a DhcpMessage, OfferClass);

/// Returns the first offer with a matching class.
pub(super) fn first<'a>(
    offers: &[ClassifiedOffer<'a>],
    matches: impl Fn(OfferClass) -> bool,
) -> Option<&'a DhcpMessage> {
    let mut matching = offers.iter().filter(|(_, class)| matches(*class));
    matching.next().map(|(offer, _)| *offer)
}
