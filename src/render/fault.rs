/// A template that cannot be compiled or rendered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("template `{template}`{}: {reason}", .place.map(|place| format!(", line {}", place.line)).unwrap_or_default())]
pub struct TemplateError {
    /// The template's name.
    pub template: String,
    /// Where, if it is known.
    pub place: Option<TemplatePlace>,
    /// What is wrong.
    pub reason: String,
    /// Whether a variable is named that does not exist.
    pub is_unknown_variable: bool,
}

/// A place in a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TemplatePlace {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1, where it is known which part of the line is meant.
    pub column: Option<usize>,
}

impl TemplateError {
    /// Makes a fault that is no unknown variable.
    pub fn new(
        template: impl Into<String>,
        place: Option<TemplatePlace>,
        reason: impl Into<String>,
    ) -> Self {
        Self {
            template: template.into(),
            place,
            reason: reason.into(),
            is_unknown_variable: false,
        }
    }

    /// Makes the fault of an unknown variable; its path is none where the engine does not say it.
    pub fn unknown_variable(
        template: impl Into<String>,
        place: Option<TemplatePlace>,
        path: Option<&str>,
    ) -> Self {
        let reason = match path {
            Some(path) => format!("there is no variable `{path}`"),
            None => "a variable does not exist".to_owned(),
        };
        Self {
            is_unknown_variable: true,
            ..Self::new(template, place, reason)
        }
    }
}

impl TemplatePlace {
    /// Finds the place of an octet of a text.
    pub fn at(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            line: before.bytes().filter(|&byte| byte == b'\n').count() + 1,
            column: Some(before[line_start..].chars().count() + 1),
        }
    }
}
