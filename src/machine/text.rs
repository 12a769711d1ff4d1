/// The most characters of a serial number or an asset tag that are kept.
pub const IDENTITY_LIMIT: usize = 64;

/// Cleans text for screens and logs: printable ASCII without the characters that mean something to
/// a script, at most `limit` of them.
pub fn cleaned(text: &str, limit: usize) -> String {
    let printable = |c: &char| c.is_ascii_graphic() || *c == ' ';
    let harmless = |c: &char| !"${}|&;#\\`\"'<>".contains(*c);
    let kept = text.chars().filter(printable).filter(harmless);
    let kept: String = kept.skip_while(|c| *c == ' ').take(limit).collect();
    kept.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::cleaned;

    #[test]
    fn sent_text_cannot_carry_commands() {
        assert_eq!(
            cleaned("C7X\n9K2\r\nexit ${x} || shell ; chain x #", 64),
            "C7X9K2exit x  shell  chain x"
        );
        assert_eq!(cleaned(&"a".repeat(1000), 64).len(), 64);
    }
}
