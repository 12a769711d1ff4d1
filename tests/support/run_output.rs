//! The output of a run of `pxectl`.

use std::process::{Command, Output};

/// The password of the emulated BMCs.
pub const BMC_PASSWORD: &str = "s3cret-of-the-bmc";

/// The exit code and the output of a run.
#[derive(Debug)]
pub struct RunOutput {
    /// `None` if a signal ended the process.
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for RunOutput {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl RunOutput {
    /// Runs a command to its end.
    pub fn of(command: &mut Command) -> Self {
        let output = command.output();
        output
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"))
            .into()
    }

    /// Returns both streams.
    pub fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    #[track_caller]
    pub fn assert_success(&self) -> &Self {
        self.assert_exit(0)
    }

    /// Checks the exit code, and that no password or token is in the output.
    #[track_caller]
    pub fn assert_exit(&self, status: i32) -> &Self {
        assert_eq!(self.status, Some(status), "{}", self.all());
        for secret in [BMC_PASSWORD, "token-"] {
            assert!(!self.all().contains(secret), "{}", self.all());
        }
        self
    }

    /// Checks that the output contains each of the texts.
    #[track_caller]
    pub fn assert_contains(&self, texts: &[&str]) -> &Self {
        for text in texts {
            let all = self.all();
            assert!(all.contains(text), "`{text}` is not in\n{all}");
        }
        self
    }

    /// Checks that standard error contains each of the texts.
    #[track_caller]
    pub fn assert_stderr_contains(&self, texts: &[&str]) -> &Self {
        for text in texts {
            let stderr = &self.stderr;
            assert!(stderr.contains(text), "`{text}` is not in\n{stderr}");
        }
        self
    }

    /// Parses the standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        let value = serde_json::from_str(&self.stdout);
        value.unwrap_or_else(|error| panic!("{error} in\n{}", self.all()))
    }
}
