//! How second-stage loaders read our ACKs.

use super::*;
use crate::clients::Origin;
use crate::clients::grub::GrubNetwork;
use crate::clients::pxelinux::Pxelinux;
use crate::clients::shim::{PxeAnswers, Shim, ShimRelease};
use crate::machine::Firmware;

/// Returns the bytes of the ACK to a client whose loader is this file.
fn acknowledged(kind: ClientKind, loader: &str) -> (DhcpMessage, Vec<u8>) {
    let loaders = format!("loaders: {{bios: {loader}, uefi-x64: {loader}}}");
    let mut bench = Bench::with(|text| {
        text.replace(
            "loaders: {bios: undionly.kpxe, uefi-x64: snponly.efi}",
            &loaders,
        )
        .replace(
            "nics:",
            "options: {209: 'pxelinux.cfg/ours', 210: /boot/}\nnics:",
        )
    });
    let client = Client { kind, ..edk(KNOWN) };
    let (offer, ack) = bench.lease(&client);
    let request = client.request(TransactionId(1), &offer);
    let limit = request.options.datagram_limit();
    let bytes = ack.write(limit).unwrap();
    (ack, bytes)
}

const X64: ClientKind = ClientKind::EdkPxe(Architecture::UefiX64);

fn beside(prefix: &str) -> Origin {
    Origin::Tftp {
        server: SERVER,
        prefix: prefix.to_owned(),
    }
}

#[test]
fn shim_and_grub_find_their_server_and_directory_in_our_ack() {
    for (loader, directory) in [("shimx64.efi", ""), ("debian/shimx64.efi", "debian/")] {
        let (ack, bytes) = acknowledged(X64, loader);
        let grub = GrubNetwork::after_pxe(&bytes).unwrap();
        // Their requests name the machine of the path.
        let machine = grub.boot_file.strip_suffix(loader).unwrap();
        assert!(machine.starts_with("m/52-54-00-12-34-56/"), "{machine}");
        let expected = beside(&format!("{machine}{directory}"));
        assert_eq!(grub.origin, expected);
        assert_eq!((grub.address, grub.mac), (RESERVED, KNOWN));
        for release in [ShimRelease::V15_7, ShimRelease::V15_8, ShimRelease::V16] {
            let architecture = Architecture::UefiX64;
            let shim = Shim {
                architecture,
                release,
            };
            let origin = shim.after_pxe(PxeAnswers::acknowledged(&ack));
            assert_eq!(origin, expected);
        }
    }
}

#[test]
fn grub_builds_the_name_of_its_configuration_from_the_options_of_the_client() {
    let (_, bytes) = acknowledged(X64, "grubx64.efi");
    let grub = GrubNetwork::after_pxe(&bytes).unwrap();
    let sent = uuid().unwrap().to_wire();
    let digits: String = sent.iter().map(|octet| format!("{octet:02x}")).collect();
    assert_eq!(grub.uuid.unwrap().replace('-', ""), digits);
}

#[test]
fn grub_finds_a_nul_after_the_class_of_http_boot() {
    let http = ClientKind::EdkHttp(Architecture::HttpX64);
    let (ack, bytes) = acknowledged(http, "grubx64.efi");
    let grub = GrubNetwork::after_pxe(&bytes).unwrap();
    let url = String::from_utf8(ack.boot_file).unwrap();
    // GRUB reads the path of the URL, so it recognized the class `HTTPClient`.
    assert!(grub.boot_file.starts_with('/'), "{}", grub.boot_file);
    assert_eq!(format!("http://10.20.0.10:8080{}", grub.boot_file), url);
}

#[test]
fn pxelinux_takes_options_209_and_210_of_the_host() {
    let (ack, _) = acknowledged(ClientKind::BiosPxe, "bios/pxelinux.0");
    let pxelinux = Pxelinux::after_pxe(&ack, KNOWN);
    assert_eq!(pxelinux.server, SERVER);
    let requests = pxelinux.requests(Firmware::Bios);
    let names: Vec<&str> = requests.iter().map(|it| it.file.name.as_str()).collect();
    assert_eq!(names[..2], ["/boot/ldlinux.c32", "/boot/pxelinux.cfg/ours"]);
    assert_eq!(names[3], "/boot/pxelinux.cfg/01-52-54-00-12-34-56");
}
