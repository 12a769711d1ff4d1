use std::io::{self, BufReader, Read};

use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;

/// The largest window of a compressed archive that is kept in memory, as a power of two: 64 MiB, which
/// `xz -9` and `zstd -19 --long=26` use.
const WINDOW: u32 = 26;
/// The window and the other memory of the xz decoder, in KiB.
const XZ_MEMORY: u32 = (1 << (WINDOW - 10)) + (1 << 10);
/// The offset of the identifier of an image's first descriptor, in bytes.
pub const FIRST_DESCRIPTOR: usize = 16 * 2048 + 1;
/// The offset of the magic in a tar header, in bytes.
const TAR_MAGIC: usize = 257;

/// Decompresses a tar archive, or another file that is compressed; the file begins with `start`.
///
/// # Errors
/// What the file is instead, and what to do about it.
pub fn decompress<'a>(archive: impl Read + 'a, start: &[u8]) -> Result<Box<dyn Read + 'a>, String> {
    let archive = BufReader::with_capacity(256 << 10, archive);
    Ok(match start {
        [0x1f, 0x8b, ..] => Box::new(DecompressReader(MultiGzDecoder::new(archive))),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Box::new(DecompressReader(
            XzReader::new_mem_limit(archive, true, XZ_MEMORY),
        )),
        // Source: RFC 8878 §3.1. A skippable frame may come first.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            let mut decoder =
                zstd::Decoder::with_buffer(archive).map_err(|error| error.to_string())?;
            decoder
                .window_log_max(WINDOW)
                .map_err(|error| error.to_string())?;
            Box::new(DecompressReader(decoder))
        }
        _ if start.get(TAR_MAGIC..TAR_MAGIC + 5) == Some(b"ustar") => Box::new(archive),
        _ => return Err(unsupported_format(start).to_owned()),
    })
}

fn unsupported_format(start: &[u8]) -> &'static str {
    match start {
        [b'P', b'K', 3, 4, ..] => {
            "zip archives are not supported: unpack it, and name the files in the spec"
        }
        [b'B', b'Z', b'h', ..] => {
            "bzip2 is not supported: compress the archive with gzip, xz or zstd"
        }
        [b'7', b'z', 0xbc, 0xaf, ..] => {
            "7z archives are not supported: unpack it, and name the files in the spec"
        }
        _ if start.get(FIRST_DESCRIPTOR..FIRST_DESCRIPTOR + 5) == Some(b"BEA01") => {
            "UDF images are not supported: extract the files, and name them in the spec"
        }
        _ => "neither an ISO image nor a tar archive, plain or compressed with gzip, xz or zstd",
    }
}

/// Reports the same errors for every kind of compression.
struct DecompressReader<R>(R);

impl<R: Read> Read for DecompressReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => io::Error::new(error.kind(), "the archive is truncated"),
            kind if kind == io::ErrorKind::OutOfMemory
                || error.to_string().contains("too much memory") =>
            {
                io::Error::other(format!(
                    "unpacking takes more than {} MiB of memory: compress the archive with a smaller window",
                    1 << (WINDOW - 20)
                ))
            }
            _ => error,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use proptest::prelude::*;

    use super::*;

    fn read(content: &[u8]) -> Result<Vec<u8>, String> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file.rewind().unwrap();
        let start = &content[..content.len().min(FIRST_DESCRIPTOR + 5)];
        let mut reader = decompress(file, start)?.take(1 << 20);
        let mut content = Vec::new();
        let read = reader.read_to_end(&mut content);
        read.map_err(|error| error.to_string())?;
        Ok(content)
    }

    #[test]
    fn unsupported_formats_are_told_apart() {
        let mut udf = vec![0; FIRST_DESCRIPTOR];
        udf.extend_from_slice(b"BEA01");
        for (start, expected) in [
            (&udf[..], "UDF images are not supported"),
            (&b"PK\x03\x04"[..], "zip archives are not supported"),
            (b"BZh91AY", "bzip2 is not supported"),
            (b"7z\xbc\xaf\x27\x1c", "7z archives are not supported"),
            (b"\x7fELF", "neither an ISO image"),
            (b"", "neither an ISO image"),
        ] {
            assert!(read(start).unwrap_err().contains(expected), "{start:?}");
        }
    }

    #[test]
    fn a_window_that_is_too_large_is_refused_before_it_is_allocated() {
        // A zstd frame with a window of 2^27 bytes.
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3, 0x01, 0x00, 0x00];
        assert!(read(&frame).unwrap_err().contains("more than 64 MiB"));
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 16 << 3, 0x01, 0x00, 0x00];
        assert_eq!(read(&frame), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn arbitrary_archives_never_panic(
            magic in prop::sample::select(vec![
                &[0x1f, 0x8b, 8][..],
                &[0xfd, b'7', b'z', b'X', b'Z', 0, 0, 4, 0xe6, 0xd6, 0xb4, 0x46],
                &[0xfd, b'7', b'z', b'X', b'Z', 0],
                &[0x28, 0xb5, 0x2f, 0xfd],
            ]),
            rest in prop::collection::vec(any::<u8>(), 0..400),
        ) {
            let _ = read(&[magic, &rest].concat());
        }
    }
}
