use std::cell::Cell;

use proptest::prelude::*;

use super::*;

/// Builds a header in front of `size` bytes, a size or name as bad as one likes; links lead to
/// `link`.
pub fn raw(name: &str, kind: u8, link: &str, size: &[u8]) -> Vec<u8> {
    let mut header = vec![0; BLOCK];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[124..124 + size.len()].copy_from_slice(size);
    header[156] = kind;
    header[157..157 + link.len()].copy_from_slice(link.as_bytes());
    header[257..263].copy_from_slice(b"ustar\0");
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    header
}

/// Builds an entry with its content and padding.
pub fn entry(name: &str, kind: u8, content: &str) -> Vec<u8> {
    let size = format!("{:011o}", content.len());
    let mut bytes = raw(name, kind, "", size.as_bytes());
    bytes.extend(content.as_bytes());
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

fn pax(attribute: &str) -> Vec<u8> {
    // Two digits and a blank stand before it, and a line feed after it.
    let length = attribute.len() + 4;
    assert!((10..100).contains(&length));
    entry("pax", b'x', &format!("{length} {attribute}\n"))
}

fn all_of(archive: &[u8]) -> Result<Vec<(TarEntry, String)>, String> {
    let mut tar = Tar::new(archive);
    let mut found = Vec::new();
    while let Some(entry) = tar.entry().map_err(|error| error.to_string())? {
        let mut text = Vec::new();
        tar.read_to_end(&mut text)
            .map_err(|error| error.to_string())?;
        found.push((entry, String::from_utf8_lossy(&text).into_owned()));
    }
    Ok(found)
}

fn listed(archive: &[u8]) -> Result<Vec<(String, String)>, String> {
    let found = all_of(archive)?.into_iter();
    Ok(found.map(|(entry, text)| (entry.path, text)).collect())
}

#[test]
fn names_short_long_and_extended_are_read() {
    let long = "d/".repeat(90) + "file";
    let mut base_256 = raw("short", b'0', "", b"\x80\0\0\0\0\0\0\0\0\0\0\x02");
    base_256.extend([b'2'; 2]);
    base_256.resize(2 * BLOCK, 0);
    let archive = [
        entry("a", b'0', "one"),
        entry("d", b'5', ""),
        entry("././@LongLink", b'L', &format!("{long}\0")),
        base_256,
        pax("path=../\u{e9}tc/passwd"),
        entry("c", b'0', ""),
        END.to_vec(),
    ]
    .concat();
    let found = listed(&archive).unwrap();
    let found: Vec<_> = found
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("a", "one"),
            ("d", ""),
            (long.as_str(), "22"),
            ("../\u{e9}tc/passwd", "")
        ]
    );
    for length in [100, 514, 600, archive.len() - 1024] {
        assert!(listed(&archive[..length]).is_err(), "{length}");
    }
    let mut wrong = archive.clone();
    wrong[0] = b'b';
    assert!(listed(&wrong).unwrap_err().contains("checksum"));
}

#[test]
fn kinds_and_link_targets_are_read() {
    let long = "l/".repeat(90);
    let archive = [
        raw("hard", b'1', "a", b"00000000777"),
        raw("soft", b'2', "../b", b""),
        entry("././@LongLink", b'K', &format!("{long}\0")),
        raw("long", b'2', "short", b""),
        pax("linkpath=\u{e9}"),
        raw("extended", b'2', "short", b""),
        raw("device", b'4', "", b"00000000777"),
        pax("GNU.sparse.major=1"),
        entry("holes", b'0', "map"),
        END.to_vec(),
    ]
    .concat();
    let kinds: Vec<TarKind> = (all_of(&archive).unwrap().into_iter())
        .map(|(entry, _)| entry.kind)
        .collect();
    let soft = |to: &str| TarKind::SymbolicLink(to.to_owned());
    let expected = [
        TarKind::HardLink("a".to_owned()),
        soft("../b"),
        soft(&long),
        soft("\u{e9}"),
        TarKind::Other(b'4'),
        TarKind::Sparse,
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn gnu_tar_maps_of_holes_over_several_blocks_are_skipped() {
    let mut sparse = raw("holes", b'S', "", b"00000000003");
    sparse[482] = 1;
    let sum = checksum(sparse.as_slice().try_into().unwrap());
    sparse[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let mut map = vec![7; 2 * BLOCK];
    map[BLOCK + 504] = 0;
    sparse.extend(map);
    let archive = [
        sparse.clone(),
        b"abc".to_vec(),
        vec![0; 509],
        entry("a", b'0', "one"),
    ];
    let archive = [archive.concat(), END.to_vec()].concat();
    let found = all_of(&archive).unwrap();
    assert_eq!(found[0].0.kind, TarKind::Sparse);
    assert_eq!(
        (found[1].0.path.as_str(), found[1].1.as_str()),
        ("a", "one")
    );
    assert_eq!(found[1].0.start, 5 * BLOCK as u64);
    // A map without an end is truncated.
    let endless = [&sparse[..BLOCK], &[7; 64 * BLOCK]].concat();
    assert!(listed(&endless).unwrap_err().contains("truncated"));
}

/// Returns the start of an archive and then one byte without end; counts the bytes read.
struct Endless<'c> {
    head: &'c [u8],
    taken: &'c Cell<u64>,
}

impl Read for Endless<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.head.read(buffer)?;
        let read = match read {
            0 => {
                buffer.fill(b'a');
                buffer.len()
            }
            read => read,
        };
        self.taken.set(self.taken.get() + read as u64);
        Ok(read)
    }
}

#[test]
fn oversized_entries_are_refused_before_they_are_read() {
    let huge = b"77777777777";
    for (head, why, most) in [
        (raw("x", b'L', "", huge), "4096", 0),
        (raw("x", b'K', "", huge), "4096", 0),
        (raw("x", b'L', "", b"00000010002"), "4096", 0),
        (raw("x", b'x', "", huge), "1 MiB", 0),
        // No line ends within so many bytes.
        (
            raw("x", b'x', "", b"00004000000"),
            "invalid extended",
            TEXT_LIMIT,
        ),
        (
            raw(
                "x",
                b'0',
                "",
                b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe",
            ),
            "invalid file size",
            0,
        ),
        (
            raw("x", b'0', "", b"\x80\0\0\0\xff\0\0\0\0\0\0\0"),
            "invalid file size",
            0,
        ),
        (
            raw("x", b'0', "", b"\x80\x01\0\0\0\0\0\0\0\0\0\0"),
            "invalid file size",
            0,
        ),
        (raw("x", b'0', "", b"-0000000001"), "invalid file size", 0),
        (raw("x", b'0', "", b"+0000000001"), "invalid file size", 0),
        (raw("x", b'x', "", b"-0000000001"), "invalid file size", 0),
        (pax("size=-1"), "invalid file size", 0),
        (pax("size=99999999999999999999"), "invalid file size", 0),
        (pax("size=9223372036854775807"), "invalid file size", 0),
    ] {
        let taken = Cell::new(0);
        let mut tar = Tar::new(Endless {
            head: &head,
            taken: &taken,
        });
        let refused = tar.entry().unwrap_err().to_string();
        assert!(refused.contains(why), "{why}: {refused}");
        assert!(taken.get() <= head.len() as u64 + most, "{why}: {taken:?}");
    }
    let name = "n".repeat(NAME_LIMIT + 1);
    let line = format!("{} path={name}\n", name.len() + 11);
    let archive = [entry("x", b'x', &line), entry("a", b'0', "")].concat();
    assert!(listed(&archive).unwrap_err().contains("4096"));
}

#[test]
fn an_archive_without_its_end_is_read_if_that_is_allowed() {
    let whole = [entry("a", b'0', "one"), entry("b", b'0', "two")].concat();
    let read = |bytes: &[u8]| {
        let mut tar = Tar::without_end(bytes);
        let mut found = Vec::new();
        while let Some(entry) = tar.entry()? {
            let mut text = String::new();
            tar.read_to_string(&mut text).map_err(TarError::Io)?;
            found.push(entry.path + "=" + &text);
        }
        Ok::<_, TarError>(found)
    };
    for length in [whole.len(), whole.len() - 509] {
        assert_eq!(read(&whole[..length]).unwrap(), ["a=one", "b=two"]);
        assert!(listed(&whole[..length]).is_err());
    }
    for length in [whole.len() - 510, whole.len() - 600] {
        assert!(read(&whole[..length]).is_err(), "{length}");
    }
}

#[test]
fn content_is_skipped_without_reading_it() {
    let archive = [
        entry("a", b'0', "one"),
        entry("b", b'0', ""),
        entry("c", b'0', "3"),
    ]
    .concat();
    let mut tar = Tar::without_end(io::Cursor::new(&archive));
    let mut starts = Vec::new();
    while let Some(entry) = tar.entry().unwrap() {
        starts.push((entry.path, entry.start));
        tar.skip_content().unwrap();
    }
    let expected = [("a", 512), ("b", 1536), ("c", 2048)];
    assert_eq!(
        starts,
        expected.map(|(path, start)| (path.to_owned(), start))
    );
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
        let _ = listed(&bytes);
    }

    #[test]
    fn arbitrary_attributes_never_panic(
        text in "[0-9]{0,3}[ =a-z\n]{0,20}",
        size in "[0-7 \u{0}]{0,11}",
    ) {
        let _ = Attributes::default().read(text.as_bytes());
        let mut archive = raw("a", b'x', "", size.as_bytes());
        archive.extend(text.as_bytes());
        archive.resize(2 * BLOCK, 0);
        let _ = listed(&archive);
    }

    #[test]
    fn written_headers_are_read_back(
        path in "[a-z\u{e9}/]{1,300}",
        size in prop_oneof![0..10_000u64, (1u64 << 33) - 2..(1u64 << 33) + 2, Just(SIZE_LIMIT)],
    ) {
        let bytes = header(&path, size);
        let found = Tar::new(bytes.as_slice()).entry().unwrap().unwrap();
        let start = bytes.len() as u64;
        prop_assert_eq!(bytes.len() % BLOCK, 0);
        prop_assert_eq!(found, TarEntry { path, kind: TarKind::File, size, start });
    }
}
