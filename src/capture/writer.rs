use std::borrow::Cow;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::CaptureError;
use super::mask::{Masker, stand_in};
use crate::machine::{masked, secret_runs};
use crate::wire::capture_file::CapturedFrame;
use crate::wire::packet::LinkType;
use crate::wire::pcapng::{InterfaceDescription, PcapngWriter};

/// The most bytes that wait to be written.
const PORTION: usize = 1 << 20;
/// The mode of a capture file: only its owner can read it.
const PRIVATE: u32 = 0o600;

/// The destination of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A file.
    File {
        /// Its path.
        path: PathBuf,
        /// Whether to replace an existing file.
        replace: bool,
    },
    /// Standard output.
    Stdout,
}

/// Writes a capture file in whole blocks, so that it is readable at any time.
pub struct CaptureWriter {
    target: String,
    output: Box<dyn Write>,
    bytes: Vec<u8>,
    interfaces: Vec<(LinkType, Option<String>)>,
    filter: Option<String>,
    system: Option<String>,
    /// `None` if secrets are kept.
    masker: Option<Masker>,
    /// The secrets of the current frame.
    secrets: Vec<Range<usize>>,
}

impl CaptureWriter {
    /// Creates a file. `source` is the input file, which is never overwritten; `filter` describes the
    /// captured frames. Masks boot tokens and capabilities unless `keeps_secrets`; only the owner can
    /// read the file.
    ///
    /// # Errors
    /// When the file exists and must not be replaced, or cannot be written.
    pub fn create(
        destination: &Destination,
        source: Option<&Path>,
        filter: Option<String>,
        keeps_secrets: bool,
    ) -> Result<Self, CaptureError> {
        let (target, output): (String, Box<dyn Write>) = match destination {
            Destination::Stdout => ("standard output".to_owned(), Box::new(io::stdout())),
            Destination::File { path, replace } => {
                let file = open(path, *replace, source)?;
                (format!("`{}`", path.display()), Box::new(file))
            }
        };
        let system = system();
        let mut bytes = Vec::new();
        let mut writer = PcapngWriter { bytes: &mut bytes };
        let masked = if keeps_secrets {
            ""
        } else {
            ", boot tokens and capabilities masked"
        };
        let application = concat!("pxectl ", env!("CARGO_PKG_VERSION")).to_owned() + masked;
        writer.section(&application, system.as_deref());
        let mut writer = Self {
            target,
            output,
            bytes,
            interfaces: Vec::new(),
            filter,
            system,
            masker: (!keeps_secrets).then(Masker::default),
            secrets: Vec::new(),
        };
        writer.flush()?;
        Ok(writer)
    }

    /// Writes a frame with its existing comments and a new one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn frame(
        &mut self,
        frame: &CapturedFrame<'_>,
        interface: Option<&str>,
        note: Option<&str>,
    ) -> Result<(), CaptureError> {
        let number = self.number_of(frame.link, interface);
        let comments: Vec<_> = frame
            .comments
            .chain(note.map(str::as_bytes))
            .map(|comment| match &self.masker {
                Some(_) => without_secrets(comment),
                None => Cow::Borrowed(comment),
            })
            .collect();
        let mut writer = PcapngWriter {
            bytes: &mut self.bytes,
        };
        let comments = comments.iter().map(|comment| comment.as_ref());
        let place = writer.frame(number, frame.at, frame.bytes, frame.sent, comments);
        if let Some(masker) = &mut self.masker {
            let written = &mut self.bytes[place];
            masker.find(frame.link, written, &mut self.secrets);
            for range in self.secrets.drain(..) {
                stand_in(&mut written[range]);
            }
        }
        if self.bytes.len() >= PORTION {
            self.flush()?;
        }
        Ok(())
    }

    /// Ends the file with the numbers of received and dropped frames.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(
        &mut self,
        at: Timestamp,
        received: u64,
        dropped: u64,
    ) -> Result<(), CaptureError> {
        if !self.interfaces.is_empty() {
            let mut writer = PcapngWriter {
                bytes: &mut self.bytes,
            };
            writer.statistics(0, at, received, dropped);
        }
        self.flush()
    }

    /// Writes everything that waits.
    ///
    /// # Errors
    /// When it cannot be written, for example because the reader of a pipe is gone.
    pub fn flush(&mut self) -> Result<(), CaptureError> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        let written = self
            .output
            .write_all(&self.bytes)
            .and_then(|()| self.output.flush());
        self.bytes.clear();
        written.map_err(|source| CaptureError::Write {
            target: self.target.clone(),
            source,
        })
    }

    /// Returns the number of an interface, and describes a new interface first.
    fn number_of(&mut self, link: LinkType, name: Option<&str>) -> u32 {
        let described = self
            .interfaces
            .iter()
            .position(|(other_link, other)| *other_link == link && other.as_deref() == name);
        let number = described.unwrap_or_else(|| {
            let mut writer = PcapngWriter {
                bytes: &mut self.bytes,
            };
            writer.interface(&InterfaceDescription {
                link,
                name,
                filter: self.filter.as_deref(),
                system: self.system.as_deref(),
            });
            self.interfaces.push((link, name.map(str::to_owned)));
            self.interfaces.len() - 1
        });
        number as u32
    }
}

fn open(path: &Path, replace: bool, source: Option<&Path>) -> Result<File, CaptureError> {
    let identity = |path: &Path| {
        let found = std::fs::metadata(path).ok();
        found.map(|it| (it.dev(), it.ino()))
    };
    if let (Some(source), Some(own)) = (source, identity(path))
        && identity(source) == Some(own)
    {
        return Err(CaptureError::SameFile(path.to_owned()));
    }
    let mut options = OpenOptions::new();
    options.write(true).mode(PRIVATE);
    if replace {
        options.create(true).truncate(false);
    } else {
        options.create_new(true);
    }
    match options.open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(CaptureError::Exists(path.to_owned()))
        }
        other => {
            let opened = other.and_then(|file| emptied(&file).map(|()| file));
            opened.map_err(|source| CaptureError::Write {
                target: format!("`{}`", path.display()),
                source,
            })
        }
    }
}

/// Makes a file private and then empty, since an existing file keeps its mode. Leaves devices and pipes
/// unchanged.
fn emptied(file: &File) -> io::Result<()> {
    let found = file.metadata()?;
    if !found.is_file() {
        return Ok(());
    }
    if found.permissions().mode() & 0o777 != PRIVATE {
        file.set_permissions(Permissions::from_mode(PRIVATE))?;
    }
    file.set_len(0)
}

/// Masks secrets in a comment.
fn without_secrets(comment: &[u8]) -> Cow<'_, [u8]> {
    if secret_runs(comment).next().is_none() {
        return Cow::Borrowed(comment);
    }
    let text = String::from_utf8_lossy(comment);
    Cow::Owned(masked(&text).into_owned().into_bytes())
}

/// Returns the name and release of the operating system.
fn system() -> Option<String> {
    let names = rustix::system::uname();
    let (name, release) = (names.sysname().to_str(), names.release().to_str());
    Some(format!("{} {}", name.ok()?, release.ok()?))
}
