//! Texts for people contain none of the phrases that CONTRIBUTING.md rules out.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A phrase that user-facing text must not contain.
struct BannedPhrase {
    phrase: &'static str,
    /// It also begins longer words, as in `mended`.
    is_prefix: bool,
    /// The replacement.
    instead: &'static str,
}

const fn phrase(phrase: &'static str, instead: &'static str) -> BannedPhrase {
    BannedPhrase {
        phrase,
        is_prefix: false,
        instead,
    }
}

const BANNED: [BannedPhrase; 13] = [
    BannedPhrase {
        phrase: "mend",
        is_prefix: true,
        instead: "fix",
    },
    phrase("anew", "again"),
    phrase("octets", "bytes"),
    phrase("in force", "active"),
    phrase("at fault", "invalid, or has errors"),
    phrase("whoever", "the person or program"),
    phrase("for ever", "forever, or without limit"),
    phrase("all the same", "anyway"),
    phrase("goes before", "takes precedence over"),
    phrase("is no", "is not a"),
    phrase("it is told", "it receives"),
    phrase("was told to", "is set to"),
    phrase("is asked again", "retrying"),
];

/// Correct texts that contain a banned phrase: the file, and a part of the text.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("CHANGELOG.md", "the keys `octets`"),
    ("CHANGELOG.md", "the key `octets`"),
];

/// Files whose texts still need work. This list only shrinks: an entry without a banned phrase is an
/// error.
const UNFINISHED: &[&str] = &[];

/// Returns the banned phrases in a text.
fn banned_phrases(text: &str) -> Vec<&'static BannedPhrase> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = text.to_lowercase();
    BANNED
        .iter()
        .filter(|banned| {
            text.match_indices(banned.phrase).any(|(at, found)| {
                let (before, after) = (&text[..at], &text[at + found.len()..]);
                let is_word = !before.ends_with(char::is_alphanumeric)
                    && (banned.is_prefix || !after.starts_with(char::is_alphanumeric));
                is_word && (banned.phrase != "is no" || names_a_wrong_kind(before, after))
            })
        })
        .collect()
}

/// Reports whether `is no` stands for `is not a`: `x is no bundle`, unlike `there is no bundle`.
fn names_a_wrong_kind(before: &str, after: &str) -> bool {
    let Some(after) = after.strip_prefix(' ') else {
        return false;
    };
    let is_about_existence = before.trim_end().ends_with("there");
    let next = after.split(|c: char| !c.is_alphanumeric()).next();
    let is_comparison = next.is_some_and(|word| {
        let comparisons = ["longer", "more", "less"];
        comparisons.contains(&word) || word.ends_with("er")
    });
    let has_noun = after.starts_with(|c: char| c.is_ascii_lowercase());
    has_noun && !is_about_existence && !is_comparison
}

/// Returns the sentences around banned phrases, to show them.
fn excerpts(text: &str) -> Vec<String> {
    let sentences = text.split_inclusive(['.', ';', '|']);
    sentences
        .flat_map(|sentence| {
            let sentence = sentence.split_whitespace().collect::<Vec<_>>().join(" ");
            let found = banned_phrases(&sentence).into_iter();
            let lines =
                found.map(|it| format!("`{}` (use: {}): {sentence}", it.phrase, it.instead));
            lines.collect::<Vec<_>>()
        })
        .collect()
}

/// Returns the string literals of Rust code, without comments and without the tests at its end.
fn string_literals(code: &str) -> Vec<String> {
    let code = code.split("\nmod tests {").next().unwrap_or_default();
    let mut literals = Vec::new();
    let mut rest = code;
    while let Some(c) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
        } else if let Some((literal, after)) = raw_literal(rest) {
            literals.push(literal.to_owned());
            rest = after;
        } else if let Some(text) = rest.strip_prefix('"') {
            let (literal, after) = escaped_literal(text);
            literals.push(literal);
            rest = after;
        } else if let Some(after) = rest.strip_prefix("'\\") {
            rest = after.get(1..).unwrap_or_default();
        } else if rest.starts_with("'\"'") {
            rest = &rest[3..];
        } else {
            // An identifier that ends with `r` does not begin a raw literal.
            let word = |c: char| c.is_alphanumeric() || c == '_';
            let length = rest.find(|c: char| !word(c)).unwrap_or(rest.len());
            rest = &rest[length.max(c.len_utf8())..];
        }
    }
    literals
}

/// Splits a raw string literal from the code after it.
fn raw_literal(code: &str) -> Option<(&str, &str)> {
    let code = code.strip_prefix('r')?;
    let text = code.trim_start_matches('#');
    let hashes = code.len() - text.len();
    let text = text.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    text.split_once(&end)
}

/// Splits a literal, after its first quote, from the code after it.
fn escaped_literal(text: &str) -> (String, &str) {
    let mut literal = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (literal, &text[at + 1..]),
            '\\' => match chars.next() {
                Some((_, 'n' | 't' | '\n')) => literal.push(' '),
                Some((_, other)) => literal.push(other),
                None => break,
            },
            _ => literal.push(c),
        }
    }
    (literal, "")
}

/// Returns the user-facing texts of the project: the name of a file, and its text.
fn texts() -> Vec<(String, String)> {
    let mut texts = Vec::new();
    for page in fs::read_dir(root().join("man")).expect("the manual pages") {
        let path = page.expect("a manual page").path();
        let text = fs::read_to_string(&path).expect("a manual page");
        texts.push((relative(&path), text));
    }
    for name in ["README.md", "SECURITY.md", "ARCHITECTURE.md"] {
        texts.push((name.to_owned(), read(name)));
    }
    let changes = read("CHANGELOG.md");
    let (_, unreleased) = changes.split_once("\n## [Unreleased]").expect("a section");
    let unreleased = unreleased.split("\n## ").next().unwrap_or_default();
    texts.push(("CHANGELOG.md".to_owned(), unreleased.to_owned()));
    // The guide quotes the phrases in a table and in one paragraph.
    let guide = read("CONTRIBUTING.md");
    let guide = guide.split("\n\n").filter(|paragraph| {
        !paragraph.starts_with("| instead of") && !paragraph.starts_with("Do not use:")
    });
    let guide = guide.collect::<Vec<_>>().join("\n\n");
    texts.push(("CONTRIBUTING.md".to_owned(), guide));
    let mut directories = vec![root().join("src")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).expect("a directory of sources") {
            let path = entry.expect("an entry").path();
            let name = relative(&path);
            if path.is_dir() {
                directories.push(path);
            } else if name.ends_with(".rs")
                && !name.ends_with("tests.rs")
                && !name.contains("/tests/")
            {
                let text = fs::read_to_string(&path).expect("a source");
                texts.push((name, string_literals(&text).join(" | ")));
            }
        }
    }
    texts
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn relative(path: &Path) -> String {
    let path = path.strip_prefix(root()).expect("a path in the project");
    path.display().to_string()
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn user_facing_text_has_no_banned_phrases() {
    let texts = texts();
    let bytes: usize = texts.iter().map(|(_, text)| text.len()).sum();
    assert!(texts.len() > 450, "{} files", texts.len());
    assert!(bytes > 400_000, "{bytes} bytes of text");
    let mut errors = Vec::new();
    let mut used_exceptions = BTreeSet::new();
    let mut unfinished = BTreeSet::new();
    for (name, text) in &texts {
        for excerpt in excerpts(text) {
            let mut exceptions = EXCEPTIONS.iter();
            let exception = exceptions.rfind(|(file, part)| file == name && excerpt.contains(part));
            if let Some(exception) = exception {
                used_exceptions.insert(exception);
            } else if UNFINISHED.contains(&name.as_str()) {
                unfinished.insert(name.as_str());
            } else {
                errors.push(format!("{name}: {excerpt}"));
            }
        }
    }
    for exception in EXCEPTIONS.iter().filter(|it| !used_exceptions.contains(it)) {
        errors.push(format!("delete from `EXCEPTIONS`: {exception:?}"));
    }
    for name in UNFINISHED.iter().filter(|it| !unfinished.contains(*it)) {
        errors.push(format!("delete from `UNFINISHED`: {name}"));
    }
    errors.sort();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn banned_phrases_are_found_as_words() {
    for (text, expected) in [
        ("mend what\n  is listed", &["mend"][..]),
        ("Mended. We recommend an amendment", &["mend"]),
        ("a janitor begins anew", &["anew"]),
        ("`x` is no bundle", &["is no"]),
        (
            "there is no bundle, and it is no longer here; no sooner is no",
            &[],
        ),
        ("It is no larger than 4 octets", &["octets"]),
        ("octet-stream", &[]),
        ("forever in forced mode", &[]),
    ] {
        let found: Vec<&str> = banned_phrases(text).iter().map(|it| it.phrase).collect();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn string_literals_are_read_and_comments_are_not() {
    let code = "// \"no\"\nlet a = \"one \\\n   two \\\"x\\\"\"; let b = '\"'; f(r#\"three \"y\"\"#, '\\'', \
                \"four\"); for \"five\"\n#[cfg(test)]\nmod tests {\n\"no\"";
    let found: Vec<String> = string_literals(code)
        .iter()
        .map(|it| it.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(found, ["one two \"x\"", "three \"y\"", "four", "five"]);
}
