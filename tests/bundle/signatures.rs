//! Signatures that gpg and minisign made, good ones and others.

use std::fs;

use crate::keys::{Gpg, Minisign};
use crate::requirements::missing;
use crate::workshop::{Workshop, content, listed};

const PROGRAMS: [&str; 2] = ["gpg", "gpgv"];

/// A file and the list that it is on, both here.
fn published(workshop: &Workshop) -> Vec<u8> {
    let image = content(1, 50_000);
    workshop.write("mirror/image.iso", &image);
    workshop.write("mirror/SHA256SUMS", listed("image.iso", &image));
    image
}

#[test]
fn a_list_signed_by_the_publisher_counts_and_any_other_does_not() {
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
                "SHA256SUMS` is not signed as it should be: it is signed by the key",
                "does not hold",
            ],
        );
        publisher.sign(&list, ".gpg");
        fs::write(&list, listed("image.iso", b"evil")).unwrap();
        workshop
            .pxectl("bundle build spec.yaml")
            .ended(1, &["the signature of", "is bad"]);
        fs::write(workshop.path("mirror/SHA256SUMS.gpg"), "no signature").unwrap();
        workshop
            .pxectl("bundle build spec.yaml")
            .ended(1, &["not signed as it should be"]);
        fs::remove_file(workshop.path("mirror/SHA256SUMS.gpg")).unwrap();
        workshop
            .pxectl("bundle build spec.yaml")
            .ended(3, &["SHA256SUMS.gpg", "No such file"]);
        assert_eq!(workshop.blobs(), before);
        assert_eq!(workshop.store().names().unwrap().len(), 1);
    }
}

#[test]
fn of_a_list_with_a_signature_round_it_only_what_is_inside_counts() {
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
        .ended(1, &["not signed as it should be"]);
    // Its digest stands outside of what is signed.
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
        .ended(1, &["is bad"]);
}

#[test]
fn a_file_with_a_signature_of_its_own_is_verified_by_it() {
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
        .ended(1, &["image.iso` is not signed", "is bad"]);
    workshop.spec(
        "c",
        &format!("images: {{i: {file}}}\nfiles: {{iso: {{image: i, member: a}}}}\n"),
    );
    workshop
        .pxectl("bundle build spec.yaml")
        .ended(1, &["image.iso` is not signed", "is bad"]);
    assert_eq!(workshop.store().names().unwrap().len(), 1);
}

#[test]
fn keys_that_have_expired_are_revoked_or_cannot_be_read_do_not_count() {
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
        .ended(1, &["is not signed as it should be: the key", "is revoked"]);
    for (keyring, said) in [
        ("", "not signed as it should be"),
        (
            "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n!",
            "its armor is damaged",
        ),
    ] {
        workshop.write("publisher.gpg", keyring);
        workshop.pxectl("bundle build spec.yaml").ended(1, &[said]);
    }
    fs::remove_file(workshop.path("publisher.gpg")).unwrap();
    workshop
        .pxectl("bundle build spec.yaml")
        .ended(1, &["the key `", "No such file"]);
}

#[test]
fn minisigns_signatures_count_when_the_key_is_right() {
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
        .ended(1, &["is not signed as it should be"]);
    workshop.write("mirror/image.iso", content(2, 50_000));
    spec("c", &publisher.public());
    workshop
        .pxectl("bundle build spec.yaml")
        .ended(1, &["is not signed as it should be"]);
    spec("c", "RWnokey");
    workshop
        .pxectl("bundle build spec.yaml")
        .ended(1, &["the key `RWnokey` cannot be used"]);
    // A list may be signed so, too.
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
