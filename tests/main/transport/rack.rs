use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The bundle of `fixtures/rack-a` that most tests copy.
pub const BUNDLE: &str = "ubuntu-24.04-stand-in";

/// An inventory with its own store, or an empty directory.
pub struct Rack {
    directory: tempfile::TempDir,
}

/// The exit code and the output of a run.
pub struct RunOutput {
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Rack {
    pub fn empty() -> Self {
        Self {
            directory: tempfile::tempdir().expect("a directory"),
        }
    }

    /// The same as [`Rack::a`], with an empty store of hosts.
    pub fn with_store() -> Self {
        let rack = Self::a();
        rack.done(&["store", "create"]);
        rack
    }

    /// Copies `fixtures/rack-a`, whose bundles have names in its store.
    pub fn a() -> Self {
        let rack = Self::empty();
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/rack-a");
        copy(&fixture, rack.path());
        // Its hosts and bundles for each kind of loader are for other tests.
        std::fs::remove_file(rack.file("loaders.yaml")).expect("it is gone");
        rack
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).expect("the file")
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.file(name), text).expect("a file");
    }

    #[track_caller]
    pub fn edit(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert!(text.contains(from), "`{from}` is not in `{name}`");
        self.write(name, text.replacen(from, to, 1));
    }

    /// Prepares a run in this directory, with only the credentials in `docker`.
    pub fn pxectl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pxectl"));
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("PXECTL_") || name.to_ascii_lowercase().ends_with("_proxy") {
                command.env_remove(name);
            }
        }
        command
            .args(arguments)
            .current_dir(self.path())
            .env_remove("REGISTRY_AUTH_FILE")
            .env_remove("XDG_RUNTIME_DIR")
            .env("PXECTL_STATE", "state")
            .env("PXECTL_WITNESS", "witness")
            .env("DOCKER_CONFIG", self.file("docker"));
        command
    }

    pub fn run(&self, arguments: &[&str]) -> RunOutput {
        run_output(self.pxectl(arguments).output().expect("the binary runs"))
    }

    /// Runs a command that must succeed, and returns its standard output.
    #[track_caller]
    pub fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(
            output.status,
            Some(0),
            "{arguments:?}: {}{}",
            output.stdout,
            output.stderr
        );
        output.stdout
    }

    /// Runs a command that must fail with a status, and returns its standard error.
    #[track_caller]
    pub fn refused(&self, status: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(
            output.status,
            Some(status),
            "{arguments:?}: {}{}",
            output.stdout,
            output.stderr
        );
        assert!(output.stderr.contains("error: "), "{}", output.stderr);
        output.stderr
    }

    /// Lists every file below a directory, with its content.
    pub fn tree(&self, name: &str) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        walk(&self.file(name), &mut files);
        files.sort();
        files
    }
}

/// Runs another program that must succeed.
#[track_caller]
pub fn tool(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = run_output(output.expect("the program runs"));
    assert_eq!(
        output.status,
        Some(0),
        "{program} {arguments:?}: {}{}",
        output.stdout,
        output.stderr
    );
    output.stdout
}

pub fn run_output(output: Output) -> RunOutput {
    RunOutput {
        status: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn walk(directory: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(&path, files);
        } else {
            let content = std::fs::read(&path).expect("its content");
            files.push((path, content));
        }
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir(&target).expect("a directory");
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}
