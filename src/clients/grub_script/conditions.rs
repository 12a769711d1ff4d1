//! The expressions of `test`.

/// The deepest nesting of brackets.
const DEEPEST: usize = 20;

/// Evaluates an expression; `exists` checks for a file on a local disk.
///
/// # Errors
/// When it is not supported.
///
/// Source: GRUB, `grub-core/commands/test.c`.
pub(super) fn holds(words: &[String], exists: &dyn Fn(&str) -> bool) -> Result<bool, String> {
    let mut test = Test {
        words: words.iter().map(String::as_str).collect(),
        at: 0,
        exists,
    };
    if test.words.is_empty() {
        return Ok(false);
    }
    let result = test.any(0)?;
    match test.words.get(test.at) {
        None => Ok(result),
        Some(word) => Err(format!("`test` does not support `{word}`")),
    }
}

struct Test<'a> {
    words: Vec<&'a str>,
    at: usize,
    exists: &'a dyn Fn(&str) -> bool,
}

impl Test<'_> {
    fn any(&mut self, depth: usize) -> Result<bool, String> {
        if depth > DEEPEST {
            return Err("brackets are nested too deeply".into());
        }
        let mut result = self.all(depth)?;
        while self.words.get(self.at) == Some(&"-o") {
            self.at += 1;
            result |= self.all(depth)?;
        }
        Ok(result)
    }

    fn all(&mut self, depth: usize) -> Result<bool, String> {
        let mut result = self.one(depth)?;
        while self.words.get(self.at) == Some(&"-a") {
            self.at += 1;
            result &= self.one(depth)?;
        }
        Ok(result)
    }

    fn one(&mut self, depth: usize) -> Result<bool, String> {
        let rest = &self.words[self.at..];
        let number = |word: &str| {
            let number = word.parse::<i64>();
            number.map_err(|_| format!("`{word}` is not a number"))
        };
        if let [a, operator, b, ..] = rest {
            let compared = match *operator {
                "=" | "==" => Some(a == b),
                "!=" => Some(a != b),
                "-eq" => Some(number(a)? == number(b)?),
                "-ne" => Some(number(a)? != number(b)?),
                "-lt" => Some(number(a)? < number(b)?),
                "-le" => Some(number(a)? <= number(b)?),
                "-gt" => Some(number(a)? > number(b)?),
                "-ge" => Some(number(a)? >= number(b)?),
                _ => None,
            };
            if let Some(result) = compared {
                self.at += 3;
                return Ok(result);
            }
        }
        match rest {
            ["!", ..] => {
                self.at += 1;
                if depth < DEEPEST {
                    Ok(!self.one(depth + 1)?)
                } else {
                    Err("too many `!` in a row".into())
                }
            }
            ["(", ..] => {
                self.at += 1;
                let result = self.any(depth + 1)?;
                if self.words.get(self.at) != Some(&")") {
                    return Err("`)` is missing".into());
                }
                self.at += 1;
                Ok(result)
            }
            ["-n", text, ..] => self.took(2, !text.is_empty()),
            ["-z", text, ..] => self.took(2, text.is_empty()),
            ["-e" | "-f", name, ..] => {
                let result = (self.exists)(name);
                self.took(2, result)
            }
            ["-d" | "-s", ..] => Err(format!("`{}` is not supported here", rest[0])),
            [text, ..] => self.took(1, !text.is_empty()),
            [] => Err("an expression is missing".into()),
        }
    }

    fn took(&mut self, words: usize, result: bool) -> Result<bool, String> {
        self.at += words;
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(text: &str) -> Result<bool, String> {
        let words = text.split(' ').filter(|it| !it.is_empty());
        let words = words.map(|it| it.replace('_', ""));
        holds(&words.collect::<Vec<_>>(), &|name| name == "/there")
    }

    #[test]
    fn expressions_evaluate_like_in_grub() {
        // `_` stands for an empty word.
        for (text, expected) in [
            ("", false),
            ("_", false),
            ("a", true),
            ("a = a", true),
            ("a == b", false),
            ("a != b", true),
            ("-n _", false),
            ("-z _", true),
            ("2 -lt 10", true),
            ("10 -le 2", false),
            ("! a = a", false),
            ("a = b -o a = a -a b = b", true),
            ("( a = b -o a = a ) -a b = c", false),
            ("-e /there", true),
            ("-f /missing", false),
        ] {
            assert_eq!(test(text), Ok(expected), "{text}");
        }
        for text in ["a b", "( a", "x -lt 1", "-d /there", "a -o"] {
            assert!(test(text).is_err(), "{text}");
        }
        assert!(test(&"! ".repeat(1000)).is_err());
        assert!(test(&"( ".repeat(1000)).is_err());
    }
}
