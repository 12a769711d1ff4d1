use std::io;
use std::path::PathBuf;

use crate::inventory::nearest;
use crate::wire::capture_file::CaptureFault;

/// Why a capture cannot start, or ended early.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The interface does not exist.
    #[error("interface `{name}` does not exist")]
    NoInterface {
        /// The requested name.
        name: String,
        /// The existing interfaces.
        present: Vec<String>,
    },
    /// The interface is not an Ethernet interface.
    #[error("interface `{name}` is not an Ethernet interface (its type is {kind})")]
    NoEthernet {
        /// Its name.
        name: String,
        /// Its type, as a number of the system.
        kind: String,
    },
    /// The system's filter has no room for so many ports.
    #[error("the capture filter holds {most} HTTP ports, found {requested}")]
    TooManyPorts {
        /// The limit.
        most: usize,
        /// The requested number.
        requested: usize,
    },
    /// The system does not permit captures.
    #[error("cannot capture on `{name}`")]
    NotPermitted {
        /// The interface.
        name: String,
        /// The error of the system.
        source: io::Error,
    },
    /// The kernel refuses a step of a live capture.
    #[error("cannot capture on `{name}`: {what}")]
    Live {
        /// The interface.
        name: String,
        /// The refused step, such as `cannot attach the filter`.
        what: &'static str,
        /// The error of the system.
        source: io::Error,
    },
    /// The interface was removed during the capture.
    #[error("interface `{name}` is gone")]
    InterfaceGone {
        /// The interface.
        name: String,
    },
    /// The input cannot be read.
    #[error("cannot read `{}`", .path.display())]
    Read {
        /// The file, or `-`.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The output cannot be written.
    #[error("cannot write to {target}")]
    Write {
        /// The file, or standard output.
        target: String,
        /// The error of the system.
        source: io::Error,
    },
    /// The file is empty.
    #[error("`{}` is empty", .0.display())]
    Empty(PathBuf),
    /// The file is not a capture.
    #[error("`{}` is not a readable capture file: {fault}", .path.display())]
    NoCapture {
        /// The file.
        path: PathBuf,
        /// Why.
        fault: CaptureFault,
    },
    /// The compressed file is damaged at its beginning.
    #[error("cannot decompress `{}`: {why}", .path.display())]
    Compression {
        /// The file.
        path: PathBuf,
        /// The error of the decompressor.
        why: String,
    },
    /// No interface is named, and the inventory does not have exactly one.
    #[error("no interface to capture on")]
    WhichInterface {
        /// The interfaces of the inventory.
        names: Vec<String>,
    },
    /// The output file exists.
    #[error("`{}` already exists", .0.display())]
    Exists(PathBuf),
    /// The input file is also the output file.
    #[error("`{}` is the input file", .0.display())]
    SameFile(PathBuf),
}

impl CaptureError {
    /// Reports whether the input is not a capture, as opposed to an error of the system.
    pub fn answer_is_no(&self) -> bool {
        matches!(
            self,
            Self::Empty(_) | Self::NoCapture { .. } | Self::Compression { .. }
        )
    }

    /// Reports whether the options are the cause.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::WhichInterface { .. } | Self::TooManyPorts { .. }
        )
    }

    /// Returns the next command or edit; `None` if the error text is enough.
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::NoInterface { name, present } => {
                let all = present.join("`, `");
                match nearest(name, present.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`? The interfaces are `{all}`"),
                    None => format!("the interfaces are `{all}`"),
                }
            }
            Self::NoEthernet { .. } => "capture on its underlying Ethernet interface".to_owned(),
            Self::TooManyPorts { .. } => {
                "use fewer `--http-port` options; the site's port, 80, 443 and 8080 count, too"
                    .to_owned()
            }
            Self::NotPermitted { .. } => {
                "run as root, or run `setcap cap_net_raw=+ep $(command -v pxectl)` once".to_owned()
            }
            Self::Empty(_) => {
                "use a pcap or pcapng file, uncompressed or compressed with gzip or zstd".to_owned()
            }
            Self::NoCapture { fault, .. } => match fault {
                CaptureFault::ModifiedPcap => {
                    "convert it with `editcap -F pcapng OLD NEW`".to_owned()
                }
                _ => "use a pcap or pcapng file, uncompressed or compressed with gzip or zstd"
                    .to_owned(),
            },
            Self::Compression { .. } => "copy the file again; its beginning is damaged".to_owned(),
            Self::WhichInterface { names } => match &names[..] {
                [] => "use `-I INTERFACE`, or read a file with `--read FILE`".to_owned(),
                names => format!("choose an interface with `-I`: `{}`", names.join("`, `")),
            },
            Self::Exists(_) => {
                "choose another name, or use `--force` to replace the file".to_owned()
            }
            Self::SameFile(_) => "choose another output file".to_owned(),
            Self::Live { .. }
            | Self::InterfaceGone { .. }
            | Self::Read { .. }
            | Self::Write { .. } => return None,
        })
    }
}
