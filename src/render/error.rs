/// A template that cannot be compiled or rendered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("template `{template}`{}: {reason}", .position.map(|it| format!(", line {}", it.line)).unwrap_or_default())]
pub struct TemplateError {
    /// The template's name.
    pub template: String,
    /// The position, if it is known.
    pub position: Option<TemplatePosition>,
    /// What is wrong.
    pub reason: String,
    /// Whether the template uses an unknown variable.
    pub is_unknown_variable: bool,
}

/// A position in a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TemplatePosition {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1, if it is known.
    pub column: Option<usize>,
}

impl TemplateError {
    /// Makes an error, except for unknown variables.
    pub fn new(
        template: impl Into<String>,
        position: Option<TemplatePosition>,
        reason: impl Into<String>,
    ) -> Self {
        Self {
            template: template.into(),
            position,
            reason: reason.into(),
            is_unknown_variable: false,
        }
    }

    /// Makes the error of an unknown variable. The engine does not always report its path.
    pub fn unknown_variable(
        template: impl Into<String>,
        position: Option<TemplatePosition>,
        path: Option<&str>,
    ) -> Self {
        let reason = match path {
            Some(path) => format!("unknown variable `{path}`"),
            None => "unknown variable".to_owned(),
        };
        Self {
            is_unknown_variable: true,
            ..Self::new(template, position, reason)
        }
    }
}

impl TemplatePosition {
    /// Returns the position of a byte offset in a text.
    pub fn at(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            line: before.bytes().filter(|&byte| byte == b'\n').count() + 1,
            column: Some(before[line_start..].chars().count() + 1),
        }
    }
}
