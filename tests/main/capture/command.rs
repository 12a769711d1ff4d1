use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::rack::remove_settings;

/// The exit code and the output of a run.
#[derive(Debug)]
pub struct CaptureOutput {
    pub stdout: Vec<u8>,
    pub stderr: String,
    pub status: i32,
}

/// Runs `pxectl capture` in a directory, with something on its standard input.
pub fn capture_with<S: AsRef<OsStr>>(
    directory: &Path,
    arguments: &[S],
    stdin: &[u8],
) -> CaptureOutput {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pxectl"));
    remove_settings(&mut command);
    let mut child = command
        .arg("capture")
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut input = child.stdin.take().expect("piped");
    let bytes = stdin.to_vec();
    // It may print much before it has read everything, and end before that.
    let writer = std::thread::spawn(move || drop(input.write_all(&bytes)));
    let output = child.wait_with_output().expect("its output");
    writer.join().expect("the writer");
    CaptureOutput {
        stdout: output.stdout,
        stderr: String::from_utf8(output.stderr).expect("text on standard error"),
        status: output.status.code().expect("a status, and no signal"),
    }
}

/// Runs `pxectl capture` in a directory.
pub fn capture<S: AsRef<OsStr>>(directory: &Path, arguments: &[S]) -> CaptureOutput {
    capture_with(directory, arguments, b"")
}

impl CaptureOutput {
    /// Returns standard output as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("text on standard output")
    }

    /// Returns the objects of `--format json`, one a line.
    #[track_caller]
    pub fn objects(&self) -> Vec<Value> {
        assert_eq!(self.status, 0, "{self:?}");
        let lines = self.text().lines();
        lines
            .map(|line| serde_json::from_str(line).expect(line))
            .collect()
    }

    /// Returns the counts of the capture.
    #[track_caller]
    pub fn counts(&self) -> Value {
        let last = self.objects().pop().expect("an object");
        assert_eq!(last["type"], "end");
        last["capture"].clone()
    }
}
