/// The text is not a valid script.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct SyntaxError {
    /// The number of the line, from 1.
    pub line: usize,
    /// The error.
    pub reason: String,
}

/// A token of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Word(Word),
    /// A newline or `;`.
    Separator,
    /// `{`
    Open,
    /// `}`
    Close,
}

/// A word before the expansion of its variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Word {
    pub parts: Vec<Part>,
    /// The number of its first line, from 1.
    pub line: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Text {
        text: String,
        is_quoted: bool,
    },
    Variable {
        name: String,
        /// Without quotes, blanks split the value into words, and an empty value is no word.
        is_quoted: bool,
    },
}

impl Word {
    /// Returns the word if nothing in it is quoted or expanded: only such a word can be a keyword.
    pub fn plain(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [
                Part::Text {
                    text,
                    is_quoted: false,
                },
            ] => Some(text),
            _ => None,
        }
    }
}

/// Splits a script into tokens, each with its line.
///
/// # Errors
/// For an unclosed quote, and for syntax that this model does not support.
///
/// Source: GRUB, `grub-core/script/yylex.l`. There, a comment is a line of its own.
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, SyntaxError> {
    let mut lexer = Lexer {
        rest: text.chars().collect(),
        at: 0,
        line: 1,
        tokens: Vec::new(),
    };
    lexer.run()?;
    Ok(lexer.tokens)
}

struct Lexer {
    rest: Vec<char>,
    at: usize,
    line: usize,
    tokens: Vec<(usize, Token)>,
}

impl Lexer {
    fn run(&mut self) -> Result<(), SyntaxError> {
        let mut begins_line = true;
        while let Some(c) = self.peek() {
            match c {
                '\n' | ';' => {
                    self.push(Token::Separator);
                    self.next();
                    begins_line = c == '\n';
                    continue;
                }
                '#' if begins_line => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.next();
                    }
                    continue;
                }
                ' ' | '\t' | '\r' => {
                    self.next();
                    continue;
                }
                '\\' if self.rest.get(self.at + 1) == Some(&'\n') => {
                    self.next();
                    self.next();
                }
                '{' => self.single(Token::Open),
                '}' => self.single(Token::Close),
                '|' | '&' | '<' | '>' => {
                    return Err(self.error(format!("`{c}` is not supported")));
                }
                _ => {
                    let word = self.word()?;
                    self.tokens.push((word.line, Token::Word(word)));
                }
            }
            begins_line = false;
        }
        self.push(Token::Separator);
        Ok(())
    }

    fn word(&mut self) -> Result<Word, SyntaxError> {
        let mut word = Word {
            parts: Vec::new(),
            line: self.line,
        };
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\r' | '\n' | ';' | '{' | '}' | '|' | '&' | '<' | '>' => break,
                '\'' => self.single_quoted(&mut word)?,
                '"' => self.double_quoted(&mut word)?,
                '$' => {
                    let name = self.variable()?;
                    word.parts.push(Part::Variable {
                        name,
                        is_quoted: false,
                    });
                }
                '\\' => {
                    self.next();
                    match self.next() {
                        Some('\n') => {}
                        Some(escaped) => word.add(escaped, true),
                        None => return Err(self.error("`\\` ends the script".into())),
                    }
                }
                c => {
                    self.next();
                    word.add(c, false);
                }
            }
        }
        Ok(word)
    }

    fn single_quoted(&mut self, word: &mut Word) -> Result<(), SyntaxError> {
        let begin = self.line;
        self.next();
        word.begin_quoted();
        loop {
            match self.next() {
                Some('\'') => return Ok(()),
                Some(c) => word.add(c, true),
                None => return Err(no_end(begin, '\'')),
            }
        }
    }

    fn double_quoted(&mut self, word: &mut Word) -> Result<(), SyntaxError> {
        let begin = self.line;
        self.next();
        word.begin_quoted();
        loop {
            match self.peek() {
                Some('"') => {
                    self.next();
                    return Ok(());
                }
                Some('$') => {
                    let name = self.variable()?;
                    word.parts.push(Part::Variable {
                        name,
                        is_quoted: true,
                    });
                }
                Some('\\') => {
                    self.next();
                    match self.next() {
                        Some('\n') => {}
                        Some(c @ ('"' | '$' | '\\')) => word.add(c, true),
                        Some(c) => {
                            word.add('\\', true);
                            word.add(c, true);
                        }
                        None => return Err(no_end(begin, '"')),
                    }
                }
                Some(c) => {
                    self.next();
                    word.add(c, true);
                }
                None => return Err(no_end(begin, '"')),
            }
        }
    }

    /// Parses `$name`, `${name}`, `$1`, `$?` and similar.
    fn variable(&mut self) -> Result<String, SyntaxError> {
        self.next();
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        match self.peek() {
            Some('{') => {
                self.next();
                let mut name = String::new();
                while let Some(c) = self.next() {
                    match c {
                        '}' if !name.is_empty() => return Ok(name),
                        c if is_name(c) || "?@*#".contains(c) && name.is_empty() => name.push(c),
                        _ => break,
                    }
                }
                Err(self.error(format!("`${{{name}` is not a variable")))
            }
            Some(c) if "?@*#".contains(c) => {
                self.next();
                Ok(c.to_string())
            }
            Some(c) if is_name(c) => {
                let mut name = String::new();
                let is_number = c.is_ascii_digit();
                while let Some(c) = self.peek().filter(|c| is_name(*c)) {
                    if is_number && !c.is_ascii_digit() {
                        break;
                    }
                    name.push(c);
                    self.next();
                }
                Ok(name)
            }
            // For example at the end of a pattern in double quotes, which needs single quotes.
            _ => Err(self.error("`$` is not followed by a variable name".into())),
        }
    }

    fn peek(&self) -> Option<char> {
        self.rest.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        if c == '\n' {
            self.line += 1;
        }
        Some(c)
    }

    fn single(&mut self, token: Token) {
        self.push(token);
        self.next();
    }

    fn push(&mut self, token: Token) {
        self.tokens.push((self.line, token));
    }

    fn error(&self, reason: String) -> SyntaxError {
        let line = self.line;
        SyntaxError { line, reason }
    }
}

fn no_end(line: usize, quote: char) -> SyntaxError {
    let reason = format!("quote `{quote}` is not closed");
    SyntaxError { line, reason }
}

impl Word {
    /// Makes it a word even if the quotes are empty.
    fn begin_quoted(&mut self) {
        self.parts.push(Part::Text {
            text: String::new(),
            is_quoted: true,
        });
    }

    fn add(&mut self, c: char, quoted: bool) {
        match self.parts.last_mut() {
            Some(Part::Text { text, is_quoted }) if *is_quoted == quoted => text.push(c),
            _ => self.parts.push(Part::Text {
                text: c.into(),
                is_quoted: quoted,
            }),
        }
    }
}
