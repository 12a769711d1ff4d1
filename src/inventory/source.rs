use serde::Serialize;

/// A file of the inventory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// The path that messages show.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// A range of a source file, as byte offsets; the end is exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The index of the file in the list that was parsed.
    pub file: u32,
    /// The first byte.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
}

impl Span {
    /// Returns an empty span at the start of this span.
    pub fn start_only(self) -> Self {
        Self {
            end: self.start,
            ..self
        }
    }
}

/// A position in messages: line and column start at 1, and columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl SourceFile {
    /// Converts a byte offset into a position. An offset past the end means the end.
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
