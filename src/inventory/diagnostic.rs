use std::cmp::Ordering;
use std::fmt;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

use super::shown::Sources;
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

    /// Renders the fault as rustc does: message, `file:line:column`, caret, help. Ends in a newline.
    ///
    /// What is quoted of the sources, and of what they hold, is without secrets: see [`Sources`].
    pub fn to_text(&self, sources: &Sources<'_>, color: bool) -> String {
        let shown = |text: &str| sources.message(self, text);
        let (message, help) = (shown(&self.message), self.help.as_deref().map(shown));
        let labels: Vec<String> = self.labels.iter().map(|label| shown(&label.text)).collect();
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let mut group = Group::with_title(level.primary_title(message.as_str()));
        for (index, label) in self.labels.iter().enumerate() {
            // Places in one file share a snippet, so that they are shown together.
            let seen = self.labels[..index]
                .iter()
                .any(|earlier| earlier.span.file == label.span.file);
            let number = label.span.file;
            let (Some(file), Some(source), false) =
                (sources.file(number), sources.text(number), seen)
            else {
                continue;
            };
            let mut snippet = Snippet::source(source).path(file.name.as_str());
            let here = self.labels.iter().zip(&labels).enumerate();
            let here = here.filter(|(_, (label, _))| label.span.file == number);
            for (place, (label, text)) in here {
                let kind = if place == 0 {
                    AnnotationKind::Primary
                } else {
                    AnnotationKind::Context
                };
                let end = (label.span.end as usize).min(source.len());
                let start = (label.span.start as usize).min(end);
                let annotation = kind.span(start..end);
                snippet = snippet.annotation(match text.as_str() {
                    "" => annotation,
                    text => annotation.label(text),
                });
            }
            group = group.element(snippet);
        }
        if let Some(help) = &help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut text = renderer
            .decor_style(DecorStyle::Ascii)
            .render(&[group])
            .to_string();
        text.push('\n');
        text
    }

    /// Returns the facts of the fault in the form that `--format json` prints.
    pub fn to_json<'a>(&self, sources: &Sources<'a>) -> DiagnosticJson<'a> {
        let shown = |text: &str| sources.message(self, text);
        let mut places = self.labels.iter().filter_map(|label| {
            let file = sources.file(label.span.file)?;
            Some(PlaceJson::new(label.span, shown(&label.text), file))
        });
        DiagnosticJson {
            severity: self.severity,
            code: self.code,
            message: shown(&self.message),
            place: places.next(),
            related: places.collect(),
            help: self.help.as_deref().map(shown),
        }
    }
}

/// Sorts faults by file, then by place in the file, and drops repeats.
pub fn sort(diagnostics: &mut Vec<Diagnostic>, files: &[SourceFile]) {
    diagnostics.sort_by(|a, b| a.order(b, files));
    diagnostics.dedup();
}

/// A [`Diagnostic`] as JSON.
#[derive(Debug, Serialize)]
pub struct DiagnosticJson<'a> {
    severity: Severity,
    code: &'static str,
    message: String,
    #[serde(flatten)]
    place: Option<PlaceJson<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related: Vec<PlaceJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
}

#[derive(Debug, Serialize)]
struct PlaceJson<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
    #[serde(skip_serializing_if = "String::is_empty")]
    label: String,
}

impl<'a> PlaceJson<'a> {
    fn new(span: Span, label: String, file: &'a SourceFile) -> Self {
        let (start, end) = (file.position(span.start), file.position(span.end));
        Self {
            file: &file.name,
            line: start.line,
            column: start.column,
            end_line: end.line,
            end_column: end.column,
            label,
        }
    }
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
    fn a_fault_is_shown_with_file_line_column_caret_and_help() {
        let files = [SourceFile {
            name: "host.yaml".into(),
            text: "kind: Host\nname: a\nnam: b\n".into(),
        }];
        let span = Span {
            file: 0,
            start: 19,
            end: 22,
        };
        let diagnostic = Diagnostic::error("unknown-key", span, "unknown key `nam`")
            .help("did you mean `name`?");
        let sources = Sources::new(&files, std::slice::from_ref(&diagnostic));
        assert_eq!(
            diagnostic.to_text(&sources, false),
            "error: unknown key `nam`\n --> host.yaml:3:1\n  |\n3 | nam: b\n  | ^^^\n  |\n  = help: did you mean `name`?\n"
        );
        let json = serde_json::to_value(diagnostic.to_json(&sources)).unwrap();
        assert_eq!(json["line"], 3);
        assert_eq!(json["file"], "host.yaml");
    }

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
