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

#[test]
fn files_that_would_be_read_in_part_are_refused() {
    let with = |entry: &[u8]| [named("f"), entry.to_vec()].concat();
    let zisofs = with(b"ZF\x10\x01pz\x04\x0f\0\0\0\0\0\0\0\0");
    let sparse = with(&[&b"SF\x15\x01"[..], &[0; 17]].concat());
    for (records, expected) in [
        (
            vec![record(21, 5, 0, b"F.;1", &zisofs)],
            "compressed with zisofs",
        ),
        (vec![record(21, 5, 0, b"F.;1", &sparse)], "sparse file"),
        // The first part of several, without the others.
        (
            vec![record(21, 2048, 0x80, b"F.;1", &named("f"))],
            "without its last part",
        ),
        (
            vec![
                record(21, 2048, 0x80, b"F.;1", &named("f")),
                record(22, 5, 0, b"G.;1", &named("g")),
                record(22, 5, 0, b"F.;1", &named("f")),
            ],
            "without its last part",
        ),
    ] {
        let error = content(image(&records, 24), "f").unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    for magic in ZISOFS_MAGICS {
        let mut image = image(&[record(21, 20, 0, b"F.;1", b"")], 24);
        image[21 * 2048..][..8].copy_from_slice(&magic);
        let error = content(image, "f").unwrap_err();
        assert!(error.contains("compressed with zisofs"), "{error}");
    }
}

/// genisoimage 1.1.11 with `-udf -allow-limited-size` wrote such a record for a file of 4300 MiB.
#[test]
fn a_size_that_its_record_cannot_hold_is_refused() {
    let cut = record(22, 213_909_504, 0, b"INSTALL.WIM;1", b"");
    let whole = record(21, 3, 0, b"A.TXT;1", b"");
    let after = |block| record(block, 3, 0, b"Z.TXT;1", b"");
    let find = |records: &[Vec<u8>], length: u64, volume_blocks: u32, path: &str| {
        let mut file = tempfile::tempfile().unwrap();
        let mut head = image(records, 24);
        head[16 * 2048 + 80..][..4].copy_from_slice(&volume_blocks.to_le_bytes());
        std::io::Write::write_all(&mut file, &head).unwrap();
        file.set_len(length).unwrap();
        let found = Iso9660::open(file).unwrap().find(path);
        found
            .map(|file| file.size)
            .map_err(|error| error.to_string())
    };
    let blocks = 22 + (4300 << 9);
    let length = u64::from(blocks) * 2048;
    let records = [whole.clone(), cut.clone()];
    let error = find(&records, length, blocks, "install.wim").unwrap_err();
    assert!(
        error.contains("larger than its directory record states"),
        "{error}"
    );
    assert_eq!(find(&records, length, blocks, "a.txt"), Ok(3));
    // Another file after it.
    let records = [whole.clone(), cut.clone(), after(blocks)];
    let error = find(&records, length + 2048, blocks + 1, "install.wim").unwrap_err();
    assert!(
        error.contains("larger than its directory record states"),
        "{error}"
    );
    assert_eq!(find(&records, length + 2048, blocks + 1, "z.txt"), Ok(3));
    // The rest is another file, or not a part of the volume.
    let records = [whole, cut, after(22 + 213_909_504 / 2048)];
    assert_eq!(
        find(&records, length, blocks, "install.wim"),
        Ok(213_909_504)
    );
    assert_eq!(
        find(&records[..2], length, blocks / 2, "install.wim"),
        Ok(213_909_504)
    );
}

/// Adds a descriptor after the primary one, and the end of the descriptors after that.
fn add_descriptor(image: &mut [u8], kind: u8, identifier: &[u8; 5], content: &[(usize, &[u8])]) {
    let end = image[17 * 2048..18 * 2048].to_vec();
    image[18 * 2048..19 * 2048].copy_from_slice(&end);
    let descriptor = &mut image[17 * 2048..18 * 2048];
    descriptor.fill(0);
    descriptor[0] = kind;
    descriptor[1..6].copy_from_slice(identifier);
    for (at, bytes) in content {
        descriptor[*at..*at + bytes.len()].copy_from_slice(bytes);
    }
}

#[test]
fn joliet_names_are_read_where_there_are_no_rock_ridge_names() {
    let joliet = |name: &str| {
        name.encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect::<Vec<u8>>()
    };
    let mut image = image(&[record(21, 1, 0, b"INITRD_1.IMG;1", b"")], 24);
    let root = record(22, 2048, 2, &[0], b"");
    let content_of_descriptor = [(88, &b"%/E"[..]), (128, &[0, 8]), (156, &root)];
    add_descriptor(&mut image, 2, b"CD001", &content_of_descriptor);
    let mut at = 22 * 2048;
    for record in [
        root.clone(),
        record(21, 1, 0, &joliet("initrd with a long name.img;1"), b""),
        record(21, 1, 0, &joliet("ж;x"), b""),
    ] {
        image[at..at + record.len()].copy_from_slice(&record);
        at += record.len();
    }
    image[21 * 2048] = b'x';
    for path in ["initrd with a long name.img", "ж;x", "initrd_1.img"] {
        assert_eq!(content(image.clone(), path).unwrap(), b"x", "{path}");
    }
    let error = content(image, "initrd").unwrap_err();
    assert_eq!(error, "the image has no `initrd`");
}

#[test]
fn a_name_that_may_be_in_udf_is_refused_with_the_reason() {
    let mut image = image(&[record(21, 1, 0, b"README.TXT;1", b"")], 24);
    add_descriptor(&mut image, 0, b"NSR02", &[]);
    assert_eq!(content(image.clone(), "readme.txt").unwrap(), [0]);
    let error = content(image, "sources/boot.wim").unwrap_err();
    assert!(
        error.contains("no `sources` in its ISO 9660") && error.contains("UDF"),
        "{error}"
    );
}

#[test]
fn a_resource_fork_is_not_its_file() {
    let records = [
        record(21, 1, 4, b"A.;1", b""),
        record(22, 1, 0, b"A.;1", b""),
    ];
    let mut image = image(&records, 24);
    (image[21 * 2048], image[22 * 2048]) = (b'r', b'd');
    assert_eq!(content(image, "a").unwrap(), b"d");
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
        let _ = record::skip_of(&bytes);
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
