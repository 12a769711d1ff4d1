//! The form of boot tokens and capabilities: base64url of a known length, or whatever stands where one
//! belongs.

use std::ops::Range;

use data_encoding::BASE64URL_NOPAD;

use super::invisible::is_invisible;
use crate::machine::MacAddress;

/// A boot token: four bytes of expiry and sixteen of HMAC.
const TOKEN_LENGTH: usize = 27;
/// A capability: thirteen bytes that say what it opens, and sixteen of HMAC.
const CAPABILITY_LENGTH: usize = 39;
/// What is shorter is not taken for a secret, wherever it stands.
const SHORTEST: usize = 16;
/// Boot tokens expire at full multiples of this many seconds.
const EXPIRY_STEP: u32 = 300;

/// Finds the words that are boot tokens or capabilities by their form, or that stand where one belongs:
/// behind `/s/`, `m/<mac>/` and `token=`.
pub fn secret_runs(bytes: &[u8]) -> impl Iterator<Item = Range<usize>> {
    Runs { bytes, next: 0 }.flat_map(|run| judged(bytes, run))
}

/// Runs of at least [`SHORTEST`] characters of base64url.
struct Runs<'o> {
    bytes: &'o [u8],
    next: usize,
}

impl Iterator for Runs<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        loop {
            let place = self.next + first_block(self.bytes.get(self.next..)?)?;
            let before = self.bytes[self.next..place].iter().rev();
            let start = place - before.take_while(|it| is_base64url(**it)).count();
            let after = self.bytes[place..].iter();
            let end = place + after.take_while(|it| is_base64url(**it)).count();
            self.next = end;
            if end - start >= SHORTEST {
                return Some(start..end);
            }
        }
    }
}

/// A run of [`SHORTEST`] characters holds a whole block of these, wherever it begins.
const BLOCK: usize = 8;
/// How much is looked at at once.
const CHUNK: usize = 64;

/// Finds the first block that holds nothing but base64url. Captures are gigabytes: the loops are such
/// that the compiler looks at many bytes with one instruction.
fn first_block(bytes: &[u8]) -> Option<usize> {
    let (chunks, rest) = bytes.as_chunks::<CHUNK>();
    for (number, chunk) in chunks.iter().enumerate() {
        let mut flags = [0; CHUNK];
        for (flag, byte) in flags.iter_mut().zip(chunk) {
            *flag = if is_base64url(*byte) { u8::MAX } else { 0 };
        }
        let (blocks, _) = flags.as_chunks::<BLOCK>();
        let is_whole = |block: &[u8; BLOCK]| u64::from_ne_bytes(*block) == u64::MAX;
        if blocks
            .iter()
            .fold(false, |any, block| any | is_whole(block))
        {
            let place = blocks.iter().position(is_whole)?;
            return Some(number * CHUNK + place * BLOCK);
        }
    }
    let (blocks, _) = rest.as_chunks::<BLOCK>();
    let is_whole = |block: &[u8; BLOCK]| block.iter().all(|byte| is_base64url(*byte));
    let place = blocks.iter().position(is_whole)?;
    Some(bytes.len() - rest.len() + place * BLOCK)
}

/// Returns what is secret of a run.
fn judged(bytes: &[u8], run: Range<usize>) -> Vec<Range<usize>> {
    if is_place_of_secret(&bytes[..run.start]) {
        return vec![run];
    }
    let word = &bytes[run.clone()];
    if word.len() < TOKEN_LENGTH || word.iter().all(u8::is_ascii_hexdigit) {
        return Vec::new();
    }
    if [TOKEN_LENGTH, CAPABILITY_LENGTH].contains(&word.len()) && (is_ours(word) || is_random(word))
    {
        return vec![run];
    }
    // One that is joined to something else by a hyphen, an underscore or a letter.
    let mut found = Vec::new();
    for at in 0..=word.len() - TOKEN_LENGTH {
        let capability = word.get(at..at + CAPABILITY_LENGTH);
        if capability.is_some_and(|it| it[11..13] == *b"AA" && is_ours(it)) {
            found.push(run.start + at..run.start + at + CAPABILITY_LENGTH);
        }
        let end = at + TOKEN_LENGTH;
        let is_joint = |at: usize| b"-_".contains(&word[at]);
        let stands_alone = (at == 0 || is_joint(at - 1)) && (end == word.len() || is_joint(end));
        if stands_alone && is_ours(&word[at..end]) {
            found.push(run.start + at..run.start + end);
        }
    }
    found
}

/// Reports whether a word is made as ours are, as far as can be seen without the key.
fn is_ours(word: &[u8]) -> bool {
    let Some(bytes) = decoded(word) else {
        return false;
    };
    match bytes.len() {
        20 => {
            let expiry = bytes.first_chunk().copied().map(u32::from_be_bytes);
            expiry.is_some_and(|it| it.is_multiple_of(EXPIRY_STEP) || it == u32::MAX)
        }
        // Session, attempt, purpose: attempts and purposes are few.
        29 => bytes[8..10] == [0, 0] && (1..16).contains(&bytes[12]),
        _ => false,
    }
}

/// Reports whether a word looks as if it was drawn by lot, as one of ours would that was changed on its
/// way. Names change less often between capitals, small letters and digits.
fn is_random(word: &[u8]) -> bool {
    let class = |byte: &u8| match byte {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    };
    let changes = word
        .windows(2)
        .filter(|pair| class(&pair[0]) != class(&pair[1]));
    let has_digit = word.iter().any(u8::is_ascii_digit);
    has_digit && 2 * changes.count() >= word.len() - 1 && decoded(word).is_some()
}

/// Decodes a word that has capitals and small letters, as all but one in a million of ours have.
fn decoded(word: &[u8]) -> Option<Vec<u8>> {
    let is_mixed =
        word.iter().any(u8::is_ascii_uppercase) && word.iter().any(u8::is_ascii_lowercase);
    is_mixed.then(|| BASE64URL_NOPAD.decode(word).ok())?
}

/// Reports whether a secret belongs behind some text.
pub fn is_place_of_secret(before: &[u8]) -> bool {
    const TOKEN: &[u8] = b"token=";
    let end = before.len().saturating_sub(TOKEN.len());
    if before[end..].eq_ignore_ascii_case(TOKEN) {
        return true;
    }
    let Some((part, before)) = last_part(before) else {
        return false;
    };
    if part == b"s" {
        return true;
    }
    let is_mac = str::from_utf8(part).is_ok_and(|it| it.parse::<MacAddress>().is_ok());
    is_mac && last_part(before).is_some_and(|(part, _)| part == b"m")
}

/// Splits the last part off a path that ends in a slash; slashes may be doubled, or backslashes.
fn last_part(path: &[u8]) -> Option<(&[u8], &[u8])> {
    const LONGEST: usize = 24;
    let is_slash = |byte: &u8| b"/\\".contains(byte);
    let slashes = path.iter().rev().take_while(|it| is_slash(it)).count();
    let path = &path[..path.len() - slashes];
    let is_part = |byte: &u8| is_base64url(*byte) || b".:".contains(byte);
    let length = path
        .iter()
        .rev()
        .take(LONGEST)
        .take_while(|it| is_part(it))
        .count();
    let (before, part) = path.split_at(path.len() - length);
    (slashes > 0 && length > 0).then_some((part, before))
}

/// Reports whether a byte belongs to the alphabet of our secrets. Source: RFC 4648 §5.
pub fn is_base64url(byte: u8) -> bool {
    let is_letter = (byte | 0x20).wrapping_sub(b'a') < 26;
    is_letter || byte.wrapping_sub(b'0') < 10 || byte == b'-' || byte == b'_'
}

/// A text without its escapes and without what is invisible: `%41`, `\x41`, `\u{200b}`. A secret that is
/// written so, or cut up so, is still one.
#[derive(Debug, Default)]
pub struct Decoded {
    bytes: Vec<u8>,
    /// Where each byte begins in the text, and where it ends.
    places: Vec<Range<usize>>,
}

impl Decoded {
    /// Reads a text; `None` when nothing is escaped in it.
    pub fn of(text: &str) -> Option<Self> {
        let is_plain =
            |byte: u8| byte.is_ascii() && !byte.is_ascii_control() && !b"%\\".contains(&byte);
        if text.bytes().all(is_plain) {
            return None;
        }
        let mut decoded = Self::default();
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            let (byte, length) = match c {
                '%' | '\\' => unescaped(&text[at..]),
                c if is_invisible(c) && !"\n\r\t".contains(c) => (None, c.len_utf8()),
                c => (Some(plain(c)), c.len_utf8()),
            };
            if let Some(byte) = byte {
                decoded.bytes.push(byte);
                decoded.places.push(at..at + length);
            }
            at += length;
        }
        Some(decoded)
    }

    /// Finds secrets; where they stand in the text.
    pub fn secret_runs(&self) -> impl Iterator<Item = Range<usize>> {
        secret_runs(&self.bytes).map(|run| {
            let start = self.places[run.start].start;
            start..self.places[run.end - 1].end
        })
    }
}

/// Returns a character where it may be part of a secret, and else a line end, which never is.
fn plain(c: char) -> u8 {
    u8::try_from(c).ok().filter(u8::is_ascii).unwrap_or(b'\n')
}

/// Reads the escape that a text begins with: the byte that it stands for, `None` for one that is
/// invisible, and how long all of it is.
fn unescaped(text: &str) -> (Option<u8>, usize) {
    let judged = |c: char| match c {
        c if is_invisible(c) && !c.is_control() => None,
        c => Some(plain(c)),
    };
    if let Some((c, length)) = escaped_bytes(text) {
        return (judged(c), length);
    }
    let bytes = text.as_bytes();
    match (bytes[0], bytes.get(1)) {
        (b'\\', Some(b'n' | b'r' | b't' | b'0')) => (Some(b'\n'), 2),
        (b'\\', Some(byte @ (b'\\' | b'/' | b'"' | b'\''))) => (Some(*byte), 2),
        (b'\\', Some(b'u')) => {
            let digits = match bytes.get(2) {
                Some(b'{') => text[3..].find('}').map(|end| (3..3 + end, 4 + end)),
                _ => text.get(2..6).map(|_| (2..6, 6)),
            };
            let read = digits.and_then(|(place, length)| {
                let number = u32::from_str_radix(&text[place], 16).ok()?;
                Some((char::from_u32(number)?, length))
            });
            read.map_or((Some(b'\\'), 1), |(c, length)| (judged(c), length))
        }
        (byte, _) => (Some(byte), 1),
    }
}

/// Reads the character that `%c3%a9` or `\xc3\xa9` stands for; a byte that is no text counts as a line
/// end.
fn escaped_bytes(text: &str) -> Option<(char, usize)> {
    let mut bytes = Vec::with_capacity(4);
    let mut length = 0;
    while bytes.len() < 4 {
        let rest = &text[length..];
        let mark = ["%", "\\x"].into_iter().find(|mark| rest.starts_with(mark));
        let Some((mark, byte)) = mark.and_then(|mark| Some((mark, hex(&rest[mark.len()..])?)))
        else {
            break;
        };
        length += mark.len() + 2;
        bytes.push(byte);
        if let Ok(read) = str::from_utf8(&bytes) {
            return read.chars().next().map(|c| (c, length));
        }
    }
    let first = if text.starts_with('%') { 3 } else { 4 };
    (!bytes.is_empty()).then_some(('\n', first))
}

fn hex(text: &str) -> Option<u8> {
    let digits = text
        .get(..2)
        .filter(|it| it.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u8::from_str_radix(digits, 16).ok()
}
