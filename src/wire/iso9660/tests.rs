use std::io::{Cursor, Read};

use proptest::prelude::*;

use super::*;

/// Builds a directory record; `system_use` as it is.
fn record(block: u32, size: u32, flags: u8, name: &[u8], system_use: &[u8]) -> Vec<u8> {
    let padding = (name.len() + 1) % 2;
    let length = 33 + name.len() + padding + system_use.len();
    let mut bytes = vec![0; 33];
    bytes[0] = length as u8;
    bytes[2..6].copy_from_slice(&block.to_le_bytes());
    bytes[10..14].copy_from_slice(&size.to_le_bytes());
    bytes[25] = flags;
    bytes[32] = name.len() as u8;
    bytes.extend_from_slice(name);
    bytes.resize(bytes.len() + padding, 0);
    bytes.extend_from_slice(system_use);
    bytes
}

fn named(name: &str) -> Vec<u8> {
    let mut entry = vec![b'N', b'M', name.len() as u8 + 5, 1, 0];
    entry.extend_from_slice(name.as_bytes());
    entry
}

/// Builds an image whose root directory, in sector 20, holds these records.
fn image(records: &[Vec<u8>], sectors: usize) -> Vec<u8> {
    let mut image = vec![0; sectors * 2048];
    let root = record(20, 2048, 2, &[0], b"");
    let descriptor = &mut image[16 * 2048..17 * 2048];
    descriptor[0] = 1;
    descriptor[1..6].copy_from_slice(b"CD001");
    descriptor[128..130].copy_from_slice(&2048u16.to_le_bytes());
    descriptor[156..190].copy_from_slice(&root);
    image[17 * 2048] = 255;
    image[17 * 2048 + 1..17 * 2048 + 6].copy_from_slice(b"CD001");
    let mut at = 20 * 2048;
    for record in [root].iter().chain(records) {
        image[at..at + record.len()].copy_from_slice(record);
        at += record.len();
    }
    image
}

fn content(image: Vec<u8>, path: &str) -> Result<Vec<u8>, String> {
    let mut iso = Iso9660::open(Cursor::new(image)).map_err(|error| error.to_string())?;
    let file = iso.find(path).map_err(|error| error.to_string())?;
    let mut content = Vec::new();
    iso.read(&file)
        .read_to_end(&mut content)
        .map_err(|error| error.to_string())?;
    assert_eq!(content.len() as u64, file.size);
    Ok(content)
}

#[test]
fn files_are_found_by_rock_ridges_names_or_else_in_any_case_without_versions() {
    let records = [
        record(21, 5, 0, b"VMLINUZ.;1", b""),
        record(
            22,
            3,
            0,
            b"INITRD.GZ;1",
            &named("initrd with a long name.gz"),
        ),
    ];
    let mut image = image(&records, 24);
    image[21 * 2048..][..5].copy_from_slice(b"linux");
    image[22 * 2048..][..3].copy_from_slice(b"ram");
    for (path, expected) in [
        ("vmlinuz", Ok(&b"linux"[..])),
        ("VMLINUZ", Ok(&b"linux"[..])),
        ("initrd with a long name.gz", Ok(&b"ram"[..])),
        ("INITRD.GZ", Err("the image has no `INITRD.GZ`")),
        (
            "vmlinuz/a",
            Err("`vmlinuz` in the image is not a directory"),
        ),
        ("", Err("the image has no ``")),
        ("../vmlinuz", Err("the image has no `..`")),
    ] {
        let found = content(image.clone(), path);
        assert_eq!(found.as_deref().map_err(String::as_str), expected, "{path}");
    }
}

#[test]
fn a_file_of_several_extents_is_read_whole() {
    let records = [
        record(21, 2048, 0x80, b"ROOT.IMG;1", b""),
        record(23, 4, 0, b"ROOT.IMG;1", b""),
    ];
    let mut image = image(&records, 24);
    image[21 * 2048..][..2048].fill(b'a');
    image[23 * 2048..][..4].fill(b'b');
    let whole = content(image, "root.img").unwrap();
    assert_eq!((whole.len(), &whole[2046..]), (2052, &b"aabbbb"[..]));
}

#[test]
fn names_can_have_continuations_and_loops_end() {
    let mut continued = named("long");
    let mut more = vec![b'C', b'E', 28, 1];
    for number in [22u32, 0, 8] {
        more.extend_from_slice(&number.to_le_bytes());
        more.extend_from_slice(&number.to_be_bytes());
    }
    continued.extend_from_slice(&more);
    let mut image = image(&[record(21, 1, 0, b"L.;1", &continued)], 24);
    image[22 * 2048..][..8].copy_from_slice(&named("er!"));
    image[21 * 2048] = b'x';
    assert_eq!(content(image.clone(), "longer!").unwrap(), b"x");
    // The continuation leads to itself.
    more[20..24].copy_from_slice(&28u32.to_le_bytes());
    let at = image.windows(2).position(|it| it == b"CE").unwrap();
    image[at + 20..at + 24].copy_from_slice(&28u32.to_le_bytes());
    image[22 * 2048..][..28].copy_from_slice(&more);
    let error = content(image, "longer!").unwrap_err();
    assert!(error.contains("never ends"), "{error}");
}

#[test]
fn a_truncated_image_is_reported() {
    let whole = image(&[record(21, 6000, 0, b"A.;1", b"")], 24);
    assert_eq!(content(whole.clone(), "a").unwrap().len(), 6000);
    for (length, expected) in [
        (23 * 2048, "needs 49008 bytes, the image has 47104"),
        (20 * 2048 + 100, "needs 43008 bytes"),
        (17 * 2048 - 1, "not an ISO 9660 image"),
        (0, "not an ISO 9660 image"),
    ] {
        let error = content(whole[..length].to_vec(), "a").unwrap_err();
        assert!(error.contains(expected), "{length}: {error}");
    }
}

#[test]
fn links_directories_and_interleaved_files_are_not_files() {
    let link = [named("link"), vec![b'S', b'L', 5, 1, 0]].concat();
    let mut interleaved = record(21, 1, 0, b"I.;1", b"");
    interleaved[26] = 1;
    for (entry, path, expected) in [
        (
            record(21, 1, 0, b"LINK.;1", &link),
            "link",
            "is a symbolic link",
        ),
        (record(21, 1, 2, b"D", b""), "d", "is not a file"),
        (interleaved, "i", "interleaved"),
    ] {
        let error = content(image(&[entry], 24), path).unwrap_err();
        assert!(error.contains(expected), "{path}: {error}");
    }
}

proptest! {
    #[test]
    fn arbitrary_directories_never_panic(
        directory in proptest::collection::vec(any::<u8>(), 0..600),
        path in "[a-z./]{0,12}",
    ) {
        let mut image = image(&[], 24);
        let at = 20 * 2048 + 34;
        image[at..at + directory.len()].copy_from_slice(&directory);
        let _ = content(image, &path);
    }

    #[test]
    fn arbitrary_descriptors_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
        let mut image = image(&[], 24);
        image[16 * 2048 + 6..][..bytes.len().min(2042)]
            .copy_from_slice(&bytes[..bytes.len().min(2042)]);
        let _ = content(image, "a");
    }

    #[test]
    fn arbitrary_system_use_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = record::entries(&bytes).count();
        record::skip_of(&bytes);
        let image = image(&[record(21, 1, 0, b"A.;1", &bytes)], 24);
        let _ = content(image, "a");
    }

    #[test]
    fn flipped_bytes_of_a_good_image_never_panic(
        flips in proptest::collection::vec((16usize * 2048..21 * 2048, any::<u8>()), 1..20),
    ) {
        let mut image = image(&[record(21, 5, 0, b"A.;1", &named("a")), record(20, 2048, 2, b"D", b"")], 24);
        for (at, byte) in flips {
            image[at] = byte;
        }
        let _ = content(image.clone(), "a");
        let _ = content(image, "d/d/a");
    }
}
