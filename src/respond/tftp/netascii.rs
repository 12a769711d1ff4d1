//! The `netascii` mode: text with the line ends of a network terminal.

/// Encodes bytes as netascii: a bare LF becomes CR LF, any other CR becomes CR NUL.
///
/// A CR LF of the file is unchanged; otherwise a file from another system would gain a CR.
///
/// Source: RFC 764, "NVT printer and keyboard"; RFC 1350 §1.
pub fn encode(bytes: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(bytes.len() + bytes.len() / 16);
    let mut rest = bytes.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        match byte {
            b'\n' => encoded.extend(b"\r\n"),
            b'\r' => {
                let line_end = rest.next_if_eq(&b'\n').is_some();
                encoded.extend(if line_end { b"\r\n" } else { b"\r\0" });
            }
            byte => encoded.push(byte),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::encode;

    #[test]
    fn line_ends_are_encoded_for_the_network() {
        for (bytes, expected) in [
            (&b""[..], &b""[..]),
            (b"a\nb\n", b"a\r\nb\r\n"),
            (b"a\rb", b"a\r\0b"),
            (b"a\r\nb", b"a\r\nb"),
            (b"\r", b"\r\0"),
            (b"\n\r", b"\r\n\r\0"),
            (b"\r\r\n", b"\r\0\r\n"),
        ] {
            assert_eq!(encode(bytes), expected, "{bytes:?}");
        }
    }
}
