use super::*;

#[test]
fn the_table_lists_every_architecture_in_order() {
    for (index, row) in TABLE.iter().enumerate() {
        assert_eq!(row.architecture as usize, index);
        assert_eq!(row.name.parse(), Ok(row.architecture));
        assert_eq!(Architecture::from_code(row.codes[0]), Ok(row.architecture));
    }
}

#[test]
fn both_codes_of_uefi_x64_are_known() {
    assert_eq!(Architecture::from_code(7), Ok(UefiX64));
    assert_eq!(Architecture::from_code(9), Ok(UefiX64));
    assert!(Architecture::from_code(0xffff).is_err());
}

#[test]
fn grub_is_known_by_what_it_calls_itself() {
    for (platform, expected) in [
        ("i386-pc", Some(Bios)),
        ("i386-efi", Some(UefiIa32)),
        ("x86_64-efi", Some(UefiX64)),
        ("arm-efi", Some(UefiArm32)),
        ("arm64-efi", Some(UefiArm64)),
        ("riscv64-efi", Some(UefiRiscv64)),
        ("loongarch64-efi", Some(UefiLoongarch64)),
        ("powerpc-ieee1275", None),
        ("efi", None),
    ] {
        assert_eq!(Architecture::from_grub(platform), expected, "{platform}");
    }
}

#[test]
fn http_boot_belongs_to_the_same_machine() {
    for (architecture, expected) in [
        (HttpX64, UefiX64),
        (HttpEbc, UefiX64),
        (HttpBios, Bios),
        (HttpArm64, UefiArm64),
        (HttpUbootArm64, UbootArm64),
        (HttpRiscv32, UefiRiscv32),
        (Bios, Bios),
        (RaspberryPi, RaspberryPi),
    ] {
        assert_eq!(architecture.without_http(), expected, "{architecture}");
    }
    for architecture in Architecture::all() {
        let other = architecture.without_http();
        assert!(!other.is_http(), "{architecture}");
        let same = (other.firmware(), other.cpu());
        assert_eq!(same, (architecture.firmware(), architecture.cpu()));
    }
}

/// IANA's list, from UEFI on; what it leaves out boots nothing of ours.
#[test]
fn the_codes_are_those_of_iana() {
    for (code, name) in [
        (0x00, "bios"),
        (0x06, "uefi-ia32"),
        (0x07, "uefi-x64"),
        (0x09, "uefi-x64"),
        (0x0a, "uefi-arm32"),
        (0x0b, "uefi-arm64"),
        (0x0f, "http-ia32"),
        (0x10, "http-x64"),
        (0x11, "http-ebc"),
        (0x12, "http-arm32"),
        (0x13, "http-arm64"),
        (0x14, "http-bios"),
        (0x15, "uboot-arm32"),
        (0x16, "uboot-arm64"),
        (0x17, "http-uboot-arm32"),
        (0x18, "http-uboot-arm64"),
        (0x19, "uefi-riscv32"),
        (0x1a, "http-riscv32"),
        (0x1b, "uefi-riscv64"),
        (0x1c, "http-riscv64"),
        (0x1d, "uefi-riscv128"),
        (0x1e, "http-riscv128"),
        (0x25, "uefi-loongarch32"),
        (0x26, "http-loongarch32"),
        (0x27, "uefi-loongarch64"),
        (0x28, "http-loongarch64"),
        (0x29, "raspberry-pi"),
    ] {
        let seen = Architecture::from_code(code).map(Architecture::name);
        assert_eq!(seen, Ok(name), "{code:#x}");
    }
}

/// Source: IANA, "Processor Architecture Types".
#[test]
fn every_code_without_a_loader_is_an_error_with_its_number_and_its_name_in_the_registry() {
    for (code, name) in [
        (1, "1 (NEC/PC98)"),
        (2, "2 (Itanium)"),
        (3, "3 (DEC Alpha)"),
        (4, "4 (Arc x86)"),
        (5, "5 (Intel Lean Client)"),
        (8, "8 (EFI Xscale)"),
        (12, "12 (PowerPC Open Firmware)"),
        (13, "13 (PowerPC ePAPR)"),
        (14, "14 (POWER OPAL v3)"),
        (31, "31 (s390 Basic)"),
        (32, "32 (s390 Extended)"),
        (33, "33 (MIPS 32-bit UEFI)"),
        (34, "34 (MIPS 64-bit UEFI)"),
        (35, "35 (Sunway 32-bit UEFI)"),
        (36, "36 (Sunway 64-bit UEFI)"),
        (42, "42"),
        (99, "99"),
    ] {
        let error = Architecture::from_code(code).unwrap_err();
        assert_eq!(error.code(), code);
        let expected = format!("client architecture {name} is not supported");
        assert_eq!(error.to_string(), expected);
    }
}
