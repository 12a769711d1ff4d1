/// An option that a command takes: its long name, its letter, and whether a value follows.
pub(super) type Flag = (&'static str, char, bool);

/// The words of a command after its name, split into options and the rest.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Arguments {
    options: Vec<(&'static str, String)>,
    pub rest: Vec<String>,
}

impl Arguments {
    /// Parses options up to the first other word.
    ///
    /// Source: iPXE, `src/core/getopt.c`, `getopt_long`.
    pub fn parse(words: &[String], flags: &[Flag]) -> Result<Self, String> {
        let mut arguments = Self::default();
        let mut words = words.iter().peekable();
        while let Some(word) = words.next_if(|word| word.starts_with('-')) {
            if word == "--" {
                break;
            }
            let (flag, inline) = match word.strip_prefix("--") {
                Some(long) => {
                    let (name, value) = match long.split_once('=') {
                        Some((name, value)) => (name, Some(value)),
                        None => (long, None),
                    };
                    (flags.iter().find(|flag| flag.0 == name), value)
                }
                None => {
                    let mut letters = word.chars();
                    let letter = letters.nth(1);
                    let value = Some(letters.as_str()).filter(|value| !value.is_empty());
                    (flags.iter().find(|flag| Some(flag.1) == letter), value)
                }
            };
            let &(name, _, takes_value) = flag.ok_or_else(|| format!("unknown option `{word}`"))?;
            let value = match (takes_value, inline) {
                (false, None) => String::new(),
                (false, Some(_)) => return Err(format!("option `--{name}` does not take a value")),
                (true, Some(value)) => value.to_owned(),
                (true, None) => words
                    .next_if(|word| !word.starts_with('-'))
                    .cloned()
                    .ok_or_else(|| format!("option `--{name}` needs a value"))?,
            };
            arguments.options.push((name, value));
        }
        arguments.rest = words.cloned().collect();
        Ok(arguments)
    }

    /// Returns the last value of an option.
    pub fn option(&self, name: &str) -> Option<&str> {
        let mut options = self.options.iter().rev();
        options
            .find(|(other, _)| *other == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns the only remaining word.
    pub fn only(&self) -> Result<&str, String> {
        match self.rest.as_slice() {
            [word] => Ok(word),
            words => Err(format!("one argument is required, found {}", words.len())),
        }
    }

    /// Returns the first word and the others, joined.
    pub fn first_and_text(&self) -> Result<(&str, String), String> {
        match self.rest.as_slice() {
            [first, others @ ..] => Ok((first, others.join(" "))),
            [] => Err("an argument is required".to_owned()),
        }
    }
}

/// Parses a number like C: `0x` for base 16, a leading zero for base 8.
pub(super) fn number(text: &str) -> Result<u32, String> {
    let lower = text.to_ascii_lowercase();
    let parsed = match lower.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None if lower.len() > 1 && lower.starts_with('0') => u32::from_str_radix(&lower, 8),
        None => lower.parse(),
    };
    parsed.map_err(|_| format!("`{text}` is not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: [Flag; 2] = [("name", 'n', true), ("quiet", 'q', false)];

    fn parse(text: &str) -> Result<Arguments, String> {
        let words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
        Arguments::parse(&words, &FLAGS)
    }

    #[test]
    fn options_end_at_the_first_other_word() {
        for (text, name, rest) in [
            ("--name a url", Some("a"), "url"),
            ("--name=a url --name b", Some("a"), "url --name b"),
            ("-n a -q url", Some("a"), "url"),
            ("-na url", Some("a"), "url"),
            ("-q -- -n", None, "-n"),
            ("url quiet splash", None, "url quiet splash"),
            ("", None, ""),
        ] {
            let arguments = parse(text).unwrap();
            assert_eq!(arguments.option("name"), name, "{text}");
            assert_eq!(arguments.rest.join(" "), rest, "{text}");
        }
    }

    #[test]
    fn invalid_options_are_named() {
        for (text, expected) in [
            ("--frob", "unknown option `--frob`"),
            ("-", "unknown option `-`"),
            ("--name -q", "option `--name` needs a value"),
            ("--quiet=1", "option `--quiet` does not take a value"),
        ] {
            assert_eq!(parse(text).unwrap_err(), expected);
        }
    }

    #[test]
    fn numbers_are_read_like_in_c() {
        for (text, expected) in [
            ("10", Some(10)),
            ("0x10", Some(16)),
            ("010", Some(8)),
            ("0", Some(0)),
        ] {
            assert_eq!(number(text).ok(), expected);
        }
        for text in ["", "x", "-1", "0x", "09"] {
            assert!(number(text).is_err(), "{text}");
        }
    }
}
