//! Quotes and brackets in a YAML text, be it broken.

/// Counts the brackets that are open at the end of a text.
pub fn depth(text: &str) -> usize {
    let mut depth = 0usize;
    let mut quoted = None;
    for c in text.chars() {
        match (quoted, c) {
            (Some(quote), c) if c == quote => quoted = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quoted = Some(c),
            (None, '{' | '[') => depth += 1,
            (None, '}' | ']') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    depth
}

/// Returns the quote that is open at the end of a text.
pub fn open_quote(text: &str) -> Option<char> {
    text.chars().fold(None, |open, c| match open {
        Some(quote) if c == quote => None,
        None if "\"'".contains(c) => Some(c),
        open => open,
    })
}

/// Returns how long a quoted text is that a text begins with.
pub fn closing_quote(text: &str, quote: char) -> Option<usize> {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' if quote == '"' => {
                characters.next();
            }
            c if c == quote => match characters.peek() {
                Some((_, next)) if quote == '\'' && *next == quote => {
                    characters.next();
                }
                _ => return Some(at + 1),
            },
            _ => {}
        }
    }
    None
}

/// Returns how long what a bracket holds is, from it to the one that closes it.
pub fn closing_bracket(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        match c {
            '"' | '\'' => {
                at += closing_quote(&text[at..], c)?;
                continue;
            }
            '{' | '[' => depth += 1,
            '}' | ']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += c.len_utf8();
    }
    None
}

/// Returns how long a value without quotes is, inside of brackets, on a line that it begins; `None`
/// where nothing ends it.
pub fn plain_flow_end(value: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (at, c) in value.char_indices() {
        let rest = &value[at + c.len_utf8()..];
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' if depth > 0 => depth -= 1,
            '}' | ']' => {
                let rest = rest.trim_start();
                let ends_well = rest.is_empty() || rest.starts_with([',', '}', ']', '#']);
                return Some(if ends_well { at } else { value.len() });
            }
            ',' if depth == 0 && is_next_entry(rest) => return Some(at),
            _ => {}
        }
    }
    None
}

/// Reports whether what follows a comma is the next key, or nothing.
fn is_next_entry(rest: &str) -> bool {
    let rest = rest.trim_start();
    let name: usize = rest
        .trim_start_matches(['"', '\''])
        .chars()
        .take_while(|c| is_name_letter(*c))
        .map(char::len_utf8)
        .sum();
    let quotes = rest.len() - rest.trim_start_matches(['"', '\'']).len();
    let after = rest[quotes + name..].trim_start_matches(['"', '\'']);
    rest.is_empty()
        || name > 0 && (after.starts_with(": ") || after == ":" || after.starts_with(":{"))
}

/// Reports whether a character may be part of a key.
pub fn is_name_letter(c: char) -> bool {
    c.is_alphanumeric() || "_.-".contains(c)
}
