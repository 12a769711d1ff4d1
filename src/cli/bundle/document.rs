//! Writes a Bundle document to `--out`: to a new file, or over the document of the same bundle.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;

use crate::cli::Exit;
use crate::cli::error::{CommandError, CommandResult, WhileDoing};
use crate::cli::output::Output;
use crate::inventory::{Bundle, SourceFile, bundle_of};

/// The largest existing file that is read, in bytes: a document is far smaller.
const LIMIT: u64 = 16 << 20;

/// Checks in advance that the document can be written to a file. If the name of the bundle is not known yet,
/// accepts the document of any bundle, and [`write`] checks again.
///
/// # Errors
/// When the file has other content; prints the error.
pub fn check(out: Option<&Path>, name: Option<&str>, output: &Output) -> CommandResult<()> {
    let Some(path) = out else { return Ok(()) };
    let found = match existing(path) {
        Ok(ExistingFile::Nothing) => return Ok(()),
        Ok(ExistingFile::Bundle(found)) if name.is_none_or(|name| name == found) => return Ok(()),
        Ok(ExistingFile::Bundle(found)) => format!("the document of bundle `{found}`"),
        Ok(ExistingFile::Other(what)) => what.to_owned(),
        Err(error) => {
            return Err(error).while_doing(format_args!("`{}`", path.display()));
        }
    };
    let bundle = name.map_or("a bundle".to_owned(), |name| format!("bundle `{name}`"));
    output.error(
        &format!(
            "cannot replace `{}`: expected only the document of {bundle}, found {found}",
            path.display()
        ),
        "name another file with `--out`, or omit `--out` to print the document",
    );
    Err(CommandError::reported(Exit::No))
}

/// Prints a bundle as a document of the inventory, or writes it to a file atomically: a server that watches the
/// inventory sees the old document or the new one.
///
/// # Errors
/// As [`check`], and when the disk fails.
pub fn write(bundle: &Bundle, out: Option<&Path>, output: &Output) -> CommandResult<()> {
    let text = bundle.to_yaml();
    let Some(path) = out else {
        if output.is_json() {
            output.json_data(bundle);
        } else {
            output.data(&text);
        }
        return Ok(());
    };
    check(out, Some(&bundle.name), output)?;
    let verb = if path.exists() { "replaced" } else { "wrote" };
    replace(path, &text)?;
    output.note(&format!("{verb} `{}`", path.display()));
    Ok(())
}

/// The content of the file that a document is to be written to.
enum ExistingFile {
    Nothing,
    Bundle(String),
    Other(&'static str),
}

fn existing(path: &Path) -> io::Result<ExistingFile> {
    let data = match fs::metadata(path) {
        Ok(data) => data,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // Reports a missing directory now, not after everything is copied.
            let parent = path.parent().filter(|it| !it.as_os_str().is_empty());
            fs::metadata(parent.unwrap_or(Path::new(".")))?;
            return Ok(ExistingFile::Nothing);
        }
        Err(error) => return Err(error),
    };
    if data.is_dir() {
        return Ok(ExistingFile::Other("a directory"));
    }
    if !data.is_file() || data.len() > LIMIT {
        return Ok(ExistingFile::Other("other content"));
    }
    let Ok(text) = String::from_utf8(fs::read(path)?) else {
        return Ok(ExistingFile::Other("other content"));
    };
    let name = path.display().to_string();
    Ok(match bundle_of(&SourceFile { name, text }) {
        Some(name) => ExistingFile::Bundle(name),
        None => ExistingFile::Other("other content"),
    })
}

fn replace(path: &Path, document: &str) -> CommandResult<()> {
    let name = path
        .file_name()
        .with_context(|| format!("`{}` is not a file name", path.display()))?;
    let new = path.with_file_name(format!(".{}.new", name.display()));
    let written = fs::File::create(&new).and_then(|mut file| {
        file.write_all(document.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    });
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written.while_doing(format_args!("cannot write `{}`", path.display()))
}
