//! Where `--out` writes a Bundle document: in place of the document of the same bundle, and of nothing
//! else.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;

use super::{Stop, fails, said};
use crate::cli::Exit;
use crate::cli::output::Output;
use crate::inventory::{Bundle, SourceFile, bundle_of};

/// The largest file that is read to see what it holds, in octets: a document is far smaller.
const LIMIT: u64 = 16 << 20;

/// Makes sure, before anything is done for it, that the document may be written to a file. Where the
/// name of the bundle is not known yet, any one bundle's document will do until [`write`].
///
/// # Errors
/// When the file holds something else, which has been said.
pub fn check(out: Option<&Path>, name: Option<&str>, output: &Output) -> Result<(), Stop> {
    let Some(path) = out else { return Ok(()) };
    let found = match held(path) {
        Ok(Held::Nothing) => return Ok(()),
        Ok(Held::Bundle(found)) if name.is_none_or(|name| name == found) => return Ok(()),
        Ok(Held::Bundle(found)) => format!("the document of bundle `{found}`"),
        Ok(Held::Other(what)) => what.to_owned(),
        Err(error) => {
            let failed = Err::<(), _>(error).with_context(|| format!("`{}`", path.display()));
            return failed.map_err(fails);
        }
    };
    let whose = name.map_or("a bundle".to_owned(), |name| format!("`{name}`"));
    output.error(
        &format!(
            "`{}` holds {found}; only the document of {whose} alone is replaced",
            path.display()
        ),
        "name another file with `--out`, or leave it out to have the document printed",
    );
    Err(said(Exit::No))
}

/// Prints a bundle as a document of the inventory, or writes it to a file at once: a server that
/// watches the inventory sees the old one or the new one.
///
/// # Errors
/// As [`check`], and when the disk refuses.
pub fn write(bundle: &Bundle, out: Option<&Path>, output: &Output) -> Result<(), Stop> {
    let text = bundle.to_yaml();
    let Some(path) = out else {
        match output.is_json() {
            true => output.json_data(bundle),
            false => output.data(&text),
        }
        return Ok(());
    };
    check(out, Some(&bundle.name), output)?;
    let did = match path.exists() {
        true => "replaced",
        false => "wrote",
    };
    replace(path, &text).map_err(fails)?;
    output.note(&format!("{did} `{}`", path.display()));
    Ok(())
}

/// What lies where a document is to be written.
enum Held {
    Nothing,
    Bundle(String),
    Other(&'static str),
}

fn held(path: &Path) -> io::Result<Held> {
    let data = match fs::metadata(path) {
        Ok(data) => data,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // What it would be renamed into is told now, not when everything is copied.
            let parent = path.parent().filter(|it| !it.as_os_str().is_empty());
            fs::metadata(parent.unwrap_or(Path::new(".")))?;
            return Ok(Held::Nothing);
        }
        Err(error) => return Err(error),
    };
    if data.is_dir() {
        return Ok(Held::Other("files: it is a directory"));
    }
    if !data.is_file() || data.len() > LIMIT {
        return Ok(Held::Other("something else"));
    }
    let Ok(text) = String::from_utf8(fs::read(path)?) else {
        return Ok(Held::Other("something else"));
    };
    let name = path.display().to_string();
    Ok(match bundle_of(&SourceFile { name, text }) {
        Some(name) => Held::Bundle(name),
        None => Held::Other("something else"),
    })
}

fn replace(path: &Path, document: &str) -> anyhow::Result<()> {
    let name = path
        .file_name()
        .with_context(|| format!("`{}` is no file", path.display()))?;
    let new = path.with_file_name(format!(".{}.new", name.display()));
    let written = fs::File::create(&new).and_then(|mut file| {
        file.write_all(document.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    });
    written.with_context(|| {
        let _ = fs::remove_file(&new);
        format!("cannot write `{}`", path.display())
    })
}
