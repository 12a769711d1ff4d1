//! The models of real clients accept our offers and boot the intended file.

use super::*;
use crate::clients::dhcp::{BootSource, OfferClass};

#[test]
fn every_client_accepts_our_offer_and_boots_the_intended_file() {
    let script = "http://10.20.0.10:8080/boot.ipxe?token=";
    let url = "http://10.20.0.10:8080/m/";
    let tftp = |name: &str| format!("tftp://10.20.0.10/{name}");
    let pxe = OfferClass::Pxe { proxy: false };
    let http = OfferClass::Http { proxy: false };
    let plain = OfferClass::Plain { boot_file: true };
    let without_http = ClientKind::Ipxe {
        architecture: Architecture::Bios,
        features: vec![crate::wire::dhcp::IpxeFeature::BzImage],
    };
    for (kind, class, expected) in [
        (ClientKind::BiosPxe, pxe, tftp("undionly.kpxe")),
        (
            ClientKind::EdkPxe(Architecture::UefiX64),
            pxe,
            tftp("snponly.efi"),
        ),
        (
            ClientKind::EdkHttp(Architecture::HttpX64),
            http,
            url.to_owned(),
        ),
        (
            ClientKind::ipxe(Architecture::Bios),
            plain,
            script.to_owned(),
        ),
        (
            ClientKind::ipxe(Architecture::UefiX64),
            plain,
            script.to_owned(),
        ),
        (without_http, pxe, tftp("undionly.kpxe")),
    ] {
        for mac in [KNOWN, stranger(1)] {
            let client = Client {
                kind: kind.clone(),
                ..edk(mac)
            };
            let (offer, ack) = Bench::new().lease(&client);
            assert_eq!(client.classify(&offer), class, "{client:?}");
            let offers = [offer];
            let selection = client.select(&offers).unwrap();
            assert_eq!(selection.boot, BootSource::Acknowledgement, "{client:?}");
            let booted = client.boot_file(&ack).unwrap().url();
            // A token follows the first two.
            let matches = if [script, url].contains(&expected.as_str()) {
                booted.starts_with(&expected) && booted.len() > expected.len() + 20
            } else {
                booted == expected
            };
            assert!(matches, "{client:?}: {booted}, not {expected}");
        }
    }
}

#[test]
fn our_offer_wins_against_an_earlier_offer_without_boot_data() {
    for kind in [
        ClientKind::BiosPxe,
        ClientKind::EdkPxe(Architecture::UefiX64),
    ] {
        let client = Client { kind, ..edk(KNOWN) };
        let (ours, _) = Bench::new().lease(&client);
        let mut rival = message(KNOWN, MessageType::Offer);
        rival.operation = Operation::Reply;
        rival.your_address = pool(99);
        rival.boot_file = b"rival.efi".to_vec();
        let offers = [rival, ours];
        let selection = client.select(&offers).unwrap();
        assert_eq!(selection.offer.your_address, RESERVED);
    }
}
