use serde::Serialize;

/// One file of the inventory: its name as people should see it, and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// The path that messages show.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// A stretch of one source file: byte offsets, end exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The index of the file in the list that was parsed.
    pub file: u32,
    /// The first octet.
    pub start: u32,
    /// The octet after the last.
    pub end: u32,
}

impl Span {
    /// Returns the position just before the span, of no length.
    pub fn start_only(self) -> Self {
        Self {
            end: self.start,
            ..self
        }
    }
}

/// A place for people: line and column count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl SourceFile {
    /// Turns a byte offset into a line and a column; an offset past the end means the end.
    pub fn position(&self, offset: u32) -> Position {
        let mut offset = (offset as usize).min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &self.text[..offset];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Position {
            line: before.bytes().filter(|&byte| byte == b'\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let file = SourceFile {
            name: "a".into(),
            text: "name: ä x\nb: 1\n".into(),
        };
        assert_eq!(file.position(0), Position { line: 1, column: 1 });
        assert_eq!(file.position(9), Position { line: 1, column: 9 });
        assert_eq!(file.position(11), Position { line: 2, column: 1 });
        assert_eq!(
            file.position(7),
            Position { line: 1, column: 7 },
            "inside a character"
        );
        assert_eq!(file.position(999).line, 3);
    }
}
