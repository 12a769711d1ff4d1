use super::play::*;
use super::timelines::{stages, timeline};
use crate::clients::dhcp::{Client, ClientKind};
use crate::machine::{Architecture, MacAddress};
use crate::wire::dhcp::{OptionCode, TransactionId};

fn raspberry_pi() -> Client {
    let mut client = client(ClientKind::RaspberryPi);
    client.mac = MacAddress::new([0xdc, 0xa6, 0x32, 0, 0, 1]);
    client
}

#[test]
fn a_raspberry_pi_accepts_an_offer_with_its_menu_and_names_its_own_files() {
    let mut play = Play::new();
    // No file is named anywhere: that is no fault.
    play.exchange(&raspberry_pi(), "", |_| {});
    play.wait(5000);
    let report = play.finish();
    assert_eq!(report.findings, [], "{report}");
    assert_eq!(stages(&report), ["Raspberry Pi"]);
    let told = timeline(&report);
    let says = |text: &str| told.iter().any(|line| line == text);
    assert!(
        says(
            "takes: the offer of 10.20.0.10: one server provides the address and the \
             menu `Raspberry Pi Boot`"
        ),
        "{told:#?}"
    );
    assert!(
        says("boots: its own file names from 10.20.0.10 by TFTP (it ignores option 67)"),
        "{told:#?}"
    );
}

#[test]
fn a_raspberry_pi_without_its_menu_is_reported() {
    let mut play = Play::new();
    let exchange = play.discover(&raspberry_pi());
    let mut offer = exchange.offer(SERVER, Some(MACHINE), "bootcode.bin");
    let straight: (u8, &[u8]) = (6, &[8]);
    let code = OptionCode::VendorExtensions;
    offer.options.set_sub_options(code, &[straight]);
    play.answer(SERVER, &offer);
    let again = exchange.client.discover(exchange.transaction);
    play.wait(4000).ask(&again);
    let report = play.finish();
    let class = report.machines[0].stages[0].offers[0].class.clone();
    assert!(class.is_some_and(|it| it.contains("43.9 `Raspberry Pi Boot`")));
    let found: Vec<_> = report.findings.iter().map(|it| it.name.name()).collect();
    assert_eq!(found, ["no-offer-taken"], "{report}");
}

#[test]
fn grub_is_recognized_by_its_parameter_list_in_any_order() {
    for (list, class, name) in [
        (&[1, 3, 6, 15, 12, 17, 18][..], None, "GRUB"),
        (&[18, 17, 12, 15, 6, 3, 1, 66, 67], None, "GRUB"),
        // dhclient, and the kernel's own client.
        (
            &[1, 28, 2, 3, 15, 6, 119, 12, 44, 47, 26, 121, 42],
            None,
            "system",
        ),
        (&[1, 3, 6, 12, 15, 17, 26, 40, 42], None, "system"),
        (&[1, 3, 6, 15, 12, 17, 18], Some("acme"), "system (`acme`)"),
    ] {
        let mut play = Play::new();
        let mut message =
            client(ClientKind::Grub(Architecture::UefiX64)).discover(TransactionId(1));
        let options = &mut message.options;
        options.set_raw(OptionCode::ParameterRequestList, list);
        if let Some(class) = class {
            options.set_text(OptionCode::ClassIdentifier, class);
        }
        play.ask(&message);
        assert_eq!(stages(&play.finish()), [name], "{list:?}");
    }
}
