//! The encodings of one character in JSON, URLs and HTML.

/// How often an escape may itself be escaped, as in `%2525`.
const MAX_DEPTH: usize = 8;

/// Returns the end of a secret that begins at an index of a text, with each character in any
/// encoding. Returns `None` if other text begins there. In base64, both alphabets and line breaks
/// are accepted.
pub fn end_of_secret(text: &[u8], at: usize, secret: &str, in_base64: bool) -> Option<usize> {
    let first = secret.bytes().next()?;
    // Skips most indexes quickly.
    if text[at] != first && !b"\\%&+-_".contains(&text[at]) {
        return None;
    }
    let mut positions = vec![at];
    let mut next = Vec::new();
    for (index, c) in secret.chars().enumerate() {
        next.clear();
        for position in positions.drain(..) {
            spellings(text, position, c, &mut next);
            if !in_base64 {
                continue;
            }
            match c {
                '+' => spellings(text, position, '-', &mut next),
                '/' => spellings(text, position, '_', &mut next),
                _ => {}
            }
            let blank = blank(&text[position..]);
            if index > 0 && blank > 0 {
                spellings(text, position + blank, c, &mut next);
            }
        }
        next.sort_unstable();
        next.dedup();
        std::mem::swap(&mut positions, &mut next);
        if positions.is_empty() {
            return None;
        }
    }
    positions.pop().filter(|end| *end > at)
}

/// Returns the length of the base64 character, possibly escaped, that a text begins with.
pub fn base64_after(text: &[u8]) -> Option<usize> {
    match text {
        [b'%', ..] => digits(text, 1, 2)
            .filter(|it| is_base64(*it as u8))
            .map(|_| 3),
        [b'\\', b'/', ..] => Some(2),
        [byte, ..] => is_base64(*byte).then_some(1),
        [] => None,
    }
}

/// Returns the length of the base64 character, possibly escaped, that a text ends with.
pub fn base64_before(text: &[u8]) -> Option<usize> {
    let end = text.len();
    let is_escaped = |length: usize| {
        let start = end.checked_sub(length)?;
        (base64_after(&text[start..]) == Some(length)).then_some(length)
    };
    [3, 2, 1].into_iter().find_map(is_escaped)
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte)
}

/// Returns the length of a line break inside base64.
fn blank(text: &[u8]) -> usize {
    let blanks = text
        .iter()
        .take_while(|it| it.is_ascii_whitespace())
        .count();
    let escaped = [&b"\\r\\n"[..], b"\\n"]
        .into_iter()
        .find(|it| text.starts_with(it));
    blanks.max(escaped.map_or(0, <[u8]>::len))
}

/// Adds the possible ends of a character that begins at an index, one for each encoding that
/// matches.
fn spellings(text: &[u8], at: usize, c: char, ends: &mut Vec<usize>) {
    let mut buffer = [0; 4];
    let itself = c.encode_utf8(&mut buffer).as_bytes();
    if text[at..].starts_with(itself) {
        ends.push(at + itself.len());
    }
    match text.get(at) {
        Some(b'\\') => with_backslash(text, at, c, itself, ends),
        Some(b'%') => with_percent(text, at, itself, ends),
        Some(b'&') => as_entity(text, at, c, ends),
        Some(b'+') if c == ' ' => ends.push(at + 1),
        _ => {}
    }
}

/// Matches `\"`, `\\`, `\n`, `\u0041` and `\x41` behind one or more backslashes.
fn with_backslash(text: &[u8], at: usize, c: char, itself: &[u8], ends: &mut Vec<usize>) {
    let count = text[at..]
        .iter()
        .take(MAX_DEPTH)
        .take_while(|it| **it == b'\\')
        .count();
    let letter = match c {
        '\n' => Some(b'n'),
        '\r' => Some(b'r'),
        '\t' => Some(b't'),
        '\u{8}' => Some(b'b'),
        '\u{c}' => Some(b'f'),
        _ => None,
    };
    for before in 1..=count {
        let position = at + before;
        let rest = &text[position..];
        if c == '\\' {
            ends.push(position);
        }
        if !c.is_ascii_alphanumeric() && rest.starts_with(itself) {
            ends.push(position + itself.len());
        }
        if letter.is_some() && rest.first().copied() == letter {
            ends.push(position + 1);
        }
        match rest.first() {
            Some(b'x') if c.is_ascii() && digits(rest, 1, 2) == Some(c.into()) => {
                ends.push(position + 3)
            }
            Some(b'u') => ends.extend(as_utf16(text, position, c)),
            _ => {}
        }
    }
}

/// Matches `u0041`, or `ud83d\ude00` for a character of two UTF-16 units. `at` is the index of the
/// `u`.
fn as_utf16(text: &[u8], mut at: usize, c: char) -> Option<usize> {
    let mut units = [0; 2];
    for (index, unit) in c.encode_utf16(&mut units).iter().enumerate() {
        if index > 0 {
            let count = text[at..]
                .iter()
                .take(MAX_DEPTH)
                .take_while(|it| **it == b'\\')
                .count();
            at += count;
        }
        let rest = text.get(at..)?;
        if rest.first() != Some(&b'u') || digits(rest, 1, 4) != Some((*unit).into()) {
            return None;
        }
        at += 5;
    }
    Some(at)
}

/// Matches `%41`, `%2541` and `%c3%A9`.
fn with_percent(text: &[u8], at: usize, itself: &[u8], ends: &mut Vec<usize>) {
    let mut positions = vec![at];
    for byte in itself {
        let mut next = Vec::new();
        for position in positions {
            if text.get(position) != Some(&b'%') {
                continue;
            }
            let mut position = position + 1;
            for _ in 0..MAX_DEPTH {
                if digits(text, position, 2) == Some((*byte).into()) {
                    next.push(position + 2);
                }
                // The percent sign may itself be escaped.
                if !text[position..].starts_with(b"25") {
                    break;
                }
                position += 2;
            }
        }
        positions = next;
    }
    ends.extend(positions);
}

/// Matches `&quot;`, `&#34;`, `&#x22;` and `&amp;quot;`.
fn as_entity(text: &[u8], at: usize, c: char, ends: &mut Vec<usize>) {
    const NAMES: [(char, &str); 8] = [
        ('"', "quot;"),
        ('\'', "apos;"),
        ('&', "amp;"),
        ('<', "lt;"),
        ('>', "gt;"),
        (' ', "nbsp;"),
        ('\n', "NewLine;"),
        ('\t', "Tab;"),
    ];
    let mut position = at + 1;
    for _ in 0..MAX_DEPTH {
        let rest = &text[position..];
        for (_, name) in NAMES.iter().filter(|(named, _)| *named == c) {
            if rest.len() >= name.len() && rest[..name.len()].eq_ignore_ascii_case(name.as_bytes())
            {
                ends.push(position + name.len());
            }
        }
        ends.extend(as_number(rest, c).map(|length| position + length));
        if !rest.starts_with(b"amp;") {
            return;
        }
        position += "amp;".len();
    }
}

/// Matches `#34;` and `#x22;`, and returns the length.
fn as_number(text: &[u8], c: char) -> Option<usize> {
    let rest = text.strip_prefix(b"#")?;
    let is_hexadecimal = rest
        .first()
        .is_some_and(|it| it.eq_ignore_ascii_case(&b'x'));
    let (start, radix) = if is_hexadecimal { (1, 16) } else { (0, 10) };
    let is_digit = |byte: &&u8| char::from(**byte).is_digit(radix);
    let count = rest[start..]
        .iter()
        .take(MAX_DEPTH)
        .take_while(is_digit)
        .count();
    let number = str::from_utf8(&rest[start..start + count]).ok()?;
    let is_match = u32::from_str_radix(number, radix) == Ok(c.into());
    let end = 1 + start + count;
    is_match.then(|| end + usize::from(text.get(end) == Some(&b';')))
}

/// Parses hexadecimal digits.
fn digits(text: &[u8], start: usize, count: usize) -> Option<u32> {
    let digits = str::from_utf8(text.get(start..start + count)?).ok()?;
    let are_digits = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    are_digits.then(|| u32::from_str_radix(digits, 16).ok())?
}
