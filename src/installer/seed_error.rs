use serde_yaml::Value;

/// An error in the text of a rendered seed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct SeedError {
    /// The line of the rendered text, from 1, if it is known.
    pub line: Option<usize>,
    /// What is wrong.
    pub reason: String,
}

impl SeedError {
    /// Makes an error at a line, from 1.
    pub(super) fn at(line: usize, reason: impl Into<String>) -> Self {
        Self {
            line: Some(line),
            reason: reason.into(),
        }
    }

    /// Makes an error of the whole text.
    pub(super) fn whole(reason: impl Into<String>) -> Self {
        Self {
            line: None,
            reason: reason.into(),
        }
    }
}

/// Reads a seed that is YAML. An empty seed is null.
pub(super) fn read_yaml(text: &str) -> Result<Value, SeedError> {
    serde_yaml::from_str(text).map_err(|error| {
        let line = error.location().map(|location| location.line());
        // The message of the parser repeats the position.
        let reason = error.to_string();
        let reason = reason.split(" at line ").next().unwrap_or_default();
        SeedError {
            line,
            reason: format!("invalid YAML: {reason}"),
        }
    })
}
