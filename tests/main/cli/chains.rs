//! `rehearse`: every kind of firmware and loader, to the end of its chain or to its failure.

use std::collections::BTreeMap;

use crate::support::rack::Rack;

/// The names of the steps of each boot, by the line above them.
fn chains(printed: &str) -> BTreeMap<String, Vec<String>> {
    let mut chains: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut current = String::new();
    for line in printed.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match line.strip_prefix("  ") {
            Some(_) => {
                let names = chains.entry(current.clone()).or_default();
                names.extend(words.first().map(|it| (*it).to_owned()));
            }
            None => current = line.to_owned(),
        }
    }
    chains
}

const INSTALL: &str = "kernel initrd seed callback callback";

/// What iPXE does once it runs: from DHCP to the local disk.
fn ipxe() -> String {
    format!("dhcp script script {INSTALL} dhcp script script disk")
}

#[test]
fn every_firmware_and_loader_goes_to_the_end_of_its_chain() {
    let rack = Rack::whole();
    let printed = rack
        .pxectl("rehearse --all --firmware all")
        .stdout_returned()
        .run();
    let grub = |first: &str, network: &str| {
        format!("{first} {network} script {INSTALL} {first} {network} script disk")
    };
    let modules = "module module module";
    let pxelinux = "dhcp tftp pxelinux";
    let mut expected: BTreeMap<String, String> = BTreeMap::from([
        ("grub-01 as uefi-x64", grub("dhcp tftp", "shim grub")),
        ("grub-01 as http-x64", grub("dhcp http", "volume dhcp")),
        (
            "legacy-01 as bios",
            format!("{pxelinux} {INSTALL} {pxelinux} {modules} disk"),
        ),
        ("legacy-01 as bios-ipxe", ipxe()),
        ("storage-02 as bios", format!("dhcp tftp {}", ipxe())),
        ("storage-02 as bios-ipxe", ipxe()),
        ("storage-01 as uefi-x64", format!("dhcp tftp {}", ipxe())),
        ("storage-01 as http-x64", format!("dhcp http {}", ipxe())),
        ("arm-01 as uefi-arm64", format!("dhcp tftp {}", ipxe())),
        ("arm-01 as http-arm64", format!("dhcp http {}", ipxe())),
        ("ia32-01 as uefi-ia32", format!("dhcp tftp {}", ipxe())),
        ("ia32-01 as http-ia32", format!("dhcp http {}", ipxe())),
        ("rescue-01 as uefi-x64", "dhcp tftp image".into()),
        ("rescue-01 as http-x64", "dhcp http image".into()),
    ])
    .into_iter()
    .map(|(name, steps)| (name.to_owned(), steps))
    .collect();
    // Ubuntu's installer fetches its image, and four seeds.
    let ubuntu = ipxe().replace("initrd seed", "initrd image seed seed seed seed");
    for number in 1..=4 {
        for (firmware, by) in [("uefi-x64", "tftp"), ("http-x64", "http")] {
            let name = format!("worker-0{number} as {firmware}");
            expected.insert(name, format!("dhcp {by} {ubuntu}"));
        }
    }
    let seen: BTreeMap<String, String> = chains(&printed)
        .into_iter()
        .map(|(name, steps)| (name, steps.join(" ")))
        .collect();
    assert_eq!(seen, expected, "{printed}");
    let last = printed.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("22 of 22 boots went to the end of their chain, in "),
        "{last}"
    );
}

#[test]
fn a_foreign_dhcp_server_is_played_on_proxy_networks() {
    let rack = Rack::whole();
    let site = std::fs::read_to_string(rack.file("site.yaml")).expect("the site");
    let ours = |line: &&str| !line.contains("lease_time:") && !line.contains("pool:");
    let lines: Vec<&str> = site.lines().filter(ours).collect();
    let site = lines.join("\n") + "\n";
    rack.write("site.yaml", site).edit(
        "site.yaml",
        "    gateway:",
        "    mode: proxy\n    gateway:",
    );
    let printed = rack
        .pxectl("rehearse worker-01 storage-02 legacy-01 grub-01 --firmware all")
        .status(1)
        .stdout_returned()
        .run();
    let boots = [
        "worker-01 as uefi-x64",
        "worker-01 as http-x64",
        "storage-02 as bios",
        "storage-02 as bios-ipxe",
        "legacy-01 as bios",
        "legacy-01 as bios-ipxe",
        "grub-01 as http-x64",
    ];
    let chains = chains(&printed);
    for boot in boots {
        let steps = &chains[boot];
        assert_eq!(steps.last().map(String::as_str), Some("disk"), "{printed}");
    }
    assert!(printed.contains("the client asks another server for the boot file on port 4011"));
    assert!(printed.contains("another server the PXE boot data"));
    assert!(printed.contains("another server the URL"));
    // GRUB sees the ACK alone, which is not ours.
    let why = "  grub        stopped  GRUB reads only the ACK of the server that owns the addresses, \
               and that ACK names no boot server\n";
    assert!(printed.contains(why), "{printed}");
    assert!(
        printed.contains("\n7 of 8 boots went to the end of their chain, in "),
        "{printed}"
    );
}

/// A rack with a fault, and where the chain of one of its hosts stops.
struct Fault {
    change: fn(&Rack),
    arguments: &'static str,
    stops: &'static [&'static str],
}

fn remove(rack: &Rack, file: &str) {
    std::fs::remove_file(rack.file(file)).expect("a file to remove");
}

#[test]
fn a_chain_stops_where_the_machine_would_and_reports_why() {
    let secure = |rack: &Rack| {
        rack.edit(
            "loaders.yaml",
            "installer: preseed\nbundle: debian-12-stand-in\n",
            "installer: preseed\nsecure_boot: true\nbundle: debian-12-stand-in\n",
        );
    };
    for Fault {
        change,
        arguments,
        stops,
    } in [
        Fault {
            change: |rack| remove(rack, "boot/grubnetx64.efi.signed"),
            arguments: "grub-01",
            stops: &[
                "  shim        stopped  `m/52-54-00-85-00-07/…/grubx64.efi`: the server answered [..] (after 4 requests)",
            ],
        },
        Fault {
            change: |rack| remove(rack, "boot/ldlinux.c32"),
            arguments: "legacy-01",
            stops: &[
                "  pxelinux    stopped  `m/52-54-00-85-00-08/…/ldlinux.c32`: the server answered [..] (after 1 requests)",
            ],
        },
        Fault {
            change: |rack| remove(rack, "boot/libcom32.c32"),
            arguments: "legacy-01",
            stops: &[
                "  module      stopped  `m/52-54-00-85-00-08/…/libcom32.c32`: the server answered [..]",
            ],
        },
        Fault {
            change: |rack| {
                rack.write("install.grub.hbs", "echo hello\nfrobnicate {{host.name}}\n");
            },
            arguments: "grub-01",
            stops: &[
                "  script      stopped  `tftp://10.20.0.10/m/[..]/grub.cfg`, line 2, `frobnicate grub-01`: command `frobnicate` is not supported",
            ],
        },
        Fault {
            change: |rack| {
                rack.write(
                    "install.pxelinux.hbs",
                    "SAY hello\nLABEL a\n  FROB {{host.name}}\n",
                );
            },
            arguments: "legacy-01",
            stops: &["  script      stopped  line 3, `FROB legacy-01`: `frob` is not supported"],
        },
        Fault {
            change: |rack| {
                rack.write(
                    "install.pxelinux.hbs",
                    "DEFAULT a\nPROMPT 1\nLABEL a\n  LINUX ::{{session.tftp_files}}kernel\n",
                );
            },
            arguments: "legacy-01",
            stops: &[
                "  script      stopped  PXELINUX ended with NeedsOperator(\"its prompt: there is no `TIMEOUT`\"); screen: ",
            ],
        },
        Fault {
            change: |rack| {
                rack.write(
                    "install.grub.hbs",
                    "linux (tftp,{{server.address}})/{{session.tftp_files}}kernel quiet\nboot\n",
                );
            },
            arguments: "grub-01",
            stops: &[
                "  seed        stopped  the kernel command line has no seed URL: BOOT_IMAGE=(tftp,10.20.0.10)/s/[..]/files/kernel quiet",
            ],
        },
        Fault {
            change: secure,
            arguments: "grub-01 --firmware all",
            stops: &[
                "  tftp        stopped  Secure Boot rejects `m/52-54-00-85-00-07/…/bootx64.efi`: it has no signature",
                "  volume      stopped  Secure Boot rejects `EFI/BOOT/BOOTX64.EFI`: it has no signature",
            ],
        },
        Fault {
            change: |_| {},
            arguments: "worker-01 --firmware bios",
            stops: &[
                "  script      stopped  the machine is held: the architecture is bios, expected uefi-x64",
            ],
        },
        Fault {
            change: |rack| {
                rack.edit("site.yaml", "undionly.kpxe", "pxelinux.0");
            },
            arguments: "worker-01 --firmware bios",
            stops: &[
                "  script      stopped  the machine is held: the architecture is bios, expected uefi-x64",
            ],
        },
        Fault {
            change: |rack| {
                let grub = "{first: shimx64.efi.signed, second: grubnetx64.efi.signed, as: [bootx64.efi, grubx64.efi]}";
                rack.edit("site.yaml", "snponly.efi", grub);
            },
            arguments: "storage-02 --firmware uefi-x64",
            stops: &[
                "  script      stopped  the machine is held: the architecture is uefi-x64, expected bios",
            ],
        },
        Fault {
            change: |_| {},
            arguments: "worker-01 --firmware uefi-arm32",
            stops: &["  dhcp        stopped  the firmware accepts no offer: [..]"],
        },
    ] {
        let rack = Rack::whole();
        change(&rack);
        let printed = rack
            .pxectl(&format!("rehearse {arguments}"))
            .status(1)
            .stdout_returned()
            .stderr_anything()
            .run();
        let stopped: Vec<&str> = printed
            .lines()
            .filter(|line| line.contains("  stopped  "))
            .collect();
        let as_expected =
            |(stop, line): (&&str, &&str)| crate::cli::pxectl::line_matches(stop, line);
        assert!(
            stops.len() == stopped.len() && stops.iter().zip(&stopped).all(as_expected),
            "{arguments}\nshould stop with\n{stops:#?}\nand printed\n{printed}"
        );
    }
}

#[test]
fn a_file_that_is_not_a_program_is_reported_as_a_stand_in() {
    let rack = Rack::whole();
    rack.edit(
        "loaders.yaml",
        "installer: preseed\nbundle: debian-12-stand-in\n",
        "installer: preseed\nsecure_boot: true\nbundle: debian-12-stand-in\n",
    );
    for loader in ["shimx64.efi.signed", "grubnetx64.efi.signed"] {
        rack.write(&format!("boot/{loader}"), "a stand-in without a form");
    }
    let printed = rack
        .pxectl("rehearse grub-01 --firmware all")
        .stdout_returned()
        .run();
    let noted = printed.matches("a stand-in, not a PE file: nothing to verify");
    // shim, GRUB and the kernel of the install; shim and GRUB of the boot after it.
    assert_eq!(noted.count(), 10, "{printed}");
}

#[test]
fn an_image_is_fetched_whole_and_ends_the_chain() {
    let rack = Rack::whole();
    let image = vec![7; 5_000_000];
    rack.write("boot/rescue.iso", &image).edit(
        "site.yaml",
        "loaders:\n",
        "loaders:\n  http-x64: {first: rescue.iso, kind: image}\n",
    );
    rack.pxectl("rehearse worker-01 --firmware http-x64")
        .stdout(
            "worker-01 as http-x64\n  \
             dhcp    [..] ms  10.20.0.51, boots http://10.20.0.10:8080/m/52-54-00-85-00-01/…/rescue.iso ([..])\n  \
             http    [..] ms  http://10.20.0.10:8080/m/52-54-00-85-00-01/…/rescue.iso: 5000000 bytes, sha256 [..]\n  \
             image   [..] ms  the image contains everything that it boots\n\n\
             1 of 1 hosts went to the end of their chain, in [..] s\n",
        )
        .run();
}

#[test]
fn an_unknown_firmware_is_a_usage_error() {
    Rack::a()
        .pxectl("rehearse --all --firmware amiga")
        .status(2)
        .stderr(
            "error: invalid value 'amiga' for '--firmware <ARCH>': `amiga` is not a client architecture; \
             known are bios, [..], bios-ipxe, all\n\nFor more information, try '--help'.\n",
        )
        .run();
}

#[test]
fn a_menu_that_times_out_leads_to_the_local_disk() {
    let rack = Rack::whole();
    let site = std::fs::read_to_string(rack.file("site.yaml")).expect("the site");
    let menu = "menu:\n  timeout: 15s\n  groups:\n    - title: Diagnostics\n      entries:\n        \
                - {label: iPXE, loader: undionly.kpxe, arch: [bios]}\n        \
                - {label: Rescue, loader: rescue.efi, arch: [uefi-x64]}\n        \
                - {label: Debian, bundle: debian-12-stand-in}\n";
    rack.write("site.yaml", format!("{site}{menu}"));
    let printed = rack
        .pxectl("rehearse grub-01 legacy-01 worker-01 --firmware all")
        .stdout_returned()
        .run();
    for (boot, steps) in chains(&printed) {
        let place = steps.iter().position(|step| step == "menu");
        let last = steps.last().map(String::as_str);
        // The first boot installs, and shows no menu.
        let second = place.is_some_and(|place| steps[..place].contains(&"callback".to_owned()));
        assert!(second && last == Some("disk"), "{boot}: {steps:?}");
    }
    let waited = printed.matches("  the menu times out after 15 s and starts `");
    assert_eq!(waited.count(), 6, "{printed}");
}
