use std::fmt;

use crate::machine::Secret;
use crate::respond::boot::{MachinePath, MachineQuery};

/// The file that a client boots next. Printed without its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AssignedBootFile {
    /// A loader over TFTP under its own name: it runs DHCP again, or requests no other file.
    Loader(String),
    /// A loader over TFTP under the path of its machine, so that its later requests name the machine.
    MachineLoader(MachinePath),
    /// The file name or URL that a class of clients gets.
    ClassFile(String),
    /// A loader for UEFI HTTP boot.
    HttpLoader {
        /// The root of our URLs.
        base: String,
        /// The path below that root.
        path: MachinePath,
    },
    /// The script for iPXE.
    Script {
        /// The URL without its token.
        url: String,
        /// The token.
        token: Secret,
    },
}

impl AssignedBootFile {
    /// Returns the text that goes into `file` and option 67.
    pub fn text(&self) -> String {
        match self {
            Self::Loader(name) | Self::ClassFile(name) => name.clone(),
            Self::MachineLoader(path) => path.to_string(),
            Self::HttpLoader { base, path } => format!("{base}/{path}"),
            Self::Script { url, token } => format!("{url}?token={}", token.expose()),
        }
    }

    /// Returns the name of the file that is fetched by TFTP.
    pub fn tftp_file(&self) -> Option<&str> {
        match self {
            Self::Loader(name) => Some(name),
            Self::MachineLoader(path) => match &path.query {
                MachineQuery::File(name) => Some(name),
                _ => None,
            },
            // A class may name a file of another server.
            Self::ClassFile(_) | Self::HttpLoader { .. } | Self::Script { .. } => None,
        }
    }

    /// Reports whether the firmware itself fetches the file over HTTP.
    pub fn is_http_loader(&self) -> bool {
        matches!(self, Self::HttpLoader { .. })
    }
}

impl fmt::Display for AssignedBootFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loader(text) | Self::ClassFile(text) | Self::Script { url: text, .. } => {
                f.write_str(text)
            }
            Self::MachineLoader(path) => f.write_str(&path.without_token()),
            Self::HttpLoader { base, path } => write!(f, "{base}/{}", path.without_token()),
        }
    }
}
