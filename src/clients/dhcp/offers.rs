//! The offer that a client accepts.

use std::net::Ipv4Addr;

use super::selection::{
    BootSource, ClassifiedOffer, DropReason, NoOffer, OfferClass, Selection, first,
};
use super::{Client, ClientKind, raspberry_pi};
use crate::clients::url;
use crate::wire::dhcp::{
    DhcpMessage, DhcpOptions, IPXE_ENCAPSULATED, IpxeFeature, MessageType, OptionCode, PxeSubOption,
};

impl Client {
    /// Classifies an offer.
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
                } else if requires_mtftp(options) {
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

    /// Chooses among all offers that arrived in time, in the order of their arrival.
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

/// The default policy of edk2, which BIOS ROMs share.
fn select_pxe<'a>(seen: &[ClassifiedOffer<'a>]) -> Option<Selection<'a>> {
    use OfferClass::{Binl, Plain, Pxe};
    let plain = first(seen, |class| matches!(class, Plain { .. }));
    if let Some(offer) = first(seen, |class| class == Pxe { proxy: false }) {
        return Some(Selection {
            offer,
            boot: BootSource::Acknowledgement,
            reason: "one server provides the address and the PXE boot data",
        });
    }
    let proxy = first(seen, |class| class == Pxe { proxy: true });
    if let (Some(offer), Some(proxy)) = (plain, proxy) {
        return Some(Selection {
            offer,
            boot: BootSource::Proxy(proxy),
            reason: "one server provides the address, and another server the PXE boot data",
        });
    }
    if let Some(offer) = first(seen, |class| class == Binl { proxy: false }) {
        return Some(Selection {
            offer,
            boot: BootSource::BootServer(boot_server(offer)),
            reason: "the server of the address sends `PXEClient` without discovery options, so the \
                     client asks it on port 4011",
        });
    }
    let proxy = first(seen, |class| class == Binl { proxy: true });
    if let (Some(offer), Some(proxy)) = (plain, proxy) {
        return Some(Selection {
            offer,
            boot: BootSource::BootServer(boot_server(proxy)),
            reason: "one server provides the address, and the client asks another server for the boot \
                     file on port 4011",
        });
    }
    first(seen, |class| class == Plain { boot_file: true }).map(|offer| Selection {
        offer,
        boot: BootSource::Acknowledgement,
        reason: "a plain offer names a boot file, and there is no PXE offer",
    })
}

fn select_http<'a>(seen: &[ClassifiedOffer<'a>]) -> Option<Selection<'a>> {
    use OfferClass::{Http, Plain};
    if let Some(offer) = first(seen, |class| class == Http { proxy: false }) {
        return Some(Selection {
            offer,
            boot: BootSource::Acknowledgement,
            reason: "one server provides the address and the URL",
        });
    }
    let offer = first(seen, |class| matches!(class, Plain { .. }))?;
    first(seen, |class| class == Http { proxy: true }).map(|proxy| Selection {
        offer,
        boot: BootSource::Proxy(proxy),
        reason: "one server provides the address, and another server the URL",
    })
}

/// GRUB accepts the first offer with an address. Source: GRUB 2.06, `grub-core/net/bootp.c`,
/// `grub_net_process_dhcp`.
fn select_plain<'a>(seen: &[ClassifiedOffer<'a>]) -> Option<Selection<'a>> {
    let offer = first(seen, |class| matches!(class, OfferClass::Plain { .. }))?;
    Some(Selection {
        offer,
        boot: BootSource::Acknowledgement,
        reason: "it is the first offer with an address",
    })
}

/// iPXE accepts the last address of the highest priority, and the last `PXEClient` offer as well, unless
/// the server of the address excludes a proxy (175.0xb0).
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
            "the server of the address excludes a proxy (175.176)",
        ),
        Some((proxy, Pxe { .. })) if std::ptr::eq(proxy, offer) => (
            BootSource::Acknowledgement,
            "one server provides the address and the PXE boot data",
        ),
        Some((proxy, Pxe { .. })) => (
            BootSource::Proxy(proxy),
            "one server provides the address, and another server the PXE boot data",
        ),
        Some((proxy, _)) => (
            BootSource::BootServer(boot_server(proxy)),
            "a server sends `PXEClient` without `siaddr` and a boot file, so iPXE asks it on port 4011",
        ),
        None => (
            BootSource::Acknowledgement,
            "there is no PXE offer besides the offer of the address",
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
fn requires_mtftp(options: &DhcpOptions) -> bool {
    (1..=5).all(|code| vendor_codes(options).any(|other| other == code))
}

fn vendor_codes(options: &DhcpOptions) -> impl Iterator<Item = u8> {
    let sub_options = options.sub_options(OptionCode::VendorExtensions);
    sub_options.map(|(code, _)| code)
}

/// Returns the server to ask on port 4011. Source: edk2, `PxeBcRetryBinlOffer`.
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
