//! Firmware that comes back without having started its loader.

use super::*;

fn client(kind: ClientKind) -> Client {
    Client { kind, ..edk(KNOWN) }
}

fn remark(bench: &mut Bench, client: &Client) -> Option<String> {
    bench
        .send(&client.discover(TransactionId(99)))
        .exchange
        .remark
}

#[test]
fn firmware_that_continues_with_its_next_boot_option_did_not_start_its_loader() {
    let pxe = client(ClientKind::EdkPxe(Architecture::UefiX64));
    let http = client(ClientKind::EdkHttp(Architecture::HttpX64));
    for (first, then, protocol) in [(&pxe, &http, "PXE"), (&http, &pxe, "HTTP boot")] {
        let mut bench = Bench::new();
        assert_eq!(remark(&mut bench, first), None);
        bench.lease(first);
        bench.wait(5);
        let remark = remark(&mut bench, then).unwrap();
        let expected = format!("the firmware did not start the loader that it got by {protocol}");
        assert!(remark.starts_with(&expected), "{remark}");
    }
}

#[test]
fn a_running_loader_a_reboot_and_a_later_boot_cause_no_remark() {
    let pxe = client(ClientKind::EdkPxe(Architecture::UefiX64));
    let http = client(ClientKind::EdkHttp(Architecture::HttpX64));
    let ipxe = client(ClientKind::ipxe(Architecture::UefiX64));
    for (then, seconds) in [(&ipxe, 5), (&pxe, 5), (&http, 300)] {
        let mut bench = Bench::new();
        bench.lease(&pxe);
        bench.wait(seconds);
        assert_eq!(remark(&mut bench, then), None, "{then:?} after {seconds}");
    }
}
