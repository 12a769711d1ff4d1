use std::io;
use std::path::PathBuf;

use crate::inventory::nearest;
use crate::wire::capture_file::CaptureFault;

/// Why a capture cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// There is no such interface.
    #[error("there is no interface `{name}`")]
    NoInterface {
        /// The name that was asked for.
        name: String,
        /// Those that there are.
        present: Vec<String>,
    },
    /// The interface carries something that we cannot read.
    #[error("interface `{name}` carries no Ethernet (its type is {kind})")]
    NoEthernet {
        /// Its name.
        name: String,
        /// Its type, as the system numbers them.
        kind: String,
    },
    /// The filter of the system holds fewer ports.
    #[error("the filter takes {most} ports of HTTP, and {asked} are named")]
    TooManyPorts {
        /// How many it takes.
        most: usize,
        /// How many were asked for.
        asked: usize,
    },
    /// The system lets others do this.
    #[error("cannot watch `{name}`")]
    NotPermitted {
        /// The interface.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// There is nothing in the file.
    #[error("`{}` is empty", .0.display())]
    Empty(PathBuf),
    /// The file is no capture.
    #[error("`{}` is no capture file that can be read: {fault}", .path.display())]
    NoCapture {
        /// The file.
        path: PathBuf,
        /// Why.
        fault: CaptureFault,
    },
    /// The file is compressed, and broken from its beginning.
    #[error("`{}` cannot be decompressed: {why}", .path.display())]
    Compression {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// No interface is named, and the inventory does not name one only.
    #[error("no interface is named")]
    WhichInterface {
        /// Those of the inventory.
        names: Vec<String>,
    },
    /// What would be written over is there, or is what is being read.
    #[error("`{}` is already there", .0.display())]
    Exists(PathBuf),
    /// The same file would be read and written.
    #[error("`{}` is the file that is read", .0.display())]
    SameFile(PathBuf),
}

impl CaptureError {
    /// Returns what to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::NoInterface { name, present } => {
                let all = present.join("`, `");
                match nearest(name, present.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`? There are: `{all}`"),
                    None => format!("there are: `{all}`"),
                }
            }
            Self::NoEthernet { .. } => "capture on the Ethernet interface below it".to_owned(),
            Self::TooManyPorts { .. } => {
                "name fewer with `--http-port`; those of the site and 80, 443 and 8080 count as well"
                    .to_owned()
            }
            Self::NotPermitted { .. } => {
                "run as root, or once `setcap cap_net_raw=+ep $(command -v pxectl)`".to_owned()
            }
            Self::Empty(_) => {
                "give a pcap or pcapng file, plain or compressed with gzip or zstd".to_owned()
            }
            Self::NoCapture { fault, .. } => match fault {
                CaptureFault::ModifiedPcap => {
                    "convert it with `editcap -F pcapng OLD NEW`".to_owned()
                }
                _ => "give a pcap or pcapng file, plain or compressed with gzip or zstd".to_owned(),
            },
            Self::Compression { .. } => "copy the file again: its beginning is needed".to_owned(),
            Self::WhichInterface { names } => match &names[..] {
                [] => "name one with `-I INTERFACE`, or a file with `--read FILE`".to_owned(),
                names => format!("name one with `-I`: `{}`", names.join("`, `")),
            },
            Self::Exists(_) => "choose another name, or add `--force` to replace it".to_owned(),
            Self::SameFile(_) => "choose another name".to_owned(),
        }
    }
}
