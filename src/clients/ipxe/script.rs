/// The bytes are not an iPXE script.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected the first line `#!ipxe`, found `{seen}`")]
pub struct NotAScript {
    seen: String,
}

/// A script, split into lines and commands; settings are not expanded yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Script {
    pub lines: Vec<ScriptLine>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ScriptLine {
    /// The number of the line in the file, from 1; of joined lines, the first one.
    pub number: usize,
    pub label: Option<String>,
    /// The text of the line, without its label.
    pub text: String,
    pub commands: Vec<Command>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Command {
    pub when: When,
    pub words: Vec<String>,
}

/// When a command runs, by the status of the previous command on the same line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    Always,
    AfterSuccess,
    AfterFailure,
}

impl Script {
    /// Splits a script into its lines, labels and commands; settings are not expanded yet.
    ///
    /// # Errors
    /// When it does not begin with `#!ipxe` or `#!gpxe`.
    ///
    /// Source: iPXE, `src/image/script.c`, `script_probe`, `process_script`.
    pub fn parse(bytes: &[u8]) -> Result<Self, NotAScript> {
        let is_script = bytes.split_at_checked(6).is_some_and(|(magic, rest)| {
            matches!(magic, b"#!ipxe" | b"#!gpxe")
                && rest.first().is_some_and(u8::is_ascii_whitespace)
        });
        if !is_script {
            let beginning = &bytes[..bytes.len().min(16)];
            return Err(NotAScript {
                seen: beginning.escape_ascii().to_string(),
            });
        }

        let text = String::from_utf8_lossy(bytes);
        let mut lines = Vec::new();
        let mut joined = String::new();
        let mut number = None;
        for (index, line) in text.split('\n').enumerate() {
            let line = line.strip_suffix('\r').unwrap_or(line);
            let first = *number.get_or_insert(index + 1);
            if let Some(continued) = line.strip_suffix('\\') {
                joined.push_str(continued);
                continue;
            }
            joined.push_str(line);
            lines.push(ScriptLine::parse(first, &joined));
            joined.clear();
            number = None;
        }
        Ok(Self { lines })
    }

    /// Returns the index of the first line with a label.
    pub fn label(&self, label: &str) -> Option<usize> {
        self.lines
            .iter()
            .position(|line| line.label.as_deref() == Some(label))
    }
}

impl ScriptLine {
    fn parse(number: usize, text: &str) -> Self {
        let text = text.trim_ascii_start();
        let (label, text) = match text.strip_prefix(':') {
            Some(rest) => {
                let end = rest.find(|c: char| c.is_ascii_whitespace());
                let (label, text) = rest.split_at(end.unwrap_or(rest.len()));
                (Some(label.to_owned()), text)
            }
            None => (None, text),
        };
        Self {
            number,
            label,
            text: text.trim_ascii().to_owned(),
            commands: commands(text),
        }
    }
}

/// Splits a line at `||`, `&&` and `;`, up to a word that begins with `#`.
///
/// Source: iPXE, `src/core/exec.c`, `command_terminator`.
fn commands(text: &str) -> Vec<Command> {
    let mut words = Vec::new();
    let mut when = When::Always;
    let mut commands = Vec::new();
    for word in text.split_ascii_whitespace() {
        let next = match word {
            "||" => When::AfterFailure,
            "&&" => When::AfterSuccess,
            ";" => When::Always,
            _ if word.starts_with('#') => break,
            _ => {
                words.push(word.to_owned());
                continue;
            }
        };
        commands.push(Command {
            when,
            words: std::mem::take(&mut words),
        });
        when = next;
    }
    // An empty command succeeds: `isset ${x} && goto y ||` never fails.
    commands.push(Command { when, words });
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_begins_with_its_magic_and_white_space() {
        for bytes in [&b"#!ipxe\n"[..], b"#!ipxe \necho", b"#!gpxe\r\n"] {
            assert!(Script::parse(bytes).is_ok());
        }
        for bytes in [&b""[..], b"#!ipxe", b"#!ipxe2\n", b" #!ipxe\n", b"MZ\x90\0"] {
            assert!(Script::parse(bytes).is_err());
        }
        assert_eq!(
            Script::parse(b"MZ\x90").unwrap_err().to_string(),
            "expected the first line `#!ipxe`, found `MZ\\x90`"
        );
    }

    #[test]
    fn lines_have_labels_continuations_and_comments() {
        let script = Script::parse(
            b"#!ipxe\r\n  :retry echo a \\\n  b # c\r\n:end\nisset x && goto end ||\n",
        )
        .unwrap();
        let seen: Vec<_> = script
            .lines
            .iter()
            .map(|line| {
                let words = |command: &Command| (command.when, command.words.join(" "));
                let commands: Vec<_> = line.commands.iter().map(words).collect();
                (line.number, line.label.as_deref(), commands)
            })
            .collect();
        use When::{AfterFailure, AfterSuccess, Always};
        let command = |when, words: &str| (when, words.to_owned());
        assert_eq!(
            seen,
            [
                (1, None, vec![command(Always, "")]),
                (2, Some("retry"), vec![command(Always, "echo a b")]),
                (4, Some("end"), vec![command(Always, "")]),
                (
                    5,
                    None,
                    vec![
                        command(Always, "isset x"),
                        command(AfterSuccess, "goto end"),
                        command(AfterFailure, ""),
                    ]
                ),
                (6, None, vec![command(Always, "")]),
            ]
        );
        assert_eq!(script.label("end"), Some(2));
        assert_eq!(script.label("missing"), None);
    }
}
