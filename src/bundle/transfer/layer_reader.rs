use std::io::{self, Read};

/// The largest zstd window that is kept in memory, as a power of two: 32 MiB. Image builders use at most
/// 8 MiB by default.
const ZSTD_WINDOW: u32 = 25;

/// Decompresses a layer; its first bytes tell the format.
pub fn decompress_layer<'r>(mut content: impl Read + 'r) -> io::Result<Box<dyn Read + 'r>> {
    let mut head = Vec::new();
    content.by_ref().take(4).read_to_end(&mut head)?;
    let whole = io::Cursor::new(head.clone()).chain(content);
    Ok(match head.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(whole)),
        [0x28, 0xb5, 0x2f, 0xfd] => {
            let mut decoder = zstd::Decoder::new(whole)?;
            decoder.window_log_max(ZSTD_WINDOW)?;
            Box::new(decoder)
        }
        _ => Box::new(whole),
    })
}
