use std::fmt;
use std::net::Ipv4Addr;

use super::{Client, ClientKind, raspberry_pi};
use crate::clients::url;
use crate::wire::dhcp::{
    DhcpMessage, DhcpOptions, IPXE_ENCAPSULATED, IpxeFeature, MessageType, OptionCode, PxeSubOption,
};

/// What a client takes an offer for; prints what that means for the boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferClass {
    /// `PXEClient` with boot data that the client can follow at once.
    Pxe {
        /// Whether it comes without an address.
        proxy: bool,
    },
    /// `PXEClient` without such data: the client asks on port 4011 (BINL).
    Binl {
        /// Whether it comes without an address.
        proxy: bool,
    },
    /// `HTTPClient` with a URL.
    Http {
        /// Whether it comes without an address.
        proxy: bool,
    },
    /// An address, and perhaps a boot file.
    Plain {
        /// Whether a boot file is named.
        boot_file: bool,
    },
    /// Nothing says `Raspberry Pi Boot`, which a Raspberry Pi looks for.
    NoMenu {
        /// Whether it comes without an address.
        proxy: bool,
    },
    /// The client drops it.
    Dropped(DropReason),
}

/// Why a client drops an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// It is no DHCPOFFER.
    NoOffer,
    /// It has neither an address nor the client's vendor class.
    NothingForTheClient,
    /// It asks for MTFTP, which nobody speaks any more.
    Mtftp,
    /// It says `HTTPClient`, and has no URL.
    NoUrl,
}

impl fmt::Display for OfferClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pxe { proxy: false } => "an address and PXE boot data: taken before all others",
            Self::Pxe { proxy: true } => {
                "PXE boot data for another server's address (old edk2 drops the first offer of this \
                 kind that has option 43)"
            }
            Self::Binl { proxy: false } => {
                "an address and option 60 `PXEClient` without discovery options in 43: the client \
                 must get an answer on port 4011, or it fails (a BIOS ROM with PXE-E55)"
            }
            Self::Binl { proxy: true } => {
                "option 60 `PXEClient` without an address: the boot file is asked for on port 4011"
            }
            Self::Http { proxy: false } => "an address and a URL to boot",
            Self::Http { proxy: true } => "a URL to boot, for another server's address",
            Self::Plain { boot_file: true } => {
                "an address and a boot file without option 60: used when no PXE offer competes"
            }
            Self::Plain { boot_file: false } => "an address, and nothing to boot",
            Self::NoMenu { proxy: false } => {
                "an address, and no boot menu (43.9 `Raspberry Pi Boot`, and 43.10), which a Raspberry \
                 Pi waits for"
            }
            Self::NoMenu { proxy: true } => {
                "neither an address nor a boot menu (43.9 `Raspberry Pi Boot`, and 43.10)"
            }
            Self::Dropped(DropReason::NoOffer) => "dropped: it is no DHCPOFFER",
            Self::Dropped(DropReason::NothingForTheClient) => {
                "dropped: it has neither an address nor the client's vendor class in option 60"
            }
            Self::Dropped(DropReason::Mtftp) => "dropped: it asks for multicast TFTP",
            Self::Dropped(DropReason::NoUrl) => {
                "dropped: option 60 is `HTTPClient`, and neither option 67 nor `file` has a URL"
            }
        })
    }
}

/// Which offer a client took, and where its boot file will come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection<'a> {
    /// The offer whose address the client requests.
    pub offer: &'a DhcpMessage,
    /// Where the boot file is named.
    pub boot: BootSource<'a>,
    /// Why this one, for the operator.
    pub reason: &'static str,
}

/// Where the name of the boot file comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootSource<'a> {
    /// The ACK of the server that gives the address.
    Acknowledgement,
    /// The offer of a second server, which gives no address.
    Proxy(&'a DhcpMessage),
    /// An ACK from port 4011 of this server, still to be asked for.
    BootServer(Ipv4Addr),
}

/// No offer lets the client boot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoOffer {
    /// Nobody answered.
    #[error("no offer came (a BIOS ROM says PXE-E51)")]
    Silence,
    /// Nobody gave an address.
    #[error("no offer has an address; seen: {}", list(.seen))]
    NoAddress {
        /// What the client took the offers for, in their order.
        seen: Vec<OfferClass>,
    },
    /// There is an address, and nothing to boot.
    #[error("no offer names a boot file (a BIOS ROM says PXE-E53); seen: {}", list(.seen))]
    NothingToBoot {
        /// What the client took the offers for, in their order.
        seen: Vec<OfferClass>,
    },
}

fn list(seen: &[OfferClass]) -> String {
    let texts: Vec<_> = seen.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

impl Client {
    /// Returns what the client takes an offer for.
    ///
    /// Source: edk2, `PxeBcParseDhcp4Packet`, `HttpBootParseDhcp4Packet`; iPXE, `dhcp_discovery_rx`;
    /// PXE 2.1 §2.2.4.
    pub fn classify(&self, offer: &DhcpMessage) -> OfferClass {
        let options = &offer.options;
        let proxy = offer.your_address.is_unspecified();
        if options.message_type() != Some(MessageType::Offer) {
            return OfferClass::Dropped(DropReason::NoOffer);
        }
        match self.kind {
            ClientKind::RaspberryPi => return raspberry_pi::classify(offer),
            ClientKind::EdkHttp(_) if options.is_http_client() => {
                if self
                    .boot_name(offer)
                    .is_some_and(|name| url::is_absolute(&name))
                {
                    return OfferClass::Http { proxy };
                }
                return OfferClass::Dropped(DropReason::NoUrl);
            }
            ClientKind::EdkPxe(_) | ClientKind::BiosPxe if options.is_pxe_client() => {
                return if has_discovery_options(options) {
                    OfferClass::Pxe { proxy }
                } else if asks_for_mtftp(options) {
                    OfferClass::Dropped(DropReason::Mtftp)
                } else {
                    OfferClass::Binl { proxy }
                };
            }
            ClientKind::Ipxe { .. } if options.is_pxe_client() => {
                let has_menu = options.pxe_sub_option(PxeSubOption::BootMenu).is_some();
                let has_file =
                    !offer.server_address.is_unspecified() && self.boot_name(offer).is_some();
                return if has_file || has_menu {
                    OfferClass::Pxe { proxy }
                } else {
                    OfferClass::Binl { proxy }
                };
            }
            _ => {}
        }
        if proxy {
            return OfferClass::Dropped(DropReason::NothingForTheClient);
        }
        OfferClass::Plain {
            boot_file: self.boot_name(offer).is_some(),
        }
    }

    /// Chooses among all offers that came in time, in the order in which they came.
    ///
    /// # Errors
    /// When the client cannot boot with any of them.
    ///
    /// Source: edk2, `PxeBcSelectDhcp4Offer`, `HttpBootSelectDhcpOffer`; iPXE, `dhcp_discovery_rx`,
    /// `dhcp_request_rx`.
    pub fn select<'a>(&self, offers: &'a [DhcpMessage]) -> Result<Selection<'a>, NoOffer> {
        if offers.is_empty() {
            return Err(NoOffer::Silence);
        }
        let seen: Vec<_> = offers.iter().map(|offer| self.classify(offer)).collect();
        let pairs: Vec<_> = offers.iter().zip(seen.iter().copied()).collect();
        let selected = match self.kind {
            ClientKind::EdkPxe(_) | ClientKind::BiosPxe => select_pxe(&pairs),
            ClientKind::EdkHttp(_) => select_http(&pairs),
            ClientKind::Ipxe { .. } => select_ipxe(&pairs),
            ClientKind::Grub(_) => select_plain(&pairs),
            ClientKind::RaspberryPi => raspberry_pi::select(&pairs),
        };
        selected.ok_or_else(|| {
            if offers
                .iter()
                .all(|offer| offer.your_address.is_unspecified())
            {
                NoOffer::NoAddress { seen }
            } else {
                NoOffer::NothingToBoot { seen }
            }
        })
    }
}

/// An offer, and what the client takes it for.
pub(super) type ClassifiedOffer<'a> = (&'a DhcpMessage, OfferClass);

/// Returns the first offer of some class.
pub(super) fn first<'a>(
    seen: &[ClassifiedOffer<'a>],
    is_wanted: impl Fn(OfferClass) -> bool,
) -> Option<&'a DhcpMessage> {
    let mut wanted = seen.iter().filter(|(_, class)| is_wanted(*class));
    wanted.next().map(|(offer, _)| *offer)
}

/// The default policy of edk2, which ROMs under a BIOS share.
fn select_pxe<'a>(seen: &[ClassifiedOffer<'a>]) -> Option<Selection<'a>> {
    use OfferClass::{Binl, Plain, Pxe};
    let plain = first(seen, |class| matches!(class, Plain { .. }));
    if let Some(offer) = first(seen, |class| class == Pxe { proxy: false }) {
        return Some(Selection {
            offer,
            boot: BootSource::Acknowledgement,
            reason: "one server gives the address and PXE boot data",
        });
    }
    let proxy = first(seen, |class| class == Pxe { proxy: true });
    if let (Some(offer), Some(proxy)) = (plain, proxy) {
        return Some(Selection {
            offer,
            boot: BootSource::Proxy(proxy),
            reason: "one server gives the address, and another one the PXE boot data",
        });
    }
    if let Some(offer) = first(seen, |class| class == Binl { proxy: false }) {
        return Some(Selection {
            offer,
            boot: BootSource::BootServer(boot_server(offer)),
            reason: "the server that gives the address says `PXEClient` without discovery options, \
                     so it is asked on port 4011",
        });
    }
    let proxy = first(seen, |class| class == Binl { proxy: true });
    if let (Some(offer), Some(proxy)) = (plain, proxy) {
        return Some(Selection {
            offer,
            boot: BootSource::BootServer(boot_server(proxy)),
            reason: "one server gives the address, and another one is asked for the boot file on \
                     port 4011",
        });
    }
    first(seen, |class| class == Plain { boot_file: true }).map(|offer| Selection {
        offer,
        boot: BootSource::Acknowledgement,
        reason: "no PXE offer competes with a plain one that names a boot file",
    })
}

fn select_http<'a>(seen: &[ClassifiedOffer<'a>]) -> Option<Selection<'a>> {
    use OfferClass::{Http, Plain};
    if let Some(offer) = first(seen, |class| class == Http { proxy: false }) {
        return Some(Selection {
            offer,
            boot: BootSource::Acknowledgement,
            reason: "one server gives the address and the URL",
        });
    }
    let offer = first(seen, |class| matches!(class, Plain { .. }))?;
    first(seen, |class| class == Http { proxy: true }).map(|proxy| Selection {
        offer,
        boot: BootSource::Proxy(proxy),
        reason: "one server gives the address, and another one the URL",
    })
}

/// GRUB takes the first address that it is offered. Source: GRUB 2.06, `grub-core/net/bootp.c`,
/// `grub_net_process_dhcp`.
fn select_plain<'a>(seen: &[ClassifiedOffer<'a>]) -> Option<Selection<'a>> {
    let offer = first(seen, |class| matches!(class, OfferClass::Plain { .. }))?;
    Some(Selection {
        offer,
        boot: BootSource::Acknowledgement,
        reason: "it is the first one with an address",
    })
}

/// iPXE takes the last address of the highest priority, and beside it the last `PXEClient` offer,
/// unless the server of the address says that there is none (175.0xb0).
fn select_ipxe<'a>(seen: &[ClassifiedOffer<'a>]) -> Option<Selection<'a>> {
    use OfferClass::{Binl, Dropped, Pxe};
    let best = |is_wanted: &dyn Fn(&ClassifiedOffer<'a>) -> bool| {
        let wanted = seen.iter().filter(|pair| is_wanted(pair));
        wanted
            .max_by_key(|(offer, _)| priority(&offer.options))
            .copied()
    };
    let (offer, _) = best(&|(offer, class)| {
        !matches!(class, Dropped(_)) && !offer.your_address.is_unspecified()
    })?;
    let proxy = best(&|(_, class)| matches!(class, Pxe { .. } | Binl { .. }));
    let waits_for_none = sub_option(&offer.options, IpxeFeature::NoProxyDhcp as u8);
    let (boot, reason) = match proxy {
        _ if waits_for_none.is_some_and(|value| value != 0) => (
            BootSource::Acknowledgement,
            "the server that gives the address says not to wait for another one (175.176)",
        ),
        Some((proxy, Pxe { .. })) if std::ptr::eq(proxy, offer) => (
            BootSource::Acknowledgement,
            "one server gives the address and PXE boot data",
        ),
        Some((proxy, Pxe { .. })) => (
            BootSource::Proxy(proxy),
            "one server gives the address, and another one the PXE boot data",
        ),
        Some((proxy, _)) => (
            BootSource::BootServer(boot_server(proxy)),
            "a server says `PXEClient` without `siaddr` and a boot file, so it is asked on port 4011",
        ),
        None => (
            BootSource::Acknowledgement,
            "no PXE offer competes with the one that gives the address",
        ),
    };
    Some(Selection {
        offer,
        boot,
        reason,
    })
}

/// Source: edk2, `PxeBcDhcp4.h`, `IS_VALID_DISCOVER_VENDOR_OPTION`.
fn has_discovery_options(options: &DhcpOptions) -> bool {
    vendor_codes(options).any(|code| (6..=10).contains(&code))
}

/// Source: edk2, `PxeBcDhcp4.h`, `IS_VALID_MTFTP_VENDOR_OPTION`.
fn asks_for_mtftp(options: &DhcpOptions) -> bool {
    (1..=5).all(|code| vendor_codes(options).any(|other| other == code))
}

fn vendor_codes(options: &DhcpOptions) -> impl Iterator<Item = u8> {
    let sub_options = options.sub_options(OptionCode::VendorExtensions);
    sub_options.map(|(code, _)| code)
}

/// Returns whom to ask on port 4011. Source: edk2, `PxeBcRetryBinlOffer`.
fn boot_server(offer: &DhcpMessage) -> Ipv4Addr {
    let header = offer.server_address;
    match offer.options.server_identifier() {
        Some(identifier) if header.is_unspecified() => identifier,
        _ => header,
    }
}

fn priority(options: &DhcpOptions) -> i8 {
    sub_option(options, 1).map_or(0, |byte| byte as i8)
}

fn sub_option(options: &DhcpOptions, wanted: u8) -> Option<u8> {
    let mut own = options.sub_options(IPXE_ENCAPSULATED);
    let (_, value) = own.find(|(code, _)| *code == wanted)?;
    value.first().copied()
}
