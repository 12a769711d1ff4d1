use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::parallel::check_in_parts;
use super::reading::{self, UnusableFile};
use crate::inventory::{
    Diagnostic, FieldSpans, Inventory, Names, Severity, SourceFile, Span, names, parse, sort,
};
use crate::lint;
use crate::machine::Sha256Digest;
use crate::render::{TemplatePosition, Templates};

/// How long a directory must not change to be stable.
const SETTLE_TIME: Duration = Duration::from_millis(100);
/// How many times a changing directory is read before giving up.
const SETTLE_ATTEMPTS: u32 = 50;

/// The text of every file of an inventory at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    directory: PathBuf,
    /// The documents, then the templates, each sorted by name.
    files: Vec<SourceFile>,
    documents: usize,
    /// Files that end with `.yml`, which are not read.
    ignored: Vec<String>,
    /// The first invalid byte of each file that is not UTF-8.
    undecodable: Vec<Span>,
    /// The files that are not read; their text is empty.
    unusable: Vec<(Span, UnusableFile)>,
}

/// The result of [`Snapshot::check`].
pub struct Checked {
    /// The inventory and its templates, if there is no error.
    pub good: Option<(Inventory, Templates)>,
    /// All diagnostics, sorted by file and position.
    pub diagnostics: Vec<Diagnostic>,
    /// The spans that checks of other files need.
    pub spans: FieldSpans,
}

/// Why an inventory cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The directory does not exist.
    #[error("no inventory at `{}`", .0.display())]
    Absent(PathBuf),
    /// A file or the directory cannot be read.
    #[error("cannot read `{}`: {source}", .path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The directory kept changing.
    #[error("`{}` keeps changing", .0.display())]
    Unsettled(PathBuf),
    /// Git is changing the directory; the path is its lock.
    #[error("git is running: `{}` exists", .0.display())]
    GitAtWork(PathBuf),
}

impl Snapshot {
    /// Reads the directory as it is now.
    ///
    /// # Errors
    /// If the directory or a file in it cannot be read.
    pub fn read(directory: &Path) -> Result<Self, SnapshotError> {
        if !directory.is_dir() {
            return Err(SnapshotError::Absent(directory.to_owned()));
        }
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| SnapshotError::Io { path, source }
        };
        let root = fs::canonicalize(directory).map_err(at(directory))?;
        let mut names = Vec::new();
        for entry in fs::read_dir(directory).map_err(at(directory))? {
            let name = entry.map_err(at(directory))?.file_name();
            // A name that is not UTF-8 is ignored.
            if let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        let mut files: Vec<SourceFile> = Vec::new();
        let mut documents = 0;
        let mut undecodable = Vec::new();
        let mut unusable = Vec::new();
        for extension in [".yaml", ".hbs"] {
            for name in names.iter().filter(|name| name.ends_with(extension)) {
                let path = directory.join(name);
                let place = |start: usize, end: usize| Span {
                    file: files.len() as u32,
                    start: start as u32,
                    end: end as u32,
                };
                let content = reading::read(&root, &path).map_err(at(&path))?;
                let content = content.unwrap_or_else(|why| {
                    unusable.push((place(0, 0), why));
                    Vec::new()
                });
                // The readable part is also checked, so that one error hides no other.
                let text = String::from_utf8(content).unwrap_or_else(|error| {
                    let start = error.utf8_error().valid_up_to();
                    let end = start + char::REPLACEMENT_CHARACTER.len_utf8();
                    undecodable.push(place(start, end));
                    String::from_utf8_lossy(error.as_bytes()).into_owned()
                });
                let shown = if directory == Path::new(".") {
                    PathBuf::from(name)
                } else {
                    path
                };
                files.push(SourceFile {
                    name: shown.display().to_string(),
                    text,
                });
            }
            if extension == ".yaml" {
                documents = files.len();
            }
        }
        names.retain(|name| name.ends_with(".yml"));
        Ok(Self {
            directory: directory.to_owned(),
            files,
            documents,
            undecodable,
            unusable,
            ignored: names,
        })
    }

    /// Reads the directory once it is stable: two reads are equal, and git is not running in it. Stops
    /// early if `is_wanted` returns false.
    ///
    /// # Errors
    /// As [`Snapshot::read`], [`SnapshotError::Unsettled`] and [`SnapshotError::GitAtWork`].
    pub fn read_settled(
        directory: &Path,
        is_wanted: impl Fn() -> bool,
    ) -> Result<Self, SnapshotError> {
        let mut earlier = None;
        let mut lock = None;
        for _ in 0..SETTLE_ATTEMPTS {
            if !is_wanted() {
                break;
            }
            lock = git_lock(directory);
            let now = match lock {
                Some(_) => None,
                None => Some(Self::read(directory)?),
            };
            if let Some(now) = now.as_ref().filter(|_| now == earlier) {
                return Ok(now.clone());
            }
            earlier = now;
            std::thread::sleep(SETTLE_TIME);
        }
        Err(match lock {
            Some(lock) => SnapshotError::GitAtWork(lock),
            None => SnapshotError::Unsettled(directory.to_owned()),
        })
    }

    /// Returns the directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the files, which diagnostics refer to.
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// Makes the path of the directory absolute, without resolving links. The names of files stay the same.
    ///
    /// # Errors
    /// If the current directory is unknown.
    pub fn at_absolute_path(self) -> io::Result<Self> {
        let directory = std::path::absolute(&self.directory)?;
        Ok(Self { directory, ..self })
    }

    /// Returns a digest of all files, independent of the directory.
    pub fn digest(&self) -> Sha256Digest {
        let mut all = Vec::new();
        for file in &self.files {
            for text in [file_name(file), &file.text] {
                all.extend((text.len() as u64).to_le_bytes());
                all.extend(text.as_bytes());
            }
        }
        Sha256Digest::of(&all)
    }

    /// Reads the names in the documents, even if they are invalid.
    pub fn names(&self) -> Names {
        names(self.files.get(..self.documents).unwrap_or_default())
    }

    /// Checks everything that needs only the snapshot.
    pub fn check(&self) -> Checked {
        let (documents, templates) = self.files.split_at(self.documents);
        let texts: BTreeMap<String, String> = templates
            .iter()
            .map(|file| (file_name(file).to_owned(), file.text.clone()))
            .collect();
        let parsed = parse(documents, texts);
        let mut diagnostics = parsed.diagnostics;
        diagnostics.extend(self.undecodable.iter().map(|place| {
            Diagnostic::error("encoding", *place, "the file is not UTF-8 text")
                .label("the first invalid byte")
                .help("save the file as UTF-8; `iconv -f LATIN1 -t UTF-8` converts Latin-1")
        }));
        let unusable = self.unusable.iter();
        diagnostics.extend(unusable.map(|(place, why)| why.diagnostic(*place)));
        diagnostics.extend(self.ignored.iter().map(|name| {
            let message = format!("`{name}` is not read: the names of documents end with `.yaml`");
            let stem = name.trim_end_matches(".yml");
            Diagnostic::new(Severity::Warning, "passed-over", None, message)
                .help(format!("rename the file: `git mv {name} {stem}.yaml`"))
        }));
        let readable = self.undecodable.is_empty() && self.unusable.is_empty();
        let locate = |template: &str, position: Option<TemplatePosition>| {
            let index = templates
                .iter()
                .position(|file| file_name(file) == template)?;
            Some(template_span(
                &templates[index],
                self.documents + index,
                position,
            ))
        };
        let good = parsed.inventory.and_then(|inventory| {
            let checked = lint::templates(&inventory, &locate, &check_in_parts);
            match checked {
                Ok(templates) => readable.then_some((inventory, templates)),
                Err(errors) => {
                    diagnostics.extend(errors);
                    None
                }
            }
        });
        sort(&mut diagnostics, &self.files);
        Checked {
            good,
            diagnostics,
            spans: parsed.spans,
        }
    }
}

fn file_name(file: &SourceFile) -> &str {
    let name = Path::new(&file.name).file_name();
    name.and_then(|name| name.to_str()).unwrap_or_default()
}

/// Returns the span of the tag at a position of a template, or of the line if there is no tag.
fn template_span(file: &SourceFile, index: usize, position: Option<TemplatePosition>) -> Span {
    // An error at the end of the file is shown on the last line.
    let last = file.text.lines().count().max(1);
    let line_index = position.map_or(1, |position| position.line).clamp(1, last) - 1;
    let lines = file.text.split_inclusive('\n');
    let line_start: usize = lines.take(line_index).map(str::len).sum();
    let rest = file.text.get(line_start..).unwrap_or_default();
    let line = rest.lines().next().unwrap_or_default();
    let column = position.and_then(|position| position.column).unwrap_or(1);
    let before = line
        .char_indices()
        .nth(column.saturating_sub(1))
        .map(|(at, _)| at);
    let tag = before.filter(|at| line[*at..].starts_with("{{"));
    let (start, length) = match tag {
        Some(at) => {
            let tag = &line[at..];
            let end = tag.find("}}").map_or(tag.len(), |end| {
                end + tag[end..].chars().take_while(|c| *c == '}').count()
            });
            (line_start + at, end)
        }
        None => (line_start, line.len()),
    };
    Span {
        file: index as u32,
        start: start as u32,
        end: (start + length) as u32,
    }
}

/// Returns the lock of git's index, if git is running in the directory.
fn git_lock(directory: &Path) -> Option<PathBuf> {
    let absolute = fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
    absolute
        .ancestors()
        .map(|ancestor| ancestor.join(".git/index.lock"))
        .find(|lock| lock.exists())
}

#[cfg(test)]
mod tests;
