use std::sync::Arc;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::bundle::transport::Watch;
use crate::cli::output::Output;

/// Shows how a transfer goes: a bar on a terminal, a line for each file elsewhere.
pub struct Progress {
    bar: Option<ProgressBar>,
    quiet: bool,
}

impl Progress {
    /// Begins to watch.
    pub fn new(output: &Output) -> Arc<Self> {
        let bar = output.shows_progress().then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
            let template = "{bar:30} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left  {wide_msg}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar
        });
        Arc::new(Self {
            bar,
            quiet: output.is_quiet(),
        })
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None if self.quiet => {}
            None => Output::line_to_stderr(text),
        }
    }
}

impl Watch for Progress {
    fn begins(&self, files: usize, octets: u64, of_files: usize) {
        if let Some(bar) = &self.bar {
            bar.set_length(octets);
        }
        if files < of_files {
            self.line(&format!(
                "{} of {of_files} files are there already",
                of_files - files
            ));
        }
    }

    fn file(&self, path: &str, octets: u64) {
        match &self.bar {
            Some(bar) => bar.set_message(path.to_owned()),
            None => self.line(&format!("{path}: {}", size(octets))),
        }
    }

    fn advanced(&self, octets: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(octets);
        }
    }

    fn note(&self, text: &str) {
        self.line(text);
    }
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
