//! Repeated messages get the same answer, and no client boots in a loop.

use super::*;
use crate::wire::dhcp::IpxeFeature;

fn ipxe(features: &[IpxeFeature]) -> Client {
    let kind = ClientKind::Ipxe {
        architecture: Architecture::Bios,
        features: features.to_vec(),
    };
    Client { kind, ..edk(KNOWN) }
}

/// An iPXE in a card's ROM, which cannot fetch our scripts.
fn rom() -> Client {
    ipxe(&[IpxeFeature::BzImage])
}

#[test]
fn a_repeated_message_gets_the_same_token_even_when_a_new_token_is_due() {
    let mut bench = Bench::new();
    let client = ipxe(&[IpxeFeature::Http, IpxeFeature::BzImage]);
    // A second before new tokens get a later expiry.
    let step = 300 - bench.now.as_second().rem_euclid(300);
    bench.wait(step as u64 - 1);
    let discover = client.discover(TransactionId(9));
    let offer = bench.reply(&discover);
    bench.wait(4);
    assert_eq!(bench.reply(&discover), offer);
    let request = client.request(TransactionId(9), &offer);
    let ack = bench.reply(&request);
    assert_eq!(ack.boot_file, offer.boot_file);
    bench.wait(4);
    assert_eq!(bench.reply(&request), ack);
    // Another exchange gets another token.
    let other = bench.reply(&client.discover(TransactionId(10)));
    assert_ne!(other.boot_file, offer.boot_file);
    // So does an old client whose transaction ID never changes.
    let old = bench.reply(&discover);
    assert_eq!(old.boot_file, other.boot_file);
}

#[test]
fn an_ipxe_that_cannot_run_our_scripts_gets_our_ipxe_once_in_a_row() {
    let mut bench = Bench::new();
    let (_, ack) = bench.lease(&rom());
    assert_eq!(ack.boot_file, b"undionly.kpxe");
    // The client comes back with the same limits.
    bench.wait(5);
    let again = bench.send(&rom().discover(TransactionId(2)));
    let remark = "the client's iPXE just got our loader, but still supports no HTTP or no Linux \
                  kernel: it did not fetch the loader, or the loader is an iPXE with the same limits";
    assert_eq!(again.exchange.remark.as_deref(), Some(remark));
    let offer = again.reply.unwrap().message;
    assert_eq!(offer.your_address, RESERVED);
    assert!(offer.boot_file.is_empty() && !codes(&offer).contains(&67));
    let ack = bench.reply(&rom().request(TransactionId(2), &offer));
    assert!(ack.boot_file.is_empty());
    // After a later restart, it gets our iPXE again.
    bench.wait(15);
    let offer = bench.reply(&rom().discover(TransactionId(3)));
    assert_eq!(offer.boot_file, b"undionly.kpxe");
}

#[test]
fn our_ipxe_gets_its_script_after_the_ipxe_of_the_rom_and_repeats_are_not_a_loop() {
    let mut bench = Bench::new();
    let discover = rom().discover(TransactionId(1));
    let offer = bench.reply(&discover);
    bench.wait(1);
    assert_eq!(bench.reply(&discover), offer);
    let request = rom().request(TransactionId(1), &offer);
    let ack = bench.reply(&request);
    bench.wait(1);
    assert_eq!(bench.reply(&request), ack);
    bench.wait(2);
    let ours = Client {
        kind: ClientKind::ipxe(Architecture::Bios),
        ..edk(KNOWN)
    };
    let offer = bench.reply(&ours.discover(TransactionId(2)));
    assert!(
        offer
            .boot_file
            .starts_with(b"http://10.20.0.10:8080/boot.ipxe?token=")
    );
}

#[test]
fn a_proxy_causes_no_loop() {
    let mut bench = Bench::with(|text| {
        let text = text.replace("    pool: 10.20.0.200-10.20.0.202\n", "    mode: proxy\n");
        text.replace("    lease_time: 30m\n", "")
            .replace("    ntp: [10.20.0.12]\n", "")
    });
    let discover = rom().discover(TransactionId(1));
    for _ in 0..2 {
        assert_eq!(bench.reply(&discover).boot_file, b"undionly.kpxe");
        bench.wait(1);
    }
    let why = bench.ignored(&rom().discover(TransactionId(2))).to_string();
    assert!(
        why.starts_with("the client's iPXE just got our loader"),
        "{why}"
    );
}

#[test]
fn a_message_for_another_server_changes_nothing() {
    let mut bench = Bench::new();
    bench.lease(&edk(stranger(1)));
    let other = pool(11);
    for message in [
        decline(stranger(1), pool(200)),
        release(stranger(1), pool(200)),
    ] {
        let mut elsewhere = message.clone();
        let code = OptionCode::ServerIdentifier;
        elsewhere.options.set_address(code, other);
        assert_eq!(bench.ignored(&elsewhere), IgnoreReason::OtherServer(other));
        assert_eq!(bench.responder.leases(bench.now).count(), 1);
    }
}
