use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use pxectl::bundle::BundleStore;
use pxectl::machine::Sha256Digest;

use crate::bundle::PATIENCE;
use crate::support::rack::remove_settings;
use crate::support::run_output::RunOutput;

/// A directory with a bundle store in it.
pub struct Workshop {
    base: tempfile::TempDir,
}

impl Workshop {
    pub fn new() -> Self {
        Self {
            base: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.base.path().join(name)
    }

    /// Writes a file, and creates its directories.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Writes a spec with this name, and these lines after the head.
    pub fn spec(&self, name: &str, rest: &str) -> &Self {
        let text = format!("kind: BundleSpec\nname: {name}\narch: x86_64\n{rest}");
        self.write("spec.yaml", text);
        self
    }

    /// Prepares a run of `pxectl` in this directory with this store.
    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pxectl"));
        remove_settings(&mut command);
        command
            .args(line.split_whitespace())
            .arg("--bundles")
            .arg(self.path("store"))
            .current_dir(self.base.path())
            .stdin(Stdio::null());
        command
    }

    pub fn pxectl(&self, line: &str) -> RunOutput {
        RunOutput::of(&mut self.command(line))
    }

    pub fn store(&self) -> BundleStore {
        BundleStore::open(&self.path("store")).unwrap()
    }

    /// Counts the blobs and the partial files in the store.
    pub fn blobs(&self) -> (usize, usize) {
        let count = |name: &str| fs::read_dir(self.path(name)).map_or(0, Iterator::count);
        (count("store/blobs/sha256"), count("store/.partial"))
    }

    /// Returns the content of a blob.
    pub fn blob(&self, content: &[u8]) -> Vec<u8> {
        fs::read(self.store().blob_path(&Sha256Digest::of(content))).unwrap()
    }

    /// Waits until a partial download has so many bytes.
    pub fn wait_for_partial(&self, bytes: u64) {
        wait_for("the partial download", || {
            let Ok(entries) = fs::read_dir(self.path("store/.partial")) else {
                return false;
            };
            let mut downloads = entries.flatten().filter(|entry| {
                let name = entry.file_name();
                Path::new(&name)
                    .extension()
                    .is_some_and(|it| it == "download")
            });
            downloads.any(|entry| entry.metadata().is_ok_and(|data| data.len() >= bytes))
        });
    }
}

impl RunOutput {
    /// Checks the exit code, and that standard error contains these texts.
    #[track_caller]
    pub fn ended(&self, status: i32, texts: &[&str]) -> &Self {
        self.assert_exit(status).assert_stderr_contains(texts)
    }
}

#[track_caller]
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(
            begun.elapsed() < PATIENCE,
            "no {what} within the time limit"
        );
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// Creates content without repetition.
pub fn content(seed: u32, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761).max(1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    let mut content: Vec<u8> = (0..bytes.div_ceil(4))
        .flat_map(|_| next().to_le_bytes())
        .collect();
    content.truncate(bytes);
    content
}

/// Formats a line like `sha256sum`.
pub fn listed(name: &str, content: &[u8]) -> String {
    format!("{}  {name}\n", Sha256Digest::of(content))
}
