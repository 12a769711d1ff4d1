//! `pxectl validate`: one golden below `fixtures/diagnostics/` for each error.

use serde_json::Value;

use crate::cli::pxectl::Pxectl;
use crate::support::rack::Rack;

/// A valid host.
const HOST: &str = "\
kind: Host
name: extra-01
profile: ubuntu-worker
uuid: 99999999-aaaa-bbbb-cccc-123456789012
arch: uefi-x64
nics:
  - {mac: \"52:54:00:85:00:99\", network: prov0, ip: 10.20.0.99, boot: true}
disk: {serial: S999}
";

const TEMPLATE: &str = "install.ipxe.hbs";

pub fn with_host(rack: &Rack, from: &str, to: &str) {
    rack.write("extra.yaml", HOST).edit("extra.yaml", from, to);
}

fn with_tftp(rack: &Rack, line: &str) {
    let to = format!("  {line}\n  http_port");
    rack.edit("site.yaml", "  http_port", &to);
}

const MENU: &str = "\
menu:
  timeout: 10s
  groups:
    - title: Rescue
      entries:
        - {label: Rescue, bundle: debian-12-stand-in}
";

fn with_menu(rack: &Rack, from: &str, to: &str) {
    assert!(MENU.contains(from), "`{from}` is not in the menu");
    let menu = MENU.replacen(from, to, 1);
    rack.edit("site.yaml", "unknown:", &format!("{menu}unknown:"));
}

/// The name of a golden, and a change that makes a valid inventory invalid.
type Fault = (&'static str, fn(&Rack));

#[rustfmt::skip]
const ERRORS: &[Fault] = &[
    ("syntax-bracket", |rack| with_host(rack, "disk: {serial: S999}", "disk: {serial: S999")),
    ("syntax-quote", |rack| with_host(rack, "name: extra-01", "name: \"extra-01")),
    ("syntax-tab", |rack| with_host(rack, "  - {mac", "\t- {mac")),
    ("syntax-merge-key", |rack| with_host(rack, "arch:", "<<: {a: b}\narch:")),
    ("yaml-bomb", |rack| { rack.write("extra.yaml", bomb()); }),
    ("yaml-depth", |rack| { rack.write("extra.yaml", "[".repeat(10_000)); }),
    ("not-utf-8", |rack| { rack.write("extra.yaml", [b"# caf\xe9\n", HOST.as_bytes()].concat()); }),
    ("not-a-file", |rack| std::fs::create_dir(rack.file("folder.yaml")).expect("a directory")),
    ("not-a-file-beside-a-template", |rack| { std::fs::create_dir(rack.write(TEMPLATE, "#!ipxe\necho {{host.nmae}}\n").file("folder.yaml")).expect("a directory"); }),
    ("too-large", |rack| { std::fs::File::create(rack.file("large.yaml")).and_then(|file| file.set_len(80 << 20)).expect("a file"); }),
    ("link-out", |rack| std::os::unix::fs::symlink("/etc/passwd", rack.file("passwd.hbs")).expect("a link")),
    ("link-nowhere", |rack| std::os::unix::fs::symlink("nothing", rack.file("gone.yaml")).expect("a link")),
    ("two-broken-documents", |rack| { rack.write("extra.yaml", "a: [\n---\nb: 'c\n"); }),
    ("scalar-document", |rack| { rack.write("extra.yaml", "just words\n"); }),
    ("unknown-kind", |rack| with_host(rack, "kind: Host", "kind: Hots")),
    ("unknown-key", |rack| with_host(rack, "serial", "serail")),
    ("unknown-key-far", |rack| with_host(rack, "disk: {serial: S999}", "disk: {serial: S999}\ncolour: red")),
    ("missing-key", |rack| with_host(rack, "profile: ubuntu-worker\n", "")),
    ("duplicate-key", |rack| with_host(rack, "arch: uefi-x64\n", "arch: uefi-x64\nname: extra-02\n")),
    ("duplicate-host", |rack| with_host(rack, "extra-01", "worker-02")),
    ("duplicate-hostname-in-other-case", |rack| with_host(rack, "extra-01", "Worker-02")),
    ("duplicate-profile", |rack| { rack.write("extra.yaml", "kind: Profile\nname: ubuntu-worker\ninstaller: preseed\nbundle: debian-12-stand-in\n"); }),
    ("duplicate-mac", |rack| with_host(rack, "52:54:00:85:00:99", "52-54-00-85-00-02")),
    ("duplicate-ip", |rack| with_host(rack, "10.20.0.99", "10.20.0.52")),
    ("duplicate-ip-of-server", |rack| with_host(rack, "10.20.0.99", "10.20.0.10")),
    ("duplicate-uuid", |rack| with_host(rack, "99999999-aaaa-bbbb-cccc-123456789012", "4C4C4544-0035-5A10-8054-B4C04F4E0232")),
    ("duplicate-uuid-in-other-byte-order", |rack| with_host(rack, "99999999-aaaa-bbbb-cccc-123456789012", "44454c4c-3500-105a-8054-b4c04f4e0232")),
    ("dangling-profile", |rack| with_host(rack, "ubuntu-worker", "ubuntu-wroker")),
    ("dangling-network", |rack| with_host(rack, "prov0", "prov1")),
    ("dangling-bundle", |rack| { rack.edit("profiles.yaml", "debian-12-stand-in", "alpine-3"); }),
    ("dangling-template", |rack| { rack.write("worker.hbs", "x").edit("profiles.yaml", "args:", "seeds: {user-data: wroker.hbs}\nargs:"); }),
    ("outside-network", |rack| with_host(rack, "10.20.0.99", "10.21.0.99")),
    ("broadcast-address", |rack| with_host(rack, "10.20.0.99", "10.20.0.255")),
    ("wrong-address", |rack| with_host(rack, "10.20.0.99", "10.20.0.300")),
    ("wrong-relay", |rack| {
        rack.edit("site.yaml", "interface: eth1", "interface: eth1\n    relays: [10.20.0.1/24, router, 0.0.0.0]")
            .edit("site.yaml", "http_port: 8080", "http_port: 8080\n  allow: [192.0.2.0/33]\n  trusted_proxies: boot");
    }),
    ("no-relay", |rack| { rack.edit("site.yaml", "interface: eth1", "relays: []"); }),
    ("in-pool", |rack| with_host(rack, "10.20.0.99", "10.20.0.222")),
    ("tftp-ports-form", |rack| with_tftp(rack, "tftp_ports: 50000")),
    ("tftp-ports-reversed", |rack| with_tftp(rack, "tftp_ports: 50999-50000")),
    ("tftp-ports-few", |rack| with_tftp(rack, "tftp_ports: 50000-50014")),
    ("tftp-ports-low", |rack| with_tftp(rack, "tftp_ports: 60-2000")),
    ("tftp-ports-http", |rack| with_tftp(rack, "tftp_ports: 8000-8999")),
    ("tftp-ports-proxy-dhcp", |rack| with_tftp(rack, "tftp_ports: 4000-4999")),
    ("no-boot-nic", |rack| with_host(rack, ", boot: true", "")),
    ("two-boot-nics", |rack| with_host(rack, "nics:\n", "nics:\n  - {mac: \"52:54:00:85:00:98\", network: prov0, boot: true}\n")),
    ("no-disk", |rack| with_host(rack, "disk: {serial: S999}\n", "")),
    ("bare-disk", |rack| with_host(rack, "S999", "/dev/sda")),
    ("bare-disk-scalar", |rack| with_host(rack, "{serial: S999}", "/dev/sda")),
    ("empty-disk-serial", |rack| with_host(rack, "{serial: S999}", "{serial: \"\"}")),
    ("blank-disk-model", |rack| with_host(rack, "{serial: S999}", "{model: \" \", min_size: 400G}")),
    ("block-size", |rack| with_host(rack, "arch:", "tftp_blksize: 7\narch:")),
    ("unknown-arch", |rack| with_host(rack, "uefi-x64", "uefi-x86")),
    ("wrong-arch", |rack| { rack.edit("bundles.yaml", "arch: x86_64", "arch: aarch64"); }),
    ("no-loader", |rack| with_host(rack, "uefi-x64", "uefi-arm64")),
    ("unsigned-loader", |rack| {
        rack.edit("profiles.yaml", "installer: preseed", "secure_boot: true\ninstaller: preseed");
        with_host(rack, "profile: ubuntu-worker", "profile: debian-storage\nloader: ipxe.efi");
    }),
    ("duplicate-loader", |rack| {
        let shim = |file: &str| format!("{{first: {file}, second: grubx64.efi, as: [bootx64.efi, grub.efi]}}");
        rack.edit("site.yaml", "uefi-x64: snponly.efi", &format!("uefi-x64: {}", shim("shimx64.efi")));
        rack.edit("profiles.yaml", "installer: preseed", &format!("loader: {}\ninstaller: preseed", shim("other.efi")));
    }),
    ("loader-without-second", |rack| {
        rack.edit("site.yaml", "uefi-x64: snponly.efi", "uefi-x64: {first: a.efi, as: [b.efi, c.efi]}");
    }),
    ("menu-label", |rack| with_menu(rack, "label: Rescue", "label: Rescue | poweroff")),
    ("menu-nothing", |rack| with_menu(rack, ", bundle: debian-12-stand-in", "")),
    ("menu-both", |rack| with_menu(rack, ", bundle:", ", loader: memtest.efi, bundle:")),
    ("menu-dangling-bundle", |rack| with_menu(rack, "debian-12-stand-in", "debian-12-rescue")),
    ("menu-many", |rack| {
        with_menu(rack, "timeout: 10s", "timeout: 1h");
        rack.edit("site.yaml", "{label: Rescue, ", "{lable: Rescue, arch: [uefi-arm64, http-x64], ")
            .edit("bundles.yaml", "name: debian-12-stand-in\narch: x86_64\nfiles:\n  kernel:", "name: debian-12-stand-in\narch: x86_64\nfiles:\n  linux:")
            .edit("site.yaml", "    - title: Rescue", "    - {title: Empty, entries: []}\n    - title: Rescue");
    }),
    ("menu-loader-of-another-name", |rack| {
        with_menu(rack, "bundle: debian-12-stand-in", "loader: boot.efi");
        rack.edit("site.yaml", "uefi-x64: snponly.efi", "uefi-x64: {first: snponly.efi, as: [boot.efi]}");
    }),
    ("placeholder-uuid", |rack| with_host(rack, "99999999-aaaa-bbbb-cccc-123456789012", "03000200-0400-0500-0006-000700080009")),
    ("bundle-file", |rack| { rack.edit("bundles.yaml", "  iso:", "  image:"); }),
    ("no-site", |rack| std::fs::remove_file(rack.file("site.yaml")).expect("the site")),
    ("two-sites", |rack| { std::fs::copy(rack.file("site.yaml"), rack.file("extra.yaml")).expect("a copy"); }),
    ("template-variable", |rack| { rack.write(TEMPLATE, "#!ipxe\necho {{host.nmae}}\n"); }),
    ("template-variables", |rack| { rack.write("hold.ipxe.hbs", "#!ipxe\necho {{reasn}}\necho {{hots}} on {{mac}}\n"); }),
    ("template-absent", |rack| { rack.write(TEMPLATE, "#!ipxe\n  {{> part.hbs}}\n"); }),
    ("template-condition", |rack| { rack.write(TEMPLATE, "#!ipxe\n{{#if vars.gpu}}\necho gpu\n{{/if}}\n"); }),
    ("template-syntax", |rack| { rack.write(TEMPLATE, "#!ipxe\n{{#if host}}\n"); }),
    ("template-braces", |rack| { rack.write(TEMPLATE, "#!ipxe\necho {{host\n"); }),
    ("seed-autoinstall", |rack| { rack.write("autoinstall.user-data.hbs", "#cloud-config\n# {{host.name}}\nautoinstall:\n  locale: {{yaml vars.locale}}\n"); }),
    ("seed-preseed", |rack| { rack.write("preseed.preseed.cfg.hbs", "d-i netcfg/get_hostname string {{host.name}}\nd-i passwd/root-login bool false\nd-i time/zone string  {{line vars.timezone}}\n"); }),
    ("template-circle", |rack| { rack.write(TEMPLATE, "{{> part.hbs}}\n").write("part.hbs", "{{> install.ipxe.hbs}}\n"); }),
];

fn bomb() -> String {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    text
}

#[test]
fn every_error_is_shown_with_its_position_and_help() {
    for (name, spoil) in ERRORS {
        let rack = Rack::a();
        spoil(&rack);
        let text = rack
            .pxectl("validate")
            .stdout_golden(&format!("diagnostics/{name}.txt"))
            .status(1)
            .run();
        assert!(text.contains(" = help: "), "{name} has no help:\n{text}");
        same_facts(&rack, "validate --format json", &text, 1);
    }
}

/// Checks the report of an inventory that has warnings only: as text and as JSON, and with
/// `--deny warnings`, which makes the same report an error.
#[track_caller]
fn assert_warning(rack: &Rack, golden: &str) {
    let text = rack.pxectl("validate").stdout_golden(golden).run();
    rack.pxectl("validate --deny warnings")
        .stdout_golden(golden)
        .status(1)
        .run();
    same_facts(rack, "validate --format json", &text, 0);
    same_facts(rack, "validate --deny=warnings --format json", &text, 1);
}

/// Checks that JSON says what the text says, in the same order.
#[track_caller]
pub fn same_facts(rack: &Rack, line: &str, text: &str, status: i32) {
    let report = rack.pxectl(line).stdout_returned().status(status).run();
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let listed = report["diagnostics"].as_array().expect("a list");
    let mut rest = text;
    let mut expect = |fact: String| match rest.split_once(&fact) {
        Some((_, after)) => rest = after,
        None => panic!("JSON says `{fact}`, the text does not, or elsewhere:\n{text}"),
    };
    for fault in listed {
        let word = |key: &str| fault[key].as_str().unwrap_or_default();
        expect(format!("{}: {}\n", word("severity"), word("message")));
        if fault.get("file").is_some() {
            expect(format!(
                "--> {}:{}:{}\n",
                word("file"),
                fault["line"],
                fault["column"]
            ));
        }
        for other in fault["related"].as_array().into_iter().flatten() {
            let (file, label) = (&other["file"], other["label"].as_str().unwrap_or_default());
            assert!(text.contains(label), "`{label}` is not in:\n{text}");
            if *file != fault["file"] {
                let place = format!(
                    "{}:{}:{}",
                    file.as_str().unwrap(),
                    other["line"],
                    other["column"]
                );
                assert!(text.contains(&place), "`{place}` is not in:\n{text}");
            }
        }
        if fault.get("help").is_some() {
            // Long lines are not wrapped, so that they can be searched for.
            expect(format!("help: {}\n", word("help")));
        }
    }
    let count = |severity: &str| {
        listed
            .iter()
            .filter(|it| it["severity"] == severity)
            .count()
    };
    assert_eq!(report["errors"], count("error"));
    assert_eq!(report["warnings"], count("warning"));
    let summary = text.lines().last().unwrap_or_default();
    let plural = |count, noun| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    let counts = format!(
        ": {}, {}",
        plural(count("error"), "error"),
        plural(count("warning"), "warning")
    );
    assert!(summary.ends_with(&counts), "{summary}");
}

#[test]
fn all_errors_are_reported_in_the_order_of_their_positions() {
    let rack = Rack::a();
    rack.write(
        "b-broken.yaml",
        "a: [\n---\nkind: Host\nname: lost\nflavour: none\n",
    )
    .write("a-latin.yaml", b"# \xe9\n")
    .edit("site.yaml", "lease_time: 30m", "lease_time: soon")
    .edit("site.yaml", "10.20.0.1\n", "10.30.0.1\n")
    .edit("profiles.yaml", "autoinstall", "autoinstal")
    .edit("hosts.yaml", "ubuntu-worker", "ubuntu-wroker")
    .edit("hosts.yaml", "ip: 10.20.0.53", "ip: 10.20.0.52")
    .edit("hosts.yaml", "boot: true", "boot: yes")
    .edit("bundles.yaml", "size: 4096", "size: big");
    let text = rack
        .pxectl("validate")
        .stdout_golden("diagnostics/many.txt")
        .status(1)
        .run();
    same_facts(&rack, "validate --format json", &text, 1);
    let report = rack
        .pxectl("validate --format json")
        .stdout_returned()
        .status(1)
        .run();
    let report: Value = serde_json::from_str(&report).unwrap();
    let places: Vec<(&str, u64, u64)> = report["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            (
                it["file"].as_str().unwrap(),
                it["line"].as_u64().unwrap(),
                it["column"].as_u64().unwrap(),
            )
        })
        .collect();
    assert!(places.is_sorted(), "{places:?}");
    let mut files: Vec<&str> = places.iter().map(|place| place.0).collect();
    files.dedup();
    assert_eq!(
        files,
        [
            "a-latin.yaml",
            "b-broken.yaml",
            "bundles.yaml",
            "hosts.yaml",
            "profiles.yaml",
            "site.yaml"
        ]
    );
}

#[test]
fn every_other_command_refuses_a_broken_inventory_with_the_same_diagnostics() {
    let rack = Rack::a();
    with_host(&rack, "10.20.0.99", "10.20.0.52");
    let shown = rack.pxectl("validate").stdout_returned().status(1).run();
    let (faults, _) = shown.rsplit_once("5 files").expect("a summary");
    for line in [
        "render --all",
        "rehearse --all",
        "host provision worker-01",
        "serve http",
    ] {
        rack.pxectl(line)
            .stderr(format!(
                "{faults}error: the inventory `.` has errors; nothing was done\n  \
                 = help: fix the errors above, then run `pxectl validate`\n"
            ))
            .status(1)
            .run();
    }
    assert!(!rack.file("state").exists());
}

#[test]
fn warnings_pass_unless_they_are_denied() {
    let rack = Rack::a();
    rack.edit(
        "site.yaml",
        "unknown:",
        "boot_token: off\nidentity: mac\nunknown:",
    );
    assert_warning(&rack, "diagnostics/weak-identity.txt");

    let rack = Rack::a();
    rack.edit(
        "hosts.yaml",
        "uuid: 4c4c4544-0035-5a10-8054-b4c04f4e0132\n",
        "",
    );
    assert_warning(&rack, "diagnostics/no-uuid.txt");
}

#[test]
fn a_list_of_nearly_all_addresses_is_a_warning() {
    let rack = Rack::a();
    rack.edit(
        "site.yaml",
        "http_port: 8080",
        "allow: [192.0.2.7, 0.0.0.0/0]\n  trusted_proxies: [0.0.0.0/0]",
    )
    .edit(
        "site.yaml",
        "interface: eth1",
        "interface: eth1\n    relays: [0.0.0.0/0]",
    );
    assert_warning(&rack, "diagnostics/open-access.txt");
}

#[test]
fn a_port_range_without_effect_is_a_warning() {
    let rack = Rack::a();
    with_tftp(&rack, "tftp_single_port: true\n  tftp_ports: 50000-50999");
    assert_warning(&rack, "diagnostics/tftp-ports-unused.txt");
}

#[test]
fn an_example_uuid_and_a_deadline_of_years_are_warnings() {
    let rack = Rack::a();
    rack.edit(
        "hosts.yaml",
        "4c4c4544-0035-5a10-8054-b4c04f4e0132",
        "11111111-2222-3333-4444-555555555555",
    )
    .edit(
        "hosts.yaml",
        "4c4c4544-0035-5a10-8054-b4c04f4e0232",
        "12345678-1234-5678-1234-567812345678",
    )
    .edit("site.yaml", "deadline: 45m", "deadline: 26298h");
    let golden = "diagnostics/examples.txt";
    let text = rack.pxectl("validate").stdout_golden(golden).run();
    same_facts(&rack, "validate --format json", &text, 0);
    rack.edit("site.yaml", "deadline: 26298h", "deadline: 168h")
        .edit(
            "hosts.yaml",
            "11111111-2222-3333-4444-555555555555",
            "4c4c4544-0035-5a10-8054-b4c04f4e0132",
        )
        .edit(
            "hosts.yaml",
            "12345678-1234-5678-1234-567812345678",
            "4c4c4544-0035-5a10-8054-b4c04f4e0232",
        );
    rack.pxectl("validate --deny warnings")
        .stdout_returned()
        .run();
}

#[test]
fn private_files_are_an_error_wherever_links_lead() {
    let rack = Rack::a();
    let parent = rack.path().parent().expect("a parent").to_owned();
    std::os::unix::fs::symlink(&parent, rack.file("up")).expect("a link");
    std::os::unix::fs::symlink("/etc", rack.file("boot2")).expect("a link");
    rack.write("boot/password", "hunter2");
    for (entries, why) in [
        (
            rack.path().display().to_string(),
            "it contains the inventory",
        ),
        ("up".to_owned(), "it contains the inventory"),
        (parent.display().to_string(), "it contains the inventory"),
        (
            "boot, boot2".to_owned(),
            "it leads to `/etc`, and `/etc` contains",
        ),
        ("/root".to_owned(), "it is a home directory"),
        ("/run/x".to_owned(), "`/run` contains"),
        ("state".to_owned(), "it contains the store"),
        ("bundles".to_owned(), "it contains the bundle store"),
        ("site.yaml".to_owned(), "it is a document of the inventory"),
    ] {
        let site = std::fs::read_to_string(rack.file("site.yaml")).expect("the site");
        rack.edit("site.yaml", "files: [boot]", &format!("files: [{entries}]"));
        let text = rack.pxectl("validate").stdout_returned().status(1).run();
        assert!(
            text.contains(why) && text.contains("--> site.yaml:7:"),
            "{entries}: {text}"
        );
        same_facts(&rack, "validate --format json", &text, 1);
        rack.write("site.yaml", site);
    }
    rack.edit(
        "hosts.yaml",
        "disk:",
        "bmc: {url: \"https://10.21.0.51\", username: a, password: {file: boot/password}}\ndisk:",
    );
    let text = rack.pxectl("validate").stdout_returned().status(1).run();
    assert!(
        text.contains("the inventory names `") && text.contains("boot/password` as a secret"),
        "{text}"
    );
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn an_installer_in_the_menu_is_a_warning() {
    let rack = Rack::a();
    with_menu(&rack, "10s", "5s");
    assert_warning(&rack, "diagnostics/menu-installer.txt");
}

#[test]
fn an_expired_bundle_is_a_warning() {
    let rack = Rack::a();
    rack.edit("bundles.yaml", "files:", "expires: 2020-05-01\nfiles:");
    let golden = "diagnostics/expired-bundle.txt";
    let text = rack.pxectl("validate").stdout_golden(golden).run();
    same_facts(&rack, "validate --format json", &text, 0);
}

#[test]
fn validate_checks_only_the_size_of_bundle_files() {
    let rack = Rack::a();
    let kernel =
        "bundles/blobs/sha256/ad6ee40a67983b25960651f7fd20808aa6f3a3504000183cb05a57f268f1c269";
    let mut bytes = std::fs::read(rack.file(kernel)).expect("a kernel");
    bytes[0] ^= 1;
    std::fs::remove_file(rack.file(kernel)).expect("a kernel");
    rack.write(kernel, bytes);
    rack.pxectl("validate")
        .stdout("rack-a: 6 hosts, 2 profiles, 2 bundles: 0 errors, 0 warnings\n")
        .run();
    let help = rack.pxectl("validate --help").stdout_returned().run();
    assert!(help.contains("validate checks only the size"), "{help}");
}

#[test]
fn empty_files_and_documents_are_valid() {
    let rack = Rack::a();
    rack.write("empty.yaml", "")
        .write("comment.yaml", "# nothing yet\n")
        .write("documents.yaml", "---\n---\n# still nothing\n---\n")
        .write("bom.yaml", format!("\u{feff}{HOST}"))
        .write(
            "dos.yaml",
            HOST.replace('\n', "\r\n")
                .replace("extra-01", "extra-02")
                .replace("99", "98"),
        );
    rack.pxectl("validate")
        .stdout("rack-a: 8 hosts, 2 profiles, 2 bundles: 0 errors, 0 warnings\n")
        .run();
}

#[test]
fn a_valid_inventory_is_summarized() {
    let clean = "rack-a: 6 hosts, 2 profiles, 2 bundles: 0 errors, 0 warnings\n";
    let rack = Rack::a();
    rack.pxectl("validate").stdout(clean).run();
    rack.pxectl("validate --deny warnings").stdout(clean).run();
    rack.pxectl("validate --format json")
        .stdout("{\n  \"diagnostics\": [],\n  \"errors\": 0,\n  \"warnings\": 0\n}\n")
        .run();
    rack.pxectl("validate")
        .env("PXECTL_INVENTORY", rack.path())
        .stdout(clean)
        .run();
    Pxectl::at(rack.path().parent().unwrap())
        .args("validate -i")
        .arg(rack.path())
        .stdout(clean)
        .run();
}

#[test]
fn a_missing_inventory_is_named() {
    let rack = Rack::a();
    rack.pxectl("validate -i nowhere")
        .stderr(
            "error: no inventory at `nowhere`\n  \
             = help: use `-i DIR` to name it, or create an example with `pxectl init DIR`\n",
        )
        .status(3)
        .run();
}

#[test]
fn an_existing_bundle_store_is_checked_and_a_missing_one_is_a_note() {
    let rack = Rack::a();
    let kernel =
        "bundles/blobs/sha256/ad6ee40a67983b25960651f7fd20808aa6f3a3504000183cb05a57f268f1c269";
    let error = |message: &str| {
        format!(
            "error: bundle `ubuntu-24.04-stand-in`: {message}: `./{kernel}`\n |\n \
             = help: not every file has a `source`: run `pxectl bundle pull`, or `pxectl bundle fetch ubuntu-24.04-stand-in --from URL-OR-DIR`, or build a bundle with another name\n\n\
             rack-a: 6 hosts, 2 profiles, 2 bundles: 1 error, 0 warnings\n"
        )
    };
    rack.write(kernel, "short");
    let text = error("the blob of `casper/vmlinuz` has 5 bytes, expected 4096");
    rack.pxectl("validate").stdout(&text).status(1).run();
    same_facts(&rack, "validate --format json", &text, 1);
    std::fs::remove_file(rack.file(kernel)).unwrap();
    rack.pxectl("validate")
        .stdout(error("the blob of `casper/vmlinuz` is missing"))
        .status(1)
        .run();
    rack.pxectl("validate --deny warnings --bundles elsewhere")
        .stdout(
            "note: no bundle store at `elsewhere`\n |\n \
             = help: blobs are not checked; use `--bundles DIR` for another store\n\n\
             rack-a: 6 hosts, 2 profiles, 2 bundles: 0 errors, 0 warnings\n",
        )
        .run();
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    Rack::a()
        .pxectl("validate --deny everything")
        .stderr(
            "error: invalid value 'everything' for '--deny <WHAT>'\n  [possible values: warnings]\n\n\
             For more information, try '--help'.\n",
        )
        .status(2)
        .run();
}

#[test]
fn the_underline_ends_where_the_collection_ends() {
    let rack = Rack::a();
    let site = std::fs::read_to_string(rack.file("site.yaml")).unwrap();
    rack.write(
        "site.yaml",
        format!(
            "{site}\nsignatures:\n  required: true\n\n# a comment\n\n  # another\n\nvars: {{}}\n"
        ),
    );
    let said = rack.pxectl("validate").stdout_returned().status(1).run();
    assert!(said.contains("required: true"), "{said}");
    assert!(
        !said.contains("a comment") && !said.contains("# another"),
        "{said}"
    );
}
