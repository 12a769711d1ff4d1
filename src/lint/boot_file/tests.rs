use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::machine::CpuArchitecture;

const X64: &[u8] = include_bytes!("../../../fixtures/loaders/x64.efi");
const ARM64: &[u8] = include_bytes!("../../../fixtures/loaders/arm64.efi");
const SIGNED: &[u8] = include_bytes!("../../../fixtures/loaders/x64-signed.efi");

/// Where the fields of the fixtures lie: their PE header is at 0x40.
const MACHINE: usize = 0x44;
const MAGIC: usize = 0x58;
const CHECKSUM: std::ops::Range<usize> = 0x98..0x9c;
const SUBSYSTEM: usize = 0x9c;
const SECURITY: std::ops::Range<usize> = 0xe8..0xf0;
const SECTION_SIZE: usize = 0x158;
/// The offset where the signed bytes end and the signature table starts.
const TABLE: usize = 1024;

fn image(bytes: &[u8]) -> PeImage {
    match BootFile::read(bytes) {
        BootFile::Image(image) => image,
        other => panic!("it is {other}"),
    }
}

/// Replaces the bytes at an offset.
fn with(bytes: &[u8], at: usize, new: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at..at + new.len()].copy_from_slice(new);
    bytes
}

#[test]
fn every_format_is_detected_from_its_content() {
    let at = |offset: usize, magic: &[u8]| [&vec![1; offset], magic].concat();
    for (bytes, shown) in [
        (X64.to_vec(), "a UEFI program for x86_64"),
        (ARM64.to_vec(), "a UEFI program for aarch64"),
        (with(X64, MACHINE, &[0x4c, 1]), "a UEFI program for i386"),
        (
            with(X64, MACHINE, &[0x00, 0x02]),
            "a UEFI program for machine 0x0200",
        ),
        (
            with(X64, MACHINE, &[0xbc, 0x0e]),
            "a UEFI program for EFI byte code",
        ),
        (with(X64, SUBSYSTEM, &[11]), "a UEFI driver for x86_64"),
        (with(X64, SUBSYSTEM, &[3]), "a Windows program for x86_64"),
        (
            with(X64, SUBSYSTEM, &[16]),
            "a program for subsystem 16 on x86_64",
        ),
        (
            with(X64, MAGIC, &[7, 1]),
            "a damaged PE image (unknown optional header 0x0107)",
        ),
        (
            X64[..80].to_vec(),
            "a damaged PE image (invalid NT headers offset, size, or alignment)",
        ),
        // iPXE, PXELINUX, GRUB.
        (b"\xea\x05\x00\xc0\x07".to_vec(), "a PXE program for a BIOS"),
        (b"\xea\x24\x7c\x00\x00".to_vec(), "a PXE program for a BIOS"),
        (
            b"\xb2\x7f\xea\x00\x82\x00\x00".to_vec(),
            "a PXE program for a BIOS",
        ),
        (b"#!ipxe\nexit\n".to_vec(), "an iPXE script"),
        (b"\x7fELF\x02".to_vec(), "an ELF program"),
        (b"\x1f\x8b\x08".to_vec(), "a compressed file"),
        (
            at(0x202, b"HdrS"),
            "a Linux kernel that only another loader can start",
        ),
        (at(0x8001, b"CD001"), "an ISO image"),
        (at(0x1fe, b"\x55\xaa"), "a disk image"),
        (
            b"\x55\xaa\x93".to_vec(),
            "an option ROM, which must be flashed",
        ),
        (b"<html>Not found\r\n".to_vec(), "a text file"),
        (b"cut inside a letter: \xc3".to_vec(), "a text file"),
        (b"text\0".to_vec(), "a file of unknown format"),
        (b"\xff\xfe\xfd".to_vec(), "a file of unknown format"),
        (Vec::new(), "an empty file"),
    ] {
        assert_eq!(BootFile::read(&bytes).to_string(), shown);
    }
}

#[test]
fn an_unsigned_image_has_a_processor_and_no_signature() {
    for (bytes, cpu) in [
        (X64, CpuArchitecture::X86_64),
        (ARM64, CpuArchitecture::Arm64),
    ] {
        let image = image(bytes);
        assert_eq!(image.machine, PeMachine::Cpu(cpu));
        assert_eq!(image.subsystem, Subsystem::Application);
        assert_eq!(image.missing, 0);
        assert_eq!(image.signed_under(), Err(NotSigned::Unsigned));
    }
}

#[test]
fn a_signed_image_has_an_authority() {
    let image = image(SIGNED);
    assert_eq!(image.signed_under(), Ok(vec!["rack-a test authority"]));
}

#[test]
fn a_truncated_image_lacks_its_end() {
    assert_eq!(image(&X64[..1000]).missing, 24);
    let cut = image(&SIGNED[..SIGNED.len() - 1]);
    assert_eq!(cut.missing, 0, "its sections are whole");
    let refused = cut.signed_under().unwrap_err();
    assert_eq!(
        refused.to_string(),
        "its signature table is damaged: certificate table range is out of bounds"
    );
}

#[test]
fn every_changed_byte_breaks_the_signature() {
    for at in (0..TABLE).filter(|at| !CHECKSUM.contains(at) && !SECURITY.contains(at)) {
        let bytes = with(SIGNED, at, &[SIGNED[at] ^ 0x10]);
        if let BootFile::Image(image) = BootFile::read(&bytes) {
            let refused = image.signed_under();
            assert!(refused.is_err(), "octet {at:#x}: {refused:?}");
        }
    }
    let altered = image(&with(SIGNED, 0x210, b"!"))
        .signed_under()
        .unwrap_err();
    assert_eq!(
        altered.to_string(),
        "it was changed after it was signed under `rack-a test authority`"
    );
}

#[test]
fn the_checksum_may_be_filled_in_after_signing() {
    let bytes = with(SIGNED, CHECKSUM.start, &[1, 2, 3, 4]);
    assert!(image(&bytes).signed_under().is_ok());
}

#[test]
fn a_signature_that_is_adapted_to_another_image_is_invalid() {
    // The digest in the content is replaced by that of the altered image; the key has signed
    // the old one.
    let altered = with(SIGNED, 0x210, b"!");
    let digest = |bytes: &[u8]| {
        let file = object::read::pe::PeFile64::parse(bytes).expect("an image");
        signature::image_digest(&file).expect("a digest")
    };
    let (old, new) = (digest(SIGNED), digest(&altered));
    let at = altered
        .windows(old.len())
        .position(|window| window == old)
        .expect("the digest in the signature");
    let forged = with(&altered, at, &new);
    assert!(matches!(
        image(&forged).signed_under(),
        Err(NotSigned::Altered { .. })
    ));
}

#[test]
fn an_image_without_its_signatures_is_unsigned_and_one_with_rubbish_there_is_damaged() {
    let without = with(SIGNED, SECURITY.start, &[0; 8]);
    assert_eq!(image(&without).signed_under(), Err(NotSigned::Unsigned));
    let rubbish = with(SIGNED, TABLE + 8, &[0xff; 16]);
    let refused = image(&rubbish).signed_under().unwrap_err().to_string();
    assert!(
        refused.starts_with("its signature cannot be read: "),
        "{refused}"
    );
    let sizes = with(SIGNED, TABLE, &[3, 0, 0, 0]);
    let refused = image(&sizes).signed_under().unwrap_err();
    assert!(
        matches!(refused, NotSigned::Unreadable(SignatureError::Table(_))),
        "{refused}"
    );
}

#[test]
fn a_digest_that_firmware_rejects_is_named() {
    // SHA-256's identifier, wherever the signature names it, becomes one of a draft.
    let identifier = b"\x60\x86\x48\x01\x65\x03\x04\x02\x01";
    let mut bytes = SIGNED.to_vec();
    while let Some(at) = bytes
        .windows(identifier.len())
        .position(|window| window == identifier)
    {
        bytes[at + identifier.len() - 1] = 0x09;
    }
    assert_eq!(
        image(&bytes).signed_under().unwrap_err().to_string(),
        "its signature under `rack-a test authority` uses digest algorithm \
         2.16.840.1.101.3.4.2.9, not SHA-2"
    );
}

#[test]
fn sections_that_are_more_than_the_file_are_not_hashed() {
    let bytes = with(SIGNED, SECTION_SIZE, &[0xff; 4]);
    let image = image(&bytes);
    assert!(image.missing > 1 << 30);
    assert!(matches!(
        image.signed_under(),
        Err(NotSigned::Altered { .. })
    ));
}

#[test]
fn a_certificate_cannot_control_a_terminal() {
    let name = b"rack-a test authority";
    let mut bytes = SIGNED.to_vec();
    while let Some(at) = bytes.windows(name.len()).position(|window| window == name) {
        bytes[at..at + 4].copy_from_slice(b"\x1b[2`");
    }
    let image = image(&bytes);
    let authority = image.signatures[0].as_ref().map(|it| it.authority.as_str());
    assert_eq!(authority, Ok("\u{fffd}[2'-a test authority"));
}

fn never_panics(bytes: &[u8]) {
    let file = BootFile::read(bytes);
    let _ = file.to_string();
    if let BootFile::Image(image) = &file {
        let _ = image.signed_under();
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..2048)) {
        never_panics(&bytes);
        never_panics(&[b"MZ", bytes.as_slice()].concat());
    }

    #[test]
    fn images_with_other_bytes_in_them_never_panic(
        changes in vec((0..SIGNED.len(), any::<u8>()), 1..12),
        header in vec((0usize..0x180, any::<u8>()), 0..6),
        length in 0..=SIGNED.len(),
    ) {
        for base in [X64, ARM64, SIGNED] {
            let mut bytes = base.to_vec();
            for (at, new) in changes.iter().chain(&header) {
                if let Some(byte) = bytes.get_mut(*at) {
                    *byte = *new;
                }
            }
            never_panics(&bytes);
            bytes.truncate(length);
            never_panics(&bytes);
        }
    }
}
