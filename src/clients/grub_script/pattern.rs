//! POSIX extended regular expressions, as far as `regexp` needs them.

/// The upper bound of an unlimited repetition.
const MANY: usize = usize::MAX;
/// The deepest nesting of groups.
const DEEPEST: usize = 20;
/// The most characters of a matched text.
const LONGEST_TEXT: usize = 512;
/// The most comparisons of a search.
const MOST_STEPS: usize = 200_000;
/// The most pieces on the stack.
const MOST_WAITING: usize = 600;

/// A regular expression.
///
/// It finds the first of several matches, not POSIX's longest: that differs only if two branches of `|`
/// start alike.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    branches: Vec<Vec<Piece>>,
    groups: usize,
}

#[derive(Debug, PartialEq, Eq)]
struct Piece {
    atom: Atom,
    least: usize,
    most: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum Atom {
    Begin,
    End,
    Any,
    Character(char),
    Set {
        is_negated: bool,
        ranges: Vec<(char, char)>,
    },
    Group {
        number: usize,
        branches: Vec<Vec<Piece>>,
    },
}

/// The range of each group: the whole match first.
type Groups = Vec<Option<(usize, usize)>>;

impl Pattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// When it is invalid or not supported.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser {
            characters: text.chars().collect(),
            at: 0,
            groups: 0,
        };
        let branches = parser.branches(0)?;
        match parser.peek() {
            None => Ok(Self {
                branches,
                groups: parser.groups,
            }),
            Some(_) => Err("unmatched `)`".into()),
        }
    }

    /// Finds the first match in a text. Returns the matches of the whole pattern and of each group.
    ///
    /// # Errors
    /// When the text is too long, or the search takes too long.
    pub fn find(&self, text: &str) -> Result<Option<Vec<Option<String>>>, String> {
        let characters: Vec<char> = text.chars().collect();
        if characters.len() > LONGEST_TEXT {
            return Err(format!("the text has more than {LONGEST_TEXT} characters"));
        }
        let mut search = Search {
            text: &characters,
            steps: 0,
            waiting: 0,
        };
        for begin in 0..=characters.len() {
            let mut groups: Groups = vec![None; self.groups + 1];
            let mut end = None;
            let found = search.branches(&self.branches, begin, &mut groups, &mut |_, at, _| {
                end = Some(at);
                true
            });
            if search.steps > MOST_STEPS {
                return Err("the search takes too many steps".into());
            }
            if let (true, Some(end)) = (found, end) {
                groups[0] = Some((begin, end));
                let text = |(from, to): (usize, usize)| characters[from..to].iter().collect();
                return Ok(Some(groups.into_iter().map(|it| it.map(text)).collect()));
            }
        }
        Ok(None)
    }
}

struct Parser {
    characters: Vec<char>,
    at: usize,
    groups: usize,
}

impl Parser {
    fn branches(&mut self, depth: usize) -> Result<Vec<Vec<Piece>>, String> {
        if depth > DEEPEST {
            return Err("groups are nested too deeply".into());
        }
        let mut branches = vec![Vec::new()];
        while let Some(c) = self.peek() {
            match c {
                ')' => break,
                '|' => {
                    self.at += 1;
                    branches.push(Vec::new());
                }
                _ => {
                    let atom = self.atom(depth)?;
                    let (least, most) = self.repetition()?;
                    if let Some(last) = branches.last_mut() {
                        last.push(Piece { atom, least, most });
                    }
                }
            }
        }
        Ok(branches)
    }

    fn atom(&mut self, depth: usize) -> Result<Atom, String> {
        let c = self.peek().ok_or("the pattern ends too early")?;
        self.at += 1;
        Ok(match c {
            '^' => Atom::Begin,
            '$' => Atom::End,
            '.' => Atom::Any,
            '[' => self.set()?,
            '(' => {
                self.groups += 1;
                let number = self.groups;
                let branches = self.branches(depth + 1)?;
                if self.peek() != Some(')') {
                    return Err("unmatched `(`".into());
                }
                self.at += 1;
                Atom::Group { number, branches }
            }
            '*' | '+' | '?' => return Err(format!("nothing to repeat before `{c}`")),
            '\\' => {
                let escaped = self.peek().ok_or("the pattern ends with `\\`")?;
                if escaped.is_ascii_alphanumeric() {
                    return Err(format!("`\\{escaped}` is not supported"));
                }
                self.at += 1;
                Atom::Character(escaped)
            }
            c => Atom::Character(c),
        })
    }

    fn set(&mut self) -> Result<Atom, String> {
        let is_negated = self.peek() == Some('^');
        if is_negated {
            self.at += 1;
        }
        let mut ranges = Vec::new();
        loop {
            let c = self.peek().ok_or("unmatched `[`")?;
            self.at += 1;
            let next = self.characters.get(self.at).copied();
            match c {
                ']' if !ranges.is_empty() => return Ok(Atom::Set { is_negated, ranges }),
                '[' if next.is_some_and(|next| ":.=".contains(next)) => {
                    return Err("a class such as `[:alpha:]` is not supported".into());
                }
                low => {
                    let high = self.characters.get(self.at + 1).copied();
                    match (next, high) {
                        (Some('-'), Some(high)) if high != ']' => {
                            self.at += 2;
                            ranges.push((low, high));
                        }
                        _ => ranges.push((low, low)),
                    }
                }
            }
        }
    }

    fn repetition(&mut self) -> Result<(usize, usize), String> {
        let (least, most) = match self.peek() {
            Some('*') => (0, MANY),
            Some('+') => (1, MANY),
            Some('?') => (0, 1),
            Some('{') => return Err("a count such as `{2}` is not supported".into()),
            _ => return Ok((1, 1)),
        };
        self.at += 1;
        match self.peek() {
            Some(c @ ('*' | '+' | '?')) => Err(format!("nothing to repeat before `{c}`")),
            _ => Ok((least, most)),
        }
    }

    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }
}

struct Search<'t> {
    text: &'t [char],
    steps: usize,
    waiting: usize,
}

/// The continuation after a piece.
type After<'a> = dyn FnMut(&mut Search<'_>, usize, &mut Groups) -> bool + 'a;

impl Search<'_> {
    fn branches(
        &mut self,
        branches: &[Vec<Piece>],
        at: usize,
        groups: &mut Groups,
        after: &mut After<'_>,
    ) -> bool {
        branches
            .iter()
            .any(|branch| self.pieces(branch, at, groups, after))
    }

    fn pieces(
        &mut self,
        pieces: &[Piece],
        at: usize,
        groups: &mut Groups,
        after: &mut After<'_>,
    ) -> bool {
        match pieces {
            [] => after(self, at, groups),
            [piece, rest @ ..] => self.repeat(piece, 0, rest, at, groups, after),
        }
    }

    fn repeat(
        &mut self,
        piece: &Piece,
        count: usize,
        rest: &[Piece],
        at: usize,
        groups: &mut Groups,
        after: &mut After<'_>,
    ) -> bool {
        self.steps += 1;
        if self.waiting >= MOST_WAITING {
            self.steps = MOST_STEPS + 1;
        }
        if self.steps > MOST_STEPS {
            return false;
        }
        self.waiting += 1;
        let matches = self.once_more(piece, count, rest, at, groups, after);
        self.waiting -= 1;
        matches
    }

    fn once_more(
        &mut self,
        piece: &Piece,
        count: usize,
        rest: &[Piece],
        at: usize,
        groups: &mut Groups,
        after: &mut After<'_>,
    ) -> bool {
        if count < piece.most {
            let before = groups.clone();
            let more = self.atom(&piece.atom, at, groups, &mut |search, next, groups| {
                // An empty repetition would never end.
                let moves = next > at || count < piece.least;
                moves && search.repeat(piece, count + 1, rest, next, groups, after)
            });
            if more {
                return true;
            }
            *groups = before;
        }
        count >= piece.least && self.pieces(rest, at, groups, after)
    }

    fn atom(&mut self, atom: &Atom, at: usize, groups: &mut Groups, after: &mut After<'_>) -> bool {
        let takes = match (atom, self.text.get(at)) {
            (Atom::Begin, _) => return at == 0 && after(self, at, groups),
            (Atom::End, _) => return at == self.text.len() && after(self, at, groups),
            (Atom::Group { number, branches }, _) => {
                return self.branches(branches, at, groups, &mut |search, end, groups| {
                    let before = groups[*number];
                    groups[*number] = Some((at, end));
                    let matches = after(search, end, groups);
                    if !matches {
                        groups[*number] = before;
                    }
                    matches
                });
            }
            (_, None) => false,
            (Atom::Any, Some(_)) => true,
            (Atom::Character(wanted), Some(c)) => wanted == c,
            (Atom::Set { is_negated, ranges }, Some(c)) => {
                let is_in = ranges.iter().any(|(low, high)| (low..=high).contains(&c));
                is_in != *is_negated
            }
        };
        takes && after(self, at + 1, groups)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(pattern: &str, text: &str) -> Option<Vec<String>> {
        let found = Pattern::parse(pattern).unwrap().find(text).unwrap()?;
        Some(found.into_iter().map(Option::unwrap_or_default).collect())
    }

    #[test]
    fn patterns_match_like_posix() {
        for (pattern, text, expected) in [
            ("^[A-Fa-f0-9-]+$", "4c4c-44", Some(&["4c4c-44"][..])),
            ("^[A-Za-z0-9._-]+$", "two words", None),
            ("^[A-Za-z0-9._-]+$", "", None),
            (
                r"^\(tftp,[^)]*\)/*(.+)$",
                "(tftp,10.20.0.10)m/52-54/T",
                Some(&["(tftp,10.20.0.10)m/52-54/T", "m/52-54/T"]),
            ),
            (
                r"^\(tftp,[^)]*\)/*(.+)$",
                "(tftp,h)//a",
                Some(&["(tftp,h)//a", "a"]),
            ),
            (r"^\(tftp,[^)]*\)/*(.+)$", "(http,h)/a", None),
            ("b+", "abbc", Some(&["bb"])),
            ("(a|b)*c", "abac", Some(&["abac", "a"])),
            ("x?", "y", Some(&[""])),
            ("[]a]+", "b]a", Some(&["]a"])),
            ("[^]a]", "]ab", Some(&["b"])),
            ("(a*)*b", "aab", Some(&["aab", "aa"])),
            ("é.", "éö", Some(&["éö"])),
        ] {
            let expected: Option<Vec<String>> =
                expected.map(|it| it.iter().map(|it| (*it).to_owned()).collect());
            assert_eq!(found(pattern, text), expected, "`{pattern}` in `{text}`");
        }
    }

    #[test]
    fn unsupported_syntax_is_reported() {
        for (pattern, expected) in [
            ("(a", "unmatched `(`"),
            ("a)", "unmatched `)`"),
            ("[a", "unmatched `[`"),
            ("*", "nothing to repeat before `*`"),
            ("a{2}", "a count such as `{2}` is not supported"),
            (
                "[[:alpha:]]",
                "a class such as `[:alpha:]` is not supported",
            ),
            (r"\w", r"`\w` is not supported"),
        ] {
            assert_eq!(
                Pattern::parse(pattern).unwrap_err(),
                expected,
                "`{pattern}`"
            );
        }
        let endless = Pattern::parse("(a*)*(a*)*(a*)*c").unwrap();
        let error = endless.find(&"a".repeat(200)).unwrap_err();
        assert_eq!(error, "the search takes too many steps");
    }

    proptest! {
        #[test]
        fn arbitrary_patterns_never_panic_and_come_to_an_end(
            pattern in r"[ab()\[\]*+?|^$\\.-]{0,30}", text in "[ab]{0,60}",
        ) {
            if let Ok(pattern) = Pattern::parse(&pattern) {
                let _ = pattern.find(&text);
            }
        }
    }
}
