//! Valid and invalid signatures by gpg and minisign.

use std::fs;

use crate::bundle::keys::{Gpg, Minisign};
use crate::bundle::workshop::{Workshop, content, listed};
use crate::support::requirements::missing;

const PROGRAMS: [&str; 2] = ["gpg", "gpgv"];

/// A local file and its list of checksums.
fn published(workshop: &Workshop) -> Vec<u8> {
    let image = content(1, 50_000);
    workshop.write("mirror/image.iso", &image);
    workshop.write("mirror/SHA256SUMS", listed("image.iso", &image));
    image
}

#[test]
fn only_a_list_with_the_publishers_signature_counts() {
    if missing(&PROGRAMS) {
        return;
    }
    let (publisher, stranger) = (Gpg::new(), Gpg::new());
    for armor in [false, true] {
        let workshop = Workshop::new();
        let image = published(&workshop);
        publisher.export(&workshop.path("publisher.gpg"), armor);
        let list = workshop.path("mirror/SHA256SUMS");
        publisher.sign(&list, ".gpg");
        let spec = |name: &str| {
            let checks =
                "checksums: {from: mirror/SHA256SUMS, signature: .gpg, keyring: publisher.gpg}";
            workshop.spec(
                name,
                &format!("files: {{iso: {{from: mirror/image.iso, {checks}}}}}\n"),
            );
        };
        spec("good");
        let ran = workshop.pxectl("bundle build spec.yaml");
        ran.ended(0, &[]);
        assert!(!ran.stderr.contains("warning"), "{ran:#?}");
        assert_eq!(workshop.blob(&image), image);
        let before = workshop.blobs();
        spec("bad");
        stranger.sign(&list, ".gpg");
        let ran = workshop.pxectl("bundle build spec.yaml");
        ran.ended(
            1,
            &[
                "SHA256SUMS` has no valid signature: the keyring does not have the key",
                "which signed the file",
            ],
        );
        publisher.sign(&list, ".gpg");
        fs::write(&list, listed("image.iso", b"evil")).unwrap();
        workshop
            .pxectl("bundle build spec.yaml")
            .ended(1, &["bad signature by"]);
        fs::write(workshop.path("mirror/SHA256SUMS.gpg"), "no signature").unwrap();
        workshop
            .pxectl("bundle build spec.yaml")
            .ended(1, &["no valid signature"]);
        fs::remove_file(workshop.path("mirror/SHA256SUMS.gpg")).unwrap();
        workshop
            .pxectl("bundle build spec.yaml")
            .ended(3, &["SHA256SUMS.gpg", "No such file"]);
        assert_eq!(workshop.blobs(), before);
        assert_eq!(workshop.store().names().unwrap().len(), 1);
    }
}

#[test]
fn only_the_signed_part_of_an_inline_list_counts() {
    if missing(&PROGRAMS) {
        return;
    }
    let publisher = Gpg::new();
    let workshop = Workshop::new();
    let image = published(&workshop);
    publisher.export(&workshop.path("publisher.gpg"), false);
    let list = workshop.path("mirror/SHA256SUMS");
    let checks = "checksums: {from: mirror/SHA256SUMS, signature: inline, keyring: publisher.gpg}";
    workshop.spec(
        "a",
        &format!("files: {{iso: {{from: mirror/image.iso, {checks}}}}}\n"),
    );
    workshop
        .pxectl("bundle build spec.yaml")
        .ended(1, &["no valid signature"]);
    // The digest is outside the signed part.
    fs::write(&list, "nothing\n").unwrap();
    publisher.sign_inline(&list);
    let signed = fs::read_to_string(&list).unwrap();
    for forged in [
        format!("{}{signed}", listed("image.iso", &image)),
        format!("{signed}{}", listed("image.iso", &image)),
    ] {
        fs::write(&list, forged).unwrap();
        let ran = workshop.pxectl("bundle build spec.yaml");
        assert_eq!(ran.status, Some(1), "{ran:#?}");
        assert!(workshop.store().names().unwrap().is_empty());
    }
    fs::write(&list, listed("image.iso", &image)).unwrap();
    publisher.sign_inline(&list);
    workshop.pxectl("bundle build spec.yaml").ended(0, &[]);
    let text = fs::read_to_string(&list)
        .unwrap()
        .replace("image.iso", "Image.iso");
    fs::write(&list, text).unwrap();
    workshop
        .pxectl("bundle build spec.yaml")
        .ended(1, &["bad signature"]);
}

#[test]
fn a_file_is_verified_by_its_own_signature() {
    if missing(&PROGRAMS) {
        return;
    }
    let publisher = Gpg::new();
    let workshop = Workshop::new();
    let image = published(&workshop);
    publisher.export(&workshop.path("publisher.gpg"), true);
    publisher.sign(&workshop.path("mirror/image.iso"), ".sig");
    let file = "{from: mirror/image.iso, signature: .sig, keyring: publisher.gpg}";
    workshop.spec("a", &format!("files: {{iso: {file}}}\n"));
    workshop.pxectl("bundle build spec.yaml").ended(0, &[]);
    assert_eq!(workshop.blob(&image), image);
    workshop.write("mirror/image.iso", content(2, 50_000));
    workshop.spec("b", &format!("files: {{iso: {file}}}\n"));
    workshop
        .pxectl("bundle build spec.yaml")
        .ended(1, &["image.iso` has no valid signature", "bad signature"]);
    workshop.spec(
        "c",
        &format!("images: {{i: {file}}}\nfiles: {{iso: {{image: i, member: a}}}}\n"),
    );
    workshop
        .pxectl("bundle build spec.yaml")
        .ended(1, &["image.iso` has no valid signature", "bad signature"]);
    assert_eq!(workshop.store().names().unwrap().len(), 1);
}

#[test]
fn expired_revoked_and_unreadable_keys_do_not_count() {
    if missing(&PROGRAMS) {
        return;
    }
    let expired = Gpg::expired();
    let workshop = Workshop::new();
    published(&workshop);
    expired.export(&workshop.path("publisher.gpg"), false);
    expired.sign_in_2020(&workshop.path("mirror/SHA256SUMS"), ".gpg");
    let checks = "checksums: {from: mirror/SHA256SUMS, signature: .gpg, keyring: publisher.gpg}";
    workshop.spec(
        "a",
        &format!("files: {{iso: {{from: mirror/image.iso, {checks}}}}}\n"),
    );
    workshop
        .pxectl("bundle build spec.yaml")
        .ended(1, &["the key", "has expired"]);
    let revoked = Gpg::new();
    revoked.sign(&workshop.path("mirror/SHA256SUMS"), ".gpg");
    revoked.revoke();
    revoked.export(&workshop.path("publisher.gpg"), false);
    workshop
        .pxectl("bundle build spec.yaml")
        .ended(1, &["has no valid signature: the key", "is revoked"]);
    for (keyring, expected) in [
        ("", "no valid signature"),
        (
            "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n!",
            "its armor is damaged",
        ),
    ] {
        workshop.write("publisher.gpg", keyring);
        workshop
            .pxectl("bundle build spec.yaml")
            .ended(1, &[expected]);
    }
    fs::remove_file(workshop.path("publisher.gpg")).unwrap();
    workshop
        .pxectl("bundle build spec.yaml")
        .ended(1, &["the key `", "No such file"]);
}

#[test]
fn minisign_signatures_count_with_the_right_key() {
    if missing(&["minisign"]) {
        return;
    }
    let (publisher, stranger) = (Minisign::new(), Minisign::new());
    let workshop = Workshop::new();
    let image = published(&workshop);
    publisher.sign(&workshop.path("mirror/image.iso"));
    let spec = |name: &str, key: &str| {
        workshop.spec(name, &format!("files: {{iso: {{from: mirror/image.iso, signature: .minisig, minisign: '{key}'}}}}\n"));
    };
    spec("a", &publisher.public());
    workshop.pxectl("bundle build spec.yaml").ended(0, &[]);
    spec("b", publisher.public_file().to_str().unwrap());
    workshop.pxectl("bundle build spec.yaml").ended(0, &[]);
    assert_eq!(workshop.blob(&image), image);
    spec("c", &stranger.public());
    workshop
        .pxectl("bundle build spec.yaml")
        .ended(1, &["has no valid signature"]);
    workshop.write("mirror/image.iso", content(2, 50_000));
    spec("c", &publisher.public());
    workshop
        .pxectl("bundle build spec.yaml")
        .ended(1, &["has no valid signature"]);
    spec("c", "RWnokey");
    workshop
        .pxectl("bundle build spec.yaml")
        .ended(1, &["cannot use the key `RWnokey`"]);
    // A list can have a minisign signature, too.
    workshop.write("mirror/image.iso", &image);
    publisher.sign(&workshop.path("mirror/SHA256SUMS"));
    let key = publisher.public();
    let checks =
        format!("checksums: {{from: mirror/SHA256SUMS, signature: .minisig, minisign: '{key}'}}");
    workshop.spec(
        "d",
        &format!("files: {{iso: {{from: mirror/image.iso, {checks}}}}}\n"),
    );
    workshop.pxectl("bundle build spec.yaml").ended(0, &[]);
    assert_eq!(workshop.store().names().unwrap().len(), 3);
}
