use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget};

use super::build_progress::bar;
use super::size::size;
use crate::bundle::BundleStoreError;
use crate::bundle::transfer::{BundleLocation, FileProgress, TransferError, TransferProgress};
use crate::cli::error::CommandError;
use crate::cli::output::Output;

/// Shows the progress of a transfer: bars on a terminal, for each file and for all of them; elsewhere, a line
/// for each file.
pub struct TransferBars {
    bars: Option<Bars>,
    quiet: bool,
}

struct Bars {
    all: MultiProgress,
    total: ProgressBar,
}

impl TransferBars {
    /// Prepares the bars.
    pub fn new(output: &Output) -> Arc<Self> {
        let bars = output.shows_progress().then(|| {
            let target = ProgressDrawTarget::stderr_with_hz(8);
            let all = MultiProgress::with_draw_target(target);
            let total = all.add(bar("all", 0));
            Bars { all, total }
        });
        Arc::new(Self {
            bars,
            quiet: output.is_quiet(),
        })
    }

    /// Removes the bars.
    pub fn clear(&self) {
        if let Some(bars) = &self.bars {
            bars.total.finish_and_clear();
        }
    }

    fn line(&self, text: &str) {
        match &self.bars {
            _ if self.quiet => {}
            Some(bars) => bars.all.suspend(|| Output::line_to_stderr(text)),
            None => Output::line_to_stderr(text),
        }
    }
}

impl TransferProgress for TransferBars {
    fn begin(&self, files: usize, bytes: u64, total_files: usize) {
        if let Some(bars) = &self.bars {
            bars.total.set_length(bytes);
        }
        if files < total_files {
            self.line(&format!(
                "{} of {total_files} files are already present",
                total_files - files
            ));
        }
    }

    fn begin_file(&self, path: &str, bytes: u64) -> Arc<dyn FileProgress> {
        let Some(bars) = &self.bars else {
            self.line(&format!("{path}: {}", size(bytes)));
            return Arc::new(NoBar);
        };
        let bar = bars.all.insert_before(&bars.total, bar(path, bytes));
        Arc::new(FileBar {
            bar,
            total: bars.total.clone(),
            position: AtomicU64::new(0),
        })
    }

    fn note(&self, text: &str) {
        self.line(text);
    }
}

struct NoBar;

impl FileProgress for NoBar {
    fn set_position(&self, _: u64) {}
}

/// The bar of a file, which disappears with it.
struct FileBar {
    bar: ProgressBar,
    total: ProgressBar,
    position: AtomicU64,
}

impl FileProgress for FileBar {
    fn set_position(&self, bytes: u64) {
        let before = self.position.swap(bytes, Ordering::Relaxed);
        self.bar.set_position(bytes);
        if bytes >= before {
            self.total.inc(bytes - before);
        } else {
            self.total.dec(before - bytes);
        }
    }
}

impl Drop for FileBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Names the location as the cause of an error if it is a directory without bundles, and not the store.
pub fn location_error(
    error: TransferError,
    location: &BundleLocation,
    argument: &str,
) -> CommandError {
    let TransferError::Store(cause) = &error else {
        return error.into();
    };
    let (path, what) = match cause {
        BundleStoreError::Absent(path) => (path, format!("no bundles at `{}`", path.display())),
        BundleStoreError::NotALayout { path, .. } => (path, cause.to_string()),
        _ => return error.into(),
    };
    if !matches!(location, BundleLocation::Directory(layout) if layout.path == *path) {
        return error.into();
    }
    let help = format!(
        "{argument} must be a directory from `pxectl bundle publish`, a tar file, or `docker://…`"
    );
    CommandError::failed(what).hint(help)
}
