use std::cmp::Ordering;
use std::fmt;

use serde::Serialize;

use super::source::{SourceFile, Span};

/// The code of a fault whose own place holds a secret: it is pointed at and not shown.
pub const PLAIN_SECRET: &str = "plain-secret";

/// One fault of the input: what is wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// A stable name of the rule, such as `duplicate-mac`.
    pub code: &'static str,
    /// What is wrong, with the value that was seen.
    pub message: String,
    /// Where: the first place is the fault's own, the others explain it.
    pub labels: Vec<Label>,
    /// The edit to make, or the next command.
    pub help: Option<String>,
}

/// A place in a source, with a few words about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// What is there; may be empty.
    pub text: String,
}

/// How bad a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing to mend.
    Note,
    /// Works, and may not be what was meant.
    Warning,
    /// The input cannot be used.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

impl Diagnostic {
    /// Makes an error at `span`.
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, Some(span), message)
    }

    /// Makes a warning at `span`.
    pub fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, Some(span), message)
    }

    /// Makes a diagnostic that may have no place in a file, such as a missing `Site`.
    pub fn new(
        severity: Severity,
        code: &'static str,
        span: Option<Span>,
        message: impl Into<String>,
    ) -> Self {
        let labels = span
            .map(|span| Label {
                span,
                text: String::new(),
            })
            .into_iter()
            .collect();
        Self {
            severity,
            code,
            message: message.into(),
            labels,
            help: None,
        }
    }

    /// Says what stands at the fault's own place.
    pub fn label(mut self, text: impl Into<String>) -> Self {
        if let Some(first) = self.labels.first_mut() {
            first.text = text.into();
        }
        self
    }

    /// Adds another place that explains the fault.
    pub fn also(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label {
            span,
            text: text.into(),
        });
        self
    }

    /// Says what to do.
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// Returns the place of the fault itself.
    pub fn span(&self) -> Option<Span> {
        self.labels.first().map(|label| label.span)
    }

    fn order(&self, other: &Self, files: &[SourceFile]) -> Ordering {
        let name = |diagnostic: &Self| {
            diagnostic
                .span()
                .and_then(|span| files.get(span.file as usize))
                .map(|file| file.name.as_str())
        };
        let start = |diagnostic: &Self| diagnostic.span().map(|span| span.start);
        name(self)
            .cmp(&name(other))
            .then_with(|| start(self).cmp(&start(other)))
            .then_with(|| other.severity.cmp(&self.severity))
            .then_with(|| self.message.cmp(&other.message))
    }
}

/// Sorts faults by file, then by place in the file, and drops repeats.
pub fn sort(diagnostics: &mut Vec<Diagnostic>, files: &[SourceFile]) {
    diagnostics.sort_by(|a, b| a.order(b, files));
    diagnostics.dedup();
}

/// Counts in words: `1 error`, `2 errors`.
pub fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Finds the name nearest to `wanted`, if one is near enough to be a slip of the fingers.
pub fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (wanted.chars().count() / 3).max(1);
    names
        .into_iter()
        .map(|name| (strsim::osa_distance(wanted, name), name))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        let said = [0, 1, 2].map(|count| plural(count, "error"));
        assert_eq!(said, ["0 errors", "1 error", "2 errors"]);
    }

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        let names = ["ubuntu-worker", "debian-worker"];
        assert_eq!(nearest("ubuntu-wroker", names), Some("ubuntu-worker"));
        assert_eq!(nearest("rescue", names), None);
    }
}
