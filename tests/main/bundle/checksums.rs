//! Lists of checksums by the programs that write them.

use crate::bundle::nginx::Nginx;
use crate::bundle::workshop::{Workshop, content};
use crate::support::requirements::missing;
use crate::support::tool::run_tool_in;

/// Checks that a list verifies `from` if it is of the same file, and refuses it if it is of another one.
#[track_caller]
fn verifies(workshop: &Workshop, from: &str, file: &[u8], list: impl AsRef<[u8]>, what: &str) {
    workshop.write("SUMS", list);
    workshop.spec(
        what,
        &format!("files: {{image: {{from: '{from}', checksums: {{from: SUMS}}}}}}\n"),
    );
    let built = workshop.pxectl("bundle build spec.yaml");
    built.ended(0, &[]);
    assert_eq!(workshop.blob(file), file, "{what}");
    let mut other = file.to_vec();
    other[0] ^= 1;
    let path = workshop.path(from);
    std::fs::write(&path, other).unwrap();
    workshop
        .pxectl("bundle build spec.yaml")
        .ended(1, &["hashes to", "`SUMS` states"]);
    std::fs::write(&path, file).unwrap();
}

#[test]
fn lists_by_every_program_verify_a_file() {
    if missing(&["openssl", "sha256sum", "cksum"]) {
        return;
    }
    let workshop = Workshop::new();
    let file = content(1, 30_000);
    let name = "live (1) x.iso";
    workshop.write(name, &file);
    let at = workshop.path("");
    let absolute = workshop.path(name).display().to_string();
    for (what, line) in [
        ("sha256sum", ["sha256sum", name].as_slice()),
        ("binary", &["sha256sum", "-b", name]),
        ("tag", &["sha256sum", "--tag", name]),
        ("absolute", &["sha256sum", &absolute]),
        ("cksum", &["cksum", "-a", "sha256", name]),
        ("untagged", &["cksum", "-a", "sha256", "--untagged", name]),
        ("openssl", &["openssl", "dgst", "-sha256", name]),
        ("openssl-r", &["openssl", "dgst", "-sha256", "-r", name]),
        ("openssl-path", &["openssl", "dgst", "-sha256", &absolute]),
    ] {
        let list = run_tool_in(&at, line[0], &line[1..]);
        assert!(list.contains("live (1) x.iso"), "{what}: {list}");
        verifies(&workshop, name, &file, &list, what);
        verifies(
            &workshop,
            name,
            &file,
            format!("\u{feff}{list}"),
            &format!("{what}-mark"),
        );
    }
    let list = run_tool_in(&at, "openssl", &["dgst", "-sha256", name]);
    assert!(
        list.starts_with("SHA2-256(") || list.starts_with("SHA256("),
        "{list}"
    );
    // OpenSSL 1 has another name for the algorithm.
    verifies(
        &workshop,
        name,
        &file,
        list.replace("SHA2-256", "SHA256"),
        "openssl-1",
    );
}

#[test]
fn lists_by_windows_verify_a_file() {
    let workshop = Workshop::new();
    let file = content(2, 30_000);
    workshop.write("live.iso", &file);
    let digest = pxectl::machine::Sha256Digest::of(&file).to_string();
    let upper = digest.to_uppercase();
    let table = format!(
        "\r\nAlgorithm       Hash                                                                   Path\r\n\
         ---------       ----                                                                   ----\r\n\
         SHA256          {upper}       C:\\isos\\live.iso\r\n\r\n\r\n"
    );
    let list = format!(
        "\r\n\r\nAlgorithm : SHA256\r\nHash      : {upper}\r\nPath      : C:\\isos\\live.iso\r\n"
    );
    let csv = format!(
        "\"Algorithm\",\"Hash\",\"Path\"\r\n\"SHA256\",\"{upper}\",\"C:\\isos\\live.iso\"\r\n"
    );
    let certutil = format!(
        "SHA256 hash of live.iso:\r\n{digest}\r\nCertUtil: -hashfile command completed successfully.\r\n"
    );
    for (what, text) in [
        ("table", table),
        ("list", list),
        ("csv", csv),
        ("certutil", certutil),
    ] {
        let utf16 = |unit: fn(u16) -> [u8; 2]| -> Vec<u8> {
            std::iter::once(0xfeff)
                .chain(text.encode_utf16())
                .flat_map(unit)
                .collect()
        };
        verifies(&workshop, "live.iso", &file, &text, what);
        verifies(
            &workshop,
            "live.iso",
            &file,
            utf16(u16::to_le_bytes),
            &format!("{what}-le"),
        );
        verifies(
            &workshop,
            "live.iso",
            &file,
            utf16(u16::to_be_bytes),
            &format!("{what}-be"),
        );
    }
}

#[test]
fn a_name_with_spaces_is_found_by_its_url() {
    if missing(&["nginx", "sha256sum"]) {
        return;
    }
    let workshop = Workshop::new();
    let nginx = Nginx::start(&workshop);
    let newest = content(10, 20_000);
    workshop.write("web/isos/my disk-9.iso", content(9, 20_000));
    workshop.write("web/isos/my disk-10.iso", &newest);
    // The list was made in another directory.
    let list = run_tool_in(
        &workshop.path(""),
        "sh",
        &["-c", "sha256sum web/isos/*.iso"],
    );
    assert!(list.contains("  web/isos/my disk-10.iso"), "{list}");
    for (name, list) in [
        ("plain", list.clone()),
        ("escaped", list.replace("my disk", "my%20disk")),
    ] {
        workshop.write("web/isos/SUMS", list);
        let (pattern, sums) = (nginx.url("/isos/my%20disk-*.iso"), nginx.url("/isos/SUMS"));
        workshop.spec(
            name,
            &format!("files: {{disk: {{from: '{pattern}', checksums: {{from: '{sums}'}}}}}}\n"),
        );
        let built = workshop.pxectl("bundle build spec.yaml");
        built.ended(0, &[]);
        assert!(built.stdout.contains("/isos/my%20disk-10.iso"), "{built:?}");
        assert_eq!(workshop.blob(&newest), newest);
    }
}
