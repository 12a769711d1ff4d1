use std::rc::Rc;

use super::words::{SyntaxError, Token, Word, tokens};

/// The deepest nesting of blocks.
const DEEPEST: usize = 40;

/// A script as a list of operations, with jumps instead of blocks.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Program {
    pub operations: Vec<Operation>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// Runs a command.
    Run(Vec<Word>),
    Jump(usize),
    /// Jumps if the last command failed.
    JumpIfFailed(usize),
    /// Jumps if the last command succeeded.
    JumpIfDone(usize),
    /// Counts as a command that succeeded.
    Succeed,
    /// Starts a loop over words.
    For(Vec<Word>),
    /// Takes the next word of the innermost `for`; after the last word, jumps to the end.
    Next {
        name: String,
        end: usize,
    },
    Define {
        name: String,
        body: Rc<Program>,
    },
    Entry {
        /// The title and the options.
        words: Vec<Word>,
        body: Rc<Program>,
        is_submenu: bool,
    },
}

impl Program {
    /// Parses a script.
    ///
    /// # Errors
    /// The first invalid line.
    ///
    /// Source: GRUB, `grub-core/script/parser.y`.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let mut parser = Parser {
            tokens: tokens(text)?,
            at: 0,
            depth: 0,
        };
        let mut program = Self::default();
        parser.list(&mut program, &[])?;
        match parser.peek() {
            None => Ok(program),
            Some(_) => Err(parser.error("`}` closes nothing")),
        }
    }
}

const KEYWORDS: [&str; 10] = [
    "then", "elif", "else", "fi", "do", "done", "in", "case", "esac", "select",
];

struct Parser {
    tokens: Vec<(usize, Token)>,
    at: usize,
    depth: usize,
}

impl Parser {
    /// Parses commands up to one of `ends` (not consumed), up to `}`, or up to the end.
    fn list(&mut self, program: &mut Program, ends: &[&str]) -> Result<(), SyntaxError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.error("blocks are nested too deeply"));
        }
        loop {
            match self.peek() {
                Some(Token::Separator) => {
                    self.at += 1;
                }
                None | Some(Token::Close) => break,
                Some(Token::Open) => return Err(self.error("`{` opens nothing")),
                Some(Token::Word(word)) => {
                    let plain = word.plain().unwrap_or_default().to_owned();
                    if ends.contains(&plain.as_str()) {
                        break;
                    }
                    self.command(program, &plain)?;
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn command(&mut self, program: &mut Program, keyword: &str) -> Result<(), SyntaxError> {
        match keyword {
            "if" => self.condition(program),
            "for" => self.for_loop(program),
            "while" | "until" => self.while_loop(program, keyword == "while"),
            "function" => {
                self.at += 1;
                let name = self.name("a function")?;
                let body = self.block()?;
                program.operations.push(Operation::Define { name, body });
                Ok(())
            }
            "menuentry" | "submenu" => {
                self.at += 1;
                let words = self.words();
                let body = self.block()?;
                program.operations.push(Operation::Entry {
                    words,
                    body,
                    is_submenu: keyword == "submenu",
                });
                Ok(())
            }
            word if KEYWORDS.contains(&word) => {
                Err(self.error(&format!("`{word}` does not belong here")))
            }
            _ => {
                let words = self.words();
                program.operations.push(Operation::Run(words));
                match self.peek() {
                    Some(Token::Open) => Err(self.error("`{` does not belong here")),
                    _ => Ok(()),
                }
            }
        }
    }

    fn condition(&mut self, program: &mut Program) -> Result<(), SyntaxError> {
        let mut ends = Vec::new();
        loop {
            // At `if` or `elif`.
            self.at += 1;
            self.list(program, &["then"])?;
            self.keyword("then")?;
            let otherwise = program.operations.len();
            program.operations.push(Operation::JumpIfFailed(0));
            self.list(program, &["elif", "else", "fi"])?;
            ends.push(program.operations.len());
            program.operations.push(Operation::Jump(0));
            program.operations[otherwise] = Operation::JumpIfFailed(program.operations.len());
            match self.plain() {
                Some("elif") => {}
                Some("else") => {
                    self.at += 1;
                    self.list(program, &["fi"])?;
                    break;
                }
                _ => {
                    program.operations.push(Operation::Succeed);
                    break;
                }
            }
        }
        self.keyword("fi")?;
        let end = program.operations.len();
        for at in ends {
            program.operations[at] = Operation::Jump(end);
        }
        Ok(())
    }

    fn for_loop(&mut self, program: &mut Program) -> Result<(), SyntaxError> {
        self.at += 1;
        let name = self.name("the variable of `for`")?;
        self.keyword("in")?;
        let words = self.words();
        program.operations.push(Operation::For(words));
        self.separators();
        self.keyword("do")?;
        let next = program.operations.len();
        program.operations.push(Operation::Succeed);
        self.list(program, &["done"])?;
        self.keyword("done")?;
        program.operations.push(Operation::Jump(next));
        let end = program.operations.len();
        program.operations[next] = Operation::Next { name, end };
        Ok(())
    }

    fn while_loop(&mut self, program: &mut Program, is_while: bool) -> Result<(), SyntaxError> {
        self.at += 1;
        let begin = program.operations.len();
        self.list(program, &["do"])?;
        self.keyword("do")?;
        let leave = program.operations.len();
        program.operations.push(Operation::Succeed);
        self.list(program, &["done"])?;
        self.keyword("done")?;
        program.operations.push(Operation::Jump(begin));
        let end = program.operations.len();
        program.operations[leave] = match is_while {
            true => Operation::JumpIfFailed(end),
            false => Operation::JumpIfDone(end),
        };
        program.operations.push(Operation::Succeed);
        Ok(())
    }

    /// Parses `{ … }`.
    fn block(&mut self) -> Result<Rc<Program>, SyntaxError> {
        self.separators();
        if self.peek() != Some(&Token::Open) {
            return Err(self.error("`{` is missing"));
        }
        self.at += 1;
        let mut body = Program::default();
        self.list(&mut body, &[])?;
        if self.peek() != Some(&Token::Close) {
            return Err(self.error("`}` is missing"));
        }
        self.at += 1;
        Ok(Rc::new(body))
    }

    fn words(&mut self) -> Vec<Word> {
        let mut words = Vec::new();
        while let Some(Token::Word(word)) = self.peek() {
            words.push(word.clone());
            self.at += 1;
        }
        words
    }

    fn name(&mut self, of: &str) -> Result<String, SyntaxError> {
        let name = self.plain().map(str::to_owned);
        let name = name.ok_or_else(|| self.error(&format!("{of} needs a name")))?;
        self.at += 1;
        Ok(name)
    }

    fn keyword(&mut self, wanted: &str) -> Result<(), SyntaxError> {
        if self.plain() == Some(wanted) {
            self.at += 1;
            return Ok(());
        }
        Err(self.error(&format!("`{wanted}` is missing")))
    }

    fn separators(&mut self) {
        while self.peek() == Some(&Token::Separator) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    fn plain(&self) -> Option<&str> {
        match self.peek() {
            Some(Token::Word(word)) => word.plain(),
            _ => None,
        }
    }

    fn error(&self, reason: &str) -> SyntaxError {
        let at = self.tokens.get(self.at).or(self.tokens.last());
        SyntaxError {
            line: at.map_or(1, |(line, _)| *line),
            reason: reason.to_owned(),
        }
    }
}
