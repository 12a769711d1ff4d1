use super::context::Context;
use super::state::Interpreter;
use super::words::{Part, Word};

/// The most bytes of a command's expanded words.
const LONGEST_COMMAND: usize = 64 * 1024;

impl Interpreter {
    /// Returns the value of a variable; an unset variable is empty.
    pub(super) fn variable(&self, name: &str) -> &str {
        let context = self.contexts.last();
        let found = context.and_then(|context| context.variables.get(name));
        found.map_or("", |(value, _)| value)
    }

    pub(super) fn set(&mut self, name: &str, value: String) {
        if let Some(context) = self.contexts.last_mut() {
            let exported = context.variables.get(name).is_some_and(|(_, it)| *it);
            context.variables.insert(name.to_owned(), (value, exported));
        }
    }

    pub(super) fn set_exported(&mut self, name: &str, value: String) {
        if let Some(context) = self.contexts.last_mut() {
            context.variables.insert(name.to_owned(), (value, true));
        }
    }

    pub(super) fn forget(&mut self, name: &str) {
        if let Some(context) = self.contexts.last_mut() {
            context.variables.remove(name);
        }
    }

    /// Opens a context with only the exported variables.
    pub(super) fn open_context(&mut self) {
        let exported = self.contexts.last().map(|context| {
            let variables = context.variables.iter();
            let seen = variables.filter(|(_, (_, exported))| *exported);
            seen.map(|(name, value)| (name.clone(), value.clone()))
                .collect()
        });
        self.contexts.push(Context {
            variables: exported.unwrap_or_default(),
            menu: Vec::new(),
        });
    }

    /// Expands words: blanks in an unquoted variable split it. `None` if the result is too long; then the
    /// script has ended.
    pub(super) fn expand(&mut self, words: &[Word]) -> Option<Vec<String>> {
        let mut expanded = Vec::new();
        let mut length = 0;
        for word in words {
            // No word yet: empty variables do not create one.
            let mut current: Option<String> = None;
            for part in &word.parts {
                match part {
                    Part::Text { text, .. } => current.get_or_insert_default().push_str(text),
                    Part::Variable { name, is_quoted } => {
                        let value = self.value(name);
                        length += value.len();
                        if length > LONGEST_COMMAND {
                            self.fail("", format!("expanded words exceed {LONGEST_COMMAND} bytes"));
                            return None;
                        }
                        if *is_quoted {
                            current.get_or_insert_default().push_str(&value);
                            continue;
                        }
                        let blank = |c: char| c == ' ' || c == '\t';
                        if value.starts_with(blank) {
                            expanded.extend(current.take());
                        }
                        let mut pieces = value.split(blank).filter(|it| !it.is_empty());
                        if let Some(first) = pieces.next() {
                            current.get_or_insert_default().push_str(first);
                        }
                        for piece in pieces {
                            expanded.extend(current.replace(piece.to_owned()));
                        }
                        if value.ends_with(blank) {
                            expanded.extend(current.take());
                        }
                    }
                }
            }
            expanded.extend(current);
        }
        Some(expanded)
    }

    fn value(&self, name: &str) -> String {
        let frame = self.frames.last();
        let arguments = frame.map_or(&[][..], |frame| &frame.arguments);
        match name {
            "?" => i32::from(self.status.is_err()).to_string(),
            "#" => arguments.len().to_string(),
            "@" | "*" => arguments.join(" "),
            name => match name.parse::<usize>() {
                Ok(number) => {
                    let argument = number.checked_sub(1).and_then(|it| arguments.get(it));
                    argument.cloned().unwrap_or_default()
                }
                Err(_) => self.variable(name).to_owned(),
            },
        }
    }
}
