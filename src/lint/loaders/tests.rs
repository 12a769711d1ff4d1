use super::*;
use crate::inventory::site_builder::parse_text;
use crate::lint::boot_file::{PeImage, PeMachine, Signature};
use crate::machine::CpuArchitecture;

fn image(cpu: CpuArchitecture) -> PeImage {
    PeImage {
        machine: PeMachine::Cpu(cpu),
        subsystem: Subsystem::Application,
        missing: 0,
        is_linux: false,
        signatures: Vec::new(),
    }
}

fn x64() -> BootFile {
    BootFile::Image(image(CpuArchitecture::X86_64))
}

fn signed(authority: &str, holds: bool) -> BootFile {
    let mut image = image(CpuArchitecture::X86_64);
    let authority = authority.to_owned();
    image.signatures.push(Ok(Signature { authority, holds }));
    BootFile::Image(image)
}

const MICROSOFT: &str = "Microsoft UEFI CA 2023";
const DEBIAN: &str = "Debian Secure Boot CA";

/// Checks loaders that a site names for its hosts, one x64 with Secure Boot, one x64 without, one
/// with a BIOS. Returns what is found as `severity code: message`.
fn found(loaders: &str, own: &str, files: &[(&str, BootFile)]) -> Vec<String> {
    let text = format!(
        "kind: Site\nname: s\nserver: {{address: 10.20.0.10, files: [boot]}}\nidentity: mac\n\
         networks: [{{name: n, subnet: 10.20.0.0/24}}]\nloaders: {loaders}\n\
         ---\nkind: Bundle\nname: b\narch: x86_64\nexpires: 2030-01-01\nfiles: {{kernel: {{path: k, sha256: {0}, size: 1}}, initrd: {{path: i, sha256: {0}, size: 1}}}}\n\
         ---\nkind: Profile\nname: secure\ninstaller: preseed\nbundle: b\nsecure_boot: true\n\
         ---\nkind: Profile\nname: open\ninstaller: preseed\nbundle: b\n\
         ---\nkind: Host\nname: one\nprofile: secure\narch: uefi-x64\ndisk: {{serial: a}}\nnics: [{{mac: \"52:54:00:00:00:01\", network: n, boot: true}}]\n\
         ---\nkind: Host\nname: two\nprofile: open\narch: uefi-x64\ndisk: {{serial: a}}\nnics: [{{mac: \"52:54:00:00:00:02\", network: n, boot: true}}]\n{own}\
         ---\nkind: Host\nname: three\nprofile: open\narch: bios\ndisk: {{serial: a}}\nnics: [{{mac: \"52:54:00:00:00:03\", network: n, boot: true}}]\n",
        "0".repeat(64)
    );
    let parsed = parse_text(text);
    let inventory = parsed
        .inventory
        .unwrap_or_else(|| panic!("{:#?}", parsed.diagnostics));
    let files = LoaderFiles {
        files: files
            .iter()
            .map(|(name, file)| ((*name).to_owned(), LoaderFile::Read(file.clone())))
            .collect(),
        absent_roots: Vec::new(),
    };
    super::loaders(&inventory, &parsed.spans, &files)
        .into_iter()
        .map(|it| {
            assert!(it.help.is_some() && it.span().is_some(), "{it:?}");
            format!("{} {}: {}", it.severity, it.code, it.message)
        })
        .collect()
}

#[test]
fn firmware_boots_what_is_built_for_it_and_nothing_else() {
    use Architecture::*;
    use LoaderKind::{Image, Ipxe};
    let cut = BootFile::Image(PeImage {
        missing: 9,
        ..image(CpuArchitecture::X86_64)
    });
    let driver = BootFile::Image(PeImage {
        subsystem: Subsystem::Driver,
        ..image(CpuArchitecture::X86_64)
    });
    let arm = BootFile::Image(image(CpuArchitecture::Arm64));
    let i386 = BootFile::Image(image(CpuArchitecture::I386));
    let byte_code = BootFile::Image(PeImage {
        machine: PeMachine::ByteCode,
        ..image(CpuArchitecture::X86_64)
    });
    let broken = BootFile::BrokenImage("no end".into());
    let program = BootFile::NetworkBootProgram;
    #[rustfmt::skip]
    let rows: [(Architecture, LoaderKind, BootFile, bool, Option<Unfit>); 31] = [
        (UefiX64, Ipxe, x64(), true, None),
        (HttpX64, Ipxe, x64(), true, None),
        (UefiArm64, Ipxe, arm.clone(), true, None),
        (UefiIa32, Ipxe, i386.clone(), true, None),
        (Bios, Ipxe, program.clone(), true, None),
        // A program that we do not know, and one that could be a disk.
        (Bios, Ipxe, BootFile::Unknown, true, None),
        (Bios, Ipxe, BootFile::BootSector, true, None),
        (UefiX64, Ipxe, arm.clone(), true, Some(Unfit::Other)),
        (UefiX64, Ipxe, i386, true, Some(Unfit::Other)),
        (UefiIa32, Ipxe, x64(), true, Some(Unfit::Other)),
        (UefiX64, Ipxe, program.clone(), true, Some(Unfit::Other)),
        (UefiX64, Ipxe, driver, true, Some(Unfit::Other)),
        (UefiX64, Ipxe, cut, true, Some(Unfit::CutOff(9))),
        (UefiX64, Ipxe, broken, true, Some(Unfit::Other)),
        (UefiX64, Ipxe, BootFile::Unknown, true, Some(Unfit::Other)),
        (UefiX64, Ipxe, BootFile::Script, true, Some(Unfit::Other)),
        (Bios, Ipxe, x64(), true, Some(Unfit::Other)),
        (Bios, Ipxe, BootFile::Text, true, Some(Unfit::Other)),
        (Bios, Image, BootFile::Iso, true, Some(Unfit::Other)),
        // Images of disks come by HTTP.
        (HttpX64, Ipxe, BootFile::Iso, true, None),
        (UefiX64, Image, BootFile::BootSector, true, None),
        (UefiX64, Ipxe, BootFile::Iso, true, Some(Unfit::Other)),
        // What shim fetches is an image too; what PXELINUX fetches is not our affair.
        (UefiX64, Ipxe, arm, false, Some(Unfit::Other)),
        (HttpX64, Image, BootFile::Iso, false, Some(Unfit::Other)),
        (Bios, Ipxe, BootFile::Elf, false, None),
        (HttpBios, Image, BootFile::Iso, true, None),
        (HttpEbc, Ipxe, byte_code.clone(), true, None),
        (HttpEbc, Ipxe, x64(), true, None),
        (UefiX64, Ipxe, byte_code, true, Some(Unfit::Other)),
        // U-Boot and a Raspberry Pi fetch files of their own.
        (UbootArm64, Ipxe, BootFile::Text, true, None),
        (RaspberryPi, Ipxe, BootFile::Elf, true, None),
    ];
    for (architecture, kind, file, is_first, expected) in rows {
        let found = Unfit::find(&file, architecture, kind, is_first);
        assert_eq!(found, expected, "{architecture} {file}");
    }
}

#[test]
fn both_stages_of_a_chain_are_signed_where_secure_boot_is_on() {
    const CHAIN: &str = "{uefi-x64: {first: shim, second: grub}, bios: pxe}";
    let pxe = ("pxe", BootFile::NetworkBootProgram);
    let check = |shim: BootFile, grub: BootFile| {
        found(CHAIN, "", &[("shim", shim), ("grub", grub), pxe.clone()])
    };
    assert_eq!(
        check(signed(MICROSOFT, true), signed(DEBIAN, true)),
        [""; 0]
    );
    assert_eq!(
        check(signed(MICROSOFT, true), x64()),
        ["error unsigned-loader: Secure Boot rejects `grub`: it has no signature"]
    );
    assert_eq!(
        check(x64(), signed(DEBIAN, true)),
        ["error unsigned-loader: Secure Boot rejects `shim`: it has no signature"]
    );
    assert_eq!(
        check(signed(MICROSOFT, true), signed(DEBIAN, false)),
        [
            "error unsigned-loader: Secure Boot rejects `grub`: it was changed after it was \
             signed under `Debian Secure Boot CA`"
        ]
    );
    assert_eq!(
        check(signed(DEBIAN, true), signed(DEBIAN, true)),
        [
            "warning foreign-signer: `shim` is signed under `Debian Secure Boot CA`, which firmware \
             does not trust by default"
        ]
    );
}

#[test]
fn a_host_without_secure_boot_may_boot_unsigned_files() {
    let found = found(
        "{uefi-x64: {first: shim, second: grub}, bios: pxe}",
        "loader: own.efi\n",
        &[
            ("shim", signed(MICROSOFT, true)),
            ("grub", signed(DEBIAN, true)),
            ("pxe", BootFile::NetworkBootProgram),
            ("own.efi", x64()),
        ],
    );
    assert_eq!(found, [""; 0]);
}

#[test]
fn the_loader_of_a_host_is_checked_against_its_firmware() {
    let found = found(
        "{uefi-x64: {first: shim, second: grub}, bios: pxe}",
        "loader: pxe\n",
        &[
            ("shim", signed(MICROSOFT, true)),
            ("grub", signed(DEBIAN, true)),
            ("pxe", BootFile::NetworkBootProgram),
        ],
    );
    assert_eq!(
        found,
        [
            "error wrong-loader: `pxe` is a PXE program for a BIOS, but host `two` (`uefi-x64`) \
             boots a UEFI program for x86_64"
        ]
    );
}

#[test]
fn the_content_of_an_image_is_not_checked() {
    let found = found(
        "{uefi-x64: rescue.iso, bios: pxe}",
        "",
        &[
            ("rescue.iso", BootFile::Iso),
            ("pxe", BootFile::NetworkBootProgram),
        ],
    );
    assert_eq!(
        found,
        [
            "warning image-over-pxe: `rescue.iso` is an ISO image, which UEFI boots only over HTTP: \
             `uefi-x64` cannot boot it by PXE",
            "note unsigned-loader: `rescue.iso` is an ISO image, whose signatures are \
             not checked"
        ]
    );
}

#[test]
fn firmware_boots_images_over_http() {
    let programs = [
        ("a.efi", x64()),
        ("pxe", BootFile::NetworkBootProgram),
        ("rescue.iso", BootFile::Iso),
        ("disk.img", BootFile::BootSector),
    ];
    let loaders = "{http-x64: rescue.iso, uefi-arm64: disk.img, bios: pxe, http-bios: rescue.iso, uefi-x64: {first: own, second: own}}";
    let signed = ("own", signed(MICROSOFT, true));
    let own = "loader: rescue.iso\n";
    let files = [&programs[..], &[signed]].concat();
    assert_eq!(
        found(loaders, own, &files),
        [
            "warning image-over-pxe: `disk.img` is a disk image, which UEFI boots only over HTTP: \
             `uefi-arm64` cannot boot it by PXE",
            "warning image-over-pxe: `rescue.iso` is an ISO image, which UEFI boots only over HTTP: \
             host `two` (`uefi-x64`) cannot boot it by PXE",
        ]
    );
}

#[test]
fn pxelinux_needs_its_modules_beside_itself() {
    let chain = [
        ("shim", signed(MICROSOFT, true)),
        ("a/pxelinux.0", BootFile::NetworkBootProgram),
    ];
    let modules = ["chain", "ldlinux", "libcom32", "libutil", "reboot"];
    let names: Vec<String> = modules.iter().map(|it| format!("a/{it}.c32")).collect();
    let modules = names.iter().map(|name| (name.as_str(), BootFile::Elf));
    let whole: Vec<_> = chain.iter().cloned().chain(modules).collect();
    let loaders = "{uefi-x64: {first: shim, second: shim}, bios: a/pxelinux.0}";
    assert_eq!(found(loaders, "", &whole), [""; 0]);
    for missing in &names {
        let but_one: Vec<_> = whole.iter().filter(|it| it.0 != missing).cloned().collect();
        let expected = format!(
            "warning missing-loader: no directory of `server.files` has `{missing}`, which PXELINUX \
             requests"
        );
        assert_eq!(found(loaders, "", &but_one), [expected]);
    }
    // PXELINUX requests its modules in the directory of its own name.
    let named = loaders.replace(
        "a/pxelinux.0}",
        "{first: a/pxelinux.0, as: [b/pxelinux.0]}}",
    );
    assert_eq!(found(&named, "", &whole).len(), names.len());
    // UEFI's has others.
    let uefi = "{uefi-x64: {first: shim, second: shim}, bios: shim2, uefi-ia32: {first: a, kind: pxelinux}}";
    let ia32 = ("a", BootFile::Image(image(CpuArchitecture::I386)));
    let bios = ("shim2", BootFile::NetworkBootProgram);
    let files = [&chain[..], &[ia32, bios]].concat();
    assert_eq!(found(uefi, "", &files), [""; 0]);
}

#[test]
fn menu_files_are_checked_against_the_machines_that_are_offered_them() {
    let menu = |entry: &str, file: BootFile| {
        let loaders = format!(
            "{{uefi-x64: {{first: shim, second: shim}}, bios: pxe}}\n\
             menu: {{groups: [{{title: T, entries: [{{label: Other, loader: shim, arch: [uefi-x64]}}, {{label: L, loader: tool{entry}}}]}}]}}"
        );
        let files = [
            ("shim", signed(MICROSOFT, true)),
            ("pxe", BootFile::NetworkBootProgram),
            ("tool", file),
        ];
        found(&loaders, "", &files)
    };
    let wrong = |rest: &str| {
        vec![format!(
            "warning wrong-loader: the menu offers `tool` to {rest}"
        )]
    };
    let signed = || signed(DEBIAN, true);
    assert_eq!(menu(", arch: [uefi-x64]", signed()), [""; 0]);
    assert_eq!(menu(", arch: [uefi-arm64]", BootFile::Text), [""; 0]);
    assert_eq!(
        menu("", signed()),
        wrong(
            "host `three` (`bios`), which starts a program or a kernel for a BIOS, but the file is a UEFI program for x86_64"
        )
    );
    assert_eq!(
        menu("", BootFile::NetworkBootProgram),
        wrong(
            "host `one` (`uefi-x64`), which starts a UEFI program for x86_64, but the file is a PXE program for a BIOS"
        )
    );
    assert_eq!(
        menu(", arch: [bios]", BootFile::NetworkBootProgram),
        [""; 0]
    );
    assert_eq!(
        menu(", arch: [uefi-x64]", x64()),
        ["warning unsigned-loader: Secure Boot rejects `tool` of the menu: it has no signature"]
    );
}
