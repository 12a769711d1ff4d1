//! The offers that a Raspberry Pi's boot ROM accepts. It uses its own file names.

use super::selection::{BootSource, ClassifiedOffer, OfferClass, Selection, first};
use crate::wire::dhcp::{DhcpMessage, PxeSubOption};

/// The required text in the boot menu.
const MENU: &[u8] = b"Raspberry Pi Boot";

/// Classifies an offer: a Raspberry Pi needs a prompt (43.10) and its line in the menu (43.9).
///
/// Source: Raspberry Pi documentation, "Network booting", and its bootloader's `PXE_OPTION43`.
pub(super) fn classify(offer: &DhcpMessage) -> OfferClass {
    let options = &offer.options;
    let menu = options.pxe_sub_option(PxeSubOption::BootMenu);
    let has_line = menu.is_some_and(|menu| menu.windows(MENU.len()).any(|text| text == MENU));
    let has_prompt = options.pxe_sub_option(PxeSubOption::MenuPrompt).is_some();
    let proxy = offer.your_address.is_unspecified();
    if has_line && has_prompt {
        OfferClass::Pxe { proxy }
    } else {
        OfferClass::NoMenu { proxy }
    }
}

/// Chooses an address and a menu.
pub(super) fn select<'a>(seen: &[ClassifiedOffer<'a>]) -> Option<Selection<'a>> {
    use OfferClass::{NoMenu, Pxe};
    if let Some(offer) = first(seen, |class| class == Pxe { proxy: false }) {
        return Some(Selection {
            offer,
            boot: BootSource::Acknowledgement,
            reason: "one server provides the address and the menu `Raspberry Pi Boot`",
        });
    }
    let offer = first(seen, |class| class == NoMenu { proxy: false })?;
    first(seen, |class| class == Pxe { proxy: true }).map(|proxy| Selection {
        offer,
        boot: BootSource::Proxy(proxy),
        reason: "one server provides the address, and another server the menu `Raspberry Pi Boot`",
    })
}
