use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget};

use super::build_progress::bar;
use super::{Stop, fails, said};
use crate::bundle::BundleStoreError;
use crate::bundle::transfer::{Part, Place, TransferError, Watch};
use crate::cli::Exit;
use crate::cli::output::Output;

/// Shows how a transfer goes: on a terminal a bar for each file and one for all of them, a line for
/// each file elsewhere.
pub struct Progress {
    bars: Option<Bars>,
    quiet: bool,
}

struct Bars {
    all: MultiProgress,
    total: ProgressBar,
}

impl Progress {
    /// Begins to watch.
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

    /// Takes the bars away.
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

impl Watch for Progress {
    fn begins(&self, files: usize, octets: u64, of_files: usize) {
        if let Some(bars) = &self.bars {
            bars.total.set_length(octets);
        }
        if files < of_files {
            self.line(&format!(
                "{} of {of_files} files are there already",
                of_files - files
            ));
        }
    }

    fn file(&self, path: &str, octets: u64) -> Arc<dyn Part> {
        let Some(bars) = &self.bars else {
            self.line(&format!("{path}: {}", size(octets)));
            return Arc::new(Unseen);
        };
        let bar = bars.all.insert_before(&bars.total, bar(path, octets));
        Arc::new(Bar {
            bar,
            total: bars.total.clone(),
            position: AtomicU64::new(0),
        })
    }

    fn note(&self, text: &str) {
        self.line(text);
    }
}

struct Unseen;

impl Part for Unseen {
    fn at(&self, _: u64) {}
}

/// The bar of a file, which goes with it.
struct Bar {
    bar: ProgressBar,
    total: ProgressBar,
    position: AtomicU64,
}

impl Part for Bar {
    fn at(&self, octets: u64) {
        let before = self.position.swap(octets, Ordering::Relaxed);
        self.bar.set_position(octets);
        if octets >= before {
            self.total.inc(octets - before);
        } else {
            self.total.dec(before - octets);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Says why a place cannot be used where it is the fault, and not the store of ours.
pub fn not_there(error: TransferError, place: &Place, word: &str, output: &Output) -> Stop {
    let TransferError::Store(at_fault) = &error else {
        return fails(error);
    };
    let (path, what) = match at_fault {
        BundleStoreError::Absent(path) => (
            path,
            format!("there are no bundles at `{}`", path.display()),
        ),
        BundleStoreError::NotALayout { path, .. } => (path, at_fault.to_string()),
        _ => return fails(error),
    };
    if !matches!(place, Place::Directory(directory) if directory == path) {
        return fails(error);
    }
    let help = format!(
        "name as {word} a directory that `bundle publish` wrote, a tar file, or `docker://…`"
    );
    output.error(&what, &help);
    said(Exit::Failed)
}

/// Writes a size as people read it.
pub fn size(octets: u64) -> String {
    let mut value = octets as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return match unit {
                "B" => format!("{octets} B"),
                unit => format!("{value:.1} {unit}"),
            };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_written_as_people_read_them() {
        for (octets, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (61_234_567, "58.4 MiB"),
            (5 << 40, "5.0 TiB"),
        ] {
            assert_eq!(size(octets), text);
        }
    }
}
