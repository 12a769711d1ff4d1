use crate::cli::error::CommandResult;
use std::fs::{DirBuilder, remove_dir_all};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use signal_hook::low_level::emulate_default_handler;

/// A directory for a store, which nobody else can look into. It is removed at the end, also when ^C
/// or SIGTERM is the end.
pub struct TemporaryState {
    path: PathBuf,
    signals: Handle,
    listener: Option<JoinHandle<()>>,
}

impl TemporaryState {
    /// Makes it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new() -> CommandResult<Self> {
        let mut bits = [0; 8];
        getrandom::fill(&mut bits)
            .map_err(|error| anyhow::anyhow!("the system gives no random numbers: {error}"))?;
        let name = format!("pxectl-rehearse-{:016x}", u64::from_le_bytes(bits));
        let path = std::env::temp_dir().join(name);
        // First, so that no signal finds the directory and nobody who removes it.
        let mut signals = Signals::new([SIGINT, SIGTERM]).context("cannot listen for signals")?;
        let handle = signals.handle();
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot make `{}`", path.display()))?;
        let listener = std::thread::spawn({
            let path = path.clone();
            move || {
                if let Some(signal) = signals.forever().next() {
                    // The servers may write until we are gone, and even make it again.
                    for _ in 0..10 {
                        let _ = (0..100).find(|_| remove_dir_all(&path).is_ok() || !path.exists());
                        std::thread::sleep(Duration::from_millis(5));
                        if !path.exists() {
                            break;
                        }
                    }
                    let _ = emulate_default_handler(signal);
                }
            }
        });
        Ok(Self {
            path,
            signals: handle,
            listener: Some(listener),
        })
    }

    /// Returns where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TemporaryState {
    fn drop(&mut self) {
        let _ = remove_dir_all(&self.path);
        self.signals.close();
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}
