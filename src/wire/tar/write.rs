use super::{BLOCK, checksum, padding_of};

/// The end of an archive.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];
/// The longest name that a header has room for, in bytes.
const NAME_FIELD: usize = 100;
/// The first size that does not fit into a header.
const LARGE: u64 = 1 << 33;

/// Writes the header of a regular file. The content follows, then zeros up to a whole block. The header
/// holds no time and no owner, so that the output is reproducible.
pub fn header(path: &str, size: u64) -> Vec<u8> {
    let mut attributes = String::new();
    if path.len() > NAME_FIELD {
        attributes += &attribute("path", path);
    }
    if size >= LARGE {
        attributes += &attribute("size", &size.to_string());
    }
    let mut bytes = Vec::new();
    if !attributes.is_empty() {
        bytes.extend(block("pax", attributes.len() as u64, b'x'));
        bytes.extend(attributes.as_bytes());
        bytes.extend(padding(attributes.len() as u64));
    }
    bytes.extend(block(path, size, b'0'));
    bytes
}

/// Returns the zeros after content of a size, up to a whole block.
pub fn padding(size: u64) -> &'static [u8] {
    const ZEROS: [u8; BLOCK] = [0; BLOCK];
    &ZEROS[..padding_of(size) as usize]
}

fn block(path: &str, size: u64, letter: u8) -> [u8; BLOCK] {
    let mut header = [0; BLOCK];
    let name = path.as_bytes();
    let name = &name[..name.len().min(NAME_FIELD)];
    header[..name.len()].copy_from_slice(name);
    header[100..108].copy_from_slice(b"0000644\0");
    header[108..116].copy_from_slice(b"0000000\0");
    header[116..124].copy_from_slice(b"0000000\0");
    let shown = if size < LARGE { size } else { 0 };
    header[124..136].copy_from_slice(format!("{shown:011o}\0").as_bytes());
    header[136..148].copy_from_slice(b"00000000000\0");
    header[156] = letter;
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum = checksum(&header);
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

/// Writes an attribute; its length counts itself.
fn attribute(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len();
    while length.to_string().len() + rest.len() != length {
        length = length.to_string().len() + rest.len();
    }
    format!("{length}{rest}")
}
