use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// What came of one run.
#[derive(Debug)]
pub struct Ran {
    pub stdout: Vec<u8>,
    pub stderr: String,
    pub status: i32,
}

/// Runs `pxectl capture` in a directory, with something on its standard input.
pub fn capture_with<S: AsRef<OsStr>>(directory: &Path, arguments: &[S], stdin: &[u8]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pxectl"));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|it| it.starts_with("PXECTL_")) {
            command.env_remove(name);
        }
    }
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
    Ran {
        stdout: output.stdout,
        stderr: String::from_utf8(output.stderr).expect("text on standard error"),
        status: output.status.code().expect("a status, and no signal"),
    }
}

/// Runs `pxectl capture` in a directory.
pub fn capture<S: AsRef<OsStr>>(directory: &Path, arguments: &[S]) -> Ran {
    capture_with(directory, arguments, b"")
}

impl Ran {
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

    /// Returns what was counted.
    #[track_caller]
    pub fn counts(&self) -> Value {
        let last = self.objects().pop().expect("an object");
        assert_eq!(last["type"], "end");
        last["capture"].clone()
    }
}

/// Runs another program, which must succeed, and returns what it prints.
#[track_caller]
pub fn run(program: &str, arguments: &[&OsStr]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .expect(program);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {stderr}");
    String::from_utf8(output.stdout).expect("text")
}
