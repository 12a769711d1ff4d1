use std::net::Ipv4Addr;

use super::dhcp::BootFile;

/// A file that a loader requests by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoaderRequest {
    /// The file.
    pub file: BootFile,
    /// What the loader does if it is missing.
    pub missing: IfMissing,
}

/// What a loader does if a file is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfMissing {
    /// It continues without the file.
    GoesOn,
    /// It requests the next file of its list, until one exists.
    AsksForNext,
    /// The boot ends.
    Stops,
}

/// Where a loader came from, and where it requests further files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A TFTP server.
    Tftp {
        /// The server; unspecified if the loader does not know it.
        server: Ipv4Addr,
        /// The prefix of each name: a directory with its last slash, or nothing.
        prefix: String,
    },
    /// An HTTP server.
    Http {
        /// The URL of a directory, with its last slash.
        prefix: String,
    },
}

impl Origin {
    /// Returns the origin of a file from its URL: everything up to the last slash.
    pub(super) fn of_url(url: &str) -> Self {
        let end = url.rfind('/').map_or(0, |slash| slash + 1);
        let prefix = url[..end].to_owned();
        Self::Http { prefix }
    }

    /// Returns a file: the prefix and the name, joined unchanged.
    pub(super) fn file(&self, name: &str) -> BootFile {
        let (server, prefix) = match self {
            Self::Tftp { server, prefix } => (*server, prefix),
            Self::Http { prefix } => (Ipv4Addr::UNSPECIFIED, prefix),
        };
        let name = format!("{prefix}{name}");
        BootFile { server, name }
    }

    pub(super) fn request(&self, name: &str, missing: IfMissing) -> LoaderRequest {
        let file = self.file(name);
        LoaderRequest { file, missing }
    }
}

/// Returns the names that PXELINUX and GRUB derive from a client's address: all eight hexadecimal digits,
/// then one fewer each time.
pub(super) fn address_digits(address: Ipv4Addr) -> impl Iterator<Item = String> {
    let digits = format!("{:08X}", address.to_bits());
    (1..=8).rev().map(move |length| digits[..length].to_owned())
}

/// Formats the UUID of option 97 like PXELINUX and GRUB: in the byte order of the option, which differs
/// from the UUID's text form.
pub(super) fn uuid_as_sent(option: &[u8]) -> Option<String> {
    let bytes: &[u8; 16] = match option {
        [_, bytes @ ..] => bytes.try_into().ok()?,
        [] => return None,
    };
    let hex = data_encoding::HEXLOWER.encode(bytes);
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &hex[part]);
    Some(parts.join("-"))
}
